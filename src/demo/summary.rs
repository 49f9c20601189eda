//! What a play came to: a table of the questions as the API shows them, the SLA report, and the figures for programs.
use anyhow::{Context, bail};
use chrono::{DateTime, Days};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;

use super::client::{Client, part, text};
use super::player::Played;
use crate::app::App;
use crate::calendars;
use crate::language::Language;
use crate::notifications::db::{DeliveryState, count_by_state};
use crate::reports::{self, GroupBy, SlaQuestion, SlaReport};
use crate::store::Db;
use crate::text::nfc;

const DATE_AND_TIME: &str = "%d/%m/%Y %H:%M";

/// The last line of `demo --exit`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub filed: u64,
    /// Resolved, whatever the outcome.
    pub answered: u64,
    /// Verdicts on the resolution target.
    pub met: u64,
    pub breached: u64,
    /// Mails that were sent.
    pub mails: i64,
}

/// A play's results.
pub struct Summary {
    pub table: String,
    pub report: SlaReport,
    pub figures: Figures,
}

struct Words {
    header: [&'static str; 10],
    yes: &'static str,
    no: &'static str,
}

const VIETNAMESE: Words = Words {
    header: [
        "Số",
        "Cơ quan",
        "Nhóm",
        "Cán bộ",
        "Tiếp nhận",
        "Hạn phản hồi",
        "Đạt",
        "Hạn giải quyết",
        "Đạt",
        "Thư",
    ],
    yes: "có",
    no: "không",
};

const ENGLISH: Words = Words {
    header: [
        "Number",
        "Organisation",
        "Queue",
        "Agent",
        "Filed",
        "First response due",
        "Met",
        "Resolution due",
        "Met",
        "Mails",
    ],
    yes: "yes",
    no: "no",
};

impl Summary {
    /// Ask the server for everything, as the supervisor sees it. An unsent mail is an error: the folder takes them all.
    pub async fn of(
        app: &App,
        client: &Client,
        played: &Played,
        supervisor: &str,
        language: Language,
    ) -> anyhow::Result<Summary> {
        let words = match language {
            Language::Vi => &VIETNAMESE,
            Language::En => &ENGLISH,
        };
        let mut lines = vec![words.header.map(str::to_owned)];
        for (number, organisation) in &played.tickets {
            let ticket = client.get(supervisor, &format!("/tickets/{number}")).await?;
            let organisation = client
                .get(supervisor, &format!("/organisations/{organisation}"))
                .await?;
            let mails = count_mails(client, supervisor, number).await?;
            lines.push(line(&ticket, &organisation, mails, words, app.config.time_zone)?);
        }
        let report = report(app).await?;
        let mails = app.store.read(count_by_state).await.map_err(domain)?;
        let count = |wanted: DeliveryState| -> i64 {
            let of_state = mails.iter().filter(|(state, _)| *state == wanted);
            of_state.map(|(_, count)| count).sum()
        };
        let (pending, dead) = (count(DeliveryState::Pending), count(DeliveryState::Dead));
        if pending + dead > 0 {
            bail!("{pending} mails are still to be sent and {dead} could not be sent");
        }
        let figures = Figures {
            filed: report.total.filed,
            answered: report.total.answered,
            met: report.total.resolution.met,
            breached: report.total.resolution.breached,
            mails: count(DeliveryState::Sent),
        };
        Ok(Summary {
            table: align(&lines),
            report,
            figures,
        })
    }
}

async fn count_mails(client: &Client, supervisor: &str, number: &str) -> anyhow::Result<usize> {
    let mut path = format!("/deliveries?ticket={number}&state=sent&limit=200");
    let mut count = 0;
    loop {
        let page = client.get(supervisor, &path).await?;
        count += part(&page, "/items").as_array().map_or(0, Vec::len);
        let Some(cursor) = part(&page, "/next_cursor").as_str() else {
            return Ok(count);
        };
        path = format!("/deliveries?ticket={number}&state=sent&limit=200&cursor={cursor}");
    }
}

fn line(
    ticket: &Value,
    organisation: &Value,
    mails: usize,
    words: &Words,
    zone: Tz,
) -> anyhow::Result<[String; 10]> {
    let agent = part(ticket, "/assignee/name").as_str().unwrap_or("–");
    let (reply_due, reply_met) = target(ticket, "first_response", words, zone)?;
    let (answer_due, answer_met) = target(ticket, "resolution", words, zone)?;
    Ok([
        text(ticket, "/number")?,
        text(organisation, "/short_name")?,
        text(ticket, "/queue/code")?,
        agent.to_owned(),
        local(&text(ticket, "/filed_at")?, zone)?,
        reply_due,
        reply_met,
        answer_due,
        answer_met,
        mails.to_string(),
    ])
}

/// The due of the target's last clock, and the verdict on all of them together (docs/REPORTS.md).
fn target(ticket: &Value, name: &str, words: &Words, zone: Tz) -> anyhow::Result<(String, String)> {
    let clocks = part(ticket, "/clocks")
        .as_array()
        .context("a ticket without clocks")?;
    let clocks: Vec<&Value> = clocks
        .iter()
        .filter(|clock| part(clock, "/target") == name)
        .collect();
    let due = clocks.last().and_then(|clock| part(clock, "/due_at").as_str());
    let due = due.map_or_else(|| Ok("–".to_owned()), |due| local(due, zone))?;
    let is_any = |state: &str| clocks.iter().any(|clock| part(clock, "/state") == state);
    let verdict = if is_any("breached") {
        words.no
    } else if is_any("met") && !is_any("running") && !is_any("paused") {
        words.yes
    } else {
        "–"
    };
    Ok((due, verdict.to_owned()))
}

fn local(instant: &str, zone: Tz) -> anyhow::Result<String> {
    let at = DateTime::parse_from_rfc3339(instant).context("the server's answer has a wrong time")?;
    Ok(at.with_timezone(&zone).format(DATE_AND_TIME).to_string())
}

/// Over all days of the demo, by queue.
async fn report(app: &App) -> anyhow::Result<SlaReport> {
    let (desk, now) = (app.desk.clone(), app.clock.now());
    let questions = super::samples::all()?;
    let day_of = |at: DateTime<chrono::Utc>| at.with_timezone(&desk.time_zone).date_naive();
    let first = questions.first().map_or(now, super::samples::Question::filed_at);
    let last = questions.last().map_or(now, super::samples::Question::filed_at);
    let (from, to) = (day_of(first), day_of(last) + Days::new(1));
    let work = move |conn: &mut Db| {
        let from = calendars::midnight(conn, &desk.rules, from)?;
        let to = calendars::midnight(conn, &desk.rules, to)?;
        let question = SlaQuestion::put_at(now, from, to, None, GroupBy::Queue)?;
        reports::sla_report(conn, &desk, &question)
    };
    app.store.read_snapshot(work).await.map_err(domain)
}

/// Pad each column to its widest cell. Composed Vietnamese letters are one character and one column wide.
fn align(lines: &[[String; 10]]) -> String {
    let mut widths = [0; 10];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = nfc(cell).chars().count().max(*width);
        }
    }
    let mut table = String::new();
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{:<width$}", nfc(cell)))
            .collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

fn domain(error: crate::error::Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.log_text())
}
