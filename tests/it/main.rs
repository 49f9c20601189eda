//! The integration tests: one binary, so that the application is linked once. Run it with `bin/test`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "test code may fail loudly; clippy's own exception covers only #[test] functions"
)]

mod agreements;
mod answers;
mod api_clients;
mod attachment_stores;
mod attachments;
mod attribution;
mod bad_input;
mod bulk;
mod calendar_imports;
mod calendar_versions;
mod calendars;
mod cli;
mod concurrency;
mod contract;
mod crash;
mod custom_fields;
mod demo;
mod deployment_files;
mod directory;
mod directory_files;
mod edge;
mod erasure_races;
mod idempotency;
mod isolation;
mod late_bodies;
mod lifecycle;
mod list_search;
mod lists;
mod mail;
mod midflight;
mod notices;
mod oidc;
mod open311;
mod operational_targets;
mod operations;
mod plans;
mod policies;
mod policy_previews;
mod preconditions;
mod queue_agents;
mod reach;
mod readme;
mod recount;
mod requesters;
mod retention;
mod scenarios;
mod shown_tags;
mod sign_in;
mod sla;
mod store;
mod successions;
mod support;
mod support_tests;
