//! People whom an OpenID provider answers for: the login by its authorization code, and its access tokens as bearer
//! tokens. What it signs is believed only as `verify` says; whom that lets in and as what, `admit` and `bearer` decide.
//!
//! A person is known by issuer and subject. The first time they are found by an address that the provider has verified,
//! never by one that it has not. The role is what the claims map to, at every login and in every bearer token; somebody
//! without one does not come in and loses their sessions, and the last administrator stays one. No call to the provider is
//! made inside a transaction.
pub(crate) mod db;
mod fetch;
pub(crate) mod keys;
pub mod login;
pub mod provider;
mod roles;
pub(crate) mod verify;

use chrono::{DateTime, Utc};
use serde_json::Value;

pub use provider::Provider;
pub use verify::looks_like_jwt;

use self::login::WayBack;
use self::roles::role_of;
use self::verify::{Purpose, subject_of};
use super::{Principal, Role, Scope};
use crate::config::Oidc;
use crate::error::{Error, FieldCode, Result, SignOnRefusal};
use crate::identity::accounts;
use crate::identity::credentials::{self, Along};
use crate::identity::security_log::{note, note_credential, note_refused_because};
use crate::identity::sessions::{OpenedSession, SessionLife, open_session};
use crate::identity::sign_in::Visitor;
use crate::language::Language;
use crate::store::{Db, Store, Uid};
use crate::text::{breaks_a_line, makes_look_alikes, nfc};

/// What the provider says of somebody.
#[derive(Debug, Clone)]
pub struct Identity {
    pub issuer: String,
    pub subject: String,
    /// Lower case; only where the provider has verified it.
    pub email: Option<String>,
    /// There is one that the provider has not verified.
    pub has_unverified_email: bool,
    pub name: Option<String>,
    pub role: Option<Role>,
}

impl Identity {
    fn read(settings: &Oidc, claims: &Value) -> Option<Identity> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_verified = claims.get("email_verified").and_then(Value::as_bool) == Some(true);
        let email = text("email")
            .filter(|email| is_verified && email.parse::<lettre::Address>().is_ok())
            .filter(|email| !email.chars().any(makes_look_alikes))
            .map(str::to_lowercase);
        let name = text("name").map(|name| {
            let plain: String = name.chars().filter(|letter| !breaks_a_line(*letter)).collect();
            nfc(plain.trim()).chars().take(LONGEST_NAME).collect::<String>()
        });
        Some(Identity {
            issuer: settings.issuer.clone(),
            subject: subject_of(claims)?.to_owned(),
            has_unverified_email: !is_verified && text("email").is_some(),
            email,
            name: name.filter(|name| !name.is_empty()),
            role: role_of(settings, claims),
        })
    }
}

/// In characters, of a name that the provider gives.
const LONGEST_NAME: usize = 200;

/// Who came in, or why nobody did: then what else was done (sessions that ended) stands.
type Admission = std::result::Result<super::db::User, SignOnRefusal>;

/// Find or add the person, take over their role. `Ok(Err(…))` is to be committed like `Ok(Ok(…))`.
fn admit(conn: &mut Db, identity: &Identity, create_users: bool, now: DateTime<Utc>) -> Result<Admission> {
    let known = db::find_user(conn, &identity.issuer, &identity.subject)?;
    let Some(role) = identity.role else {
        let user = known.as_ref().map(|user| user.uid);
        if let Some(user) = known {
            credentials::end_sessions(conn, user.id, None, Along::Nothing, now)?;
        }
        return Ok(refuse(SignOnRefusal::NoRole, "no_role", user));
    };
    let user = match known {
        Some(user) => user,
        None => match adopt(conn, identity, role, create_users, now)? {
            Ok(user) => user,
            Err((reason, user)) => return Ok(refuse(SignOnRefusal::UnknownPerson, reason, user)),
        },
    };
    if !user.active {
        return Ok(refuse(SignOnRefusal::UnknownPerson, "inactive", Some(user.uid)));
    }
    let role = match user.role == role {
        true => role,
        false => accounts::take_over_role(conn, user.id, role, now)?,
    };
    Ok(Ok(super::db::User { role, ..user }))
}

/// The person is told less than the security log.
fn refuse(refusal: SignOnRefusal, reason: &'static str, user: Option<Uid>) -> Admission {
    note_refused_because("login_failed", reason, user);
    Err(refusal)
}

/// A login that ended before anybody knew whose it would have been.
fn refused_unseen(refusal: SignOnRefusal) -> Error {
    let reason = match refusal {
        SignOnRefusal::UnknownLogin => "unknown_login",
        SignOnRefusal::Provider(_) => "provider",
        SignOnRefusal::Denied => "denied",
        SignOnRefusal::Unproven => "unproven",
        SignOnRefusal::UnknownPerson => "unknown_person",
        SignOnRefusal::NoRole => "no_role",
    };
    note_refused_because("login_failed", reason, None);
    Error::SignOn(refusal)
}

/// Whom the provider let in.
pub struct LoggedOn {
    pub user: super::db::User,
    pub session: OpenedSession,
    /// Where the program that began the login wants the person to go.
    pub return_to: Option<String>,
}

/// End the login that came back with the browser. The provider is asked between two transactions.
pub async fn log_in(
    store: &Store,
    provider: &Provider,
    back: WayBack,
    visitor: Visitor,
    life: SessionLife,
    now: DateTime<Utc>,
) -> Result<LoggedOn> {
    let taken = back.clone();
    let begun = store.write(move |conn| login::take(conn, &taken, now)).await?;
    let begun = begun.ok_or_else(|| refused_unseen(SignOnRefusal::UnknownLogin))?;
    let identified = provider.identify(&begun, &back, now).await?;
    let identity = identified.map_err(refused_unseen)?;
    let create_users = provider.settings.create_users;
    let work = move |conn: &mut Db| match admit(conn, &identity, create_users, now)? {
        Ok(user) => {
            let (from, program) = (visitor.address.to_string(), visitor.user_agent.as_deref());
            let session = open_session(conn, user.id, &from, program, now, life)?;
            Ok(Ok((user, session)))
        }
        Err(refusal) => Ok(Err(refusal)),
    };
    let (user, session) = store.write(work).await?.map_err(Error::SignOn)?;
    note_credential("login_succeeded", user.uid, session.id);
    let return_to = begun.return_to;
    Ok(LoggedOn {
        user,
        session,
        return_to,
    })
}

/// Somebody who was adopted; or why nobody was, and who it would have been.
type Adoption = std::result::Result<super::db::User, (&'static str, Option<Uid>)>;

/// Somebody who comes this way for the first time.
fn adopt(
    conn: &mut Db,
    identity: &Identity,
    role: Role,
    create_users: bool,
    now: DateTime<Utc>,
) -> Result<Adoption> {
    let Some(email) = &identity.email else {
        let reason = match identity.has_unverified_email {
            true => "unverified_address",
            false => "unknown_person",
        };
        return Ok(Err((reason, None)));
    };
    let user = match super::db::find_user_by_email(conn, email)? {
        Some(user) => user,
        None if create_users => {
            let name = identity.name.as_deref().unwrap_or(email);
            let added = super::db::insert_user(conn, email, name, role, Language::default(), now)?;
            let added = added
                .ok_or_else(|| Error::unavailable("the database is busy", "two first logins at once"))?;
            note("user_created", added.uid, None);
            added
        }
        None => return Ok(Err(("unknown_person", None))),
    };
    // Somebody else of the same provider may have had the address before: they do not become that person.
    if !db::link(conn, user.id, &identity.issuer, &identity.subject, now)? {
        return Ok(Err(("linked_to_another", Some(user.uid))));
    }
    note("provider_linked", user.uid, None);
    Ok(Ok(user))
}

/// Tie a person to a subject of the provider by hand, whatever they were tied to before: where the provider verifies no
/// address, or gave the person another subject.
pub fn link_by_hand(
    conn: &mut Db,
    email: &str,
    issuer: &str,
    subject: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let wrong = |code| Error::invalid_parameter("subject", code);
    if !(1..=255).contains(&subject.len()) || subject.chars().any(char::is_control) {
        return Err(wrong(FieldCode::InvalidFormat {
            expected: "1 to 255 bytes, as the provider writes `sub`",
        }));
    }
    let account = accounts::get(conn, email)?;
    let user = super::db::lock_user(conn, account.id)?;
    match db::find_user(conn, issuer, subject)? {
        Some(holder) if holder.id == user.id => return Ok(()),
        Some(_) => return Err(wrong(FieldCode::Duplicate)),
        None => db::relink(conn, user.id, issuer, subject, now)?,
    }
    note("provider_linked", user.uid, None);
    Ok(())
}

/// An access token that the provider signed for us: for whom, as what, limited to which scopes.
#[derive(Debug, Clone)]
pub struct Bearer {
    issuer: String,
    subject: String,
    role: Role,
    scopes: Option<Vec<Scope>>,
}

impl Provider {
    /// What an access token says, or `Unauthenticated`; `Unavailable` where that cannot be found out now.
    pub async fn bearer(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer> {
        let audience = self.settings.bearer_audience.as_deref();
        let audience = audience.ok_or(Error::Unauthenticated)?;
        let claims = match self.verify(token, Purpose::Bearer { audience }, now).await? {
            Ok(claims) => claims,
            Err(refusal) => {
                tracing::debug!(reason = %refusal, "an access token was refused");
                return Err(Error::Unauthenticated);
            }
        };
        let role = role_of(&self.settings, &claims).ok_or(Error::Unauthenticated)?;
        let subject = subject_of(&claims).ok_or(Error::Unauthenticated)?;
        Ok(Bearer {
            issuer: self.settings.issuer.clone(),
            subject: subject.to_owned(),
            role,
            scopes: scopes_of(&claims),
        })
    }
}

/// A token with scopes may what those of ours among them allow; one without, all that the role may.
fn scopes_of(claims: &Value) -> Option<Vec<Scope>> {
    let named: Vec<&str> = match claims.get("scope").or_else(|| claims.get("scp"))? {
        Value::String(names) => names.split(' ').collect(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // Not one's account: what is made there would outlive the token and its role.
    let is_named = |scope: &Scope| *scope != Scope::AccountWrite && named.contains(&scope.as_str());
    Some(Scope::ALL.into_iter().filter(is_named).collect())
}

/// The person behind an access token, with the role that the token gives. Only reads: a login writes the role down.
pub fn principal(conn: &mut Db, bearer: Bearer) -> Result<Principal> {
    let user = db::find_user(conn, &bearer.issuer, &bearer.subject)?.ok_or(Error::Unauthenticated)?;
    super::person_as(conn, user.id, bearer.role, bearer.scopes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scopes_of_a_token_limit_it_and_unknown_ones_open_nothing() {
        for (claims, scopes) in [
            (json!({}), None),
            (
                json!({ "scope": "openid tickets:read" }),
                Some(vec![Scope::TicketsRead]),
            ),
            (
                json!({ "scp": ["reports:read", "x"] }),
                Some(vec![Scope::ReportsRead]),
            ),
            (
                json!({ "scope": "account:write tickets:read" }),
                Some(vec![Scope::TicketsRead]),
            ),
            (json!({ "scope": "openid profile" }), Some(Vec::new())),
            (json!({ "scope": null }), Some(Vec::new())),
        ] {
            assert_eq!(scopes_of(&claims), scopes, "{claims}");
        }
    }
}
