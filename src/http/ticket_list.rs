//! `GET /tickets`: the filters, sorts and totals of lists, as they are written in a request.
use actix_web::{HttpRequest, HttpResponse};

use super::extract::Call;
use super::params::Params;
use super::tickets::TicketOut;
use super::wire;
use crate::error::{Error, FieldCode, Result};
use crate::identity::Principal;
use crate::sla::Priority;
use crate::store::Db;
use crate::store::page::Page;
use crate::text::nfc;
use crate::tickets::lifecycle::{Channel, State};
use crate::tickets::list::{self, Sort, TicketFilter, TicketQuestion};
use crate::tickets::search;
use crate::tickets::{TAG_IN_WORDS, is_tag};
use crate::{directory, queues};

const PARAMETERS: &[&str] = &[
    "state",
    "queue",
    "topic",
    "organisation",
    "assignee",
    "priority",
    "tag",
    "channel",
    "requester",
    "external_ref",
    "breached",
    "filed_from",
    "filed_to",
    "due_from",
    "due_before",
    "updated_from",
    "updated_to",
    "q",
    "sort",
    "total",
    "limit",
    "cursor",
];

/// Begins the parameter of a custom field; its name follows.
const CUSTOM_FIELD: &str = "custom_field.";

pub async fn list_tickets(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Asked::read(&request)?;
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let work = move |conn: &mut Db| {
        let question = asked.question(conn, &principal)?;
        list::list_tickets(conn, &desk, &principal, &question, now)
    };
    let (page, total) = call.app.store.read_snapshot(work).await?;
    let show = |view| TicketOut::new(view, &call.app.desk, &call.principal, now);
    let items = page.items.iter().map(show).collect();
    let next_cursor = page.next_cursor;
    wire::counted_list(&call, request.query_string(), Page { items, next_cursor }, total)
}

/// A list as it was asked for.
struct Asked {
    filter: AskedFilter,
    sort: Sort,
    cursor: Option<String>,
    limit: i64,
    with_total: bool,
}

impl Asked {
    fn read(request: &HttpRequest) -> Result<Asked> {
        let mut params = Params::read_with_prefix(request, PARAMETERS, CUSTOM_FIELD);
        let orders = "filed_at, due_at, updated_at or priority, with - before it for the other way round";
        let asked = Asked {
            filter: AskedFilter::read(&mut params),
            sort: params.parsed("sort", orders, Sort::parse).unwrap_or_default(),
            with_total: params.flag("total").unwrap_or_default(),
            limit: params.limit(),
            cursor: params.cursor(),
        };
        params.finish()?;
        Ok(asked)
    }

    fn question(self, conn: &mut Db, principal: &Principal) -> Result<TicketQuestion> {
        Ok(TicketQuestion {
            filter: self.filter.look_up(conn, principal)?,
            sort: self.sort,
            cursor: self.cursor,
            limit: self.limit,
            with_total: self.with_total,
        })
    }
}

/// Filters as they were asked, with codes that are not yet looked up.
struct AskedFilter {
    filter: TicketFilter,
    queue: Option<String>,
    topic: Option<String>,
    organisation: Option<String>,
    assignee: Option<String>,
    requester: Option<String>,
}

/// Each of the values, or a refusal of the parameter with this code.
fn each<T>(params: &mut Params, name: &str, wrong: FieldCode, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let mut values = Vec::new();
    for given in params.list(name) {
        match parse(&given) {
            Some(value) => values.push(value),
            None => params.refuse(name, wrong.clone()),
        }
    }
    values
}

impl AskedFilter {
    fn read(params: &mut Params) -> Self {
        let no_priority = FieldCode::InvalidFormat {
            expected: "low, normal, high or urgent",
        };
        let filter = TicketFilter {
            states: each(params, "state", FieldCode::UnknownCode, State::parse),
            priorities: each(params, "priority", no_priority, Priority::parse),
            channel: params.parsed("channel", "web, email, phone, document or api", Channel::parse),
            external_ref: params.bounded("external_ref", 100),
            breached: params.flag("breached"),
            filed_from: params.instant("filed_from"),
            filed_to: params.instant("filed_to"),
            due_from: params.instant("due_from"),
            due_before: params.instant("due_before"),
            updated_from: params.instant("updated_from"),
            updated_to: params.instant("updated_to"),
            tags: tags(params),
            fields: custom_fields(params),
            words: words(params),
            ..TicketFilter::default()
        };
        AskedFilter {
            filter,
            queue: params.text("queue"),
            topic: params.text("topic"),
            organisation: params.text("organisation"),
            assignee: params.text("assignee"),
            requester: params.bounded("requester", 254),
        }
    }

    fn look_up(self, conn: &mut Db, principal: &Principal) -> Result<TicketFilter> {
        let unknown = |name: &str| Error::invalid_parameter(name, FieldCode::UnknownCode);
        let mut filter = self.filter;
        if let Some(code) = self.queue {
            let found = queues::find_queue(conn, &code)?;
            filter.queue_id = Some(found.ok_or_else(|| unknown("queue"))?.id);
        }
        if let Some(code) = self.topic {
            let found = queues::find_topic(conn, &code)?;
            filter.topic_ids = vec![found.ok_or_else(|| unknown("topic"))?.id];
        }
        if let Some(code) = self.organisation {
            let found = directory::find_organisation(conn, &code)?;
            filter.organisation_id = Some(found.ok_or_else(|| unknown("organisation"))?.id);
        }
        if let Some(asked) = self.assignee {
            let found = list::find_assignee(conn, principal, &asked)?;
            filter.assignee = Some(found.ok_or_else(|| unknown("assignee"))?);
        }
        if let Some(asked) = self.requester {
            let reach = principal.client().map(|client| client.reach.as_slice());
            filter.requester_ids = Some(list::list_requester_ids(conn, &asked, reach)?);
        }
        Ok(filter)
    }
}

/// Repeated, not separated by commas, which a tag may have in it.
fn tags(params: &mut Params) -> Vec<String> {
    let tags: Vec<String> = params.all("tag").map(|tag| nfc(tag.trim())).collect();
    if !tags.iter().all(|tag| is_tag(tag)) {
        let expected = TAG_IN_WORDS.into();
        params.refuse("tag", FieldCode::OutOfRange { expected });
    }
    if tags.len() > 20 {
        params.refuse("tag", FieldCode::TooLong { max: 20 });
    }
    tags
}

fn custom_fields(params: &mut Params) -> Vec<(String, String)> {
    let given: Vec<(String, String)> = params
        .prefixed(CUSTOM_FIELD)
        .map(|(name, value)| (nfc(name), nfc(value)))
        .collect();
    for (name, value) in &given {
        let parameter = format!("{CUSTOM_FIELD}{name}");
        if name.is_empty() || name.chars().count() > 64 {
            params.refuse(&parameter, FieldCode::UnknownField);
        } else if value.chars().count() > 1000 {
            params.refuse(&parameter, FieldCode::TooLong { max: 1000 });
        } else if given.iter().filter(|(other, _)| other == name).count() > 1 {
            params.refuse(&parameter, FieldCode::Duplicate);
        }
    }
    given
}

fn words(params: &mut Params) -> Vec<search::Needle> {
    let Some(typed) = params.words("q", 1000) else {
        return Vec::new();
    };
    let needles = search::needles(&typed);
    if needles.len() > search::MOST_NEEDLES {
        let expected = format!("at most {} words and phrases", search::MOST_NEEDLES);
        params.refuse("q", FieldCode::OutOfRange { expected });
    }
    needles
}
