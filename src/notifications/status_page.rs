//! The page behind the link in a mail: what was asked and what became of it, for a person without an account.
//!
//! Shows public messages and who spoke (the centre or the asking agency), never a name, a note or an agent. Everything
//! that came from a person is escaped; the page loads nothing from anywhere and runs nothing. The words are in the
//! template, in both languages; a state that has none there is an error, which the tests find.
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::templates::{default_owner, single_line};
use crate::deadline;
use crate::error::{Error, Result};
use crate::identity::ActorKind;
use crate::language::Language;
use crate::store::Ts;
use crate::tickets::State;
use crate::tickets::messages::StatusPage;

const TEMPLATE: &str = "status_page.html";

/// The compiled page, with the zone in which people read times and the name under which the centre signs.
#[derive(Debug)]
pub struct StatusPages {
    environment: Environment<'static>,
    time_zone: Tz,
    owner: Option<String>,
}

impl StatusPages {
    pub fn new(time_zone: Tz, owner: Option<String>) -> Result<StatusPages> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment
            .add_template(TEMPLATE, include_str!("../../data/templates/status_page.html"))
            .map_err(broken)?;
        Ok(StatusPages {
            environment,
            time_zone,
            owner,
        })
    }

    pub fn render(&self, page: &StatusPage, language: Language) -> Result<String> {
        let ticket = &page.ticket;
        let closes_at = ticket.closes_at.filter(|_| ticket.state == State::Resolved);
        let messages: Vec<Value> = page
            .messages
            .iter()
            .map(|message| {
                let author = match message.author_kind {
                    ActorKind::Client => "asker",
                    ActorKind::Staff | ActorKind::System => "centre",
                };
                context! { author, at => self.moment(message.created_at), body => message.body.as_str() }
            })
            .collect();
        let question = context! {
            number => ticket.number.as_str(),
            subject => single_line(&ticket.subject),
            body => ticket.body.as_str(),
            state => ticket.state.as_str(),
            outcome => ticket.outcome.map(|outcome| outcome.as_str()),
            referred_to => ticket.referred_to.as_deref(),
            filed_at => self.moment(ticket.filed_at),
            due_at => page.due_at.map(|due| self.deadline(Ts(due))),
            closes_at => closes_at.map(|at| self.deadline(at)),
            has_earlier_messages => page.has_earlier_messages,
        };
        self.fill(question, messages, language)
    }

    /// The page for a link that no question has.
    pub fn render_not_found(&self, language: Language) -> Result<String> {
        self.fill(Value::from(()), Vec::new(), language)
    }

    fn fill(&self, question: Value, messages: Vec<Value>, language: Language) -> Result<String> {
        let template = self.environment.get_template(TEMPLATE).map_err(broken)?;
        let values = context! {
            language => language.as_str(),
            owner => self.owner.as_deref().unwrap_or(default_owner(language)),
            zone => self.time_zone.name(),
            question,
            messages,
        };
        template.render(values).map_err(broken)
    }

    /// For people as dd/MM/yyyy HH:mm in their zone, for machines as RFC 3339.
    fn moment(&self, at: Ts) -> Value {
        let text = at.0.with_timezone(&self.time_zone).format("%d/%m/%Y %H:%M");
        shown(text.to_string(), at.0)
    }

    /// The same of a deadline, which ends a day rather than beginning the next.
    fn deadline(&self, at: Ts) -> Value {
        let date = deadline::date(at.0, self.time_zone).format("%d/%m/%Y");
        shown(format!("{date} {}", deadline::minute(at.0, self.time_zone)), at.0)
    }
}

fn shown(text: String, at: DateTime<Utc>) -> Value {
    // Digits and slashes: the escaper would turn each slash into `&#x2f;`.
    context! { text => Value::from_safe_string(text), machine => at.to_rfc3339_opts(SecondsFormat::Secs, true) }
}

fn broken(cause: minijinja::Error) -> Error {
    Error::internal("the status page cannot be rendered", cause)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Asia::Ho_Chi_Minh;
    use serde_json::json;

    use super::*;
    use crate::store::{Json, Uid};
    use crate::tickets::db::{MessageRow, TicketRow};
    use crate::tickets::{Channel, Outcome};

    fn at(text: &str) -> Ts {
        Ts(text.parse().unwrap())
    }

    fn page(state: State, outcome: Option<Outcome>) -> StatusPage {
        let ticket = TicketRow {
            id: 1,
            uid: Uid::new(),
            number: "GD-2019-000123".into(),
            link_token: "secret-link".into(),
            subject: "Kết nối <script>alert(1)</script> & \"trục\"".into(),
            body: "Dòng một\nDòng hai <img src=x onerror=alert(2)>".into(),
            state,
            outcome,
            referred_to: None,
            priority: 2,
            channel: Channel::Web,
            organisation_id: 1,
            requester_id: None,
            queue_id: 1,
            topic_id: None,
            assignee_id: None,
            external_ref: None,
            tags: Json(json!([])),
            custom_fields: Json(json!({})),
            policy_version_id: 1,
            urgency_at: at("2019-11-29T10:30:00Z"),
            breached: false,
            filed_at: at("2019-11-22T02:05:00Z"),
            updated_at: at("2019-11-22T02:05:00Z"),
            first_response_at: None,
            resolved_at: None,
            closed_at: None,
            closes_at: Some(at("2019-12-02T10:30:00Z")),
            status_update_at: None,
            status_updates: 0,
            anonymised_at: None,
            version: 1,
        };
        let message = |author_kind, body: &str| MessageRow {
            id: 1,
            uid: Uid::new(),
            ticket_id: 1,
            internal: false,
            author_kind,
            author_id: None,
            author_name: "Nguyễn Thị Đào".into(),
            body: body.into(),
            created_at: at("2019-11-22T20:00:00Z"),
        };
        StatusPage {
            ticket,
            messages: vec![
                message(ActorKind::Staff, "<b>Trả lời</b>"),
                message(ActorKind::Client, "Cảm ơn"),
            ],
            has_earlier_messages: false,
            due_at: state.is_open().then(|| at("2019-11-29T10:30:00Z").0),
        }
    }

    fn pages() -> StatusPages {
        StatusPages::new(Ho_Chi_Minh, None).unwrap()
    }

    #[test]
    fn what_people_wrote_is_shown_and_never_becomes_markup() {
        for language in Language::ALL {
            let html = pages().render(&page(State::Assigned, None), language).unwrap();
            assert!(!html.contains("<script") && !html.contains("<img") && !html.contains("<b>"));
            assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
            assert!(html.contains("Dòng một\nDòng hai &lt;img"), "{html}");
            assert!(!html.contains("Nguyễn Thị Đào") && !html.contains("secret-link"));
            assert!(!html.contains("http:") && !html.contains("https:"), "{html}");
        }
    }

    #[test]
    fn an_open_question_shows_its_due_in_the_readers_language() {
        let open = page(State::Queued, None);
        let vi = pages().render(&open, Language::Vi).unwrap();
        for text in [
            "<html lang=\"vi\">",
            "Đã tiếp nhận",
            "22/11/2019 09:05",
            "Hạn trả lời",
            "29/11/2019 17:30",
            "Trung tâm",
            "Cơ quan hỏi",
            "23/11/2019 03:00",
            "datetime=\"2019-11-22T20:00:00Z\"",
        ] {
            assert!(vi.contains(text), "{text} in {vi}");
        }
        assert!(!vi.contains("02/12/2019"));
        let en = pages().render(&open, Language::En).unwrap();
        for text in [
            "<html lang=\"en\">",
            "Received",
            "Answer due",
            "Asking agency",
            "E-Government Answer Centre",
        ] {
            assert!(en.contains(text), "{text} in {en}");
        }
    }

    #[test]
    fn a_resolved_question_says_when_it_closes_and_no_due() {
        let html = pages()
            .render(&page(State::Resolved, Some(Outcome::Referred)), Language::Vi)
            .unwrap();
        assert!(html.contains("Chuyển cơ quan có thẩm quyền") && html.contains("02/12/2019 17:30"));
        assert!(!html.contains("Hạn trả lời"));
    }

    #[test]
    fn a_deadline_at_midnight_ends_its_day_and_a_message_at_midnight_begins_one() {
        for language in Language::ALL {
            let mut open = page(State::Queued, None);
            open.due_at = Some(at("2019-12-06T17:00:00Z").0);
            open.messages
                .iter_mut()
                .for_each(|message| message.created_at = at("2019-11-23T17:00:00Z"));
            let html = pages().render(&open, language).unwrap();
            assert!(
                html.contains("06/12/2019 24:00") && html.contains("24/11/2019 00:00"),
                "{html}"
            );
            let mut resolved = page(State::Resolved, Some(Outcome::Answered));
            resolved.ticket.closes_at = Some(at("2019-12-06T17:00:00Z"));
            assert!(
                pages()
                    .render(&resolved, language)
                    .unwrap()
                    .contains("06/12/2019 24:00")
            );
        }
    }

    #[test]
    fn the_page_says_when_earlier_messages_are_left_out() {
        for (language, text) in [
            (Language::Vi, "Trang này chỉ hiển thị các trao đổi mới nhất"),
            (Language::En, "This page shows the newest messages only"),
        ] {
            let mut shown = page(State::Assigned, None);
            assert!(!pages().render(&shown, language).unwrap().contains(text));
            shown.has_earlier_messages = true;
            assert!(pages().render(&shown, language).unwrap().contains(text));
        }
    }

    #[test]
    fn every_state_and_outcome_has_a_name_in_both_languages() {
        for language in Language::ALL {
            for state in State::ALL {
                for outcome in Outcome::ALL {
                    let html = pages().render(&page(*state, Some(*outcome)), language).unwrap();
                    assert!(html.contains("<strong>") && !html.contains("<strong></strong>"));
                }
            }
            let missing = pages().render_not_found(language).unwrap();
            assert!(missing.contains(&format!("<html lang=\"{language}\">")));
        }
    }
}
