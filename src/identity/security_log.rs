//! What somebody who looks after the security of the house wants to see: a line for each login, credential, password,
//! second factor and role that changed, under the target `security`. Ids only; names and addresses never. A line is
//! written when the change is made, inside its transaction: a database that is lost just then may have undone it.
use crate::store::Uid;

/// What happened to a person's account, and who did it.
pub fn note(event: &'static str, user: Uid, by: Option<Uid>) {
    match by {
        Some(by) => tracing::info!(target: "security", event, user = %user, by = %by),
        None => tracing::info!(target: "security", event, user = %user),
    }
}

/// The same of one of the person's credentials.
pub fn note_credential(event: &'static str, user: Uid, credential: Uid) {
    tracing::info!(target: "security", event, user = %user, credential = %credential);
}

/// The same, with why: of a login by the provider, whose reasons are told to nobody else.
pub fn note_refused_because(event: &'static str, reason: &'static str, user: Option<Uid>) {
    match user {
        Some(user) => tracing::warn!(target: "security", event, reason, user = %user),
        None => tracing::warn!(target: "security", event, reason),
    }
}

/// An attempt that came to nothing. Who it would have been is not told where there is no such person.
pub fn note_refused(event: &'static str, user: Option<Uid>) {
    match user {
        Some(user) => tracing::warn!(target: "security", event, user = %user),
        None => tracing::warn!(target: "security", event),
    }
}
