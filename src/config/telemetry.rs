//! `[telemetry]`: where spans of requests are sent, if anywhere.
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryOverrides {
    /// OpenTelemetry collector that takes OTLP over HTTP (protobuf), e.g. http://127.0.0.1:4318 [default: none]
    #[arg(long, global = true, env = "GIAIDAP_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Name of this service in spans [default: giaidap]
    #[arg(long, global = true, env = "GIAIDAP_SERVICE_NAME", value_name = "NAME")]
    pub service_name: Option<String>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Telemetry {
    /// Without `/v1/traces`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    pub service_name: String,
}

impl Telemetry {
    pub(super) fn settle(
        given: TelemetryOverrides,
        file: TelemetryOverrides,
    ) -> Result<Telemetry, ConfigError> {
        let endpoint = given.otlp_endpoint.or(file.otlp_endpoint);
        let endpoint = endpoint.map(|url| url.trim_end_matches('/').to_owned());
        // Without TLS and without a login in the address: the collector stands beside the server and forwards.
        let is_plain = |url: &String| url.starts_with("http://") && !url.contains('@');
        if !endpoint.as_ref().is_none_or(is_plain) {
            return Err(invalid(
                "otlp_endpoint",
                "must be http://HOST:PORT of a collector near by".into(),
            ));
        }
        Ok(Telemetry {
            otlp_endpoint: endpoint,
            service_name: given
                .service_name
                .or(file.service_name)
                .unwrap_or_else(|| "giaidap".into()),
        })
    }
}
