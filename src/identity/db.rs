//! Queries over users, memberships and credentials.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::token::Kind;
use super::{Role, Secret};
use crate::each_db;
use crate::error::{Result, is_unique_violation};
use crate::language::Language;
use crate::store::schema::{clients, credentials, organisations, queue_members, users};
use crate::store::{Db, Json, MultiBackend, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = credentials)]
pub struct Credential {
    pub id: i64,
    pub lookup: String,
    pub secret_hash: String,
    pub kind: Kind,
    pub user_id: Option<i64>,
    pub scopes: String,
    pub made_as: Option<String>,
    pub created_at: Ts,
    pub expires_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub last_used_at: Option<Ts>,
}

/// A program of an organisation.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = clients)]
pub struct ClientRow {
    pub id: i64,
    pub uid: Uid,
    pub organisation_id: i64,
    pub name: String,
    pub networks: Json,
    pub include_units: bool,
    pub requests_per_minute: Option<i32>,
    pub active: bool,
    pub version: i64,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct User {
    pub id: i64,
    pub uid: Uid,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: Language,
    pub active: bool,
    /// Counts every change to the account, its queues included.
    pub version: i64,
}

/// A credential, of a key with its program.
pub fn find_credential(conn: &mut Db, lookup: &str) -> Result<Option<(Credential, Option<ClientRow>)>> {
    Ok(credentials::table
        .left_join(clients::table)
        .filter(credentials::lookup.eq(lookup))
        .select((Credential::as_select(), Option::<ClientRow>::as_select()))
        .first(conn)
        .optional()?)
}

pub fn get_credential(conn: &mut Db, id: i64) -> Result<(Credential, Option<ClientRow>)> {
    Ok(credentials::table
        .left_join(clients::table)
        .filter(credentials::id.eq(id))
        .select((Credential::as_select(), Option::<ClientRow>::as_select()))
        .first(conn)?)
}

pub fn touch_credential(conn: &mut Db, id: i64, now: DateTime<Utc>) -> Result<()> {
    diesel::update(credentials::table.find(id))
        .set(credentials::last_used_at.eq(Some(Ts::from(now))))
        .execute(conn)?;
    Ok(())
}

/// A token to be stored; programs' keys are made in `clients`.
pub struct NewToken<'a> {
    pub user_id: i64,
    pub name: &'a str,
    pub scopes: &'a str,
    pub made_as: &'a [Role],
    pub made_with_id: Option<i64>,
    pub life: Life,
}

pub fn insert_token(conn: &mut Db, secret: &Secret, new: &NewToken<'_>) -> Result<Uid> {
    let uid = Uid::new();
    diesel::insert_into(credentials::table)
        .values((
            credentials::uid.eq(uid),
            credentials::lookup.eq(secret.lookup()),
            credentials::secret_hash.eq(secret.hash()),
            credentials::kind.eq(secret.kind()),
            credentials::name.eq(new.name),
            credentials::user_id.eq(Some(new.user_id)),
            credentials::scopes.eq(new.scopes),
            credentials::created_at.eq(Ts::from(new.life.from)),
            credentials::expires_at.eq(new.life.to.map(Ts::from)),
            credentials::made_with_id.eq(new.made_with_id),
            credentials::made_as.eq(Some(Role::write_all(new.made_as))),
        ))
        .execute(conn)?;
    Ok(uid)
}

/// A session to be stored.
pub struct NewSession<'a> {
    pub user_id: i64,
    pub scopes: &'a str,
    pub opened_from: &'a str,
    pub user_agent: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

pub fn insert_session(conn: &mut Db, secret: &Secret, new: &NewSession<'_>) -> Result<Uid> {
    let uid = Uid::new();
    diesel::insert_into(credentials::table)
        .values((
            credentials::uid.eq(uid),
            credentials::lookup.eq(secret.lookup()),
            credentials::secret_hash.eq(secret.hash()),
            credentials::kind.eq(secret.kind()),
            credentials::name.eq("session"),
            credentials::user_id.eq(Some(new.user_id)),
            credentials::scopes.eq(new.scopes),
            credentials::created_at.eq(Ts::from(new.opened_at)),
            credentials::expires_at.eq(Some(Ts::from(new.expires_at))),
            credentials::opened_from.eq(Some(new.opened_from)),
            credentials::user_agent.eq(new.user_agent.as_deref()),
        ))
        .execute(conn)?;
    Ok(uid)
}

/// A person, with their row locked to the end of the transaction: what opens something in their name is made and ended
/// one after the other. Not against what merely refers to the person. On SQLite the writer is alone.
pub fn lock_user(conn: &mut Db, id: i64) -> Result<User> {
    if let Db::Pg(pg) = conn {
        users::table
            .find(id)
            .select(users::id)
            .for_no_key_update()
            .first::<i64>(pg)?;
    }
    Ok(users::table.find(id).select(User::as_select()).first(conn)?)
}

/// Those of these credentials that nobody has ended, of people and programs that are active, with the version of who has
/// them.
pub fn list_standing_credentials(conn: &mut Db, ids: &[i64]) -> Result<HashMap<i64, i64>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let holder_is_active = users::active
        .nullable()
        .eq(true)
        .or(clients::active.nullable().eq(true));
    let rows: Vec<(i64, Option<i64>, Option<i64>)> = each_db!(conn, c => credentials::table
        .left_join(users::table)
        .left_join(clients::table)
        .filter(credentials::id.eq_any(ids))
        .filter(credentials::revoked_at.is_null())
        .filter(holder_is_active)
        .select((credentials::id, users::version.nullable(), clients::version.nullable()))
        .load(c))?;
    let of_either = |(id, person, program): (i64, Option<i64>, Option<i64>)| Some((id, person.or(program)?));
    Ok(rows.into_iter().filter_map(of_either).collect())
}

/// The active ones of these people, with their version.
pub fn list_active_people(conn: &mut Db, ids: &[i64]) -> Result<HashMap<i64, i64>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(i64, i64)> = each_db!(conn, c => users::table
        .filter(users::id.eq_any(ids))
        .filter(users::active.eq(true))
        .select((users::id, users::version))
        .load(c))?;
    Ok(rows.into_iter().collect())
}

pub fn find_active_user(conn: &mut Db, id: i64) -> Result<Option<User>> {
    let user = users::table
        .find(id)
        .select(User::as_select())
        .first(conn)
        .optional()?;
    Ok(user.filter(|user| user.active))
}

pub fn find_user_by_email(conn: &mut Db, email: &str) -> Result<Option<User>> {
    Ok(users::table
        .filter(users::email.eq(email))
        .select(User::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_user_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<User>> {
    Ok(users::table
        .filter(users::uid.eq(uid))
        .select(User::as_select())
        .first(conn)
        .optional()?)
}

/// Whom an overdue notice reaches besides the handling agent: active supervisors, else active administrators.
pub fn list_heads(conn: &mut Db) -> Result<Vec<User>> {
    let supervisors = list_active_by_role(conn, Role::Supervisor)?;
    match supervisors.is_empty() {
        true => list_active_by_role(conn, Role::Admin),
        false => Ok(supervisors),
    }
}

pub fn list_active_by_role(conn: &mut Db, role: Role) -> Result<Vec<User>> {
    Ok(users::table
        .filter(users::role.eq(role).and(users::active.eq(true)))
        .order(users::id)
        .select(User::as_select())
        .load(conn)?)
}

/// `None` where the address is taken.
pub fn insert_user(
    conn: &mut Db,
    email: &str,
    name: &str,
    role: Role,
    language: Language,
    now: DateTime<Utc>,
) -> Result<Option<User>> {
    let now = Ts::from(now);
    let inserted = diesel::insert_into(users::table)
        .values((
            users::uid.eq(Uid::new()),
            users::email.eq(email),
            users::name.eq(name),
            users::role.eq(role),
            users::language.eq(language),
            users::active.eq(true),
            users::created_at.eq(now),
            users::updated_at.eq(now),
            users::version.eq(1),
        ))
        .returning((
            users::id,
            users::uid,
            users::email,
            users::name,
            users::role,
            users::language,
            users::active,
            users::version,
        ))
        .get_result(conn);
    match inserted {
        Ok(user) => Ok(Some(user)),
        Err(cause) if is_unique_violation(&cause) => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}

pub fn insert_membership(conn: &mut Db, queue_id: i64, user_id: i64) -> Result<()> {
    let row = (
        queue_members::queue_id.eq(queue_id),
        queue_members::user_id.eq(user_id),
    );
    each_db!(conn, c => diesel::insert_into(queue_members::table).values(row).on_conflict_do_nothing().execute(c))?;
    Ok(())
}

pub fn list_queue_ids_of(conn: &mut Db, user_id: i64) -> Result<Vec<i64>> {
    Ok(queue_members::table
        .filter(queue_members::user_id.eq(user_id))
        .order(queue_members::queue_id)
        .select(queue_members::queue_id)
        .load(conn)?)
}

pub fn list_members(conn: &mut Db, queue_id: i64) -> Result<Vec<User>> {
    Ok(users::table
        .inner_join(queue_members::table)
        .filter(queue_members::queue_id.eq(queue_id).and(users::active.eq(true)))
        .order(users::id)
        .select(User::as_select())
        .load(conn)?)
}

/// From when a credential is valid, and to when, if it ends by itself.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
}

/// From now on, without an end.
impl From<DateTime<Utc>> for Life {
    fn from(from: DateTime<Utc>) -> Self {
        Life { from, to: None }
    }
}

/// A credential without its secret, for people.
#[derive(Debug, Clone)]
pub struct CredentialView {
    pub lookup: String,
    /// Code of the organisation, or address of the user.
    pub owner: String,
    pub name: String,
    pub created_at: Ts,
    pub expires_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub last_used_at: Option<Ts>,
}

/// Which credentials are listed.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// Keys, of one organisation or of all.
    Programs(Option<i64>),
    /// Tokens, of one person or of all; sessions are none.
    People(Option<i64>),
}

/// Oldest first.
pub fn list_credentials(conn: &mut Db, of: Of) -> Result<Vec<CredentialView>> {
    type Names = (Option<String>, Option<String>);
    type Times = (Ts, Option<Ts>, Option<Ts>, Option<Ts>);
    let owners = (organisations::code.nullable(), users::email.nullable());
    let times = (
        credentials::created_at,
        credentials::expires_at,
        credentials::revoked_at,
        credentials::last_used_at,
    );
    let query = credentials::table
        .left_join(clients::table.left_join(organisations::table))
        .left_join(users::table)
        .order(credentials::id)
        .select((credentials::lookup, credentials::name, owners, times))
        .into_boxed::<MultiBackend>();
    let query = match of {
        Of::Programs(_) => query.filter(credentials::kind.eq(Kind::Key)),
        Of::People(_) => query.filter(credentials::kind.eq(Kind::Token)),
    };
    let query = match of {
        Of::Programs(Some(id)) => query.filter(clients::organisation_id.nullable().eq(Some(id))),
        Of::People(Some(id)) => query.filter(credentials::user_id.eq(Some(id))),
        Of::Programs(None) | Of::People(None) => query,
    };
    let rows: Vec<(String, String, Names, Times)> = query.load(conn)?;
    let view =
        |(lookup, name, (organisation, person), times): (String, String, Names, Times)| CredentialView {
            lookup,
            owner: organisation.or(person).unwrap_or_default(),
            name,
            created_at: times.0,
            expires_at: times.1,
            revoked_at: times.2,
            last_used_at: times.3,
        };
    Ok(rows.into_iter().map(view).collect())
}

/// Whose a credential is.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct Holder {
    pub credential_id: i64,
    pub user_id: Option<i64>,
    pub client_id: Option<i64>,
}

pub fn find_holder(conn: &mut Db, lookup: &str) -> Result<Option<Holder>> {
    Ok(credentials::table
        .filter(credentials::lookup.eq(lookup))
        .select((credentials::id, credentials::user_id, credentials::client_id))
        .first(conn)
        .optional()?)
}

/// A credential that has just been ended.
#[derive(Debug, Clone, Queryable)]
pub struct Ended {
    pub id: i64,
    pub uid: Uid,
    pub kind: Kind,
    pub lookup: String,
}

/// These credentials and all that was made with them, and with that, in force or not. It ends because a credential is
/// younger than what it was made with.
pub fn list_with_offspring(conn: &mut Db, ids: &[i64]) -> Result<Vec<i64>> {
    let mut all = ids.to_vec();
    let mut newest = ids.to_vec();
    while !newest.is_empty() {
        newest = each_db!(conn, c => credentials::table
            .filter(credentials::made_with_id.eq_any(&newest))
            .select(credentials::id)
            .load(c))?;
        all.extend_from_slice(&newest);
    }
    Ok(all)
}

/// End these credentials; gives those that were in force. The caller holds the lock of who has them.
pub fn end_credentials(conn: &mut Db, ids: &[i64], now: DateTime<Utc>) -> Result<Vec<Ended>> {
    let ended: Vec<Ended> = each_db!(conn, c => credentials::table
        .filter(credentials::id.eq_any(ids))
        .filter(credentials::revoked_at.is_null())
        .order(credentials::id)
        .select((credentials::id, credentials::uid, credentials::kind, credentials::lookup))
        .load(c))?;
    let ids: Vec<i64> = ended.iter().map(|row| row.id).collect();
    each_db!(conn, c => diesel::update(credentials::table.filter(credentials::id.eq_any(&ids)))
        .set(credentials::revoked_at.eq(Some(Ts::from(now))))
        .execute(c))?;
    Ok(ended)
}

/// The same with all that was made with them.
pub fn end_with_offspring(conn: &mut Db, ids: &[i64], now: DateTime<Utc>) -> Result<Vec<Ended>> {
    let all = list_with_offspring(conn, ids)?;
    end_credentials(conn, &all, now)
}
