//! Changing what a ticket says of itself: subject, topic, priority, tags, custom fields, the asker's reference, and the
//! organisation of a question that was filed for the wrong one.
//!
//! The clocks keep what was consumed and paused; where priority, topic, tags or organisation now promise something else,
//! they go on towards that (docs/decisions/0011-what-a-change-keeps.md). A topic does not move the queue: a transfer does.
//! Refuses tickets that are closed or cancelled; a change to what is there already writes nothing.
use serde_json::{Map, Value, json};

use super::db::TicketRow;
use super::history::{EventKind, record};
use super::lifecycle::{Operation, State};
use super::operations::{self, Opened, follow_policies, retarget, save};
use super::{search, terms};
use crate::directory::{self, RequesterInput};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::identity::access::{Action, permit};
use crate::queues::{self, fields};
use crate::sla::Priority;
use crate::store::Json;
use crate::tx::Tx;

/// As many custom fields as a ticket may have.
pub const MOST_CUSTOM_FIELDS: usize = 50;

/// What is to change (RFC 7396): absent stays, `Some(None)` is cleared.
#[derive(Debug, Clone, Default)]
pub struct TicketChange {
    pub subject: Option<String>,
    pub topic: Option<Option<String>>,
    pub priority: Option<Priority>,
    pub tags: Option<Vec<String>>,
    /// Members that are null go; `Some(None)` takes all of them away.
    pub custom_fields: Option<Option<Map<String, Value>>>,
    pub external_ref: Option<Option<String>>,
    pub organisation: Option<String>,
}

/// Change a ticket; returns its inside key.
pub fn change(tx: &mut Tx<'_>, id: &str, change: &TicketChange) -> Result<i64> {
    let mut opened = operations::open(tx, id, Action::ChangeTicket)?;
    guard(opened.ticket.state)?;
    let changes = apply(tx, &mut opened.ticket, change)?;
    if changes.is_empty() {
        // What has come true meanwhile is kept all the same.
        if opened.came_true > 0 {
            save(tx, &mut opened)?;
        }
        return Ok(opened.ticket.id);
    }
    record(
        tx,
        opened.ticket.id,
        EventKind::Changed,
        json!({ "changes": changes }),
    )?;
    follow(tx, &mut opened, &changes)?;
    save(tx, &mut opened)?;
    search::index(tx.conn, &opened.ticket)?;
    Ok(opened.ticket.id)
}

fn guard(state: State) -> Result<()> {
    if state.is_open() || state == State::Resolved {
        return Ok(());
    }
    Err(Error::WrongTransition {
        operation: "change_ticket",
        state: state.as_str(),
        possible: state.possible_operations().map(Operation::as_str).collect(),
    })
}

/// The clocks of what has changed. Conditions of policies look at organisation, topic and tags: only these may mean
/// another policy. Priority and organisation (its agreement) mean another promise under the same one.
fn follow(tx: &mut Tx<'_>, opened: &mut Opened, changes: &Map<String, Value>) -> Result<()> {
    let changed = |names: &[&str]| names.iter().any(|name| changes.contains_key(*name));
    let may_match_another = changed(&["organisation", "topic", "tags"]);
    if changed(&["priority", "organisation"]) {
        let terms = match may_match_another {
            true => terms::matched(tx, &opened.ticket)?,
            false => terms::present(tx, &opened.ticket)?,
        };
        retarget(tx, opened, &terms)
    } else if may_match_another {
        follow_policies(tx, opened)
    } else {
        Ok(())
    }
}

/// Set what differs; returns from what to what, by name.
fn apply(tx: &mut Tx<'_>, ticket: &mut TicketRow, change: &TicketChange) -> Result<Map<String, Value>> {
    let mut changes = Changes::default();
    if let Some(code) = &change.organisation {
        change_organisation(tx, ticket, code, &mut changes)?;
    }
    if let Some(topic) = &change.topic {
        change_topic(tx, ticket, topic.as_deref(), &mut changes)?;
    }
    if let Some(to) = change.priority {
        let from = Priority::of_rank(ticket.priority);
        changes.note("priority", json!(from), json!(to));
        ticket.priority = to.rank();
    }
    if let Some(subject) = &change.subject {
        changes.note("subject", json!(ticket.subject), json!(subject));
        ticket.subject.clone_from(subject);
    }
    if let Some(external_ref) = &change.external_ref {
        changes.note("external_ref", json!(ticket.external_ref), json!(external_ref));
        ticket.external_ref.clone_from(external_ref);
    }
    if let Some(tags) = &change.tags {
        changes.note("tags", ticket.tags.0.clone(), json!(tags));
        ticket.tags = Json(json!(tags));
    }
    if let Some(fields) = &change.custom_fields {
        let merged = merge(&ticket.custom_fields.0, fields.as_ref(), &mut changes.errors);
        changes.note("custom_fields", ticket.custom_fields.0.clone(), merged.clone());
        ticket.custom_fields = Json(merged);
    }
    if ["topic", "custom_fields"]
        .iter()
        .any(|name| changes.made.contains_key(*name))
    {
        changes.errors.extend(wrong_fields(tx, ticket)?);
    }
    match changes.errors.is_empty() {
        true => Ok(changes.made),
        false => Err(Error::Invalid(changes.errors)),
    }
}

/// What the ticket's topic, as it is to be, finds wrong with its custom fields.
fn wrong_fields(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Vec<FieldError>> {
    let topic = match ticket.topic_id {
        Some(id) => queues::db::find_topic_by_id(tx.conn, id)?,
        None => None,
    };
    match (topic, ticket.custom_fields.0.as_object()) {
        (Some(topic), Some(values)) => Ok(fields::check(&topic.fields()?, values)),
        _ => Ok(Vec::new()),
    }
}

/// What differs, and what is wrong.
#[derive(Default)]
struct Changes {
    made: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Changes {
    fn note(&mut self, name: &str, from: Value, to: Value) {
        if from != to {
            self.made
                .insert(name.to_owned(), json!({ "from": from, "to": to }));
        }
    }

    fn refuse(&mut self, pointer: &str, code: FieldCode) {
        self.errors.push(FieldError::pointer(pointer, code));
    }
}

fn change_topic(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    code: Option<&str>,
    changes: &mut Changes,
) -> Result<()> {
    let from = match ticket.topic_id {
        Some(id) => queues::db::find_topic_by_id(tx.conn, id)?,
        None => None,
    };
    let to = match code {
        Some(code) => match queues::find_topic(tx.conn, code)? {
            Some(topic) => Some(topic),
            None => {
                changes.refuse("/topic", FieldCode::UnknownCode);
                return Ok(());
            }
        },
        None => None,
    };
    ticket.topic_id = to.as_ref().map(|topic| topic.id);
    let code = |topic: Option<queues::Topic>| json!(topic.map(|topic| topic.code));
    changes.note("topic", code(from), code(to));
    Ok(())
}

/// The question was filed for the wrong organisation; heads of the desk put that right. The one that had it does not see
/// it any more. Whoever asked still wants the answer, so they go along, as a person of the organisation that it is now of.
fn change_organisation(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    code: &str,
    changes: &mut Changes,
) -> Result<()> {
    if permit(tx.principal, Action::MoveTicket).is_err() {
        changes.refuse("/organisation", FieldCode::NotAllowed);
        return Ok(());
    }
    let Some(to) = directory::find_organisation(tx.conn, code)? else {
        changes.refuse("/organisation", FieldCode::UnknownCode);
        return Ok(());
    };
    if to.id == ticket.organisation_id {
        return Ok(());
    }
    let from = directory::list_by_id(tx.conn, &[ticket.organisation_id])?;
    let from = from.first().map(|organisation| &organisation.code);
    changes.note("organisation", json!(from), json!(to.code));
    ticket.organisation_id = to.id;
    if let Some(id) = ticket.requester_id {
        // Who has been erased is nobody there.
        ticket.requester_id = match directory::db::hold_requester(tx.conn, id)? {
            Some(person) => Some(known_there(tx, to.id, person)?),
            None => None,
        };
    }
    Ok(())
}

/// The same person among those of another organisation.
fn known_there(tx: &mut Tx<'_>, organisation_id: i64, person: directory::Requester) -> Result<i64> {
    let person = RequesterInput {
        name: person.name,
        email: person.email,
        unit: person.unit,
        phone: person.phone,
        language: Some(person.language),
    };
    Ok(directory::remember_requester(tx.conn, organisation_id, &person, tx.now)?.id)
}

/// RFC 7396 over one level: values of custom fields have no members of their own.
fn merge(present: &Value, patch: Option<&Map<String, Value>>, errors: &mut Vec<FieldError>) -> Value {
    let Some(patch) = patch else {
        return json!({});
    };
    let mut merged = present.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        match value {
            Value::Null => merged.remove(name),
            value => merged.insert(name.clone(), value.clone()),
        };
    }
    if merged.len() > MOST_CUSTOM_FIELDS {
        let max = u64::try_from(MOST_CUSTOM_FIELDS).unwrap_or(u64::MAX);
        errors.push(FieldError::pointer("/custom_fields", FieldCode::TooLong { max }));
    }
    Value::Object(merged)
}
