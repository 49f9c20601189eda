//! What `key` and `token` have in common: life span, list, end.
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde::Serialize;

use super::{Desk, out};
use crate::config::Config;
use crate::identity::{self, CredentialView, Life};
use crate::store::Db;

#[derive(Debug, clap::Args)]
pub struct Span {
    /// Days until it ends by itself [default: never]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=3660))]
    expires_in_days: Option<i64>,
}

impl Span {
    pub fn from(&self, now: DateTime<Utc>) -> Life {
        Life {
            from: now,
            to: self.expires_in_days.map(|days| now + Duration::days(days)),
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The public half: what stands between the first and the second `_`
    #[arg(value_name = "PUBLIC")]
    public: String,
}

#[derive(Serialize)]
struct Line<'a> {
    public: &'a str,
    owner: &'a str,
    name: &'a str,
    state: &'static str,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// One line each, or one JSON array; never a secret.
pub fn show(found: &[CredentialView], now: DateTime<Utc>, as_json: bool) -> anyhow::Result<()> {
    let lines: Vec<Line<'_>> = found.iter().map(|credential| line_of(credential, now)).collect();
    if as_json {
        return out::json(&lines);
    }
    for line in lines {
        let used = line.last_used_at.as_deref().unwrap_or("never used");
        out::line(&format!(
            "{}  {:<8} {:<24} {}  {used}",
            line.public, line.state, line.owner, line.name
        ));
    }
    Ok(())
}

fn line_of(credential: &CredentialView, now: DateTime<Utc>) -> Line<'_> {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let state = match (credential.revoked_at, credential.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at.0 <= now => "expired",
        _ => "in force",
    };
    Line {
        public: &credential.lookup,
        owner: &credential.owner,
        name: &credential.name,
        state,
        created_at: text(credential.created_at.0),
        expires_at: credential.expires_at.map(|at| text(at.0)),
        last_used_at: credential.last_used_at.map(|at| text(at.0)),
    }
}

/// End it at once, and what its holder made with it.
pub async fn revoke(args: Revoke, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let work = move |conn: &mut Db| identity::revoke(conn, &args.public, now);
    match desk.write(work).await?.saturating_sub(1) {
        0 => out::line("It is revoked."),
        more => out::line(&format!("It is revoked, and {more} made with it.")),
    }
    Ok(())
}
