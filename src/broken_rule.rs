//! Every rule of the domain that a value of a request can break, by the code that the caller is told: a closed list, so that
//! the compiler finds the one that has no text (`http::problem`).
use crate::sla::SpecRule;
use crate::sla::problem::rules;

rules! {
    /// The rules that are not about calendars or policies; those are in `SpecRule`.
    HouseRule {
        TooLittleWorkingTime "too_little_working_time",
        BadEncoding "bad_encoding",
        BadLine "bad_line",
        NotIcalendar "not_icalendar",
        BadEvent "bad_event",
        TimedEvent "timed_event",
        UnsupportedRecurrence "unsupported_recurrence",
        TooManyEvents "too_many_events",
        TooManyDays "too_many_days",
        ConflictingDay "conflicting_day",
        BadIntervals "bad_intervals",
        UnknownValue "unknown_value",
        UnknownColumn "unknown_column",
        MissingColumn "missing_column",
        TextTooLong "text_too_long",
        ControlCharacter "control_character",
        ImpossibleChange "impossible_change",
        PrecedenceTaken "precedence_taken",
        DefaultHasConditions "default_has_conditions",
        MatchesNothing "matches_nothing",
        EscalationCycle "escalation_cycle",
        OverlappingPeriod "overlapping_period",
        BadPeriod "bad_period",
        UnknownChoice "unknown_choice",
        PatternMismatch "pattern_mismatch",
        NotForType "not_for_type",
        BadRange "bad_range",
        BadPattern "bad_pattern",
        NoChoices "no_choices",
        TicketsFiled "tickets_filed",
        OwnName "own_name",
        CommonPassword "common_password",
        WrongSecret "wrong_secret",
        BadCode "bad_code",
        ParentCycle "parent_cycle",
        SuccessionCycle "succession_cycle",
        SuccessionWithoutEnd "succession_without_end",
        SuccessorNotAlive "successor_not_alive",
        BeforePredecessor "before_predecessor",
        EndsBeforeItBegins "ends_before_it_begins",
        EmptyName "empty_name",
        DuplicateCode "duplicate_code",
        UnknownOrganisation "unknown_organisation",
        MissingHeader "missing_header",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenRule {
    Spec(SpecRule),
    House(HouseRule),
}

impl BrokenRule {
    pub const fn as_str(self) -> &'static str {
        match self {
            BrokenRule::Spec(rule) => rule.as_str(),
            BrokenRule::House(rule) => rule.as_str(),
        }
    }
}

impl From<SpecRule> for BrokenRule {
    fn from(rule: SpecRule) -> Self {
        BrokenRule::Spec(rule)
    }
}

impl From<HouseRule> for BrokenRule {
    fn from(rule: HouseRule) -> Self {
        BrokenRule::House(rule)
    }
}
