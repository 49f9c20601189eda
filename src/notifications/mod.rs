//! How the centre writes to people: the wording of a mail, its transport, and when a failed one is tried again.
//!
//! Wording and transport know neither database nor clock. A mail is described by data stored with the change that caused it
//! ([`templates::MailData`]), rendered when it is sent, and built so that sending it twice gives the same message
//! (same Message-ID, same date, same file). The body never holds the answer to a question, only the link to it.

pub mod backoff;
pub mod carrier;
pub mod db;
pub mod mail;
pub mod outbox;
pub mod status_page;
pub mod templates;
