//! Programs of organisations, as administrators grant them: where their keys may come from, whether they see the tickets
//! of units, how fast they may ask, whether they run at all. What is changed here holds from the next request on, on
//! every replica, because each request reads it anew (`identity::authenticate`).
//!
//! A program is never deleted: what it did stays its own. Refuses a second program of one name in an organisation.
pub(crate) mod db;
pub mod keys;

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use ipnet::IpNet;

pub use db::{Key, Program, ProgramFilter, Running};

use super::{Client, Principal};
use crate::directory::{self, Organisation};
use crate::error::{Error, FieldCode, Resource, Result};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Json, Ts, Uid};
use crate::text::fold;
use crate::tx::Tx;

/// How many networks a program may be granted.
pub const MAX_NETWORKS: u64 = 50;

/// A program to be made.
#[derive(Debug, Clone)]
pub struct NewProgram {
    /// UUID or code.
    pub organisation: String,
    pub name: String,
    pub networks: Vec<IpNet>,
    pub include_units: bool,
    pub requests_per_minute: Option<i32>,
}

/// What is to be different; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct ProgramChange {
    pub name: Option<String>,
    pub networks: Option<Vec<IpNet>>,
    pub include_units: Option<bool>,
    pub requests_per_minute: Option<Option<i32>>,
    pub active: Option<bool>,
}

/// `10.1.0.0/16`, `2001:db8::/32`, or one address. Bits behind the prefix are dropped, so that what is shown is what is
/// compared.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    // Callers' addresses are compared in their own family: a mapped one would match nobody.
    let is_mapped =
        |network: &IpNet| matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some());
    network
        .filter(|network| !is_mapped(network))
        .map(|network| network.trunc())
}

pub fn create(tx: &mut Tx<'_>, new: &NewProgram) -> Result<(Program, Organisation)> {
    let organisation = directory::find_organisation(tx.conn, &new.organisation)?
        .ok_or_else(|| Error::invalid_pointer("/organisation", FieldCode::UnknownCode))?;
    let program = Program {
        id: 0,
        uid: Uid::new(),
        organisation_id: organisation.id,
        name: new.name.clone(),
        search_text: fold(&new.name),
        networks: stored(&new.networks)?,
        include_units: new.include_units,
        requests_per_minute: new.requests_per_minute,
        active: true,
        created_at: Ts::from(tx.now),
        updated_at: Ts::from(tx.now),
        version: 1,
    };
    if !db::insert_program(tx.conn, &program)? {
        return Err(name_taken());
    }
    note(tx.principal, "client_created", program.uid, None);
    Ok((program, organisation))
}

pub fn change(tx: &mut Tx<'_>, id: &str, change: &ProgramChange, seen: &Option<Vec<i64>>) -> Result<Program> {
    let present = locked(tx.conn, id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    let name = change.name.clone().unwrap_or_else(|| present.name.clone());
    let networks = match &change.networks {
        Some(networks) => stored(networks)?,
        None => present.networks.clone(),
    };
    let changed = Program {
        search_text: fold(&name),
        name,
        networks,
        include_units: change.include_units.unwrap_or(present.include_units),
        requests_per_minute: change.requests_per_minute.unwrap_or(present.requests_per_minute),
        active: change.active.unwrap_or(present.active),
        updated_at: Ts::from(tx.now),
        version: present.version + 1,
        ..present
    };
    if !db::update_program(tx.conn, &changed)? {
        return Err(name_taken());
    }
    let event = match change.active {
        Some(false) => "client_stopped",
        Some(true) => "client_started",
        None => "client_changed",
    };
    note(tx.principal, event, changed.uid, None);
    Ok(changed)
}

/// For the command line: what a program is granted beside a key, added to what it has.
pub fn grant(
    conn: &mut Db,
    organisation: &str,
    name: &str,
    networks: &[IpNet],
    include_units: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let organisation = directory::get_organisation(conn, organisation)?;
    let id = db::ensure_program(conn, organisation.id, name, now)?;
    db::lock_program(conn, id)?;
    let present = db::get_program_by_id(conn, id)?;
    let mut all = networks_of(&present)?;
    all.extend(
        networks
            .iter()
            .filter(|network| !all.contains(network))
            .copied()
            .collect::<Vec<_>>(),
    );
    let granted = Program {
        networks: stored(&all)?,
        include_units: present.include_units || include_units,
        updated_at: Ts::from(now),
        version: present.version + 1,
        ..present
    };
    db::update_program(conn, &granted)?;
    Ok(())
}

/// By UUID.
pub fn get(conn: &mut Db, id: &str) -> Result<Program> {
    let not_found = || Error::NotFound(Resource::Client);
    let uid = uuid::Uuid::parse_str(id).ok().ok_or_else(not_found)?;
    db::find_program(conn, Uid(uid))?.ok_or_else(not_found)
}

/// The program that calls, and the key that it calls with.
pub fn get_own(conn: &mut Db, caller: &Client) -> Result<(Program, Key)> {
    let program = db::get_program_by_id(conn, caller.client_id)?;
    Ok((program, db::get_key_by_id(conn, caller.credential_id)?))
}

/// By UUID, with its row locked for the rest of the transaction: of two changes at once the second sees the first.
fn locked(conn: &mut Db, id: &str) -> Result<Program> {
    let found = get(conn, id)?;
    db::lock_program(conn, found.id)?;
    db::get_program_by_id(conn, found.id)
}

/// A page of programs in the order in which they were made.
pub fn list(
    conn: &mut Db,
    filter: &ProgramFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<Program>> {
    let binding = format!("api-clients {filter:?}");
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_programs(conn, filter, after.unwrap_or(0), limit + 1)?;
    Page::from_rows(rows, limit, &binding, |program| program.id)
}

/// The networks that a program's keys may come from; none: any.
pub fn networks_of(program: &Program) -> Result<Vec<IpNet>> {
    serde_json::from_value(program.networks.0.clone())
        .map_err(|cause| Error::internal("the networks of a program cannot be read", cause))
}

fn stored(networks: &[IpNet]) -> Result<Json> {
    let value = serde_json::to_value(networks)
        .map_err(|cause| Error::internal("the networks of a program cannot be written", cause))?;
    Ok(Json(value))
}

fn name_taken() -> Error {
    Error::invalid_pointer("/name", FieldCode::Duplicate)
}

/// The security log: who did what to which program and key, in public ids and nothing else. It is written inside the
/// request's span, whose last line says whether the request succeeded.
pub(super) fn note(principal: &Principal, event: &'static str, client: Uid, key: Option<&str>) {
    let by = match principal {
        Principal::Staff { staff } => Some(staff.uid),
        Principal::Client { client } => Some(client.uid),
        Principal::System => None,
    };
    let by = by.map(|uid| uid.to_string()).unwrap_or_default();
    let by_kind = principal.kind().as_str();
    tracing::info!(target: "security", event, by_kind, by, %client, key = key.unwrap_or_default(), "api client");
}

#[cfg(test)]
mod tests {
    use super::parse_network;

    #[test]
    fn a_network_is_a_prefix_or_one_address() {
        for (given, read) in [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("10.1.2.3/33", None),
            ("10.1.2", None),
            ("::ffff:10.0.0.0/104", None),
            ("", None),
        ] {
            let found = parse_network(given).map(|network| network.to_string());
            assert_eq!(found.as_deref(), read, "{given}");
        }
    }
}
