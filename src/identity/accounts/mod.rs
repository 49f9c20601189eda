//! Accounts of the centre's people, as administrators keep them. There is always an active administrator; whoever is
//! deactivated opens nothing from the same moment on; another role takes effect with a new login. An administrator's own
//! password and second factor are changed like everybody's, under `/me`, where the old ones are asked for.
mod db;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::credentials::Along;
use super::db as people;
use super::security_log::{note, note_refused_because};
use super::{NewUser, Role, credentials, sign_in};
use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::language::Language;
use crate::queues;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};
use crate::text::fold;
use crate::tx::Tx;

pub use db::Account;

/// An account with the queues of which the person is a member.
#[derive(Debug, Clone)]
pub struct AccountView {
    pub account: Account,
    pub queues: Vec<queues::Queue>,
}

#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    pub role: Option<Role>,
    pub active: Option<bool>,
    /// By code.
    pub queue: Option<String>,
    /// Part of the name, with or without accents, or of the address.
    pub q: Option<String>,
}

impl AccountFilter {
    fn admits(&self, account: &Account) -> bool {
        let Some(q) = &self.q else { return true };
        let wanted = fold(q);
        fold(&account.name).contains(&wanted) || fold(&account.email).contains(&wanted)
    }
}

/// By UUID or address.
pub fn get(conn: &mut Db, id: &str) -> Result<Account> {
    let person = super::get_person(conn, id)?;
    db::get(conn, person.id)
}

/// A page of accounts by address. Words are looked for here and not in the database: a centre has hundreds of people.
pub fn list(
    conn: &mut Db,
    filter: &AccountFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<AccountView>> {
    const BATCH: i64 = 500;
    let binding = format!("users {filter:?}");
    let unknown = || Error::invalid_parameter("queue", FieldCode::UnknownCode);
    let queue = filter.queue.as_deref();
    let queue_id = match queue.map(|code| queues::find_queue(conn, code)).transpose()? {
        Some(found) => Some(found.ok_or_else(unknown)?.id),
        None => None,
    };
    let mut after = cursor
        .map(|cursor| decode_cursor::<String>(&binding, cursor))
        .transpose()?;
    let wanted = usize::try_from(limit + 1).unwrap_or(usize::MAX);
    let mut found: Vec<Account> = Vec::new();
    while found.len() < wanted {
        let rows = db::list(conn, filter, queue_id, after.as_deref(), BATCH)?;
        let Some(last) = rows.last() else { break };
        after = Some(last.email.clone());
        found.extend(rows.into_iter().filter(|row| filter.admits(row)));
    }
    found.truncate(wanted);
    let page = Page::from_rows(found, limit, &binding, |account| account.email.clone())?;
    Ok(Page {
        items: views(conn, page.items)?,
        next_cursor: page.next_cursor,
    })
}

/// The accounts with their queues.
fn views(conn: &mut Db, accounts: Vec<Account>) -> Result<Vec<AccountView>> {
    let ids: Vec<i64> = accounts.iter().map(|account| account.id).collect();
    let members = db::queues_of(conn, &ids)?;
    let mut wanted: Vec<i64> = members.values().flatten().copied().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let queues: HashMap<i64, queues::Queue> = queues::list_by_id(conn, &wanted)?
        .into_iter()
        .map(|queue| (queue.id, queue))
        .collect();
    let queues_of = |id: i64| {
        let ids = members.get(&id).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| queues.get(id).cloned()).collect()
    };
    Ok(accounts
        .into_iter()
        .map(|account| AccountView {
            queues: queues_of(account.id),
            account,
        })
        .collect())
}

pub fn view(conn: &mut Db, account: Account) -> Result<AccountView> {
    let uid = account.uid;
    let mut views = views(conn, vec![account])?;
    views
        .pop()
        .ok_or_else(|| Error::internal("an account that is not there", uid))
}

/// Add a person; the hash is of a password that was checked.
pub fn create(tx: &mut Tx<'_>, new: &NewUser, password_hash: Option<&str>) -> Result<Account> {
    let queue_ids = queue_ids(tx.conn, &new.queues)?;
    let without_queues = NewUser {
        queues: Vec::new(),
        ..new.clone()
    };
    let by = tx.principal.staff();
    let by_uid = by.map(|staff| staff.uid);
    let user = super::create_user(tx.conn, &without_queues, by_uid, tx.now).map_err(as_body)?;
    for queue_id in queue_ids {
        people::insert_membership(tx.conn, queue_id, user.id)?;
    }
    if let Some(hash) = password_hash {
        sign_in::set_password(tx.conn, user.id, hash, by, tx.now)?;
    }
    db::get(tx.conn, user.id)
}

/// The rules of `create_user` name flags of the command line; a request has members of those names.
fn as_body(error: Error) -> Error {
    let Error::Invalid(fields) = error else {
        return error;
    };
    let moved = fields.into_iter().map(|field| match field.place {
        crate::error::Place::Parameter(name) => FieldError::pointer(format!("/{name}"), field.code),
        crate::error::Place::Pointer(_) => field,
    });
    Error::Invalid(moved.collect())
}

fn queue_ids(conn: &mut Db, codes: &[String]) -> Result<Vec<i64>> {
    let mut ids = Vec::new();
    let mut errors = Vec::new();
    for (position, code) in codes.iter().enumerate() {
        let at = format!("/queues/{position}");
        match queues::find_queue(conn, code)? {
            Some(queue) if ids.contains(&queue.id) => {
                errors.push(FieldError::pointer(at, FieldCode::Duplicate))
            }
            Some(queue) => ids.push(queue.id),
            None => errors.push(FieldError::pointer(at, FieldCode::UnknownCode)),
        }
    }
    match errors.is_empty() {
        true => Ok(ids),
        false => Err(Error::Invalid(errors)),
    }
}

/// What is to be different; the rest stays.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub language: Option<Language>,
    pub queues: Option<Vec<String>>,
    pub active: Option<bool>,
}

/// Lock an account and see that it is of a version that the caller has seen.
fn open(tx: &mut Tx<'_>, id: &str, seen: Option<&[i64]>) -> Result<Account> {
    let found = get(tx.conn, id)?;
    people::lock_user(tx.conn, found.id)?;
    let account = db::get(tx.conn, found.id)?;
    match seen {
        Some(seen) if !seen.contains(&account.version) => Err(Error::PreconditionFailed),
        _ => Ok(account),
    }
}

/// Change an account.
pub fn change(tx: &mut Tx<'_>, id: &str, change: &AccountChange, seen: Option<&[i64]>) -> Result<Account> {
    let loses_administrator =
        change.active == Some(false) || change.role.is_some_and(|role| role != Role::Admin);
    // Before the account itself is locked, in the order in which everybody locks them.
    let administrators = match loses_administrator {
        true => db::lock_administrators(tx.conn)?,
        false => Vec::new(),
    };
    let before = open(tx, id, seen)?;
    if loses_administrator && administrators == [before.id] {
        return Err(Error::Conflict(Conflict::LastAdministrator));
    }
    let mut after = before.clone();
    after.name = change.name.clone().unwrap_or(after.name);
    after.role = change.role.unwrap_or(after.role);
    after.language = change.language.unwrap_or(after.language);
    after.active = change.active.unwrap_or(after.active);
    let moved = match &change.queues {
        Some(codes) => join(tx.conn, before.id, codes)?,
        None => false,
    };
    let differs = (&after.name, after.role, after.language, after.active)
        != (&before.name, before.role, before.language, before.active);
    if !differs && !moved {
        return Ok(before);
    }
    db::update(tx.conn, &after, tx.now)?;
    let by = tx.principal.staff().map(|staff| staff.uid);
    if after.role != before.role {
        role_changed(tx.conn, &after, by, tx.now)?;
    }
    if after.active != before.active {
        if !after.active {
            credentials::end_all(tx.conn, after.id, tx.now)?;
        }
        let event = if after.active {
            "user_activated"
        } else {
            "user_deactivated"
        };
        note(event, after.uid, by);
    }
    db::get(tx.conn, after.id)
}

/// Whether a role needs a second factor is decided at the login: another role takes a new one. Tokens go on, and may do
/// what both roles may.
fn role_changed(conn: &mut Db, account: &Account, by: Option<Uid>, now: DateTime<Utc>) -> Result<()> {
    credentials::end_sessions(conn, account.id, None, Along::Nothing, now)?;
    note("role_changed", account.uid, by);
    Ok(())
}

/// The role that the provider says an active person has; gives the one that they have from now on. The last
/// administrator keeps theirs: a group that is renamed at the provider must not lock everybody out of the house.
pub(super) fn take_over_role(conn: &mut Db, id: i64, role: Role, now: DateTime<Utc>) -> Result<Role> {
    // Before the account itself is locked, in the order in which everybody locks them.
    let administrators = match role {
        Role::Admin => Vec::new(),
        _ => db::lock_administrators(conn)?,
    };
    people::lock_user(conn, id)?;
    let before = db::get(conn, id)?;
    if before.role == role {
        return Ok(role);
    }
    if administrators == [id] {
        note_refused_because("role_kept", "last_administrator", Some(before.uid));
        return Ok(before.role);
    }
    let after = Account { role, ..before };
    db::update(conn, &after, now)?;
    role_changed(conn, &after, None, now)?;
    Ok(role)
}

/// Make these the person's queues; `false` where they are already.
fn join(conn: &mut Db, user_id: i64, codes: &[String]) -> Result<bool> {
    let mut wanted = queue_ids(conn, codes)?;
    wanted.sort_unstable();
    if wanted == people::list_queue_ids_of(conn, user_id)? {
        return Ok(false);
    }
    db::delete_memberships(conn, user_id)?;
    for queue_id in wanted {
        people::insert_membership(conn, queue_id, user_id)?;
    }
    Ok(true)
}

/// The account of somebody else, for what one does to one's own under `/me`.
fn open_other(tx: &mut Tx<'_>, id: &str, seen: Option<&[i64]>) -> Result<Account> {
    let account = open(tx, id, seen)?;
    match tx.principal.actor_id() == Some(account.id) {
        true => Err(Error::Conflict(Conflict::OwnAccount)),
        false => Ok(account),
    }
}

/// A person lost the telephone and the recovery codes: the second factor is off, and what they have open ends.
pub fn reset_second_factor(tx: &mut Tx<'_>, id: &str, seen: Option<&[i64]>) -> Result<Account> {
    let account = open_other(tx, id, seen)?;
    sign_in::clear_second_factor(tx.conn, account.id, tx.now)?;
    credentials::end_sessions(tx.conn, account.id, None, Along::TheirTokens, tx.now)?;
    let by = tx.principal.staff().map(|staff| staff.uid);
    note("second_factor_reset", account.uid, by);
    db::get(tx.conn, account.id)
}

/// Give somebody this password; the hash is of one that was checked.
pub fn set_password(tx: &mut Tx<'_>, id: &str, hash: &str, seen: Option<&[i64]>) -> Result<Account> {
    let account = open_other(tx, id, seen)?;
    sign_in::set_password(tx.conn, account.id, hash, tx.principal.staff(), tx.now)?;
    db::get(tx.conn, account.id)
}

/// End all that opens anything in this person's name.
pub fn end_credentials(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    let account = get(tx.conn, id)?;
    credentials::end_all(tx.conn, account.id, tx.now)?;
    let by = tx.principal.staff().map(|staff| staff.uid);
    note("credentials_ended", account.uid, by);
    Ok(())
}

/// A person has left: nothing of theirs opens anything, reopened tickets go to the queue, no mail reaches them.
pub fn deactivate(conn: &mut Db, email: &str, now: DateTime<Utc>) -> Result<()> {
    let administrators = db::lock_administrators(conn)?;
    let mut account = get(conn, email)?;
    if !account.active {
        return Err(Error::NotFound(Resource::User));
    }
    if administrators == [account.id] {
        return Err(Error::Conflict(Conflict::LastAdministrator));
    }
    account.active = false;
    db::update(conn, &account, now)?;
    credentials::end_all(conn, account.id, now)?;
    note("user_deactivated", account.uid, None);
    Ok(())
}
