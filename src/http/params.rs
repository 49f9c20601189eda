//! The query parameters of a list or report: declared names only, in declared bounds.
use actix_web::{HttpRequest, web};
use chrono::{DateTime, Datelike, NaiveDate, Utc};

use super::wire::{YEARS, YEARS_IN_WORDS};
use crate::error::{Error, FieldCode, FieldError, Place, Result};
use crate::sla::calendar::read_date;
use crate::store::page::{DEFAULT_LIMIT, MAX_LIMIT};
use crate::text::{fold, nfc};

/// A bound of a period.
pub enum DateOrInstant {
    Date(NaiveDate),
    Instant(DateTime<Utc>),
}

fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.with_timezone(&Utc))
}

/// The given parameters, with typed getters that name what is wrong.
pub struct Params {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Params {
    pub fn read(request: &HttpRequest, allowed: &[&str]) -> Params {
        Params::read_where(request, |name| allowed.contains(&name))
    }

    /// The same, where parameters whose names begin with `prefix` are allowed too.
    pub fn read_with_prefix(request: &HttpRequest, allowed: &[&str], prefix: &str) -> Params {
        Params::read_where(request, |name| {
            allowed.contains(&name) || name.starts_with(prefix)
        })
    }

    fn read_where(request: &HttpRequest, is_allowed: impl Fn(&str) -> bool) -> Params {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map(web::Query::into_inner)
            .unwrap_or_default();
        let mut errors = Vec::new();
        for (name, value) in &pairs {
            if !is_allowed(name) {
                errors.push(FieldError::parameter(name, FieldCode::UnknownField));
            } else if name.chars().chain(value.chars()).any(char::is_control) {
                errors.push(FieldError::parameter(name, FieldCode::ControlCharacter));
            } else if value.contains(char::REPLACEMENT_CHARACTER) {
                errors.push(FieldError::parameter(
                    name,
                    FieldCode::InvalidFormat { expected: "UTF-8" },
                ));
            }
        }
        Params { pairs, errors }
    }

    /// The value of a parameter that may stand once.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self
            .pairs
            .iter()
            .filter(|(given, _)| given == name)
            .map(|(_, value)| value.clone());
        let first = values.next();
        if values.next().is_some() {
            self.refuse(name, FieldCode::Duplicate);
        }
        first.map(|value| nfc(&value))
    }

    /// All values of a parameter that may be repeated or separated by commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.pairs
            .iter()
            .filter(|(given, _)| given == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::to_owned)
            .collect()
    }

    /// All values of a parameter that may be repeated, as they are.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let own = self.pairs.iter().filter(move |(given, _)| given == name);
        own.map(|(_, value)| value.as_str())
    }

    /// The parameters whose names begin with `prefix`: the rest of each name, with its value.
    pub fn prefixed(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.pairs.iter();
        pairs.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    pub fn parsed<T>(
        &mut self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.refuse(name, FieldCode::InvalidFormat { expected });
        }
        value
    }

    pub fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let expected = "RFC 3339 with offset, e.g. 2019-11-22T16:30:00+07:00";
        let at = self.parsed(name, expected, parse_instant)?;
        self.in_years(name, at)
    }

    pub fn date(&mut self, name: &str) -> Option<NaiveDate> {
        let date = self.parsed(name, "YYYY-MM-DD", read_date)?;
        self.in_years(name, date)
    }

    /// Midnight of a date or an instant, as the caller tells them apart.
    pub fn date_or_instant(&mut self, name: &str) -> Option<DateOrInstant> {
        let moment = self.parsed(name, "YYYY-MM-DD, or RFC 3339 with offset", |text| {
            let date = read_date(text).map(DateOrInstant::Date);
            date.or_else(|| parse_instant(text).map(DateOrInstant::Instant))
        })?;
        match moment {
            DateOrInstant::Date(date) => self.in_years(name, date).map(DateOrInstant::Date),
            DateOrInstant::Instant(at) => self.in_years(name, at).map(DateOrInstant::Instant),
        }
    }

    fn in_years<T: Datelike>(&mut self, name: &str, given: T) -> Option<T> {
        if YEARS.contains(&given.year()) {
            return Some(given);
        }
        let expected = YEARS_IN_WORDS.into();
        self.refuse(name, FieldCode::OutOfRange { expected });
        None
    }

    /// A text of one character to `max`.
    pub fn bounded(&mut self, name: &str, max: u64) -> Option<String> {
        let text = self.text(name)?;
        if text.is_empty() {
            self.refuse(name, FieldCode::TooShort { min: 1 });
            return None;
        }
        if u64::try_from(text.chars().count()).is_ok_and(|length| length <= max) {
            return Some(text);
        }
        self.refuse(name, FieldCode::TooLong { max });
        None
    }

    /// Words to search for. What folds to nothing would find everything.
    pub fn words(&mut self, name: &str, max: u64) -> Option<String> {
        let text = self.bounded(name, max)?;
        if self.refused(name) || !fold(&text).is_empty() {
            return Some(text);
        }
        let expected = "at least one letter or digit";
        self.refuse(name, FieldCode::InvalidFormat { expected });
        None
    }

    pub fn cursor(&mut self) -> Option<String> {
        self.bounded("cursor", 1000)
    }

    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "true or false", |text| text.parse().ok())
    }

    pub fn limit(&mut self) -> i64 {
        let given = self.parsed("limit", "a number from 1 to 200", |text| {
            text.parse::<i64>()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        });
        given.unwrap_or(DEFAULT_LIMIT)
    }

    pub fn refuse(&mut self, name: &str, code: FieldCode) {
        self.errors.push(FieldError::parameter(name, code));
    }

    /// Has this parameter been refused already?
    pub fn refused(&self, name: &str) -> bool {
        self.errors
            .iter()
            .any(|error| error.place == Place::Parameter(name.to_owned()))
    }

    /// All that is wrong with the parameters, or nothing.
    pub fn finish(self) -> Result<()> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(self.errors))
        }
    }
}

/// `limit` and `cursor` of a list that has no filters.
pub fn page_parameters(request: &HttpRequest) -> Result<(i64, Option<String>)> {
    let mut params = Params::read(request, &["limit", "cursor"]);
    let parameters = (params.limit(), params.cursor());
    params.finish()?;
    Ok(parameters)
}
