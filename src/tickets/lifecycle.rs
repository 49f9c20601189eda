//! The lifecycle of a ticket: states, the operations that move it, and from where each is possible. Pure; nothing else
//! decides a transition, and nothing sets a state without asking here.
use crate::error::{Error, Result};
use crate::sla::HeldState;
use crate::text_enum;

text_enum! {
    /// Where a ticket is.
    State {
        Queued "queued",
        Assigned "assigned",
        Waiting "waiting",
        Resolved "resolved",
        Closed "closed",
        Cancelled "cancelled",
        Merged "merged",
    }
}

text_enum! {
    /// What a resolution says.
    Outcome { Answered "answered", Referred "referred", Raised "raised" }
}

text_enum! {
    /// How the question came in.
    Channel { Web "web", Email "email", Phone "phone", Document "document", Api "api" }
}

text_enum! {
    /// A named operation that moves a ticket.
    Operation {
        Claim "claim",
        Assign "assign",
        Release "release",
        Transfer "transfer",
        Wait "wait",
        Resume "resume",
        Resolve "resolve",
        Close "close",
        Reopen "reopen",
        Cancel "cancel",
    }
}

impl Operation {
    /// The states in which the operation is possible (docs/decisions/0008-what-is-possible-while-waiting.md).
    pub const fn from_states(self) -> &'static [State] {
        match self {
            Operation::Claim => &[State::Queued],
            Operation::Assign | Operation::Cancel => &State::OPEN,
            Operation::Transfer => &[State::Queued, State::Assigned],
            Operation::Release | Operation::Wait | Operation::Resolve => &[State::Assigned],
            Operation::Resume => &[State::Waiting],
            Operation::Close => &[State::Resolved],
            Operation::Reopen => &[State::Resolved, State::Closed],
        }
    }
}

impl State {
    /// Those in which the question still needs the centre or the asker.
    pub const OPEN: [State; 3] = [State::Queued, State::Assigned, State::Waiting];

    pub fn possible_operations(self) -> impl Iterator<Item = Operation> {
        Operation::ALL
            .iter()
            .copied()
            .filter(move |operation| operation.from_states().contains(&self))
    }

    /// As far as the clocks of an open ticket care; none once it is done with.
    pub fn held(self) -> Option<HeldState> {
        match self {
            State::Queued => Some(HeldState::Queued),
            State::Assigned => Some(HeldState::Assigned),
            State::Waiting => Some(HeldState::Waiting),
            State::Resolved | State::Closed | State::Cancelled | State::Merged => None,
        }
    }

    pub fn is_open(self) -> bool {
        State::OPEN.contains(&self)
    }

    /// Refuse an operation that is not possible here, and say which ones are.
    pub fn guard(self, operation: Operation) -> Result<()> {
        if operation.from_states().contains(&self) {
            return Ok(());
        }
        Err(Error::WrongTransition {
            operation: operation.as_str(),
            state: self.as_str(),
            possible: self.possible_operations().map(Operation::as_str).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_operation_is_allowed_or_refused_as_the_lifecycle_says() {
        let allowed = [
            (State::Queued, "claim assign transfer cancel"),
            (State::Assigned, "assign release transfer wait resolve cancel"),
            (State::Waiting, "assign resume cancel"),
            (State::Resolved, "close reopen"),
            (State::Closed, "reopen"),
            (State::Cancelled, ""),
            (State::Merged, ""),
        ];
        assert_eq!(allowed.len(), State::ALL.len());
        for (state, names) in allowed {
            for operation in Operation::ALL {
                let expected = names.split(' ').any(|name| name == operation.as_str());
                assert_eq!(
                    state.guard(*operation).is_ok(),
                    expected,
                    "{operation:?} in {state:?}"
                );
            }
        }
    }

    #[test]
    fn a_refused_operation_says_which_ones_are_possible() {
        match State::Waiting.guard(Operation::Resolve) {
            Err(Error::WrongTransition {
                operation,
                state,
                possible,
            }) => {
                assert_eq!(
                    (operation, state, possible),
                    ("resolve", "waiting", vec!["assign", "resume", "cancel"])
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
