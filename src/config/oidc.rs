//! `[oidc]`: the OpenID provider that answers for people of the centre. Without an issuer there is none.
use std::fmt;

use clap::Args;
use serde::{Deserialize, Serialize, Serializer};
use ureq::http::Uri;

use super::{ConfigError, invalid};
use crate::identity::Role;

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct OidcOverrides {
    /// Issuer of the OpenID provider for logins, exactly as its metadata names it [default: none]
    #[arg(
        id = "oidc_issuer",
        long = "oidc-issuer",
        global = true,
        env = "GIAIDAP_OIDC_ISSUER",
        value_name = "URL"
    )]
    pub issuer: Option<String>,
    /// Name of this server at the provider
    #[arg(
        id = "oidc_client_id",
        long = "oidc-client-id",
        global = true,
        env = "GIAIDAP_OIDC_CLIENT_ID",
        value_name = "ID"
    )]
    pub client_id: Option<String>,
    /// Its secret; without one it is a public client, which PKCE alone protects [default: none]
    #[arg(
        id = "oidc_client_secret",
        long = "oidc-client-secret",
        global = true,
        env = "GIAIDAP_OIDC_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub client_secret: Option<ClientSecret>,
    /// Scopes that a login asks for, comma separated [default: openid,profile,email]
    #[arg(
        id = "oidc_scopes",
        long = "oidc-scopes",
        global = true,
        env = "GIAIDAP_OIDC_SCOPES",
        value_name = "SCOPE",
        value_delimiter = ','
    )]
    pub scopes: Option<Vec<String>>,
    /// Claim with a person's groups or roles, a dotted path such as realm_access.roles [default: roles]
    #[arg(
        id = "oidc_role_claim",
        long = "oidc-role-claim",
        global = true,
        env = "GIAIDAP_OIDC_ROLE_CLAIM",
        value_name = "PATH"
    )]
    pub role_claim: Option<String>,
    /// What a value of that claim means here, VALUE=ROLE, comma separated; the first that a person has counts [default: none]
    #[arg(
        id = "oidc_role_map",
        long = "oidc-role-map",
        global = true,
        env = "GIAIDAP_OIDC_ROLE_MAP",
        value_name = "VALUE=ROLE",
        value_delimiter = ','
    )]
    pub role_map: Option<Vec<String>>,
    /// Role of whom the map gives none [default: none, they are refused]
    #[arg(
        id = "oidc_default_role",
        long = "oidc-default-role",
        global = true,
        env = "GIAIDAP_OIDC_DEFAULT_ROLE",
        value_name = "ROLE"
    )]
    pub default_role: Option<Role>,
    /// Add a person who has a role and is not known yet at their first login [default: false]
    #[arg(id = "oidc_create_users", long = "oidc-create-users", global = true, env = "GIAIDAP_OIDC_CREATE_USERS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub create_users: Option<bool>,
    /// Accept the provider's JWT access tokens for this audience as bearer tokens [default: none]
    #[arg(
        id = "oidc_bearer_audience",
        long = "oidc-bearer-audience",
        global = true,
        env = "GIAIDAP_OIDC_BEARER_AUDIENCE",
        value_name = "AUDIENCE"
    )]
    pub bearer_audience: Option<String>,
}

/// The secret of a client; prints as `***` wherever it is shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// For the provider only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for ClientSecret {
    fn from(text: String) -> Self {
        ClientSecret(text)
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for ClientSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// The settings in force where there is a provider.
#[derive(Debug, Clone, Serialize)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecret>,
    pub scopes: Vec<String>,
    pub role_claim: String,
    /// Value of the claim and role, the first that fits counts.
    #[serde(serialize_with = "as_written")]
    pub role_map: Vec<(String, Role)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_role: Option<Role>,
    pub create_users: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_audience: Option<String>,
}

impl Oidc {
    pub(super) fn settle(given: OidcOverrides, file: OidcOverrides) -> Result<Option<Oidc>, ConfigError> {
        let client_id = given.client_id.or(file.client_id);
        let role_map = given.role_map.or(file.role_map);
        let bearer_audience = given.bearer_audience.or(file.bearer_audience);
        let Some(issuer) = given.issuer.or(file.issuer) else {
            // Somebody meant to have a provider: better no start than one without it.
            return match client_id.is_some() || role_map.is_some() || bearer_audience.is_some() {
                true => Err(invalid(
                    "oidc.issuer",
                    "is missing, but other settings of [oidc] are there".into(),
                )),
                false => Ok(None),
            };
        };
        let scopes = given.scopes.or(file.scopes);
        let settled = Oidc {
            issuer,
            client_id: client_id.unwrap_or_default(),
            client_secret: given.client_secret.or(file.client_secret),
            scopes: scopes.unwrap_or_else(|| ["openid", "profile", "email"].map(str::to_owned).to_vec()),
            role_claim: given
                .role_claim
                .or(file.role_claim)
                .unwrap_or_else(|| "roles".into()),
            role_map: role_map
                .unwrap_or_default()
                .iter()
                .map(|entry| parse_mapping(entry))
                .collect::<Result<_, _>>()?,
            default_role: given.default_role.or(file.default_role),
            create_users: given.create_users.or(file.create_users).unwrap_or(false),
            bearer_audience,
        };
        settled.check()?;
        Ok(Some(settled))
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !is_endpoint(&self.issuer) || self.issuer.contains(['?', '#']) {
            return Err(invalid(
                "oidc.issuer",
                "must be an https:// address without query; http:// only on loopback".into(),
            ));
        }
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(&self.client_id) {
            return Err(invalid("oidc.client_id", "is missing or not plain text".into()));
        }
        if !self.scopes.iter().all(|scope| is_word(scope)) || !self.scopes.iter().any(|s| s == "openid") {
            return Err(invalid("oidc.scopes", "must be words, one of them openid".into()));
        }
        if self.role_claim.is_empty() {
            return Err(invalid("oidc.role_claim", "must not be empty".into()));
        }
        if self.role_map.is_empty() && self.default_role.is_none() {
            return Err(invalid(
                "oidc.role_map",
                "is missing: without it and without default_role nobody could log in".into(),
            ));
        }
        if self
            .bearer_audience
            .as_deref()
            .is_some_and(|audience| !is_word(audience))
        {
            return Err(invalid("oidc.bearer_audience", "is not plain text".into()));
        }
        // An ID token is made for the client; as a bearer token it would be what OpenID Connect never meant it to be.
        if self.bearer_audience.as_deref() == Some(&self.client_id) {
            return Err(invalid(
                "oidc.bearer_audience",
                "must differ from client_id, or ID tokens would pass for access tokens".into(),
            ));
        }
        Ok(())
    }
}

/// An address that may be called: https, or http on this machine.
pub fn is_endpoint(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else {
        return false;
    };
    let has_login = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    !has_login
        && match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback,
            _ => false,
        }
}

/// `VALUE=ROLE`; a value may hold `=`.
fn parse_mapping(entry: &str) -> Result<(String, Role), ConfigError> {
    let parsed = entry
        .trim()
        .rsplit_once('=')
        .and_then(|(value, role)| Some((value.trim().to_owned(), Role::parse(role.trim())?)))
        .filter(|(value, _)| !value.is_empty());
    parsed.ok_or_else(|| {
        invalid(
            "oidc.role_map",
            format!("`{entry}` is not VALUE=ROLE with a role of admin, supervisor, agent, auditor"),
        )
    })
}

fn as_written<S: Serializer>(map: &[(String, Role)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        map.iter()
            .map(|(value, role)| format!("{value}={}", role.as_str())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(issuer: &str) -> OidcOverrides {
        OidcOverrides {
            issuer: Some(issuer.into()),
            client_id: Some("giaidap".into()),
            client_secret: Some("hush-hush".to_owned().into()),
            role_map: Some(vec!["cn=desk,ou=x=agent".into(), "giaidap-admin=admin".into()]),
            ..OidcOverrides::default()
        }
    }

    fn settle(given: OidcOverrides) -> Result<Option<Oidc>, ConfigError> {
        Oidc::settle(given, OidcOverrides::default())
    }

    #[test]
    fn without_an_issuer_there_is_no_provider() {
        assert!(settle(OidcOverrides::default()).unwrap().is_none());
        let forgotten = OidcOverrides {
            issuer: None,
            ..given("x")
        };
        assert!(settle(forgotten).unwrap_err().to_string().contains("oidc.issuer"));
    }

    #[test]
    fn the_secret_is_masked_wherever_it_is_printed() {
        let overrides = given("https://login.example.vn");
        assert!(!format!("{overrides:?}").contains("hush"));
        let settled = settle(overrides).unwrap().unwrap();
        let printed = format!("{settled:?} {}", toml::to_string(&settled).unwrap());
        assert!(
            !printed.contains("hush") && printed.contains("cn=desk,ou=x=agent"),
            "{printed}"
        );
        assert_eq!(settled.role_map.first().unwrap().1, Role::Agent);
    }

    #[test]
    fn an_issuer_on_the_network_needs_tls() {
        for good in [
            "https://login.example.vn/realms/a",
            "http://127.0.0.1:9/x",
            "http://[::1]:9",
            "http://localhost:9",
        ] {
            assert!(settle(given(good)).is_ok(), "{good}");
        }
        for bad in [
            "http://login.example.vn",
            "http://localhost.example.vn",
            "https://user@login.example.vn",
            "https://login.example.vn?x",
            "https://login.example.vn/#a",
            "ftp://127.0.0.1",
            "login.example.vn",
            "",
        ] {
            assert!(settle(given(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_that_could_let_the_wrong_one_in_are_refused() {
        let base = || given("https://login.example.vn");
        for (wrong, name) in [
            (
                OidcOverrides {
                    client_id: None,
                    ..base()
                },
                "client_id",
            ),
            (
                OidcOverrides {
                    role_map: None,
                    ..base()
                },
                "role_map",
            ),
            (
                OidcOverrides {
                    role_map: Some(vec!["x=root".into()]),
                    ..base()
                },
                "role_map",
            ),
            (
                OidcOverrides {
                    role_map: Some(vec!["=admin".into()]),
                    ..base()
                },
                "role_map",
            ),
            (
                OidcOverrides {
                    scopes: Some(vec!["email".into()]),
                    ..base()
                },
                "scopes",
            ),
            (
                OidcOverrides {
                    bearer_audience: Some("giaidap".into()),
                    ..base()
                },
                "bearer_audience",
            ),
        ] {
            let error = settle(wrong).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
