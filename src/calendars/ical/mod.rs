//! Calendars as iCalendar files (RFC 5545): written so that a calendar program can subscribe to them, read where all-day
//! events stand for days off. Pure: bytes in, days or problems out.
//!
//! What the format has no word for stands in `X-GIAIDAP-…` properties, so that a file of ours read again changes nothing.
//! Our own reader and not the `icalendar` crate's: that one keeps no line numbers, and a refusal must name the line.
mod lines;
mod read;
mod recurrence;
mod write;

pub use read::read;
pub use write::{Subject, write};

/// Names of the properties that are ours.
mod property {
    pub const KIND: &str = "X-GIAIDAP-KIND";
    pub const INTERVALS: &str = "X-GIAIDAP-INTERVALS";
    pub const NAME_VI: &str = "X-GIAIDAP-NAME-VI";
    pub const NAME_EN: &str = "X-GIAIDAP-NAME-EN";
    pub const LEGAL_BASIS: &str = "X-GIAIDAP-LEGAL-BASIS";
    pub const CERTAINTY: &str = "X-GIAIDAP-CERTAINTY";
    pub const SOURCE: &str = "X-GIAIDAP-SOURCE";
    /// A parameter of `SUMMARY`: the day has no name, the text only says what it is.
    pub const UNNAMED: &str = "X-GIAIDAP-UNNAMED";
}
