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

mod concurrency;
mod crash;
mod demo;
mod deployment_files;
mod lifecycle;
mod notices;
mod plans;
mod readme;
mod store;
mod support;
mod support_tests;
