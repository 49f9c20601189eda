//! How people read a deadline. A promise for a day ends with that day, at 24:00 (Civil Code 2015, article 148, clause 6);
//! written as 00:00 of the next it would read as a day more. Filings and messages are no deadlines: theirs is 00:00.
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// A deadline's date in the reader's zone.
pub fn date(at: DateTime<Utc>, zone: Tz) -> NaiveDate {
    let local = zone.from_utc_datetime(&at.naive_utc()).date_naive();
    match ends_a_day(at, zone) {
        true => local.checked_sub_days(Days::new(1)).unwrap_or(local),
        false => local,
    }
}

/// Its time on that date, `17:30`.
pub fn minute(at: DateTime<Utc>, zone: Tz) -> String {
    time(at, zone, "24:00", "%H:%M")
}

/// Its time on that date, `17:30:00`.
pub fn second(at: DateTime<Utc>, zone: Tz) -> String {
    time(at, zone, "24:00:00", "%H:%M:%S")
}

fn time(at: DateTime<Utc>, zone: Tz, end: &str, pattern: &str) -> String {
    match ends_a_day(at, zone) {
        true => end.to_owned(),
        false => zone
            .from_utc_datetime(&at.naive_utc())
            .format(pattern)
            .to_string(),
    }
}

fn ends_a_day(at: DateTime<Utc>, zone: Tz) -> bool {
    let local = zone.from_utc_datetime(&at.naive_utc()).time();
    local.with_nanosecond(0) == Some(NaiveTime::MIN)
}

#[cfg(test)]
mod tests {
    use chrono_tz::Asia::Ho_Chi_Minh;

    use super::*;

    #[test]
    fn midnight_is_the_end_of_the_day_before_it() {
        for (at, on, to_the_minute, to_the_second) in [
            ("2019-12-06T17:00:00Z", "2019-12-06", "24:00", "24:00:00"),
            ("2019-12-06T17:00:01Z", "2019-12-07", "00:00", "00:00:01"),
            ("2019-12-31T17:00:00Z", "2019-12-31", "24:00", "24:00:00"),
            ("2019-12-06T10:30:00Z", "2019-12-06", "17:30", "17:30:00"),
            ("2019-12-06T00:00:00Z", "2019-12-06", "07:00", "07:00:00"),
        ] {
            let at: DateTime<Utc> = at.parse().unwrap();
            assert_eq!(date(at, Ho_Chi_Minh).to_string(), on);
            assert_eq!(minute(at, Ho_Chi_Minh), to_the_minute);
            assert_eq!(second(at, Ho_Chi_Minh), to_the_second);
        }
    }
}
