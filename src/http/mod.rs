//! HTTP: the route table, the way in and out of every request, and one file per resource with its wire types.
//! Handlers extract, make one call, and shape the answer; no rule and no query lives here.
mod address;
mod agreements;
pub mod answer;
mod calendar_changes;
mod calendar_files;
mod calendar_versions;
mod calendars;
pub mod context;
mod deliveries;
mod directory;
pub mod extract;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guard;
mod identity;
mod matching;
mod messages;
mod operational_targets;
mod operations;
mod params;
mod policies;
mod policy_changes;
mod previews;
pub mod problem;
mod queues;
mod rate;
mod reports;
pub mod routes;
pub mod server;
pub mod site;
mod sla;
mod targets;
mod ticket_changes;
mod tickets;
mod trace;
pub mod wire;
