//! What one request does to one ticket, checked and ready to be carried out: by a route of its own or as an item of a
//! bulk request. Both say it in these words, so that neither can do what the other may not.
use uuid::Uuid;

use super::edit::{self, TicketChange};
use super::lifecycle::{Operation, Outcome};
use super::messages::{self, Said};
use super::operations::{self, Resolution};
use crate::error::Result;
use crate::identity::access::Action;
use crate::tx::Tx;

#[derive(Debug, Clone)]
pub enum Act {
    Change(Box<TicketChange>),
    /// A public message.
    Message(Words),
    /// An internal note.
    Note(Words),
    Claim,
    Assign {
        assignee: String,
    },
    Release {
        reason: Option<String>,
    },
    Transfer {
        queue: String,
        reason: String,
    },
    Wait {
        message: String,
    },
    Resume {
        reason: Option<String>,
    },
    Resolve {
        outcome: Outcome,
        message: String,
        referred_to: Option<String>,
    },
    Close {
        reason: Option<String>,
    },
    Reopen {
        reason: String,
    },
    Cancel {
        reason: String,
    },
}

/// What is said, with its files.
#[derive(Debug, Clone)]
pub struct Words {
    pub text: String,
    pub files: Vec<Uuid>,
}

/// What came of it.
pub enum Done {
    /// The inside key of the ticket, which has moved.
    Ticket(i64),
    Said(Said),
}

impl Act {
    /// The permission that it asks for.
    pub fn action(&self) -> Action {
        match self {
            Act::Change(_) => Action::ChangeTicket,
            Act::Message(_) => Action::PostMessage,
            Act::Note(_) => Action::PostNote,
            Act::Claim => Operation::Claim.action(),
            Act::Assign { .. } => Operation::Assign.action(),
            Act::Release { .. } => Operation::Release.action(),
            Act::Transfer { .. } => Operation::Transfer.action(),
            Act::Wait { .. } => Operation::Wait.action(),
            Act::Resume { .. } => Operation::Resume.action(),
            Act::Resolve { .. } => Operation::Resolve.action(),
            Act::Close { .. } => Operation::Close.action(),
            Act::Reopen { .. } => Operation::Reopen.action(),
            Act::Cancel { .. } => Operation::Cancel.action(),
        }
    }

    /// Do it to the ticket with this UUID or number.
    pub fn carry_out(&self, tx: &mut Tx<'_>, id: &str) -> Result<Done> {
        let ticket_id = match self {
            Act::Message(said) => {
                return messages::post_message(tx, id, &said.text, &said.files).map(Done::Said);
            }
            Act::Note(said) => return messages::post_note(tx, id, &said.text, &said.files).map(Done::Said),
            Act::Change(change) => edit::change(tx, id, change),
            Act::Claim => operations::claim(tx, id),
            Act::Assign { assignee } => operations::assign(tx, id, assignee),
            Act::Release { reason } => operations::release(tx, id, reason.as_deref()),
            Act::Transfer { queue, reason } => operations::transfer(tx, id, queue, reason),
            Act::Wait { message } => operations::wait(tx, id, message),
            Act::Resume { reason } => operations::resume(tx, id, reason.as_deref()),
            Act::Resolve {
                outcome,
                message,
                referred_to,
            } => {
                let (outcome, referred_to) = (*outcome, referred_to.as_deref());
                operations::resolve(
                    tx,
                    id,
                    &Resolution {
                        outcome,
                        message,
                        referred_to,
                    },
                )
            }
            Act::Close { reason } => operations::close(tx, id, reason.as_deref()),
            Act::Reopen { reason } => operations::reopen(tx, id, reason),
            Act::Cancel { reason } => operations::cancel(tx, id, reason),
        }?;
        Ok(Done::Ticket(ticket_id))
    }
}
