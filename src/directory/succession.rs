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
use super::lives::{self, Life, Part, leads_back};
use crate::agreements::{self, Agreement};
use crate::broken_rule::HouseRule;
use crate::error::{Conflict, Error, FieldCode, Result};
use crate::identity::clients::{self, Running};
use crate::store::{Db, Uid};
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
    refuse_circle(tx.conn, &closed)?;
    check_lives(tx.conn, &closed, &successor)?;
    if !asked.is_preview {
        db::set_succession(tx.conn, closed.id, asked.last_day, successor.id, tx.now)?;
        log_succession(closed.uid, successor.uid);
    }
    account(tx, closed, successor, asked.last_day)
}

/// Somebody else's programs see tickets from now on, however it came about.
pub(super) fn log_succession(organisation: Uid, to: Uid) {
    tracing::info!(target: "security", event = "organisation_succeeded", %organisation, %to, "directory");
}

pub(super) fn log_taken_back(organisation: Uid) {
    tracing::info!(target: "security", event = "succession_taken_back", %organisation, "directory");
}

fn check_lives(conn: &mut Db, closed: &Organisation, successor: &Organisation) -> Result<()> {
    let predecessors = db::list_predecessors(conn, closed.id)?;
    let predecessors: Vec<Life<'_>> = predecessors.iter().map(Life::from).collect();
    let fits = lives::check_end(closed.into(), successor.into())
        .and_then(|()| lives::check_predecessors(closed.into(), &predecessors));
    fits.map_err(|misfit| {
        let pointer = match misfit.part {
            Part::Successor => "/successor",
            Part::First | Part::Last => "/last_day",
        };
        misfit.into_error(pointer)
    })
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

fn refuse_circle(conn: &mut Db, closed: &Organisation) -> Result<()> {
    let is_circle = leads_back(closed.id, |id| match id == closed.id {
        true => Ok(closed.successor_id),
        false => Ok(super::list_by_id(conn, &[id])?
            .pop()
            .and_then(|found| found.successor_id)),
    })?;
    match is_circle {
        true => {
            let text = "the successors of the organisation would lead back to it";
            Err(refuse("/successor", HouseRule::SuccessionCycle, text))
        }
        false => Ok(()),
    }
}

/// Whether these dates leave no gap in the successions that the organisation has a part in. What does not fit is said
/// under the names that it has in a change of the organisation.
pub(super) fn check_successions_of(conn: &mut Db, changed: &Organisation) -> Result<()> {
    let successor = match changed.successor_id {
        Some(id) => super::list_by_id(conn, &[id])?.pop(),
        None => None,
    };
    let predecessors = db::list_predecessors(conn, changed.id)?;
    let predecessors: Vec<Life<'_>> = predecessors.iter().map(Life::from).collect();
    lives::check_successions(changed.into(), successor.as_ref().map(Life::from), &predecessors).map_err(
        |misfit| {
            let pointer = match misfit.part {
                Part::First => "/valid_from",
                Part::Last | Part::Successor => "/valid_to",
            };
            misfit.into_error(pointer)
        },
    )
}
