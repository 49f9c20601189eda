//! What tests stand on: the application with actors, a database of their own, a real SMTP server, and the contract they
//! hold answers against.
pub mod app;
pub mod client;
pub mod contract;
pub mod database;
pub mod desk;
pub mod mail;
pub mod postgres;
pub mod smtp;

pub use app::{TestApp, file, question};
pub use client::Client;
