//! HTTP: the route table, the way in and out of every request, and one file per resource with its wire types.
//! Handlers extract, make one call, and shape the answer; no rule and no query lives here.
pub mod answer;
mod calendar_changes;
mod calendar_files;
mod calendar_versions;
mod calendars;
pub mod context;
mod deliveries;
mod directory;
pub mod extract;
mod guard;
mod identity;
mod messages;
mod operational_targets;
mod operations;
mod params;
mod policies;
pub mod problem;
mod queues;
mod reports;
pub mod routes;
pub mod server;
pub mod site;
mod sla;
mod ticket_changes;
mod tickets;
pub mod wire;
