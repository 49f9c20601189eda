//! What is wrong with a policy among the others: it names what does not exist, takes a number that another has, gets no
//! question or leaves another none, or closes a cycle of transfers. Pointers are into the body of the request.
use std::collections::HashMap;

use crate::broken_rule::{BrokenRule, HouseRule};
use crate::calendars::{CalendarRecord, find_calendar};
use crate::directory::{self, KINDS, Organisation, OrganisationFilter};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::queues;
use crate::rules::PolicyVersion;
use crate::sla::SpecRule;
use crate::sla::escalation::{Transfers, find_cycle};
use crate::sla::{Conditions, PolicySpec};
use crate::store::Db;
use crate::tickets::lifecycle::Channel;

/// A policy that is to be, among those in force beside it.
pub struct Proposed<'a> {
    pub code: &'a str,
    pub is_default: bool,
    pub calendar: &'a str,
    pub spec: PolicySpec,
}

/// The policy with the codes of all that it names, whatever form the caller gave, and its calendar.
pub fn check(
    conn: &mut Db,
    proposed: Proposed<'_>,
    others: &[&PolicyVersion],
) -> Result<(PolicySpec, CalendarRecord)> {
    proposed.spec.check().map_err(crate::calendars::field_errors)?;
    let mut errors = Vec::new();
    let calendar = find_calendar(conn, proposed.calendar)?;
    if calendar.is_none() {
        errors.push(FieldError::pointer("/calendar", FieldCode::UnknownCode));
    }
    let mut spec = proposed.spec;
    let organisations = Organisations::load(conn)?;
    resolve(conn, &mut spec, &organisations, &mut errors)?;
    let (Some(calendar), true) = (calendar, errors.is_empty()) else {
        return Err(Error::Invalid(errors));
    };
    let neighbours = Neighbours {
        code: proposed.code,
        spec: &spec,
        others,
        organisations: &organisations,
    };
    if proposed.is_default {
        if spec.conditions != Conditions::default() {
            errors.push(refusal(
                "/conditions",
                HouseRule::DefaultHasConditions,
                "the default policy takes every question",
            ));
        }
    } else {
        errors.extend(neighbours.check_precedence());
        errors.extend(neighbours.check_reach());
    }
    errors.extend(neighbours.check_cycle());
    match errors.is_empty() {
        true => Ok((spec, calendar)),
        false => Err(Error::Invalid(errors)),
    }
}

fn refusal(pointer: &str, code: impl Into<BrokenRule>, text: &str) -> FieldError {
    let (code, text) = (code.into(), text.to_owned());
    FieldError::pointer(pointer, FieldCode::Domain { code, text })
}

/// One that names in every language what it clashes with.
fn clash(pointer: String, code: impl Into<BrokenRule>, text: &str, with: String) -> FieldError {
    let (code, text) = (code.into(), text.to_owned());
    FieldError::pointer(pointer, FieldCode::Clash { code, text, with })
}

/// The directory by code.
struct Organisations(HashMap<String, Organisation>);

impl Organisations {
    fn load(conn: &mut Db) -> Result<Organisations> {
        let all = directory::list_all(conn, &OrganisationFilter::default())?;
        let by_code = all
            .into_iter()
            .map(|organisation| (organisation.code.clone(), organisation));
        Ok(Organisations(by_code.collect()))
    }

    fn code_of(&self, id: &str) -> Option<String> {
        if let Ok(uid) = uuid::Uuid::parse_str(id) {
            let known = self.0.values().find(|organisation| organisation.uid.0 == uid);
            return known.map(|organisation| organisation.code.clone());
        }
        let code = directory::canonical_code(id);
        self.0.contains_key(&code).then_some(code)
    }

    /// The same conditions, said in full: of named organisations their kinds and whether they are pilots. A list of all
    /// that there is says nothing and is left out. None where no named organisation can be meant.
    fn in_full(&self, conditions: &Conditions) -> Option<Conditions> {
        let mut full = conditions.clone();
        // Values are known and stand once.
        full.kind = full.kind.filter(|kinds| kinds.len() < KINDS.len());
        full.channel = full
            .channel
            .filter(|channels| channels.len() < Channel::ALL.len());
        let Some(named) = &conditions.organisation else {
            return Some(full);
        };
        let meant: Vec<&Organisation> = named
            .iter()
            .filter_map(|code| self.0.get(code))
            .filter(|organisation| {
                let kinds = full.kind.as_ref();
                kinds.is_none_or(|kinds| kinds.contains(&organisation.kind))
                    && full.pilot.is_none_or(|pilot| pilot == organisation.pilot)
            })
            .collect();
        let pilot = meant.first()?.pilot;
        full.organisation = Some(
            meant
                .iter()
                .map(|organisation| organisation.code.clone())
                .collect(),
        );
        full.kind = Some(
            meant
                .iter()
                .map(|organisation| organisation.kind.clone())
                .collect(),
        );
        if meant.iter().all(|organisation| organisation.pilot == pilot) {
            full.pilot = Some(pilot);
        }
        Some(full)
    }
}

/// Put the readable codes in the place of what the caller named, or say what there is not.
fn resolve(
    conn: &mut Db,
    spec: &mut PolicySpec,
    organisations: &Organisations,
    errors: &mut Vec<FieldError>,
) -> Result<()> {
    let conditions = &mut spec.conditions;
    let known_kind = |kind: &str| KINDS.contains(&kind).then(|| kind.to_owned());
    let known_channel = |name: &str| Channel::parse(name).map(|channel| channel.as_str().to_owned());
    replace_each("kind", &mut conditions.kind, errors, |kind| Ok(known_kind(kind)))?;
    replace_each("channel", &mut conditions.channel, errors, |name| {
        Ok(known_channel(name))
    })?;
    replace_each("organisation", &mut conditions.organisation, errors, |id| {
        Ok(organisations.code_of(id))
    })?;
    replace_each("topic", &mut conditions.topic, errors, |id| {
        Ok(queues::find_topic(conn, id)?.map(|topic| topic.code))
    })?;
    replace_each("queue", &mut conditions.queue, errors, |id| {
        Ok(queues::find_queue(conn, id)?.map(|queue| queue.code))
    })?;
    for (position, step) in spec.escalations.iter_mut().enumerate() {
        let Some(transfer) = &mut step.transfer else {
            continue;
        };
        match queues::find_queue(conn, transfer)? {
            Some(queue) => *transfer = queue.code,
            None => errors.push(FieldError::pointer(
                format!("/escalations/{position}/transfer"),
                FieldCode::UnknownCode,
            )),
        }
    }
    Ok(())
}

fn replace_each(
    name: &str,
    values: &mut Option<Vec<String>>,
    errors: &mut Vec<FieldError>,
    mut code_of: impl FnMut(&str) -> Result<Option<String>>,
) -> Result<()> {
    let mut codes: Vec<String> = Vec::new();
    for (position, value) in values.iter().flatten().enumerate() {
        let pointer = format!("/conditions/{name}/{position}");
        match code_of(value)? {
            Some(code) if codes.contains(&code) => {
                errors.push(refusal(&pointer, SpecRule::DuplicateValue, "named already"));
            }
            Some(code) => codes.push(code),
            None => errors.push(FieldError::pointer(pointer, FieldCode::UnknownCode)),
        }
    }
    if let Some(values) = values {
        *values = codes;
    }
    Ok(())
}

struct Neighbours<'a> {
    code: &'a str,
    spec: &'a PolicySpec,
    others: &'a [&'a PolicyVersion],
    organisations: &'a Organisations,
}

impl Neighbours<'_> {
    /// Those that have a place in the order; the default policy comes after all of them.
    fn in_order(&self) -> impl Iterator<Item = &PolicyVersion> {
        self.others.iter().copied().filter(|other| !other.is_default)
    }

    fn check_precedence(&self) -> Option<FieldError> {
        let taken = self
            .in_order()
            .find(|other| other.spec.precedence == self.spec.precedence)?;
        let text = "another policy has this number; no two are asked at once";
        let with = taken.code.clone();
        Some(clash(
            "/precedence".into(),
            HouseRule::PrecedenceTaken,
            text,
            with,
        ))
    }

    /// Each policy must be able to get a question. Tells nothing of policies that only several others together cover.
    fn check_reach(&self) -> Option<FieldError> {
        let pointer = || "/conditions".to_owned();
        let Some(own) = self.organisations.in_full(&self.spec.conditions) else {
            let text = "none of the organisations is of such a kind, or a pilot or not as asked";
            return Some(refusal(&pointer(), HouseRule::MatchesNothing, text));
        };
        self.in_order().find_map(|other| {
            let theirs = self.organisations.in_full(&other.spec.conditions)?;
            let with = || other.code.clone();
            if other.spec.precedence < self.spec.precedence && own.imply(&theirs) {
                let text = "another policy is asked before and takes every such question";
                return Some(clash(pointer(), HouseRule::MatchesNothing, text, with()));
            }
            if self.spec.precedence < other.spec.precedence && theirs.imply(&own) {
                let text = "it would take every question of another policy, which is asked later";
                return Some(clash(pointer(), HouseRule::MatchesNothing, text, with()));
            }
            None
        })
    }

    fn check_cycle(&self) -> Option<FieldError> {
        let transfers = |code: &str, spec: &PolicySpec| {
            let conditions = self.organisations.in_full(&spec.conditions)?;
            let spec = PolicySpec {
                conditions,
                ..spec.clone()
            };
            Some(Transfers::of(code, &spec))
        };
        let others: Vec<Transfers> = self
            .others
            .iter()
            .filter_map(|other| transfers(&other.code, &other.spec))
            .collect();
        let cycle = find_cycle(&transfers(self.code, self.spec)?, &others)?;
        let pointer = format!("/escalations/{}/transfer", cycle.escalation);
        let text = "the question would come back to where it was";
        Some(clash(pointer, HouseRule::EscalationCycle, text, cycle.path()))
    }
}
