//! `[network]`: who stands between a caller and the server.
use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkOverrides {
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed, as CIDR, comma separated [default: none]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        help_heading = "Settings"
    )]
    pub trusted_proxies: Option<Vec<String>>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    pub trusted_proxies: Vec<IpNet>,
}

impl Network {
    pub(super) fn settle(given: NetworkOverrides, file: NetworkOverrides) -> Result<Network, ConfigError> {
        let proxies = given.trusted_proxies.or(file.trusted_proxies).unwrap_or_default();
        Ok(Network {
            trusted_proxies: proxies
                .iter()
                .map(|text| parse_network(text))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// A network as CIDR, or one address.
fn parse_network(text: &str) -> Result<IpNet, ConfigError> {
    let text = text.trim();
    let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(one);
    network.ok_or_else(|| {
        invalid(
            "trusted_proxies",
            format!("`{text}` is no network, e.g. 10.0.0.0/8"),
        )
    })
}
