//! Lists of tickets: filters, sorts, pages by key, and totals with an honest bound.
//!
//! Who may see what is part of the query, never a sieve behind it. A page is drawn from lanes: where an index orders each
//! of several organisations or priorities, each is asked for a page and the pages are merged, so that nothing is sorted
//! but what is shown. A cursor belongs to its filters, its sort and its kind of asker, and is refused elsewhere.
mod db;

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::lifecycle::{Channel, State};
use super::search::{Mark, Needle};
use super::view::{TicketView, list_views};
use crate::error::Result;
use crate::identity::access::Sight;
use crate::identity::{self, Principal};
use crate::sla::Priority;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Ts};
use crate::tx::Desk;

/// Totals are counted up to here.
const COUNTED: i64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Key {
    #[default]
    Filed,
    Due,
    Updated,
    /// Of equal priority the sooner due first; turned round as a whole.
    Priority,
}

/// How a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    pub key: Key,
    /// Latest first; of priorities: the most urgent first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Sort {
            key: Key::Filed,
            descending: true,
        }
    }
}

impl Sort {
    /// As it is written in a request: `due_at`, `-priority`.
    pub fn parse(text: &str) -> Option<Sort> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let key = match name {
            "filed_at" => Key::Filed,
            "due_at" => Key::Due,
            "updated_at" => Key::Updated,
            "priority" => Key::Priority,
            _ => return None,
        };
        Some(Sort { key, descending })
    }

    /// The order of instants: the most urgent first means the soonest due first.
    fn latest_first(self) -> bool {
        self.descending != (self.key == Key::Priority)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssigneeFilter {
    Nobody,
    User(i64),
}

/// `me`, `none`, or a person by UUID; staff may name colleagues by address too.
pub fn find_assignee(conn: &mut Db, principal: &Principal, asked: &str) -> Result<Option<AssigneeFilter>> {
    let user = match (asked, principal.staff()) {
        ("none", _) => return Ok(Some(AssigneeFilter::Nobody)),
        ("me", staff) => return Ok(staff.map(|staff| AssigneeFilter::User(staff.user_id))),
        (address, None) if Uuid::parse_str(address).is_err() => None,
        (named, _) => identity::find_person(conn, named)?,
    };
    Ok(user.map(|user| AssigneeFilter::User(user.id)))
}

/// Filters of a list; inside keys, already looked up.
#[derive(Debug, Clone, Default)]
pub struct TicketFilter {
    pub states: Vec<State>,
    pub queue_id: Option<i64>,
    /// One of these; none: of whatever topic.
    pub topic_ids: Vec<i64>,
    pub organisation_id: Option<i64>,
    pub assignee: Option<AssigneeFilter>,
    pub priorities: Vec<Priority>,
    pub channel: Option<Channel>,
    /// Any of these persons; an empty list finds nothing.
    pub requester_ids: Option<Vec<i64>>,
    pub external_ref: Option<String>,
    pub breached: Option<bool>,
    pub filed_from: Option<DateTime<Utc>>,
    pub filed_to: Option<DateTime<Utc>>,
    pub due_from: Option<DateTime<Utc>>,
    pub due_before: Option<DateTime<Utc>>,
    pub updated_from: Option<DateTime<Utc>>,
    pub updated_to: Option<DateTime<Utc>>,
    /// All of these tags.
    pub tags: Vec<String>,
    /// Custom fields with their values.
    pub fields: Vec<(String, String)>,
    /// What the texts must have.
    pub words: Vec<Needle>,
}

impl TicketFilter {
    /// What only the index of texts can answer.
    fn only_indexed(&self) -> Vec<Needle> {
        let tags = self.tags.iter().map(|tag| Needle::mark(Mark::Tag(tag)));
        let fields = self.fields.iter();
        let fields = fields.map(|(name, value)| Needle::mark(Mark::Field(name, value)));
        tags.chain(fields).chain(self.words.iter().cloned()).collect()
    }

    /// What columns say too, though none of their indexes.
    fn also_indexed(&self) -> Vec<Needle> {
        let topics = self.topic_ids.as_slice();
        let topic = (!topics.is_empty()).then(|| Needle::one_of(topics.iter().map(|id| Mark::Topic(*id))));
        let channel = self.channel.map(|channel| Needle::mark(Mark::Channel(channel)));
        let persons = self.requester_ids.as_ref();
        let persons = persons.map(|ids| Needle::one_of(ids.iter().map(|id| Mark::Requester(*id))));
        topic.into_iter().chain(channel).chain(persons).collect()
    }
}

/// Which page of which list.
#[derive(Debug, Clone, Default)]
pub struct TicketQuestion {
    pub filter: TicketFilter,
    pub sort: Sort,
    pub cursor: Option<String>,
    pub limit: i64,
    pub with_total: bool,
}

/// How many tickets a list has in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Total {
    pub count: i64,
    pub relation: Relation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    Exact,
    /// Counting ended there.
    AtLeast,
}

/// The organisations whose tickets can be found at all; `None`: all.
fn organisations_in(sight: Sight<'_>, filter: &TicketFilter) -> Option<Vec<i64>> {
    match (sight, filter.organisation_id) {
        (Sight::Organisations(reach), Some(id)) if reach.contains(&id) => Some(vec![id]),
        (Sight::Organisations(_), Some(_)) => Some(Vec::new()),
        (Sight::Organisations(reach), None) => Some(reach.to_vec()),
        (_, asked) => asked.map(|id| vec![id]),
    }
}

/// A ticket's place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, diesel::Queryable)]
struct Place {
    id: i64,
    priority: i16,
    at: Ts,
}

impl Place {
    fn compare(&self, other: &Place, sort: Sort) -> Ordering {
        let by_priority = match sort.key {
            Key::Priority => self.priority.cmp(&other.priority),
            _ => Ordering::Equal,
        };
        let by_time = (self.at, self.id).cmp(&(other.at, other.id));
        let turned = |order: Ordering, turn: bool| if turn { order.reverse() } else { order };
        turned(by_priority, sort.descending).then(turned(by_time, sort.latest_first()))
    }
}

/// Where the page before ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Cursor {
    priority: i16,
    at: Ts,
    id: i64,
}

pub use db::list_requester_ids;

/// A page of the tickets that the principal may see, and how many there are where that was asked.
pub fn list_tickets(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    question: &TicketQuestion,
    now: DateTime<Utc>,
) -> Result<(Page<TicketView>, Option<Total>)> {
    let TicketQuestion {
        filter, sort, limit, ..
    } = question;
    let sight = Sight::of(principal, desk.open_desk);
    let binding = format!("tickets {filter:?} {sort:?} {:?}", principal.kind());
    let after = question
        .cursor
        .as_deref()
        .map(|cursor| decode_cursor::<Cursor>(&binding, cursor))
        .transpose()?;
    let plan = db::Plan::make(conn, sight, filter, *sort)?;
    let places = plan.page(conn, after, limit + 1)?;
    let page = Page::from_rows(places, *limit, &binding, |place| Cursor {
        priority: place.priority,
        at: place.at,
        id: place.id,
    })?;
    let ids: Vec<i64> = page.items.iter().map(|place| place.id).collect();
    let total = match question.with_total {
        true => Some(count(conn, &plan)?),
        false => None,
    };
    let items = list_views(conn, desk, &ids, now)?;
    let next_cursor = page.next_cursor;
    Ok((Page { items, next_cursor }, total))
}

fn count(conn: &mut Db, plan: &db::Plan<'_>) -> Result<Total> {
    let found = plan.count(conn, COUNTED + 1)?;
    Ok(match found > COUNTED {
        true => Total {
            count: COUNTED,
            relation: Relation::AtLeast,
        },
        false => Total {
            count: found,
            relation: Relation::Exact,
        },
    })
}
