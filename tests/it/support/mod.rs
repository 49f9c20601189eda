//! What tests stand on: the application with actors, a database of their own, a real SMTP server, and the contract they
//! hold answers against.
pub mod app;
pub mod bulk;
pub mod client;
pub mod contract;
pub mod database;
pub mod desk;
pub mod log;
pub mod mail;
pub mod numbers;
pub mod oidc;
pub mod policies;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod smtp;
pub mod standstill;
pub mod things;
pub mod threads;

pub use app::{TestApp, file, question};
pub use client::Client;
