//! Changing calendars: replace, change, and preview what a change would do.
use std::mem::take;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use validator::Validate;

use super::answer::write_once;
use super::aside;
use super::calendars::{NameIn, calendar_answer};
use super::extract::{Body, Call};
use super::previews::{self, PageIn};
use super::wire::{self, Line, Prose};
use crate::calendars::apply::{Application, apply_change, propose};
use crate::calendars::{self, CalendarChange};
use crate::error::Result;
use crate::sla::calendar::{ExceptionSpec, PatternSpec};

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCalendar {
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    name: Option<NameIn>,
    #[validate(length(min = 1, max = 64))]
    time_zone: Line,
    #[validate(length(min = 1, max = 200))]
    patterns: Vec<PatternSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    exceptions: Vec<ExceptionSpec>,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

/// A body that says what is to be different, with further members. serde cannot take the members of one structure into
/// another where unknown ones are refused.
macro_rules! says_what_changes {
    ($name:ident { $($further:tt)* }) => {
        #[derive(Debug, Deserialize, Validate)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            #[validate(length(min = 1, max = 64))]
            time_zone: Option<Line>,
            #[validate(length(min = 1, max = 200))]
            patterns: Option<Vec<PatternSpec>>,
            #[validate(length(max = 10_000))]
            exceptions: Option<Vec<ExceptionSpec>>,
            #[validate(length(max = 10_000))]
            #[serde(default)]
            set_exceptions: Vec<ExceptionSpec>,
            #[validate(length(max = 10_000))]
            #[serde(default)]
            remove_exceptions: Vec<String>,
            $($further)*
        }

        impl $name {
            fn take_change(&mut self) -> CalendarChange {
                CalendarChange {
                    time_zone: self.time_zone.take().map(|zone| zone.0),
                    patterns: self.patterns.take(),
                    exceptions: self.exceptions.take(),
                    set_exceptions: take(&mut self.set_exceptions),
                    remove_exceptions: take(&mut self.remove_exceptions),
                }
            }
        }
    };
}

says_what_changes! {
    ChangeCalendar {
        #[validate(length(min = 1, max = 1000))]
        reason: Prose,
    }
}

says_what_changes! {
    PreviewCalendar {
        base_version: Option<i64>,
        #[validate(length(min = 1, max = 500))]
        cursor: Option<String>,
        #[validate(range(min = 1, max = 200))]
        limit: Option<i64>,
    }
}

pub async fn replace_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ReplaceCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let change = CalendarChange {
        time_zone: Some(given.time_zone.0),
        patterns: Some(given.patterns),
        exceptions: Some(given.exceptions),
        ..CalendarChange::default()
    };
    let name = given.name.map(Into::into);
    apply(call, id.into_inner(), &body.bytes, change, name, given.reason).await
}

pub async fn change_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeCalendar>,
) -> Result<HttpResponse> {
    let mut given = body.value;
    let change = given.take_change();
    apply(call, id.into_inner(), &body.bytes, change, None, given.reason).await
}

async fn apply(
    call: Call,
    id: String,
    body: &[u8],
    change: CalendarChange,
    name: Option<calendars::Name>,
    reason: Prose,
) -> Result<HttpResponse> {
    let expected = call.required_versions()?;
    let change = cleaned(change, body.len()).await?;
    let asked = Application {
        change,
        name,
        reason: reason.0,
        expected,
    };
    write_once(&call, body, move |tx| {
        calendar_answer(200, tx.now, apply_change(tx, &id, &asked)?)
    })
    .await
}

async fn cleaned(mut change: CalendarChange, bytes: usize) -> Result<CalendarChange> {
    aside::read(bytes, move || change.clean().map(|()| change)).await
}

pub async fn preview_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<PreviewCalendar>,
) -> Result<HttpResponse> {
    let mut given = body.value;
    let expected = previews::expected_versions(&call, given.base_version)?;
    let change = cleaned(given.take_change(), body.bytes.len()).await?;
    let page = PageIn::new(given.cursor, given.limit);
    let now = call.now;
    previews::answer(call, &body.bytes, page, move |conn, desk| {
        let (present, proposal) = propose(conn, desk, &id, &change, expected.as_deref(), now)?;
        let question = previews::question(&(&present.uid, present.version, &change))?;
        Ok((present.version, question, proposal))
    })
    .await
}
