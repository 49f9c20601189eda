//! Where a request comes from: the peer, or behind a trusted proxy whom the proxy names.
use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::web::Data;
use ipnet::IpNet;

use crate::app::App;

/// The caller's address. `X-Forwarded-For` grows to the right, and only what a trusted proxy wrote is true: the last
/// address that is none of them is the caller.
pub fn caller_address(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map(|peer| peer.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical();
    let Some(app) = request.app_data::<Data<App>>() else {
        return peer;
    };
    let named = request.headers().get_all("X-Forwarded-For");
    let named: Vec<&str> = named.filter_map(|value| value.to_str().ok()).collect();
    believed(peer, &named, &app.config.network.trusted_proxies)
}

pub(super) fn believed(peer: IpAddr, forwarded: &[&str], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = peer;
    let chain = forwarded.iter().flat_map(|value| value.split(','));
    for hop in chain.rev() {
        if !is_trusted(&nearest) {
            return nearest;
        }
        match hop.trim().parse::<IpAddr>() {
            Ok(address) => nearest = address.to_canonical(),
            Err(_) => return nearest,
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_trusted_proxy_wrote_is_believed() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let cases: [(&str, &[&str], &str); 7] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1",
                &["203.0.113.9", "198.51.100.7, 10.0.0.2"],
                "198.51.100.7",
            ),
            ("10.0.0.1", &["198.51.100.7, rubbish"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ];
        for (peer, forwarded, caller) in cases {
            let found = believed(peer.parse().unwrap(), forwarded, &trusted);
            assert_eq!(found, caller.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
