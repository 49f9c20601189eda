//! The recurrences that holidays have: once a year, on a date or on the n-th weekday of a month.
//!
//! Written out by years and not by the general rules (the `rrule` crate): one step a year is a bound that no combination of
//! BY-parts can break, and a daily or hourly holiday is a mistake in any case. Refuses all else, by its name.
use chrono::{Datelike, Month, NaiveDate, Weekday};

use crate::calendars::import::Years;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yearly {
    interval: i32,
    count: Option<u32>,
    until: Option<NaiveDate>,
    month: Option<u32>,
    day: Option<u32>,
    /// The n-th of these weekdays of the month, from its end where n is negative.
    weekday: Option<(i8, Weekday)>,
}

/// Occurrences that a rule may count. Nobody decides holidays for longer.
const MAX_COUNT: u32 = 1000;

impl Yearly {
    /// The value of an `RRULE`, or why it is not one of these.
    pub fn parse(text: &str) -> Result<Yearly, String> {
        let mut rule = Yearly {
            interval: 1,
            count: None,
            until: None,
            month: None,
            day: None,
            weekday: None,
        };
        let mut is_yearly = false;
        for part in text.split(';') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("`{part}` is not of the form NAME=value"))?;
            let wrong = || format!("{name}={value} is not supported for holidays");
            match name.to_ascii_uppercase().as_str() {
                "FREQ" if value.eq_ignore_ascii_case("YEARLY") => is_yearly = true,
                "FREQ" => return Err(format!("only FREQ=YEARLY is a holiday's, not FREQ={value}")),
                "INTERVAL" => rule.interval = number(value, 1, 100).ok_or_else(wrong)?,
                "COUNT" => rule.count = Some(number(value, 1, MAX_COUNT).ok_or_else(wrong)?),
                "UNTIL" => rule.until = Some(until(value).ok_or_else(wrong)?),
                "BYMONTH" => rule.month = Some(number(value, 1, 12).ok_or_else(wrong)?),
                "BYMONTHDAY" => rule.day = Some(number(value, 1, 31).ok_or_else(wrong)?),
                "BYDAY" => rule.weekday = Some(nth_weekday(value).ok_or_else(wrong)?),
                "WKST" => {}
                _ => return Err(wrong()),
            }
        }
        if !is_yearly {
            return Err("FREQ=YEARLY is missing".into());
        }
        if rule.count.is_some() && rule.until.is_some() {
            return Err("COUNT and UNTIL exclude each other".into());
        }
        if rule.weekday.is_some() && (rule.month.is_none() || rule.day.is_some()) {
            return Err("BYDAY needs BYMONTH, and no BYMONTHDAY".into());
        }
        Ok(rule)
    }

    /// The occurrences that begin in these years. A 29 February is left out of other years (RFC 5545, section 3.3.10).
    pub fn occurrences(&self, start: NaiveDate, years: &Years) -> Vec<NaiveDate> {
        let mut found = Vec::new();
        let mut counted = 0;
        let mut year = start.year();
        while year <= *years.end() {
            if let Some(date) = self.in_year(start, year).filter(|date| *date >= start) {
                counted += 1;
                let is_over = self.count.is_some_and(|count| counted > count)
                    || self.until.is_some_and(|until| date > until);
                if is_over {
                    break;
                }
                if years.contains(&year) {
                    found.push(date);
                }
            }
            year = year.saturating_add(self.interval);
        }
        found
    }

    fn in_year(&self, start: NaiveDate, year: i32) -> Option<NaiveDate> {
        let month = self.month.unwrap_or_else(|| start.month());
        match self.weekday {
            None => NaiveDate::from_ymd_opt(year, month, self.day.unwrap_or_else(|| start.day())),
            Some((nth, weekday)) if nth > 0 => {
                NaiveDate::from_weekday_of_month_opt(year, month, weekday, nth.unsigned_abs())
            }
            Some((nth, weekday)) => {
                let month_of = Month::try_from(u8::try_from(month).ok()?).ok()?;
                let last = NaiveDate::from_ymd_opt(year, month, month_of.num_days(year)?.into())?;
                let back = (7 + last.weekday().num_days_from_monday() - weekday.num_days_from_monday()) % 7;
                let weeks = u64::from(nth.unsigned_abs().saturating_sub(1)) * 7;
                let date = last.checked_sub_days(chrono::Days::new(u64::from(back) + weeks))?;
                (date.month() == month).then_some(date)
            }
        }
    }
}

fn number<T: std::str::FromStr + PartialOrd>(text: &str, least: T, most: T) -> Option<T> {
    text.parse()
        .ok()
        .filter(|number| *number >= least && *number <= most)
}

/// A date, or the date of an instant: the rules here have no times.
fn until(text: &str) -> Option<NaiveDate> {
    let date = text.get(..8)?;
    let is_instant = text
        .get(8..)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('T'));
    super::read::parse_date(date).filter(|_| is_instant)
}

/// `4TH`, `-1MO`.
fn nth_weekday(text: &str) -> Option<(i8, Weekday)> {
    let at = text.len().checked_sub(2)?;
    let (nth, day) = text.split_at_checked(at)?;
    let day = match day.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    };
    let nth: i8 = nth.parse().ok()?;
    ((-5..=5).contains(&nth) && nth != 0).then_some((nth, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(rule: &str, start: &str, years: Years) -> Vec<String> {
        let start = start.parse().unwrap();
        let found = Yearly::parse(rule).unwrap().occurrences(start, &years);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_holiday_returns_every_year_from_its_first_one_on() {
        let years = || 2019..=2021;
        assert_eq!(
            dates("FREQ=YEARLY", "2010-04-30", years()),
            ["2019-04-30", "2020-04-30", "2021-04-30"]
        );
        assert_eq!(dates("FREQ=YEARLY", "2021-04-30", years()), ["2021-04-30"]);
        assert_eq!(
            dates("FREQ=YEARLY;INTERVAL=2", "2018-04-30", years()),
            ["2020-04-30"]
        );
        assert_eq!(
            dates("FREQ=YEARLY;COUNT=2", "2018-04-30", years()),
            ["2019-04-30"]
        );
        assert_eq!(
            dates("FREQ=YEARLY;UNTIL=20200430", "2018-04-30", years()),
            ["2019-04-30", "2020-04-30"]
        );
        assert_eq!(
            dates("FREQ=YEARLY;UNTIL=20200429T170000Z", "2018-04-30", years()),
            ["2019-04-30"]
        );
        assert_eq!(dates("FREQ=YEARLY", "2016-02-29", years()), ["2020-02-29"]);
        assert_eq!(
            dates(
                "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;WKST=SU",
                "2000-11-23",
                2019..=2020
            ),
            ["2019-11-28", "2020-11-26"]
        );
        assert_eq!(
            dates("FREQ=YEARLY;BYMONTH=5;BYDAY=-1MO", "2000-05-29", 2019..=2020),
            ["2019-05-27", "2020-05-25"]
        );
        assert!(dates("FREQ=YEARLY", "2016-02-29", 2022..=2023).is_empty());
    }

    #[test]
    fn what_is_no_holiday_is_refused() {
        for rule in [
            "",
            "FREQ=SECONDLY",
            "FREQ=DAILY;COUNT=10",
            "FREQ=YEARLY;COUNT=1000000000",
            "FREQ=YEARLY;COUNT=99999999999999999999",
            "FREQ=YEARLY;INTERVAL=0",
            "FREQ=YEARLY;BYSECOND=0,1,2",
            "FREQ=YEARLY;BYDAY=MO,TU,WE",
            "FREQ=YEARLY;BYDAY=1MO",
            "FREQ=YEARLY;BYMONTH=1,2,3",
            "FREQ=YEARLY;BYMONTHDAY=32",
            "FREQ=YEARLY;UNTIL=2020",
            "FREQ=YEARLY;UNTIL=20200101;COUNT=1",
            "COUNT=1",
            "FREQ=YEARLY;é",
            "FREQ=YEARLY;BYMONTH=1;BYDAY=é",
        ] {
            assert!(Yearly::parse(rule).is_err(), "{rule}");
        }
    }
}
