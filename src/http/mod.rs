//! HTTP: the route table, the way in and out of every request, and one file per resource with its wire types.
//! Handlers extract, make one call, and shape the answer; no rule and no query lives here.
mod agreements;
pub mod answer;
mod calendars;
pub mod context;
mod deliveries;
mod directory;
pub mod extract;
mod guard;
mod identity;
mod matching;
mod messages;
mod operational_targets;
mod operations;
mod params;
mod policies;
mod policy_changes;
pub mod problem;
mod queues;
mod reports;
pub mod routes;
pub mod server;
pub mod site;
mod targets;
mod tickets;
pub mod wire;
