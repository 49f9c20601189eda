//! The same semantics a second time, as naively as possible: a minute is working or not, and questions are answered by
//! walking. It reads the written calendar and asks the time zone only for the wall clock of a UTC time, so that it
//! shares neither parsing nor local-time resolution nor joining with the code under test.
use chrono::{DateTime, Days, NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;

use super::*;

const MINUTE: i64 = 60;

pub(super) struct Reference {
    start: i64,
    /// By minute from `start`.
    working: Vec<bool>,
}

impl Reference {
    /// Walks `days` days from `first`, for calendars whose times and zone changes are whole minutes.
    pub(super) fn walk(spec: &CalendarSpec, first: NaiveDate, days: u64) -> Reference {
        let zone: Tz = spec.time_zone.parse().unwrap();
        let start = first.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
        let margin = 4 * 24 * 60;
        let minutes = i64::try_from(days).unwrap() * 24 * 60;
        // Wall clocks change at quarter hours at the finest in the years tested.
        let mut wall = Vec::new();
        let mut offset = 0;
        for minute in -margin..minutes + margin {
            let utc = start + minute * MINUTE;
            if utc % 900 == 0 {
                let naive = DateTime::from_timestamp(utc, 0).unwrap().naive_utc();
                offset = i64::from(zone.offset_from_utc_datetime(&naive).fix().local_minus_utc());
            }
            wall.push(utc + offset);
        }
        let mut working = vec![false; wall.len()];
        let mut date = first - Days::new(3);
        while date < first + Days::new(days + 2) {
            for IntervalSpec(open, close) in written_intervals(spec, date) {
                let midnight = date.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
                let (open, mut close) = (seconds(&open), seconds(&close));
                if close < open {
                    close += 86_400;
                }
                // Only minutes near the local time can show it.
                let near = usize::try_from((midnight - start) / MINUTE + margin).unwrap();
                let (low, high) = (near.saturating_sub(15 * 60), (near + 64 * 60).min(wall.len()));
                // Opens when the wall clock first shows the time or has jumped over it.
                let opens = (low..high)
                    .find(|minute| wall[*minute] >= midnight + open)
                    .unwrap();
                // Closes when the wall clock shows the time for the last time or has jumped over it.
                let closes = (low..high)
                    .rev()
                    .find(|minute| wall[*minute] == midnight + close)
                    .unwrap_or_else(|| {
                        let before = |minute: &usize| wall[*minute] < midnight + close;
                        (low..high).rev().find(before).unwrap() + 1
                    });
                (opens..closes).for_each(|minute| working[minute] = true);
            }
            date = date + Days::new(1);
        }
        let margin = usize::try_from(margin).unwrap();
        Reference {
            start,
            working: working[margin..working.len() - margin].to_vec(),
        }
    }

    pub(super) fn elapsed(&self, from: i64, to: i64) -> i64 {
        let mut elapsed = 0;
        for (position, _) in self.working.iter().enumerate().filter(|(_, working)| **working) {
            let minute = self.start + i64::try_from(position).unwrap() * MINUTE;
            elapsed += (to.min(minute + MINUTE) - from.max(minute)).max(0);
        }
        elapsed
    }

    /// The earliest second with so much working time outside the pauses since `from`, if it lies in the walk. Walks
    /// second by second.
    pub(super) fn due(&self, from: i64, mut wanted: i64, pauses: &[(i64, i64)]) -> Option<i64> {
        let mut second = from;
        while wanted > 0 {
            let minute = usize::try_from((second - self.start) / MINUTE).unwrap();
            let paused = pauses.iter().any(|(begin, end)| (*begin..*end).contains(&second));
            if *self.working.get(minute)? && !paused {
                wanted -= 1;
            }
            second += 1;
        }
        Some(second)
    }
}

fn seconds(time: &str) -> i64 {
    time.split(':')
        .zip([3_600, 60, 1])
        .map(|(part, unit)| part.parse::<i64>().unwrap() * unit)
        .sum()
}

fn written_intervals(spec: &CalendarSpec, date: NaiveDate) -> Vec<IntervalSpec> {
    let written = date.to_string();
    if let Some(exception) = spec.exceptions.iter().find(|exception| exception.date == written) {
        return exception.intervals.clone();
    }
    let valid = spec
        .patterns
        .iter()
        .filter(|pattern| pattern.valid_from <= written);
    let Some(PatternSpec { weekly, .. }) = valid.max_by_key(|pattern| pattern.valid_from.clone()) else {
        return Vec::new();
    };
    match date.format("%a").to_string().as_str() {
        "Mon" => &weekly.mon,
        "Tue" => &weekly.tue,
        "Wed" => &weekly.wed,
        "Thu" => &weekly.thu,
        "Fri" => &weekly.fri,
        "Sat" => &weekly.sat,
        _ => &weekly.sun,
    }
    .clone()
}
