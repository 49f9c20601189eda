//! What tests stand on: a database of their own, a real SMTP server, and the contract they hold answers against.
pub mod contract;
pub mod database;
pub mod mail;
pub mod postgres;
pub mod smtp;
