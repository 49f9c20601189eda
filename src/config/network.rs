//! `[network]`: who stands between a caller and the server.
use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct NetworkOverrides {
    /// Networks of reverse proxies whose `X-Forwarded-For` is believed, as CIDR, comma separated [default: none]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub trusted_proxies: Option<Vec<String>>,
    /// Origins of web pages that may call the API from a browser, comma separated [default: none]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_CORS_ORIGINS",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub cors_origins: Option<Vec<String>>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    pub trusted_proxies: Vec<IpNet>,
    pub cors_origins: Vec<String>,
}

impl Network {
    pub(super) fn settle(given: NetworkOverrides, file: NetworkOverrides) -> Result<Network, ConfigError> {
        let proxies = given.trusted_proxies.or(file.trusted_proxies).unwrap_or_default();
        Ok(Network {
            trusted_proxies: proxies
                .iter()
                .map(|text| parse_network(text))
                .collect::<Result<_, _>>()?,
            cors_origins: given
                .cors_origins
                .or(file.cors_origins)
                .unwrap_or_default()
                .iter()
                .map(|text| parse_origin(text))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// As a browser sends it (RFC 6454, section 6.2): scheme, host, and a port that is not the scheme's own.
fn parse_origin(text: &str) -> Result<String, ConfigError> {
    let text = text.trim();
    let host = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or_default();
    let is_fitting =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_fitting) {
        return Err(invalid(
            "cors_origins",
            format!("`{text}` is no origin, e.g. https://portal.example.vn"),
        ));
    }
    Ok(text.to_owned())
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
