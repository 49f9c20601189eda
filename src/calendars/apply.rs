//! Applying a change of a calendar: its next version, with who made it and why. The calendar is locked meanwhile, and the
//! caller says on which version they decided, so that of two changes made at once one is refused.
//!
//! Refuses: a stale version, a calendar that would not be sound or would have no working time to come, a change that
//! leaves everything as it is. Open clocks follow by themselves (`tickets::recount`); stopped ones keep their version.
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::change::in_order;
use super::{CalendarChange, CalendarRecord, Name, db, get_calendar};
use crate::error::{Conflict, Error, FieldCode, Result};
use crate::policies;
use crate::rules::CalendarVersion;
use crate::sla::SpecRule;
use crate::sla::calendar::CalendarSpec;
use crate::sla::{Calendar, Timeline};
use crate::store::Db;
use crate::tickets::recount::{self, Proposal, Version};
use crate::tx::{Desk, Tx};

/// What is asked of a calendar beside its hours.
#[derive(Debug, Clone)]
pub struct Application {
    pub change: CalendarChange,
    /// In the place of the present name; not versioned.
    pub name: Option<Name>,
    pub reason: String,
    /// The versions that the caller decided on; none: whichever is in force.
    pub expected: Option<Vec<i64>>,
}

/// Make the next version. Returns the calendar as it is then.
pub fn apply_change(tx: &mut Tx<'_>, id: &str, asked: &Application) -> Result<CalendarRecord> {
    let seen = get_calendar(tx.conn, id)?;
    // Whoever saves a policy or an agreement meanwhile must see the calendar as it becomes.
    policies::db::lock_policies(tx.conn)?;
    db::lock_calendar(tx.conn, seen.id)?;
    // As it is under the lock: somebody may have been faster.
    let present = reread(tx.conn, &seen)?;
    expect_version(&present, asked.expected.as_deref())?;
    let spec = written(&present)?;
    let (whole, calendar) = asked.change.checked(&spec)?;
    let renamed = asked
        .name
        .as_ref()
        .filter(|name| (&name.vi, &name.en) != (&present.name_vi, &present.name_en));
    if whole == in_order(spec) && renamed.is_none() {
        return Err(Error::Conflict(Conflict::NothingChanged));
    }
    expect_enough(tx.conn, tx.desk, &present, &asked.change, calendar, tx.now)?;
    if let Some(name) = renamed {
        db::rename_calendar(tx.conn, present.id, name)?;
    }
    let by = (tx.principal.name(), asked.reason.as_str());
    let version_id = db::insert_version(tx.conn, present.id, present.version + 1, &whole, by, tx.now)?;
    recount::begin(tx, Version::Calendar(version_id))?;
    reread(tx.conn, &present)
}

/// The calendar in the version in force, and beside it as it would be, for a preview.
pub fn propose(
    conn: &mut Db,
    desk: &Desk,
    id: &str,
    change: &CalendarChange,
    expected: Option<&[i64]>,
    now: DateTime<Utc>,
) -> Result<(CalendarRecord, Proposal)> {
    let present = get_calendar(conn, id)?;
    expect_version(&present, expected)?;
    let proposal = Proposal::Calendar {
        in_force: desk.rules.calendar(conn, present.version_id)?,
        proposed: changed(conn, desk, &present, change, now)?,
    };
    Ok((present, proposal))
}

fn changed(
    conn: &mut Db,
    desk: &Desk,
    present: &CalendarRecord,
    change: &CalendarChange,
    now: DateTime<Utc>,
) -> Result<Arc<CalendarVersion>> {
    let (_, calendar) = change.checked(&written(present)?)?;
    Ok(Arc::new(CalendarVersion {
        // Never stored, so no clock names it.
        id: 0,
        calendar_id: present.id,
        code: present.code.clone(),
        version: present.version + 1,
        timeline: Arc::new(expect_enough(conn, desk, present, change, calendar, now)?),
    }))
}

/// Refuse where the caller decided on another version.
pub fn expect_version(present: &CalendarRecord, expected: Option<&[i64]>) -> Result<()> {
    match expected.is_none_or(|versions| versions.contains(&present.version)) {
        true => Ok(()),
        false => Err(Error::PreconditionFailed),
    }
}

fn reread(conn: &mut Db, calendar: &CalendarRecord) -> Result<CalendarRecord> {
    db::find_calendar_by_uid(conn, calendar.uid)?
        .ok_or_else(|| Error::internal("a calendar vanished", calendar.id))
}

fn written(calendar: &CalendarRecord) -> Result<CalendarSpec> {
    serde_json::from_value(calendar.definition.0.clone())
        .map_err(|cause| Error::internal("a stored calendar cannot be read", cause))
}

/// The hours of a calendar that has the working time for everything that is promised by it.
fn expect_enough(
    conn: &mut Db,
    desk: &Desk,
    present: &CalendarRecord,
    change: &CalendarChange,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<Timeline> {
    let timeline = expect_working_time(calendar, now)?;
    let pointer = change.pointer();
    let errors = policies::reach::check_calendar(conn, desk, present.id, &timeline, pointer, now)?;
    match errors.is_empty() {
        true => Ok(timeline),
        false => Err(Error::Invalid(errors)),
    }
}

/// Without any working time in the ten years to come no clock could go on.
fn expect_working_time(calendar: Calendar, now: DateTime<Utc>) -> Result<Timeline> {
    let timeline = Timeline::new(calendar);
    if timeline.next_opening(now).is_some() {
        return Ok(timeline);
    }
    let text = "the calendar has no working time in the ten years from now".to_owned();
    let code = SpecRule::NoWorkingTime.into();
    Err(Error::invalid_pointer(
        "/patterns",
        FieldCode::Domain { code, text },
    ))
}
