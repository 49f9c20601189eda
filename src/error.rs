//! What can go wrong. Most kinds are the domain's own terms; those that only a request can cause (a body too large, a
//! method that a path has not) are here too, so that every failure takes one way out. Knows no status, header or text of
//! HTTP: `http::problem` maps each kind to them.
//!
//! Database failures become `Unavailable` (busy, lost, timed out: the caller may try again) or `Internal`; a unique
//! violation that is the user's becomes a conflict or a field error where the insert is written.
use std::fmt;

use diesel::result::{DatabaseErrorKind, Error as DieselError};

use crate::attachments::sniff::Refusal;
use crate::broken_rule::BrokenRule;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone)]
pub enum Error {
    /// The request cannot be read: broken JSON, bad UTF-8.
    Malformed { reason: String },
    /// The address exists, but not for this method.
    MethodNotAllowed { allowed: String },
    /// The body is larger than the limit in bytes.
    BodyTooLarge { limit: usize },
    /// The head of the request is larger than the limit in bytes.
    HeadTooLarge { limit: usize },
    /// Path and query are longer than the limit in bytes.
    AddressTooLong { limit: usize },
    /// More requests than the caller may send; one is possible again after these seconds.
    TooManyRequests { retry_after_seconds: u64 },
    /// The body is not of a type that the route takes.
    UnsupportedMediaType { expected: &'static str },
    /// A file is not taken.
    AttachmentType(Refusal),
    /// No part of this many bytes was asked for.
    RangeNotSatisfiable { size: u64 },
    /// The bytes of a file that was stored are not there any more.
    ContentMissing,
    /// The named resource does not exist, or the caller may not know that it does.
    NotFound(Resource),
    /// The request clashes with what is there.
    Conflict(Conflict),
    /// The operation is not possible in the ticket's state; these are.
    WrongTransition {
        operation: &'static str,
        state: &'static str,
        possible: Vec<&'static str>,
    },
    /// Undone, or not begun, because another item of a request for all or none failed.
    RolledBack,
    /// A request with the same idempotency key is still running.
    InProgress,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The caller's `If-Match` names another version.
    PreconditionFailed,
    /// Replacing this takes an `If-Match`, so that nobody overwrites what they have not seen.
    PreconditionRequired,
    /// Fields of the request are wrong; never empty.
    Invalid(Vec<FieldError>),
    /// No valid credential.
    Unauthenticated,
    /// A valid credential that may not do this.
    Forbidden,
    /// A login by the OpenID provider that did not end well.
    SignOn(SignOnRefusal),
    /// Address, password or code is wrong; which, nobody is told.
    LoginFailed,
    /// The password is right; the person has a second factor and gave no code.
    SecondFactorRequired,
    /// Too many failed before; in so many seconds another one is looked at.
    TooManyAttempts { retry_after: u64 },
    /// Try again later: busy, lost connection, shutting down.
    Unavailable { what: &'static str, cause: String },
    /// The commit was sent and its answer lost: the request may have been carried out or not.
    OutcomeUnknown { cause: String },
    /// A savepoint could not be rolled back: the transaction around it is lost. Only the writer sees it.
    TransactionLost { cause: String },
    /// A defect or a failure that the caller cannot mend.
    Internal { what: &'static str, cause: String },
    /// Every request of a write group failed; only the writer sees it.
    NothingToCommit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Ticket,
    Organisation,
    Topic,
    Queue,
    Calendar,
    CalendarVersion,
    Policy,
    PolicyVersion,
    Agreement,
    OperationalTarget,
    Delivery,
    Attachment,
    User,
    Client,
    Key,
    Requester,
    Session,
    Token,
    Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// The code of a new resource is taken.
    CodeTaken,
    /// Only a dead or waiting delivery can be retried.
    DeliveryNotRetryable,
    /// The calendar has no working time in the ten years after the start.
    NoWorkingTime,
    /// The change leaves everything as it is.
    NothingChanged,
    /// What gets the questions that nothing else takes cannot go.
    DefaultPolicy,
    /// A retired policy stays as it is.
    PolicyRetired,
    /// An ended key gives no new one.
    KeyEnded,
    /// A key that an administrator has replaced gives its program no further one.
    KeyReplaced,
    /// A program has as many keys in force as it may.
    TooManyKeys,
    /// A person has as many tokens in force as they may.
    TooManyTokens,
    /// The organisation has another successor, which is to be taken back first.
    HasSuccessor,
    /// Nobody is left in what was made anonymous.
    Anonymised,
    /// The person has no password to prove themselves with.
    NoPassword,
    SecondFactorOn,
    SecondFactorOff,
    /// The role must have a second factor.
    SecondFactorDemanded,
    /// What was presented is no session.
    NotASession,
    /// Somebody must be able to administer.
    LastAdministrator,
    /// What one does to one's own account has a route that asks for the old password.
    OwnAccount,
    /// What is part of a ticket goes only with it.
    AttachmentUsed,
    /// The ticket has as many files as it may have.
    TooManyAttachments,
}

/// Why a login by the OpenID provider was refused. The person is told as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOnRefusal {
    /// The login is not known, over, ended already, or was begun in another browser.
    UnknownLogin,
    /// The provider ended it, with this error of OAuth 2.0 or OpenID Connect.
    Provider(&'static str),
    /// The person, or the provider for them, said no.
    Denied,
    /// What the provider gave does not hold.
    Unproven,
    /// Nobody here is that person, or they are not active any more.
    UnknownPerson,
    /// Nothing that the provider says of them gives them a role here.
    NoRole,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    pub place: Place,
    pub code: FieldCode,
}

/// Where a wrong value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// JSON pointer (RFC 6901) into the body.
    Pointer(String),
    /// Name of a query parameter, path parameter or header.
    Parameter(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldCode {
    Required,
    UnknownField,
    WrongType {
        expected: String,
    },
    TooShort {
        min: u64,
    },
    TooLong {
        max: u64,
    },
    ControlCharacter,
    InvalidFormat {
        expected: &'static str,
    },
    UnknownCode,
    OutOfRange {
        expected: String,
    },
    Duplicate,
    NotAllowed,
    InvalidCursor,
    /// A rule of the domain (the calendar's own, for instance) with its English text.
    Domain {
        code: BrokenRule,
        text: String,
    },
    /// The same, with the name of what it clashes with.
    Clash {
        code: BrokenRule,
        text: String,
        with: String,
    },
}

impl FieldError {
    pub fn pointer(pointer: impl Into<String>, code: FieldCode) -> Self {
        FieldError {
            place: Place::Pointer(pointer.into()),
            code,
        }
    }

    pub fn parameter(name: impl Into<String>, code: FieldCode) -> Self {
        FieldError {
            place: Place::Parameter(name.into()),
            code,
        }
    }
}

impl Error {
    pub fn invalid_pointer(pointer: &str, code: FieldCode) -> Self {
        Error::Invalid(vec![FieldError::pointer(pointer, code)])
    }

    pub fn invalid_parameter(name: &str, code: FieldCode) -> Self {
        Error::Invalid(vec![FieldError::parameter(name, code)])
    }

    pub fn unavailable(what: &'static str, cause: impl fmt::Display) -> Self {
        Error::Unavailable {
            what,
            cause: cause.to_string(),
        }
    }

    pub fn internal(what: &'static str, cause: impl fmt::Display) -> Self {
        Error::Internal {
            what,
            cause: cause.to_string(),
        }
    }

    pub fn outcome_unknown(cause: impl fmt::Display) -> Self {
        Error::OutcomeUnknown {
            cause: cause.to_string(),
        }
    }

    /// The failure is one of a statement inside a transaction that was rolled back, perhaps because of a neighbour in
    /// the same batch: alone the request may well succeed. Not where the database is away, or may have committed.
    pub fn is_worth_repeating_alone(&self) -> bool {
        match self {
            Error::Unavailable { what, .. } => *what == BUSY,
            Error::OutcomeUnknown { .. } | Error::TransactionLost { .. } => false,
            _ => true,
        }
    }

    pub(crate) fn nothing_to_commit() -> Self {
        Error::NothingToCommit
    }

    pub(crate) fn is_nothing_to_commit(&self) -> bool {
        matches!(self, Error::NothingToCommit)
    }

    /// For the log only: names the cause, which the caller never sees.
    pub fn log_text(&self) -> String {
        match self {
            Error::Unavailable { what, cause } | Error::Internal { what, cause } => {
                format!("{what}: {cause}")
            }
            Error::OutcomeUnknown { cause } => format!("the outcome of a commit is unknown: {cause}"),
            Error::TransactionLost { cause } => format!("a transaction was lost: {cause}"),
            other => format!("{other:?}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log_text())
    }
}

impl std::error::Error for Error {}

impl From<DieselError> for Error {
    fn from(cause: DieselError) -> Self {
        match &cause {
            DieselError::DatabaseError(kind, info) => match kind {
                DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::ReadOnlyTransaction => {
                    Error::unavailable("the database is not ready", &cause)
                }
                _ if is_lost(info.message()) => {
                    Error::unavailable("the database connection was lost", &cause)
                }
                _ if is_transient(info.message()) => Error::unavailable(BUSY, &cause),
                _ => Error::internal("a database statement failed", &cause),
            },
            DieselError::BrokenTransactionManager => {
                Error::unavailable("the database connection broke", &cause)
            }
            _ => Error::internal("a database statement failed", &cause),
        }
    }
}

const BUSY: &str = "the database is busy";

/// Failures that diesel does not classify but that pass by themselves: SQLite busy or full, PostgreSQL deadlock and
/// timeouts.
fn is_transient(message: &str) -> bool {
    let signs = [
        "database is locked",
        "database or disk is full",
        "deadlock detected",
        "canceling statement due to",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

/// The session is gone or the server is going away.
fn is_lost(message: &str) -> bool {
    let signs = [
        "terminating connection",
        "server closed the connection",
        "the database system is",
        "no connection to the server",
        "connection not open",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

/// True where an insert ran into a unique constraint: whoever wrote the insert says what that means.
pub fn is_unique_violation(cause: &DieselError) -> bool {
    matches!(
        cause,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}
