//! The SLA clock: pure arithmetic over working calendars. It owns what a working second is, when a target is used up,
//! and what a clock that was paused, resumed and stopped says at a given time.
//!
//! Invariants: every instant given is floored to its whole UTC second, so that `elapsed` is additive; the same history
//! gives the same figures whenever it is asked; a due is never made up (see [`NoWorkingTime`]).
//!
//! Refuses: database, network, files, async and the system time. `sources_import_nothing_impure` (tests/purity.rs)
//! reads these files and proves it.
pub mod calendar;
pub mod clock;
mod difference;
pub mod escalation;
pub mod explain;
mod intervals;
pub mod matching;
pub mod policy;
pub mod problem;
pub mod timeline;
mod window;

#[cfg(test)]
mod tests;

pub use calendar::{Calendar, CalendarSpec};
pub use clock::{Before, Clock, ClockError, ClockEvent, ClockState, Figures, Segment};
pub use difference::Difference;
pub use explain::{DayAccount, DayKind, DayStep, Piece, Skipped};
pub use matching::{Conditions, Question};
pub use policy::{Amount, HeldState, PolicySpec, Priority, ReopenRule, TargetKind};
pub use problem::{SpecProblem, SpecRule};
pub use timeline::{NoWorkingTime, Timeline};

/// A point in time. Arithmetic works on whole UTC seconds: the fraction of every instant given is dropped, because
/// only then `elapsed(a, b) + elapsed(b, c) == elapsed(a, c)` holds to the second.
pub type Instant = chrono::DateTime<chrono::Utc>;
