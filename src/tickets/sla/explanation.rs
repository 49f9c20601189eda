//! A clock's figures with every second behind them: the segments, in each the dates with what counted and what did not
//! and why, what lies ahead until the due, how a target in days was counted, and the sums.
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::{Held, Loaded, LoadedTicket, Stretch, Version, load};
use crate::calendars::Name;
use crate::error::Result;
use crate::identity::Principal;
use crate::sla::calendar::{Certainty, Exception, ExceptionKind};
use crate::sla::{Amount, DayAccount, DayKind, DayStep, Skipped, TargetKind, Timeline};
use crate::store::Db;
use crate::tickets::clocks::no_working_time;
use crate::tickets::db::ClockState;
use crate::tx::Desk;

/// Which of a ticket's clocks to explain; all where nothing is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Which {
    pub target: Option<TargetKind>,
    pub cycle: Option<i32>,
}

#[derive(Debug, Serialize)]
pub struct Explanation {
    pub number: String,
    pub as_of: DateTime<Utc>,
    pub clocks: Vec<ClockExplanation>,
}

#[derive(Debug, Serialize)]
pub struct ClockExplanation {
    pub target: TargetKind,
    pub cycle: i32,
    pub state: ClockState,
    pub amount: Amount,
    pub policy: Version,
    pub calendar: Version,
    pub time_zone: String,
    pub started_at: DateTime<Utc>,
    pub due_at: Option<DateTime<Utc>>,
    pub breached_at: Option<DateTime<Utc>>,
    pub met_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub segments: Vec<SegmentExplanation>,
    /// For a target in days.
    pub day_count: Option<DayCount>,
    /// While it runs towards its due.
    pub ahead: Option<Ahead>,
    pub sums: Sums,
    #[serde(skip)]
    pub(super) zone: Tz,
}

#[derive(Debug, Serialize)]
pub struct SegmentExplanation {
    pub from: DateTime<Utc>,
    /// The end, or the time asked for while it lasts.
    pub to: DateTime<Utc>,
    pub open: bool,
    pub running: bool,
    pub reason: String,
    #[serde(flatten)]
    pub held: Option<Held>,
    pub calendar: Version,
    pub carried: bool,
    pub business_seconds: i64,
    pub skipped_seconds: i64,
    pub days: Vec<Day>,
    /// In which the calendar of this segment counts its dates.
    #[serde(skip)]
    pub(super) zone: Tz,
}

/// A local date's part of a segment. A shift belongs to the date on which it opens.
#[derive(Debug, Serialize)]
pub struct Day {
    pub date: NaiveDate,
    pub day: DayKind,
    pub exception: Option<ExceptionOut>,
    pub business_seconds: i64,
    pub pieces: Vec<PieceOut>,
}

#[derive(Debug, Serialize)]
pub struct PieceOut {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub seconds: i64,
    /// Why it did not count; null where it did.
    pub skipped: Option<Skipped>,
}

/// What the calendar says of its exception.
#[derive(Debug, Serialize)]
pub struct ExceptionOut {
    pub name: Option<PartialName>,
    pub legal_basis: Option<String>,
    pub kind: Option<ExceptionKind>,
    pub certainty: Option<Certainty>,
}

#[derive(Debug, Serialize)]
pub struct PartialName {
    pub vi: Option<String>,
    pub en: Option<String>,
}

/// How a target in days came to its date (Civil Code 2015, articles 147 and 148).
#[derive(Debug, Serialize)]
pub struct DayCount {
    /// Not counted itself.
    pub starts_on: NaiveDate,
    pub days: Vec<Step>,
    /// Where the count ends, before pauses move it.
    pub due_without_pauses: DateTime<Utc>,
    /// By which the pauses move it.
    pub paused_business_seconds: i64,
}

#[derive(Debug, Serialize)]
pub struct Step {
    pub date: NaiveDate,
    /// Which of the target's days it is; null for a date that is not counted.
    pub number: Option<u32>,
    pub day: DayKind,
    pub exception: Option<ExceptionOut>,
}

/// The time until the due, as the calendar stands.
#[derive(Debug, Serialize)]
pub struct Ahead {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub business_seconds: i64,
    pub days: Vec<Day>,
}

/// The segments' seconds, and what they make.
#[derive(Debug, Serialize)]
pub struct Sums {
    pub running: Vec<i64>,
    pub consumed_business_seconds: i64,
    pub paused: Vec<i64>,
    pub paused_business_seconds: i64,
    pub target_business_seconds: i64,
    pub remaining_business_seconds: i64,
    /// Beyond the target.
    pub over_business_seconds: i64,
}

/// Why the clocks of a ticket stand where they stand.
pub fn explain(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    which: Which,
    now: DateTime<Utc>,
) -> Result<Explanation> {
    let ticket = load(conn, desk, principal, id, now)?;
    let is_meant = |clock: &&Loaded| {
        which.target.is_none_or(|target| target == clock.target)
            && which.cycle.is_none_or(|cycle| cycle == clock.row.cycle)
    };
    let clocks = ticket.clocks.iter().filter(is_meant);
    Ok(Explanation {
        number: ticket.ticket.number.clone(),
        as_of: ticket.now,
        clocks: clocks
            .map(|clock| ticket.explain_clock(clock))
            .collect::<Result<_>>()?,
    })
}

impl LoadedTicket {
    fn explain_clock(&self, loaded: &Loaded) -> Result<ClockExplanation> {
        let Loaded { row, figures, .. } = loaded;
        let state = row.state_at(self.now);
        let zone = loaded.calendar.timeline.calendar().time_zone();
        let segments: Vec<SegmentExplanation> = (loaded.stretches.iter())
            .map(|stretch| self.explain_stretch(stretch))
            .collect();
        let of_kind = |running: bool| {
            let segments = segments.iter().filter(move |segment| segment.running == running);
            segments.map(|segment| segment.business_seconds).collect()
        };
        let sums = Sums {
            running: of_kind(true),
            consumed_business_seconds: figures.consumed_business_seconds,
            paused: of_kind(false),
            paused_business_seconds: figures.paused_business_seconds,
            target_business_seconds: figures.target_business_seconds,
            remaining_business_seconds: figures.remaining_business_seconds,
            over_business_seconds: (figures.consumed_business_seconds - figures.target_business_seconds)
                .max(0),
        };
        Ok(ClockExplanation {
            target: loaded.target,
            cycle: row.cycle,
            state,
            amount: row.amount()?,
            policy: Version::of_policy(&loaded.policy),
            calendar: Version::of_calendar(&loaded.calendar),
            time_zone: zone.name().to_owned(),
            started_at: row.started_at.0,
            due_at: row.due_at.map(|at| at.0),
            breached_at: loaded.breached_at(state),
            met_at: row.met_at.map(|at| at.0),
            stopped_at: row.stopped_at.map(|at| at.0),
            segments,
            day_count: loaded.day_count()?,
            ahead: loaded.ahead(self.now),
            sums,
            zone,
        })
    }

    fn explain_stretch(&self, stretch: &Stretch) -> SegmentExplanation {
        let (from, to) = (stretch.from, stretch.end(self.now));
        let days = days(&stretch.calendar.timeline, from, to);
        let business_seconds: i64 = days.iter().map(|day| day.business_seconds).sum();
        SegmentExplanation {
            from,
            to,
            open: stretch.to.is_none(),
            running: stretch.running,
            reason: stretch.reason.clone(),
            held: self.held(stretch.holder),
            calendar: Version::of_calendar(&stretch.calendar),
            carried: stretch.carried,
            business_seconds,
            skipped_seconds: to.timestamp() - from.timestamp() - business_seconds,
            days,
            zone: stretch.calendar.timeline.calendar().time_zone(),
        }
    }
}

impl Loaded {
    fn day_count(&self) -> Result<Option<DayCount>> {
        let timeline = &self.calendar.timeline;
        let amount = self.row.amount()?;
        let start = match (amount, self.clock.days_counted_from()) {
            (Amount::BusinessDays(_) | Amount::CalendarDays(_), Some(start)) => start,
            _ => return Ok(None),
        };
        let steps = timeline.day_steps(start, amount).map_err(no_working_time)?;
        Ok(Some(DayCount {
            starts_on: timeline.local_date(start),
            days: steps.iter().map(Step::from).collect(),
            due_without_pauses: amount.due_from(timeline, start).map_err(no_working_time)?,
            paused_business_seconds: self.figures.paused_business_seconds,
        }))
    }

    fn ahead(&self, now: DateTime<Utc>) -> Option<Ahead> {
        let due = self.row.due_at?.0;
        if !self.row.is_open() || !self.row.segment_running || due <= now {
            return None;
        }
        let days = days(&self.calendar.timeline, now, due);
        Some(Ahead {
            from: now,
            to: due,
            business_seconds: days.iter().map(|day| day.business_seconds).sum(),
            days,
        })
    }
}

fn days(timeline: &Timeline, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Day> {
    timeline.account(from, to).iter().map(Day::from).collect()
}

impl From<&DayAccount<'_>> for Day {
    fn from(account: &DayAccount<'_>) -> Day {
        let pieces = account.pieces.iter().map(|piece| PieceOut {
            from: piece.from,
            to: piece.to,
            seconds: piece.seconds(),
            skipped: piece.skipped,
        });
        Day {
            date: account.date,
            day: account.kind,
            exception: account.exception.map(ExceptionOut::from),
            business_seconds: account.business_seconds(),
            pieces: pieces.collect(),
        }
    }
}

impl From<&DayStep<'_>> for Step {
    fn from(step: &DayStep<'_>) -> Step {
        Step {
            date: step.date,
            number: step.number,
            day: step.kind,
            exception: step.exception.map(ExceptionOut::from),
        }
    }
}

impl From<&Exception> for ExceptionOut {
    fn from(exception: &Exception) -> ExceptionOut {
        let written = &exception.written;
        ExceptionOut {
            name: written.name.as_ref().map(|name| PartialName {
                vi: name.vi.clone(),
                en: name.en.clone(),
            }),
            legal_basis: written.legal_basis.clone(),
            kind: written.kind,
            certainty: written.certainty,
        }
    }
}

impl PartialName {
    pub(super) fn either(&self) -> Option<Name> {
        let (vi, en) = (self.vi.as_ref(), self.en.as_ref());
        Some(Name {
            vi: vi.or(en)?.clone(),
            en: en.or(vi)?.clone(),
        })
    }
}
