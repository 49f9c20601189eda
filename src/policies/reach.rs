//! Whether calendars have the working time that is promised by them. A promise that could never be due would refuse every
//! question that it is made for, so it is refused when calendar, policy or agreement is saved, wherever the three meet.
//!
//! Callers hold the lock on all policies, so that of two saved at once the second sees the first.
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeZone, Utc};

use super::{db, may_be_of};
use crate::agreements::{self, Agreement};
use crate::broken_rule::HouseRule;
use crate::directory::{self, Organisation};
use crate::error::{FieldCode, FieldError, Result};
use crate::rules::PolicyVersion;
use crate::sla::policy::{Amount, Targets, amounts_of};
use crate::sla::{Conditions, Timeline};
use crate::store::Db;
use crate::tx::Desk;

/// The pointers of amounts that are not due within ten years when they begin now, with a pattern still to come, or when
/// the last exception is over: single days that are worked do not come again.
fn undue(timeline: &Timeline, now: DateTime<Utc>, amounts: Vec<(String, Amount)>) -> Vec<String> {
    let calendar = timeline.calendar();
    let last_exception = calendar.exceptions().last();
    let after_last = last_exception.and_then(|exception| exception.date.succ_opt());
    let begins = calendar.pattern_starts().chain(after_last).filter_map(|date| {
        let begin = calendar
            .time_zone()
            .from_local_datetime(&date.and_time(NaiveTime::MIN));
        Some(begin.earliest()?.with_timezone(&Utc)).filter(|begin| *begin > now)
    });
    let starts: Vec<DateTime<Utc>> = std::iter::once(now).chain(begins).collect();
    let never = |amount: Amount| {
        starts
            .iter()
            .any(|start| amount.due_from(timeline, *start).is_err())
    };
    amounts
        .into_iter()
        .filter(|(_, amount)| never(*amount))
        .map(|(pointer, _)| pointer)
        .collect()
}

fn refusal(pointer: String, with: String) -> FieldError {
    let text = "the calendar does not have so much working time in ten years".to_owned();
    let code = HouseRule::TooLittleWorkingTime.into();
    FieldError::pointer(pointer, FieldCode::Clash { code, text, with })
}

/// What is promised by a calendar and could not be kept by these hours of it. `pointer` is what would change.
pub fn check_calendar(
    conn: &mut Db,
    desk: &Desk,
    calendar_id: i64,
    timeline: &Timeline,
    pointer: &str,
    now: DateTime<Utc>,
) -> Result<Vec<FieldError>> {
    let mut policies: BTreeMap<i64, Arc<PolicyVersion>> = BTreeMap::new();
    let mut in_force = desk.rules.policies_in_force(conn)?;
    in_force.retain(|policy| policy.calendar_id == calendar_id);
    for policy in &in_force {
        policies.insert(policy.id, Arc::clone(policy));
    }
    // Open tickets keep the version that they have, also where a newer one is in force or none.
    for id in db::list_version_ids_of_open_tickets(conn, calendar_id)? {
        policies.insert(id, desk.rules.policy(conn, id)?);
    }
    let mut errors = Vec::new();
    for policy in policies.values() {
        let named = |member: String| {
            refusal(
                pointer.to_owned(),
                format!("{} {} {member}", policy.code, policy.version),
            )
        };
        let never = undue(timeline, now, policy.spec.amounts());
        errors.extend(never.into_iter().map(named));
    }
    let conditions: Vec<&Conditions> = in_force.iter().map(|policy| &policy.spec.conditions).collect();
    errors.extend(check_agreements(conn, desk, &conditions, timeline, pointer, now)?);
    Ok(errors)
}

/// What a policy promises that its calendar could not keep, or the agreements of those whom it may be for.
pub fn check_policy(
    conn: &mut Db,
    desk: &Desk,
    spec: &crate::sla::PolicySpec,
    calendar_version_id: i64,
    now: DateTime<Utc>,
) -> Result<Vec<FieldError>> {
    let calendar = desk.rules.calendar(conn, calendar_version_id)?;
    let never = undue(&calendar.timeline, now, spec.amounts()).into_iter();
    let mut errors: Vec<FieldError> = never
        .map(|pointer| refusal(pointer, calendar.code.clone()))
        .collect();
    let (conditions, timeline) = ([&spec.conditions], &calendar.timeline);
    errors.extend(check_agreements(
        conn,
        desk,
        &conditions,
        timeline,
        "/calendar",
        now,
    )?);
    Ok(errors)
}

/// What an agreement promises that a calendar could not keep by which a policy counts that its organisation may get.
pub fn check_agreement(
    conn: &mut Db,
    desk: &Desk,
    organisation: &Organisation,
    targets: &Targets,
    now: DateTime<Utc>,
) -> Result<Vec<FieldError>> {
    let mut calendars = BTreeMap::new();
    for policy in desk.rules.policies_in_force(conn)? {
        if may_be_of(&policy.spec.conditions, organisation) {
            let calendar = desk.rules.calendar_in_force(conn, policy.calendar_id)?;
            calendars.insert(policy.calendar_id, calendar);
        }
    }
    let mut errors = Vec::new();
    for calendar in calendars.values() {
        let never = undue(&calendar.timeline, now, amounts_of(targets)).into_iter();
        errors.extend(never.map(|pointer| refusal(pointer, calendar.code.clone())));
    }
    Ok(errors)
}

/// The agreements that count today or later, of organisations that some of these conditions may hold for.
fn check_agreements(
    conn: &mut Db,
    desk: &Desk,
    conditions: &[&Conditions],
    timeline: &Timeline,
    pointer: &str,
    now: DateTime<Utc>,
) -> Result<Vec<FieldError>> {
    let agreements = agreements::db::list_valid_from(conn, desk.date_of(now))?;
    let ids: Vec<i64> = agreements
        .iter()
        .map(|agreement| agreement.organisation_id)
        .collect();
    let organisations = directory::list_by_id(conn, &ids)?;
    let mut errors = Vec::new();
    for agreement in &agreements {
        let owner = organisations
            .iter()
            .find(|organisation| organisation.id == agreement.organisation_id);
        let Some(owner) = owner.filter(|owner| conditions.iter().any(|wanted| may_be_of(wanted, owner)))
        else {
            continue;
        };
        let never = undue(timeline, now, amounts_of(&agreement.targets()?)).into_iter();
        errors.extend(never.map(|member| refusal(pointer.to_owned(), named(owner, agreement, &member))));
    }
    Ok(errors)
}

fn named(owner: &Organisation, agreement: &Agreement, member: &str) -> String {
    format!("{} {} {member}", owner.code, agreement.uid)
}
