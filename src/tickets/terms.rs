//! On which terms a ticket is held: which policy it gets, and which agreement of its organisation stands above that.
use std::sync::Arc;

use chrono::NaiveDate;

use super::clocks::{Terms, ValidAgreement};
use super::db::{TicketRow, vanished};
use crate::agreements::{self, Agreement};
use crate::directory::{self, Organisation};
use crate::error::Result;
use crate::queues::{self, Queue, Topic};
use crate::rules::{PolicyVersion, pick};
use crate::sla::Question;
use crate::store::{Db, Ts};
use crate::tx::{Desk, Tx};

/// What the conditions of policies look at.
pub struct Asked<'a> {
    pub organisation: &'a Organisation,
    pub topic: Option<&'a Topic>,
    pub queue: &'a Queue,
    pub channel: &'a str,
    pub tags: &'a [String],
}

impl Asked<'_> {
    pub fn question(&self) -> Question<'_> {
        Question {
            organisation: &self.organisation.code,
            kind: &self.organisation.kind,
            pilot: self.organisation.pilot,
            topic: self.topic.map(|topic| topic.code.as_str()),
            queue: &self.queue.code,
            channel: self.channel,
            tags: self.tags,
        }
    }
}

/// The agreement that counts for what was filed on a date, of those of one organisation.
pub fn valid_agreement<'a>(
    mut agreements: impl Iterator<Item = &'a Agreement>,
    date: NaiveDate,
) -> Result<Option<Arc<ValidAgreement>>> {
    agreements
        .find(|agreement| agreement.is_valid_on(date))
        .map(|agreement| {
            Ok(Arc::new(ValidAgreement {
                id: agreement.id,
                targets: agreement.targets()?,
            }))
        })
        .transpose()
}

fn agreement_of(
    conn: &mut Db,
    desk: &Desk,
    organisation_id: i64,
    filed_at: Ts,
) -> Result<Option<Arc<ValidAgreement>>> {
    let agreements = agreements::db::list_of(conn, &[organisation_id])?;
    valid_agreement(agreements.iter(), desk.date_of(filed_at.0))
}

/// The terms that a ticket has: its own policy version, and its organisation's agreement as of its filing.
pub fn present(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Terms> {
    Ok(Terms {
        policy: tx.desk.rules.policy(tx.conn, ticket.policy_version_id)?,
        agreement: agreement_of(tx.conn, tx.desk, ticket.organisation_id, ticket.filed_at)?,
    })
}

/// The terms that a ticket should have as it is now, because something that policies look at has changed. Where the
/// same policy wins it stays in the version that the ticket has.
pub fn matched(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Terms> {
    let present = present(tx, ticket)?;
    let organisations = directory::list_by_id(tx.conn, &[ticket.organisation_id])?;
    let queues = queues::db::list_queues_by_id(tx.conn, &[ticket.queue_id])?;
    let (Some(organisation), Some(queue)) = (organisations.first(), queues.first()) else {
        return Err(vanished(ticket.id));
    };
    let topic = match ticket.topic_id {
        Some(id) => queues::db::find_topic_by_id(tx.conn, id)?,
        None => None,
    };
    let asked = Asked {
        organisation,
        topic: topic.as_ref(),
        queue,
        channel: ticket.channel.as_str(),
        tags: &ticket.tag_list()?,
    };
    let policies = tx.desk.rules.policies_in_force(tx.conn)?;
    let picked = pick(&policies, &asked.question())?;
    let policy: Arc<PolicyVersion> = match picked.policy_id == present.policy.policy_id {
        true => present.policy,
        false => Arc::clone(picked),
    };
    Ok(Terms { policy, ..present })
}
