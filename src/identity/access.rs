//! The one place that decides from (principal, action, resource). What a principal may not see is `NotFound`, what it
//! sees but may not do is `Forbidden`.
use super::{Client, Principal, Role, Scope, Staff};
use crate::error::{Error, Resource, Result};

/// Everything that can be asked of the product. Routes name theirs in the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    ReadSelf,
    ReadDirectory,
    ReadCalendars,
    ManageCalendars,
    /// Who changed the rules, why, and what rests on them; what queues promise each other.
    ReadRuleHistory,
    FileTicket,
    ReadTicket,
    PostMessage,
    ReadNotes,
    PostNote,
    Claim,
    Assign,
    Release,
    Transfer,
    ChangeTicket,
    Wait,
    Resume,
    Resolve,
    Close,
    Reopen,
    Cancel,
    ClaimNext,
    ReadQueueSummary,
    ReadDeliveries,
    RetryDelivery,
    ReadReports,
}

/// What an action is done to.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    Ticket {
        organisation_id: i64,
        queue_id: i64,
        assignee_id: Option<i64>,
    },
    Queue {
        id: i64,
    },
}

/// May this principal do this to anything at all? Asked for every route before its body is read.
pub fn permit(principal: &Principal, action: Action) -> Result<()> {
    let allowed = match principal {
        Principal::System => true,
        Principal::Client { client, .. } => client_may(client, action),
        Principal::Staff { staff, .. } => role_may(staff.role, action),
    };
    if allowed { Ok(()) } else { Err(Error::Forbidden) }
}

/// May this principal do this to this? `open_desk`: agents see the tickets of all queues.
pub fn authorise(principal: &Principal, action: Action, target: Target, open_desk: bool) -> Result<()> {
    if !sees(principal, target, open_desk) {
        return Err(Error::NotFound(match target {
            Target::Ticket { .. } => Resource::Ticket,
            Target::Queue { .. } => Resource::Queue,
        }));
    }
    permit(principal, action)?;
    match principal {
        Principal::Staff { staff, .. } if staff.role == Role::Agent && !agent_may(staff, action, target) => {
            Err(Error::Forbidden)
        }
        _ => Ok(()),
    }
}

fn sees(principal: &Principal, target: Target, open_desk: bool) -> bool {
    match (principal, target) {
        (Principal::Client { client, .. }, Target::Ticket { organisation_id, .. }) => {
            client.organisation_id == organisation_id
        }
        (
            Principal::Staff { staff, .. },
            Target::Ticket {
                queue_id,
                assignee_id,
                ..
            },
        ) => {
            staff.role != Role::Agent
                || open_desk
                || staff.queues.contains(&queue_id)
                || assignee_id == Some(staff.user_id)
        }
        // Which queues exist is no secret.
        (_, Target::Queue { .. }) | (Principal::System, _) => true,
    }
}

fn client_may(client: &Client, action: Action) -> bool {
    use Action as A;
    match action {
        A::ReadSelf | A::ReadDirectory | A::ReadCalendars => true,
        A::ReadTicket => client.scopes.contains(&Scope::TicketsRead),
        A::FileTicket | A::PostMessage | A::Close | A::Reopen | A::Cancel => {
            client.scopes.contains(&Scope::TicketsWrite)
        }
        _ => false,
    }
}

fn role_may(role: Role, action: Action) -> bool {
    use Action as A;
    let reads = matches!(
        action,
        A::ReadSelf
            | A::ReadDirectory
            | A::ReadCalendars
            | A::ReadRuleHistory
            | A::ReadTicket
            | A::ReadNotes
            | A::ReadQueueSummary
    );
    match role {
        Role::Admin => true,
        Role::Supervisor => action != A::ManageCalendars,
        Role::Agent => !matches!(
            action,
            A::ManageCalendars | A::Assign | A::ReadDeliveries | A::RetryDelivery | A::ReadReports
        ),
        Role::Auditor => reads || matches!(action, A::ReadDeliveries | A::ReadReports),
    }
}

/// An agent works on what is assigned to them; what is not is open to the members of its queue where another rule
/// would leave nobody to act.
fn agent_may(staff: &Staff, action: Action, target: Target) -> bool {
    use Action as A;
    match target {
        Target::Queue { id } => action != A::ClaimNext || staff.queues.contains(&id),
        Target::Ticket {
            queue_id,
            assignee_id,
            ..
        } => {
            let own = assignee_id == Some(staff.user_id);
            let member = staff.queues.contains(&queue_id);
            match action {
                A::Release | A::Wait | A::Resume | A::Resolve => own,
                A::Claim => member,
                A::Transfer | A::ChangeTicket | A::Close | A::Reopen | A::Cancel => own || member,
                _ => true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Uid;

    fn agent(user_id: i64, queues: &[i64]) -> Principal {
        staff(Role::Agent, user_id, queues)
    }

    fn staff(role: Role, user_id: i64, queues: &[i64]) -> Principal {
        let staff = Staff {
            user_id,
            uid: Uid::new(),
            name: "Lan".into(),
            email: "lan@example.vn".into(),
            role,
            queues: queues.to_vec(),
        };
        Principal::Staff { staff }
    }

    fn client(organisation_id: i64, scopes: &[Scope]) -> Principal {
        let client = Client {
            client_id: 2,
            uid: Uid::new(),
            name: "LGSP".into(),
            organisation_id,
            scopes: scopes.to_vec(),
        };
        Principal::Client { client }
    }

    const TICKET: Target = Target::Ticket {
        organisation_id: 1,
        queue_id: 10,
        assignee_id: Some(7),
    };

    #[test]
    fn a_foreign_organisation_cannot_tell_that_a_ticket_exists() {
        let foreign = client(2, &Scope::ALL);
        for action in [
            Action::ReadTicket,
            Action::Cancel,
            Action::Claim,
            Action::PostNote,
        ] {
            let refused = authorise(&foreign, action, TICKET, false);
            assert!(
                matches!(refused, Err(Error::NotFound(Resource::Ticket))),
                "{action:?}"
            );
        }
    }

    #[test]
    fn an_organisation_never_sees_notes_nor_works_tickets() {
        let own = client(1, &Scope::ALL);
        for action in [
            Action::ReadNotes,
            Action::PostNote,
            Action::Claim,
            Action::Resolve,
            Action::Assign,
        ] {
            assert!(
                matches!(authorise(&own, action, TICKET, true), Err(Error::Forbidden)),
                "{action:?}"
            );
        }
        assert!(authorise(&own, Action::ReadTicket, TICKET, false).is_ok());
    }

    #[test]
    fn a_key_without_the_write_scope_only_reads() {
        let reader = client(1, &[Scope::TicketsRead]);
        assert!(authorise(&reader, Action::ReadTicket, TICKET, false).is_ok());
        assert!(matches!(
            authorise(&reader, Action::Cancel, TICKET, false),
            Err(Error::Forbidden)
        ));
        assert!(matches!(
            permit(&reader, Action::FileTicket),
            Err(Error::Forbidden)
        ));
    }

    #[test]
    fn an_agent_works_their_own_tickets_and_sees_their_queues() {
        let (own, colleague, stranger) = (agent(7, &[10]), agent(8, &[10]), agent(9, &[11]));
        assert!(authorise(&own, Action::Resolve, TICKET, false).is_ok());
        assert!(matches!(
            authorise(&colleague, Action::Resolve, TICKET, false),
            Err(Error::Forbidden)
        ));
        assert!(authorise(&colleague, Action::Transfer, TICKET, false).is_ok());
        assert!(matches!(
            authorise(&stranger, Action::ReadTicket, TICKET, false),
            Err(Error::NotFound(_))
        ));
        assert!(authorise(&stranger, Action::ReadTicket, TICKET, true).is_ok());
        assert!(matches!(
            authorise(&stranger, Action::ClaimNext, Target::Queue { id: 10 }, true),
            Err(Error::Forbidden)
        ));
    }

    #[test]
    fn an_auditor_reads_everything_and_writes_nothing() {
        let auditor = staff(Role::Auditor, 5, &[]);
        for action in [
            Action::ReadTicket,
            Action::ReadNotes,
            Action::ReadReports,
            Action::ReadDeliveries,
        ] {
            assert!(authorise(&auditor, action, TICKET, false).is_ok(), "{action:?}");
        }
        for action in [
            Action::FileTicket,
            Action::PostNote,
            Action::Claim,
            Action::Cancel,
            Action::RetryDelivery,
        ] {
            assert!(
                matches!(authorise(&auditor, action, TICKET, false), Err(Error::Forbidden)),
                "{action:?}"
            );
        }
    }
}
