//! Who is asking and what they may do: staff with roles, organisations' programs with scoped keys, tokens and keys.
//!
//! A token is shown once; the database keeps its public half and a SHA-256 of the secret half, compared in constant
//! time. Decisions are made in `access` from (principal, action, resource) and nowhere else.
pub mod access;
pub mod accounts;
pub mod clients;
pub mod credentials;
pub(crate) mod db;
pub mod lockout;
pub mod oidc;
pub mod passwords;
mod security_log;
pub mod sessions;
pub mod sign_in;
#[cfg(test)]
mod sources;
pub mod standing;
pub(crate) mod token;
pub mod totp;

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Duration, NaiveDate, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Owner;
use crate::language::Language;
use crate::store::{Db, Uid};
use crate::text::makes_look_alikes;
use crate::text_enum;

pub use db::{CredentialView, Life};
pub use token::Secret;

use clients::keys::Origin;
use db::Of;

text_enum! {
    /// What a person of the centre is there for.
    #[derive(clap::ValueEnum)]
    Role { Admin "admin", Supervisor "supervisor", Agent "agent", Auditor "auditor" }
}

impl Role {
    /// As a token keeps those with which it was made, space separated.
    fn read_all(stored: &str) -> Vec<Role> {
        stored.split(' ').filter_map(Role::parse).collect()
    }

    fn write_all(roles: &[Role]) -> String {
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        names.join(" ")
    }
}

/// What a key or a limited personal token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
pub enum Scope {
    #[serde(rename = "tickets:read")]
    #[value(name = "tickets:read")]
    TicketsRead,
    #[serde(rename = "tickets:write")]
    #[value(name = "tickets:write")]
    TicketsWrite,
    #[serde(rename = "reports:read")]
    #[value(name = "reports:read")]
    ReportsRead,
    #[serde(rename = "rules:write")]
    #[value(name = "rules:write")]
    RulesWrite,
    #[serde(rename = "directory:write")]
    #[value(name = "directory:write")]
    DirectoryWrite,
    #[serde(rename = "identity:write")]
    #[value(name = "identity:write")]
    IdentityWrite,
    /// One's own password, second factor, sessions and tokens, and nothing else whatever.
    #[serde(rename = "account:write")]
    #[value(name = "account:write")]
    AccountWrite,
}

impl Scope {
    pub const ALL: [Scope; 7] = [
        Scope::TicketsRead,
        Scope::TicketsWrite,
        Scope::ReportsRead,
        Scope::RulesWrite,
        Scope::DirectoryWrite,
        Scope::IdentityWrite,
        Scope::AccountWrite,
    ];
    /// What an organisation's key may have.
    pub const OF_CLIENTS: [Scope; 2] = [Scope::TicketsRead, Scope::TicketsWrite];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::TicketsRead => "tickets:read",
            Scope::TicketsWrite => "tickets:write",
            Scope::ReportsRead => "reports:read",
            Scope::RulesWrite => "rules:write",
            Scope::DirectoryWrite => "directory:write",
            Scope::IdentityWrite => "identity:write",
            Scope::AccountWrite => "account:write",
        }
    }

    /// As a credential keeps them, space separated.
    fn read_all(stored: &str) -> Vec<Scope> {
        let names = |scope: &Scope| stored.split(' ').any(|name| name == scope.as_str());
        Scope::ALL.into_iter().filter(names).collect()
    }

    fn write_all(scopes: &[Scope]) -> String {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        names.join(" ")
    }
}

/// A person of the centre.
#[derive(Debug, Clone)]
pub struct Staff {
    pub user_id: i64,
    pub uid: Uid,
    pub name: String,
    pub email: String,
    pub role: Role,
    /// Those with which the presented token was made: it may do what all of them and `role` may.
    pub made_as: Vec<Role>,
    pub queues: Vec<i64>,
    /// What the presented credential is limited to; `None`: all that the role may.
    pub scopes: Option<Vec<Scope>>,
    /// The session or token that was presented; `None` where another party answers for the person.
    pub credential_id: Option<i64>,
    /// Of the account when it was read: while it is the same, role and queues are.
    pub version: i64,
}

impl Staff {
    /// All whose permission an action needs.
    fn roles(&self) -> impl Iterator<Item = Role> {
        std::iter::once(self.role).chain(self.made_as.iter().copied())
    }
}

/// A program of an organisation.
#[derive(Debug, Clone)]
pub struct Client {
    pub client_id: i64,
    pub uid: Uid,
    pub name: String,
    pub organisation_id: i64,
    /// The organisations whose tickets it sees: its own, those that it succeeded, units as granted.
    pub reach: Vec<i64>,
    pub include_units: bool,
    pub scopes: Vec<Scope>,
    pub requests_per_minute: Option<i32>,
    pub credential_id: i64,
    /// Where and when the key was presented.
    pub here: Presentation,
    /// Of the program when it was read.
    pub version: i64,
}

impl Client {
    pub fn sees(&self, organisation_id: i64) -> bool {
        self.reach.contains(&organisation_id)
    }

    fn present_reach(&self, conn: &mut Db) -> Result<Vec<i64>> {
        crate::directory::reach_of(conn, self.organisation_id, self.include_units, self.here.today)
    }
}

/// Who acts.
#[derive(Debug, Clone)]
pub enum Principal {
    Staff {
        staff: Staff,
    },
    Client {
        client: Client,
    },
    /// The product itself: workers, seeding.
    System,
}

text_enum! {
    /// Who did something, as history shows it.
    ActorKind { Staff "staff", Client "client", System "system" }
}

impl Principal {
    pub fn kind(&self) -> ActorKind {
        match self {
            Principal::Staff { .. } => ActorKind::Staff,
            Principal::Client { .. } => ActorKind::Client,
            Principal::System => ActorKind::System,
        }
    }

    /// The name that history shows.
    pub fn name(&self) -> &str {
        match self {
            Principal::Staff { staff, .. } => &staff.name,
            Principal::Client { client, .. } => &client.name,
            Principal::System => "giaidap",
        }
    }

    /// `users.id` of staff, `clients.id` of a client: the same whichever credential is presented.
    pub fn actor_id(&self) -> Option<i64> {
        match self {
            Principal::Staff { staff, .. } => Some(staff.user_id),
            Principal::Client { client, .. } => Some(client.client_id),
            Principal::System => None,
        }
    }

    /// The public id, which says nothing of who it is to somebody without the database.
    pub fn uid(&self) -> Option<Uid> {
        match self {
            Principal::Staff { staff } => Some(staff.uid),
            Principal::Client { client } => Some(client.uid),
            Principal::System => None,
        }
    }

    /// Whose `Idempotency-Key`s are meant.
    pub fn owner(&self) -> Option<Owner> {
        let kind = self.kind();
        self.actor_id().map(|id| Owner { kind, id })
    }

    pub fn staff(&self) -> Option<&Staff> {
        match self {
            Principal::Staff { staff, .. } => Some(staff),
            _ => None,
        }
    }

    pub fn client(&self) -> Option<&Client> {
        match self {
            Principal::Client { client, .. } => Some(client),
            _ => None,
        }
    }
}

/// A principal, and whether its credential's last use is old enough to be written down anew.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Principal,
    pub use_to_record: Option<i64>,
}

/// Where and when a credential is presented.
#[derive(Debug, Clone, Copy)]
pub struct Presentation {
    pub now: DateTime<Utc>,
    /// The date as the desk reads it: from it depends what a successor sees.
    pub today: NaiveDate,
    /// The caller's address.
    pub from: IpAddr,
    /// Without use for so long a session has ended.
    pub session_idle: Duration,
}

impl Presentation {
    /// By a program on this machine, which does not come over the network.
    pub fn local(now: DateTime<Utc>) -> Self {
        Presentation {
            now,
            today: now.date_naive(),
            from: IpAddr::V4(Ipv4Addr::LOCALHOST),
            session_idle: Duration::hours(1),
        }
    }
}

/// The principal behind a bearer token, or `Unauthenticated`: unknown, malformed, expired, revoked, from a network that
/// is not allowed and of an inactive user or program are not told apart. Only reads; the caller records the use with
/// `record_use`.
pub fn authenticate(conn: &mut Db, bearer: &str, here: Presentation) -> Result<Authenticated> {
    let presented = token::Presented::parse(bearer).ok_or(Error::Unauthenticated)?;
    let (credential, client) = db::find_credential(conn, presented.lookup)?.ok_or(Error::Unauthenticated)?;
    let alive = credential.revoked_at.is_none()
        && credential.expires_at.is_none_or(|at| at.0 > here.now)
        && !sessions::is_idle(&credential, here.session_idle, here.now);
    if !(presented.matches(&credential.secret_hash) && presented.kind == credential.kind) {
        return Err(Error::Unauthenticated);
    }
    if !alive {
        return Err(refused("ended", presented.lookup));
    }
    let use_to_record = credential
        .last_used_at
        .is_none_or(|at| here.now - at.0 >= LAST_USE_PRECISION)
        .then_some(credential.id);
    let principal = match client {
        Some(program) => program_of(conn, program, &credential, here)?,
        None => person_of(conn, &credential)?,
    };
    Ok(Authenticated {
        principal,
        use_to_record,
    })
}

/// An active person of the centre, with all that their role may do.
fn person(conn: &mut Db, user_id: i64) -> Result<Staff> {
    let user = db::find_active_user(conn, user_id)?.ok_or(Error::Unauthenticated)?;
    Ok(Staff {
        user_id,
        uid: user.uid,
        name: user.name,
        email: user.email,
        role: user.role,
        made_as: Vec::new(),
        queues: db::list_queue_ids_of(conn, user_id)?,
        scopes: None,
        credential_id: None,
        version: user.version,
    })
}

/// A person as another party says who answers for them.
fn person_as(conn: &mut Db, user_id: i64, role: Role, scopes: Option<Vec<Scope>>) -> Result<Principal> {
    let staff = Staff {
        role,
        scopes,
        ..person(conn, user_id)?
    };
    Ok(Principal::Staff { staff })
}

/// The person whose session or token this is.
fn person_of(conn: &mut Db, credential: &db::Credential) -> Result<Principal> {
    let owner = credential.user_id;
    let user_id = owner.ok_or_else(|| Error::internal("a credential without an owner", credential.id))?;
    let staff = Staff {
        scopes: (!credential.scopes.is_empty()).then(|| Scope::read_all(&credential.scopes)),
        made_as: credential
            .made_as
            .as_deref()
            .map(Role::read_all)
            .unwrap_or_default(),
        credential_id: Some(credential.id),
        ..person(conn, user_id)?
    };
    Ok(Principal::Staff { staff })
}

/// The same, of a credential that was recognised before.
fn person_with(conn: &mut Db, credential_id: i64) -> Result<Principal> {
    let (credential, _) = db::get_credential(conn, credential_id)?;
    person_of(conn, &credential)
}

/// The program with a key that was recognised before.
fn program_with(conn: &mut Db, credential_id: i64, here: Presentation) -> Result<Principal> {
    let (credential, program) = db::get_credential(conn, credential_id)?;
    let program = program.ok_or_else(|| Error::internal("a key without a program", credential_id))?;
    program_of(conn, program, &credential, here)
}

/// Whoever holds a true secret that opens nothing is worth knowing of; the caller is not told why.
fn refused(reason: &'static str, lookup: &str) -> Error {
    tracing::warn!(target: "security", event = "credential_refused", reason, key = lookup, "refused");
    Error::Unauthenticated
}

fn program_of(
    conn: &mut Db,
    program: db::ClientRow,
    credential: &db::Credential,
    here: Presentation,
) -> Result<Principal> {
    let networks: Vec<IpNet> = serde_json::from_value(program.networks.0)
        .map_err(|cause| Error::internal("the networks of a program cannot be read", cause))?;
    let is_allowed = networks.is_empty() || networks.iter().any(|network| network.contains(&here.from));
    if !program.active {
        return Err(refused("inactive", &credential.lookup));
    }
    if !is_allowed {
        return Err(refused("network", &credential.lookup));
    }
    let mut client = Client {
        client_id: program.id,
        uid: program.uid,
        name: program.name,
        organisation_id: program.organisation_id,
        reach: Vec::new(),
        include_units: program.include_units,
        scopes: Scope::read_all(&credential.scopes),
        requests_per_minute: program.requests_per_minute,
        credential_id: credential.id,
        here,
        version: program.version,
    };
    client.reach = client.present_reach(conn)?;
    Ok(Principal::Client { client })
}

/// Write down that a credential was used.
pub fn record_use(conn: &mut Db, credential_id: i64, now: DateTime<Utc>) -> Result<()> {
    db::touch_credential(conn, credential_id, now)
}

/// `last_used_at` is kept to this precision, so that reading does not write on every request.
const LAST_USE_PRECISION: Duration = Duration::minutes(1);

/// What `user create` needs.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: Language,
    pub queues: Vec<String>,
}

/// Add a person of the centre and their queues.
pub fn create_user(conn: &mut Db, new: &NewUser, by: Option<Uid>, now: DateTime<Utc>) -> Result<db::User> {
    let email = new.email.trim().to_lowercase();
    if email.parse::<lettre::Address>().is_err() || email.chars().any(makes_look_alikes) {
        return Err(Error::invalid_parameter(
            "email",
            FieldCode::InvalidFormat {
                expected: "name@example.vn",
            },
        ));
    }
    if new.name.trim().is_empty() {
        return Err(Error::invalid_parameter("name", FieldCode::Required));
    }
    let queue_ids = new
        .queues
        .iter()
        .map(|code| {
            crate::queues::find_queue(conn, code)?
                .map(|queue| queue.id)
                .ok_or_else(|| Error::invalid_parameter("queue", FieldCode::UnknownCode))
        })
        .collect::<Result<Vec<_>>>()?;
    let user = db::insert_user(conn, &email, new.name.trim(), new.role, new.language, now)?
        .ok_or_else(|| Error::invalid_parameter("email", FieldCode::Duplicate))?;
    for queue_id in queue_ids {
        db::insert_membership(conn, queue_id, user.id)?;
    }
    security_log::note("user_created", user.uid, by);
    Ok(user)
}

/// A person of the centre by UUID or address.
pub fn find_person(conn: &mut Db, named: &str) -> Result<Option<db::User>> {
    match uuid::Uuid::parse_str(named) {
        Ok(uid) => db::find_user_by_uid(conn, Uid(uid)),
        Err(_) => db::find_user_by_email(conn, &named.trim().to_lowercase()),
    }
}

fn get_person(conn: &mut Db, named: &str) -> Result<db::User> {
    find_person(conn, named)?.ok_or(Error::NotFound(crate::error::Resource::User))
}

/// A personal token of the user with this address. The secret is not stored.
pub fn create_token(conn: &mut Db, email: &str, name: &str, life: impl Into<Life>) -> Result<Secret> {
    let user = get_person(conn, email)?;
    let user = db::lock_user(conn, user.id)?;
    let secret = Secret::generate(token::Kind::Token)?;
    let new = db::NewToken {
        user_id: user.id,
        name,
        scopes: "",
        made_as: &[user.role],
        made_with_id: None,
        life: life.into(),
    };
    let id = db::insert_token(conn, &secret, &new)?;
    security_log::note_credential("token_made", user.uid, id);
    Ok(secret)
}

/// A key for the program of this name of an organisation, which may have further ones: while it changes over to the new
/// key it acts, and repeats its requests, with either. The secret is not stored.
pub fn create_key(
    conn: &mut Db,
    organisation: &str,
    name: &str,
    scopes: &[Scope],
    life: impl Into<Life>,
) -> Result<Secret> {
    let organisation = crate::directory::find_organisation(conn, organisation)?
        .ok_or(Error::NotFound(crate::error::Resource::Organisation))?;
    if scopes.iter().any(|scope| !Scope::OF_CLIENTS.contains(scope)) {
        return Err(Error::invalid_parameter("scope", FieldCode::NotAllowed));
    }
    let life = life.into();
    let program_id = clients::db::ensure_program(conn, organisation.id, name, life.from)?;
    let scopes = Scope::write_all(scopes);
    let (key, secret) = clients::keys::insert(conn, program_id, name, &scopes, life, Origin::New)?;
    let program = clients::db::get_program_by_id(conn, program_id)?;
    clients::note(&Principal::System, "key_created", program.uid, Some(&key.lookup));
    Ok(secret)
}

/// Keys of the organisation with this code, or of all.
pub fn list_keys(conn: &mut Db, organisation: Option<&str>) -> Result<Vec<CredentialView>> {
    let organisation = organisation
        .map(|code| crate::directory::get_organisation(conn, code))
        .transpose()?;
    db::list_credentials(
        conn,
        Of::Programs(organisation.map(|organisation| organisation.id)),
    )
}

/// Tokens of the user with this address, or of all.
pub fn list_tokens(conn: &mut Db, email: Option<&str>) -> Result<Vec<CredentialView>> {
    let user = email.map(|email| get_person(conn, email)).transpose()?;
    db::list_credentials(conn, Of::People(user.map(|user| user.id)))
}

/// End a key or token at once, named by its public half, with or without its prefix, and what its holder made with it;
/// gives how many ended.
pub fn revoke(conn: &mut Db, public_half: &str, now: DateTime<Utc>) -> Result<usize> {
    let unknown = || Error::invalid_parameter("PUBLIC", FieldCode::UnknownCode);
    let found = db::find_holder(conn, token::bare_lookup(public_half))?.ok_or_else(unknown)?;
    let ended = match (found.client_id, found.user_id) {
        (Some(program_id), _) => clients::keys::revoke_by_id(conn, program_id, found.credential_id, now)?,
        (None, Some(user_id)) => credentials::revoke(conn, user_id, found.credential_id, now)?,
        (None, None) => 0,
    };
    if ended == 0 { Err(unknown()) } else { Ok(ended) }
}
