//! Carries the outbox out: leases what is due, sends it outside of any transaction, and writes down each attempt at once.
//!
//! At least once, never lost: a process that dies between the hand-over and the note of it leaves the lease to run out,
//! and the same message goes out again, byte for byte, under the same Message-ID, by which the receiver can recognise
//! the repeat; the folder transport writes the same file again. The mail is dated when the delivery was created.
//! A mail that can be neither read nor rendered is dead at once, with the reason. Log lines name the delivery, never a
//! person, an address or what the mail says.
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;

use super::backoff::{MAX_ATTEMPTS, next_attempt};
use super::db::{Attempt, DeliveryRow, claim_deliveries, record_attempt};
use super::mail::{Mailer, MailerError, OutgoingMail, Recipient, SendError, SmtpSettings};
use super::templates::{MailData, MailKind, TemplateError, Templates};
use crate::clock::Clock;
use crate::config::{Config, MailTransport};
use crate::error::Result;
use crate::store::{Store, Uid};

/// Turns of a session in which the mail server may use up its time: connect, greeting, EHLO, STARTTLS, handshake, EHLO
/// again, two for AUTH, MAIL, RCPT, DATA and the end of the data.
const TURNS: i32 = 12;
/// Beyond the longest session.
const LEEWAY: TimeDelta = TimeDelta::minutes(2);

#[derive(Debug, Clone)]
pub struct Carrier {
    mailer: Mailer,
    templates: Arc<Templates>,
    /// `Name <address>` or the bare address.
    from: String,
    /// Longer than the longest session: 6 minutes where the server has 20 seconds for each turn.
    lease: TimeDelta,
}

/// Why mails could not be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    #[error(transparent)]
    Mailer(#[from] MailerError),
    #[error(transparent)]
    Templates(#[from] TemplateError),
}

impl Carrier {
    /// With how long a mail server may take at each turn.
    pub fn new(mailer: Mailer, templates: Templates, from: impl Into<String>, timeout: Duration) -> Carrier {
        let turn = TimeDelta::from_std(timeout).unwrap_or(TimeDelta::hours(1));
        Carrier {
            lease: turn * TURNS + LEEWAY,
            mailer,
            templates: Arc::new(templates),
            from: from.into(),
        }
    }

    /// Opens no connection; the folder is made where it is missing.
    pub fn from_config(config: &Config) -> std::result::Result<Carrier, CarrierError> {
        let timeout = config.waiting.smtp_timeout();
        let mailer = match &config.mail_transport {
            MailTransport::Folder(path) => Mailer::folder(path)?,
            MailTransport::Smtp {
                security,
                host,
                port,
                credentials,
            } => Mailer::smtp(&SmtpSettings {
                host: host.clone(),
                port: *port,
                tls: *security,
                username: credentials.as_ref().map(|(username, _)| username.clone()),
                password: credentials.as_ref().map(|(_, password)| password.clone()),
                timeout,
            })?,
        };
        let templates = Templates::new(config.time_zone)?;
        Ok(Carrier::new(
            mailer,
            templates,
            config.mail_from.as_str(),
            timeout,
        ))
    }

    /// Worker's step: carry up to `limit` deliveries that are due, all at the same time, so that one lease covers each
    /// of them. Returns how many were tried. An error is the database's; what could not be noted is sent again.
    pub async fn step(&self, store: &Store, clock: &Clock, limit: i64) -> Result<usize> {
        let (now, lease) = (clock.now(), self.lease);
        let leased = store
            .write(move |conn| claim_deliveries(conn, now, now + lease, limit))
            .await?;
        let tried = leased.len();
        let carried = leased
            .into_iter()
            .map(|delivery| self.carry(store, clock, delivery));
        join_all(carried).await.into_iter().collect::<Result<()>>()?;
        Ok(tried)
    }

    async fn carry(&self, store: &Store, clock: &Clock, delivery: DeliveryRow) -> Result<()> {
        let (id, uid, kind, attempts) = (delivery.id, delivery.uid, delivery.kind, delivery.attempts);
        let carrier = self.clone();
        let handed_over = tokio::task::spawn_blocking(move || carrier.hand_over(&delivery)).await;
        let handed_over = handed_over.unwrap_or_else(|panicked| {
            tracing::error!(delivery = %uid, error = %panicked, "sending panicked");
            Err(SendError {
                permanent: false,
                message: "sending failed inside the program".to_owned(),
            })
        });
        let now = clock.now();
        let attempt = match handed_over {
            Ok(()) => Attempt::Sent { at: now },
            Err(failure) => {
                let (_, seed) = uid.0.as_u64_pair();
                let tries = u32::try_from(attempts).unwrap_or(MAX_ATTEMPTS);
                let again = next_attempt(tries, now, seed).filter(|_| !failure.permanent);
                let error = failure.message;
                match again {
                    Some(at) => Attempt::Again { at, error },
                    None => Attempt::Dead { error },
                }
            }
        };
        report(uid, kind, attempts, &attempt);
        store
            .write(move |conn| record_attempt(conn, id, attempts, &attempt))
            .await
    }

    /// Blocks until the mail is handed over or refused.
    fn hand_over(&self, delivery: &DeliveryRow) -> std::result::Result<(), SendError> {
        let never = |message: String| SendError {
            permanent: true,
            message,
        };
        // The path names the field; the parser's own words could repeat what the mail says.
        let data: MailData = serde_path_to_error::deserialize(&delivery.payload.0)
            .map_err(|cause| never(format!("the stored mail cannot be read at `{}`", cause.path())))?;
        let rendered = self
            .templates
            .render(delivery.kind, delivery.language, &data)
            .map_err(|cause| never(cause.to_string()))?;
        self.mailer.send(&OutgoingMail {
            delivery_id: delivery.uid.0,
            from: self.from.clone(),
            // Answers by mail go to the sender's address.
            reply_to: None,
            to: Recipient {
                address: delivery.recipient.clone(),
                name: Some(delivery.recipient_name.clone()),
            },
            message_id: delivery.message_id.clone(),
            thread_root: Some(delivery.thread_id.clone()),
            sent_at: delivery.created_at.0,
            rendered,
            language: delivery.language,
        })
    }
}

fn report(uid: Uid, kind: MailKind, attempt: i32, outcome: &Attempt) {
    let name = match outcome {
        Attempt::Sent { .. } => {
            tracing::info!(delivery = %uid, %kind, attempt, "mail sent");
            "sent"
        }
        Attempt::Again { at, error } => {
            tracing::warn!(delivery = %uid, %kind, attempt, next_attempt_at = %at, error, "mail not sent");
            "again"
        }
        Attempt::Dead { error } => {
            tracing::error!(delivery = %uid, %kind, attempt, error, "mail is dead");
            "dead"
        }
    };
    metrics::counter!("giaidap_deliveries_total", "outcome" => name).increment(1);
}

#[cfg(test)]
mod tests;
