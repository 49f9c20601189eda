//! giaidap: the backend of Việt Nam's e-government answer centre.
//!
//! In reading order: the pure clock, what a request touches on its way down, the domain, then what stands around it.
pub mod broken_rule;
pub mod clock;
pub mod config;
pub(crate) mod csv_file;
pub mod deadline;
pub mod error;
pub mod language;
pub mod text;

pub mod sla;

pub mod rules;
pub mod store;
pub mod tx;

pub mod agreements;
pub mod attachments;
pub mod calendars;
pub mod directory;
pub mod idempotency;
pub mod identity;
pub mod notifications;
pub mod policies;
pub mod queues;
pub mod reports;
pub mod tickets;

pub mod seed;
pub mod telemetry;
pub mod workers;

pub mod app;
pub mod cli;
pub mod demo;
pub mod http;

#[cfg(test)]
mod source_code;
