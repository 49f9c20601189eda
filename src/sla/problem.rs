//! What is wrong with a calendar or a policy that somebody wants to save: where, which rule, and in words.

/// A closed list of rules by their stable snake_case names, for programs.
macro_rules! rules {
    ($(#[$meta:meta])* $name:ident { $($rule:ident $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
        pub enum $name { $(#[serde(rename = $text)] $rule),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$rule),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$rule => $text),+ }
            }
        }
    };
}
pub(crate) use rules;

rules! {
    /// What calendars and policies have to keep.
    SpecRule {
        UnknownTimeZone "unknown_time_zone",
        NoPattern "no_pattern",
        NoWorkingTime "no_working_time",
        DuplicateValidFrom "duplicate_valid_from",
        DuplicateDate "duplicate_date",
        BadDate "bad_date",
        BadTime "bad_time",
        EmptyInterval "empty_interval",
        OverlappingIntervals "overlapping_intervals",
        TooManyIntervals "too_many_intervals",
        ZeroAmount "zero_amount",
        AmountTooLarge "amount_too_large",
        BadPercent "bad_percent",
        BadCloseAfter "bad_close_after",
        NoTarget "no_target",
        EmptyCondition "empty_condition",
        TooManyValues "too_many_values",
        BadValue "bad_value",
        DuplicateValue "duplicate_value",
        NeverRuns "never_runs",
        MissingTarget "missing_target",
        PercentOnBreach "percent_on_breach",
        UnknownPercent "unknown_percent",
        NoWarning "no_warning",
        EmptyEscalation "empty_escalation",
        DuplicateEscalation "duplicate_escalation",
        TooOften "too_often",
    }
}

/// One broken rule. All problems of a document are collected, so that one round of corrections is enough.
#[derive(serde::Serialize, Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// JSON pointer (RFC 6901) relative to the document, e.g. `/patterns/0/weekly/mon/1`.
    pub pointer: String,
    pub code: SpecRule,
    /// English sentence, for people.
    pub message: String,
}

impl SpecProblem {
    pub(crate) fn new(pointer: impl Into<String>, code: SpecRule, message: impl Into<String>) -> Self {
        SpecProblem {
            pointer: pointer.into(),
            code,
            message: message.into(),
        }
    }
}
