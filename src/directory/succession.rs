//! One organisation takes the place of another. From the day after the last one of the closed organisation the programs
//! of the successor see its tickets, and those of whomever it succeeded (`directory::reach_of`); nothing else changes: the
//! tickets keep naming who filed them, and the programs of the closed one run on until somebody ends their keys
//! (docs/decisions/0013).
//!
//! Refuses: circles, a successor that is not alive on the day after, an end before the beginning or before the day on
//! which a predecessor's tickets came.
use chrono::NaiveDate;

use super::change::refuse;
use super::db::{self, Organisation};
use crate::agreements::{self, Agreement};
use crate::error::{Conflict, Error, FieldCode, Result};
use crate::identity::clients::{self, Running};
use crate::store::Db;
use crate::tx::Tx;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Succession {
    /// UUID or code.
    pub successor: String,
    /// Last day of the closed organisation.
    pub last_day: NaiveDate,
    /// Only say what would happen.
    pub is_preview: bool,
}

/// What comes of it.
pub struct Succeeded {
    pub organisation: Organisation,
    pub successor: Organisation,
    /// The first day of the successor's.
    pub passes_on: NaiveDate,
    pub open_tickets: i64,
    pub tickets: i64,
    /// Whose tickets came to the closed organisation before, at once or over others.
    pub predecessors: Vec<Organisation>,
    /// Programs of the closed organisation that run on.
    pub programs: Vec<Running>,
    /// Agreements of the closed organisation that reach beyond its last day.
    pub agreements: Vec<Agreement>,
}

pub fn succeed(tx: &mut Tx<'_>, id: &str, asked: &Succession, seen: &Option<Vec<i64>>) -> Result<Succeeded> {
    db::lock_directory(tx.conn)?;
    let present = super::get_organisation(tx.conn, id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    let successor = super::find_organisation(tx.conn, &asked.successor)?
        .ok_or_else(|| Error::invalid_pointer("/successor", FieldCode::UnknownCode))?;
    match present.successor_id {
        Some(other) if other != successor.id => return Err(Error::Conflict(Conflict::HasSuccessor)),
        Some(_) if present.valid_to == Some(asked.last_day) => {
            return Err(Error::Conflict(Conflict::NothingChanged));
        }
        _ => {}
    }
    let closed = Organisation {
        valid_to: Some(asked.last_day),
        successor_id: Some(successor.id),
        ..present
    };
    refuse_circle(tx.conn, &closed, &successor)?;
    check_end(&closed, &successor, ["/last_day", "/successor"])?;
    check_predecessors(tx.conn, &closed, "/last_day")?;
    if !asked.is_preview {
        db::set_succession(tx.conn, closed.id, asked.last_day, successor.id, tx.now)?;
        let (organisation, to) = (closed.uid, successor.uid);
        tracing::info!(target: "security", event = "organisation_succeeded", %organisation, %to, "directory");
    }
    account(tx, closed, successor, asked.last_day)
}

fn account(
    tx: &mut Tx<'_>,
    closed: Organisation,
    successor: Organisation,
    last_day: NaiveDate,
) -> Result<Succeeded> {
    let passes_on = day_after(last_day)?;
    let passing = super::reach_of(tx.conn, closed.id, false, passes_on)?;
    let (open_tickets, tickets) = db::count_tickets(tx.conn, &passing)?;
    let mut predecessors = super::list_by_id(tx.conn, &passing)?;
    predecessors.retain(|found| found.id != closed.id);
    predecessors.sort_by(|one, other| one.code.cmp(&other.code));
    let mut beyond = agreements::db::list_of(tx.conn, &[closed.id])?;
    beyond.retain(|agreement| agreement.valid_to.is_none_or(|last| last > last_day));
    Ok(Succeeded {
        programs: clients::db::list_running(tx.conn, closed.id, tx.now)?,
        organisation: closed,
        successor,
        passes_on,
        open_tickets,
        tickets,
        predecessors,
        agreements: beyond,
    })
}

fn day_after(day: NaiveDate) -> Result<NaiveDate> {
    day.succ_opt()
        .ok_or_else(|| Error::internal("a date without a next one", day))
}

fn refuse_circle(conn: &mut Db, closed: &Organisation, successor: &Organisation) -> Result<()> {
    let mut seen = vec![closed.id];
    let mut next = Some(successor.id);
    while let Some(id) = next {
        if seen.contains(&id) {
            let text = "the successors of the organisation would lead back to it";
            return Err(refuse("/successor", "succession_cycle", text));
        }
        seen.push(id);
        next = super::list_by_id(conn, &[id])?
            .pop()
            .and_then(|found| found.successor_id);
    }
    Ok(())
}

/// The closed organisation existed, and its successor does on the day after.
fn check_end(closed: &Organisation, successor: &Organisation, pointers: [&str; 2]) -> Result<()> {
    let [of_end, of_successor] = pointers;
    let Some(last_day) = closed.valid_to else {
        return Ok(());
    };
    if closed.valid_from.is_some_and(|first| last_day < first) {
        let text = "the last day is before the first";
        return Err(refuse(of_end, "ends_before_it_begins", text));
    }
    let first = day_after(last_day)?;
    let is_alive = successor.valid_from.is_none_or(|from| from <= first)
        && successor.valid_to.is_none_or(|to| first <= to);
    match is_alive {
        true => Ok(()),
        false => {
            let clash = FieldCode::Clash {
                code: "successor_not_alive",
                text: "the successor does not exist on the day after the last".to_owned(),
                with: format!("{} {first}", successor.code),
            };
            Err(Error::invalid_pointer(of_successor, clash))
        }
    }
}

/// Whom an organisation succeeded ended before it did: on the day after it was there to take the tickets.
fn check_predecessors(conn: &mut Db, closed: &Organisation, pointer: &str) -> Result<()> {
    let Some(last_day) = closed.valid_to else {
        return Ok(());
    };
    let others = db::list_predecessors(conn, closed.id)?;
    let late = others
        .iter()
        .find(|other| other.valid_to.is_some_and(|end| end >= last_day));
    let Some(late) = late else { return Ok(()) };
    let clash = FieldCode::Clash {
        code: "before_predecessor",
        text: "a predecessor ends on this day or later".to_owned(),
        with: late.code.clone(),
    };
    Err(Error::invalid_pointer(pointer, clash))
}

/// Other dates of an organisation leave no gap in the successions that it has a part in.
pub(super) fn check_dates_of(conn: &mut Db, changed: &Organisation) -> Result<()> {
    if let Some(id) = changed.successor_id
        && let Some(successor) = super::list_by_id(conn, &[id])?.pop()
    {
        check_end(changed, &successor, ["/valid_to", "/valid_to"])?;
    }
    check_predecessors(conn, changed, "/valid_to")?;
    for predecessor in db::list_predecessors(conn, changed.id)? {
        check_end(&predecessor, changed, ["/valid_from", "/valid_from"])?;
    }
    Ok(())
}
