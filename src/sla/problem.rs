//! What is wrong with a calendar or a policy that somebody wants to save: where, which rule, and in words.

/// One broken rule. All problems of a document are collected, so that one round of corrections is enough.
#[derive(serde::Serialize, Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// JSON pointer (RFC 6901) relative to the document, e.g. `/patterns/0/weekly/mon/1`.
    pub pointer: String,
    /// Stable snake_case name of the rule, for programs.
    pub code: &'static str,
    /// English sentence, for people.
    pub message: String,
}

impl SpecProblem {
    pub(crate) fn new(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        SpecProblem {
            pointer: pointer.into(),
            code,
            message: message.into(),
        }
    }
}
