//! Making and ending agreements. The organisation's row is locked meanwhile, so that of two at once the second sees the
//! period of the first, and a question filed at the same time is either seen here or sees what was agreed
//! (`db::hold_of`).
use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone, Utc};

use super::db::{self, Agreement};
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::calendars::{Name, field_errors};
use crate::directory::{self, Organisation};
use crate::error::{Error, FieldCode, Result};
use crate::policies::db::lock_policies;
use crate::policies::reach;
use crate::sla::policy::{Targets, check_targets};
use crate::store::{Json, Ts, Uid};
use crate::tx::{Desk, Tx};

/// An agreement to be made.
#[derive(Debug, Clone)]
pub struct NewAgreement {
    /// UUID or code.
    pub organisation: String,
    pub name: Name,
    pub legal_basis: Option<String>,
    pub targets: Targets,
    pub valid_from: NaiveDate,
    pub valid_to: Option<NaiveDate>,
}

fn refuse<T>(pointer: &str, code: impl Into<BrokenRule>, text: &str) -> Result<T> {
    let (code, text) = (code.into(), text.to_owned());
    Err(Error::invalid_pointer(pointer, FieldCode::Domain { code, text }))
}

pub fn create(tx: &mut Tx<'_>, new: &NewAgreement) -> Result<(Agreement, Organisation)> {
    let mut problems = Vec::new();
    check_targets(&new.targets, &mut problems);
    if !problems.is_empty() {
        return Err(field_errors(problems));
    }
    // Whoever saves a calendar or a policy meanwhile must see the agreement.
    lock_policies(tx.conn)?;
    let organisation = directory::find_organisation(tx.conn, &new.organisation)?
        .ok_or_else(|| Error::invalid_pointer("/organisation", FieldCode::UnknownCode))?;
    if new.valid_to.is_some_and(|last| last < new.valid_from) {
        return refuse(
            "/valid_to",
            HouseRule::BadPeriod,
            "it must not end before it begins",
        );
    }
    db::lock_organisation(tx.conn, organisation.id)?;
    let errors = reach::check_agreement(tx.conn, tx.desk, &organisation, &new.targets, tx.now)?;
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    check_overlap(tx, &organisation, new)?;
    let end = new.valid_to.map(|last| after(tx.desk, last)).transpose()?;
    let begin = midnight(tx.desk, new.valid_from)?;
    if db::has_filed(
        tx.conn,
        organisation.id,
        begin,
        end.unwrap_or(DateTime::<Utc>::MAX_UTC),
    )? {
        let text = "the organisation has filed questions in this time, whose terms stand; begin later";
        return refuse("/valid_from", HouseRule::TicketsFiled, text);
    }
    let row = row_of(tx, organisation.id, new)?;
    db::insert(tx.conn, &row)?;
    let stored = super::get(tx.conn, tx.principal, &row.uid.to_string())?;
    Ok((stored, organisation))
}

fn check_overlap(tx: &mut Tx<'_>, organisation: &Organisation, new: &NewAgreement) -> Result<()> {
    let is_clash = |other: &Agreement| {
        new.valid_to.is_none_or(|last| other.valid_from <= last)
            && other.valid_to.is_none_or(|last| new.valid_from <= last)
    };
    let others = db::list_of(tx.conn, &[organisation.id])?;
    let Some(other) = others.into_iter().find(is_clash) else {
        return Ok(());
    };
    let last = other.valid_to.map_or("…".to_owned(), |last| last.to_string());
    let clash = FieldCode::Clash {
        code: HouseRule::OverlappingPeriod.into(),
        text: "the organisation has another agreement in this time".to_owned(),
        with: format!("{} ({} – {last})", other.uid, other.valid_from),
    };
    Err(Error::invalid_pointer("/valid_from", clash))
}

fn row_of(tx: &Tx<'_>, organisation_id: i64, new: &NewAgreement) -> Result<Agreement> {
    let targets = serde_json::to_value(&new.targets)
        .map_err(|cause| Error::internal("an agreement cannot be written", cause))?;
    Ok(Agreement {
        id: 0,
        uid: Uid::new(),
        organisation_id,
        name_vi: new.name.vi.clone(),
        name_en: new.name.en.clone(),
        legal_basis: new.legal_basis.clone(),
        targets: Json(targets),
        valid_from: new.valid_from,
        valid_to: new.valid_to,
        end_reason: None,
        ended_by: None,
        author: tx.principal.name().to_owned(),
        created_at: Ts::from(tx.now),
        updated_at: Ts::from(tx.now),
        version: 1,
    })
}

/// End an agreement on a date, which becomes its last: not later than it would have ended, nor before a question that
/// was filed under it.
pub fn end(
    tx: &mut Tx<'_>,
    id: &str,
    last: NaiveDate,
    reason: &str,
    seen: &Option<Vec<i64>>,
) -> Result<Agreement> {
    let organisation_id = super::get(tx.conn, tx.principal, id)?.organisation_id;
    db::lock_organisation(tx.conn, organisation_id)?;
    let present = super::get(tx.conn, tx.principal, id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    if last < present.valid_from || present.valid_to.is_some_and(|known| known < last) {
        let text = "from its first day to its present last one; for a longer time make another agreement";
        return refuse("/valid_to", HouseRule::BadPeriod, text);
    }
    let known_end = present.valid_to.map(|known| after(tx.desk, known)).transpose()?;
    let known_end = known_end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    if db::has_filed(tx.conn, organisation_id, after(tx.desk, last)?, known_end)? {
        let text = "the organisation has filed questions after this date, whose terms stand; end later";
        return refuse("/valid_to", HouseRule::TicketsFiled, text);
    }
    let ended = Agreement {
        valid_to: Some(last),
        end_reason: Some(reason.to_owned()),
        ended_by: Some(tx.principal.name().to_owned()),
        updated_at: Ts::from(tx.now),
        version: present.version + 1,
        ..present
    };
    db::set_end(tx.conn, &ended)?;
    Ok(ended)
}

/// When a date begins at the desk.
fn midnight(desk: &Desk, date: NaiveDate) -> Result<DateTime<Utc>> {
    let begin = date.and_time(NaiveTime::MIN);
    // Where the clock skips midnight the date begins at the end of the gap, at most a few hours later.
    let mut instants = (0..=8).filter_map(|halves| {
        let local = begin + Duration::minutes(30 * halves);
        desk.time_zone.from_local_datetime(&local).earliest()
    });
    let first = instants
        .next()
        .ok_or_else(|| Error::internal("a date without a beginning", date))?;
    Ok(first.with_timezone(&Utc))
}

/// When a date is over at the desk.
fn after(desk: &Desk, date: NaiveDate) -> Result<DateTime<Utc>> {
    let next = date
        .succ_opt()
        .ok_or_else(|| Error::internal("a date without a next one", date))?;
    midnight(desk, next)
}
