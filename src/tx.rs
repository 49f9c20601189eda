//! What every operation gets: the open transaction, who acts, the time, and the standing rules. Never the pool, never
//! the network, so that operations compose and cannot half-commit.
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use chrono_tz::Tz;

use crate::attachments::Limits;
use crate::config::Config;
use crate::error::Result;
use crate::identity::Principal;
use crate::identity::access::{Action, Target, authorise};
use crate::rules::Rules;
use crate::store::{Db, Uid};

/// The settings that operations need, with the compiled rules; one for the life of the process.
pub struct Desk {
    pub rules: Rules,
    pub open_desk: bool,
    pub public_url: String,
    pub owner: Option<String>,
    pub time_zone: Tz,
    pub mail_domain: String,
    pub attachments: Limits,
    /// After which a ticket that ended is anonymised; `None`: never.
    pub ticket_days: Option<u32>,
}

impl Desk {
    pub fn new(config: &Config) -> Desk {
        let mail_domain = config
            .mail_from
            .trim_end_matches('>')
            .rsplit('@')
            .next()
            .unwrap_or("localhost");
        Desk {
            rules: Rules::default(),
            open_desk: config.agents_see_all_queues,
            public_url: config.public_url.clone(),
            owner: config.owner.clone(),
            time_zone: config.time_zone,
            mail_domain: mail_domain.to_owned(),
            ticket_days: config.retention.ticket_days,
            attachments: Limits {
                per_ticket: config.attachments.max_per_ticket,
                per_message: config.attachments.max_per_message,
            },
        }
    }

    /// The public page of a ticket, for mails.
    pub fn status_link(&self, link_token: &str) -> String {
        format!("{}/t/{link_token}", self.public_url)
    }

    /// Stable Message-ID of a delivery.
    pub fn message_id(&self, delivery: Uid) -> String {
        format!("<{delivery}@{}>", self.mail_domain)
    }

    /// Root of a ticket's mail thread.
    pub fn thread_id(&self, ticket: Uid) -> String {
        format!("<ticket.{ticket}@{}>", self.mail_domain)
    }

    /// The date as people at the desk read it.
    pub fn date_of(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.time_zone).date_naive()
    }

    /// The year in which a ticket is numbered, as people at the desk read the date.
    pub fn year_of(&self, at: DateTime<Utc>) -> i32 {
        at.with_timezone(&self.time_zone).year()
    }
}

/// An operation's surroundings.
pub struct Tx<'a> {
    pub conn: &'a mut Db,
    pub principal: &'a Principal,
    pub now: DateTime<Utc>,
    pub desk: &'a Desk,
}

impl Tx<'_> {
    pub fn authorise(&self, action: Action, target: Target) -> Result<()> {
        authorise(self.principal, action, target, self.desk.open_desk)
    }
}
