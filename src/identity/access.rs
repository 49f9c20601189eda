//! The one place that decides from (principal, action, resource). What a principal may not see is `NotFound`, what it
//! sees but may not do is `Forbidden`.
use super::{Principal, Role, Scope, Staff};
use crate::error::{Error, Resource, Result};

/// Everything that can be asked of the product. Routes name theirs in the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    ReadSelf,
    /// Own password, second factor, sessions and tokens; never with an access token of the provider.
    ManageSelf,
    ReadStaff,
    /// How somebody of the centre logs in.
    ReadSignIn,
    ManageStaff,
    /// Programs of organisations and their keys.
    ReadClients,
    ManageClients,
    /// A program changes over the key that it presents.
    RotateOwnKey,
    ReadDirectory,
    ManageDirectory,
    /// Persons of organisations.
    ReadRequesters,
    ManageRequesters,
    /// Erase who a person is.
    AnonymiseRequesters,
    /// Why somebody was made anonymous.
    ReadErasures,
    ReadCalendars,
    ManageCalendars,
    /// Who changed the rules, why, and what rests on them; what queues promise each other.
    ReadRuleHistory,
    FileTicket,
    ReadTicket,
    PostMessage,
    /// Send a file, and take it back before it is used.
    SendAttachment,
    /// Notes, what history says among colleagues, and files of either.
    ReadNotes,
    PostNote,
    Claim,
    Assign,
    Release,
    Transfer,
    ChangeTicket,
    /// To another organisation, for which it should have been filed.
    MoveTicket,
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

/// Who may hold a permission: the roles of staff, and the programs of organisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Admin,
    Supervisor,
    Agent,
    Auditor,
    Client,
}

impl From<Role> for Holder {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Holder::Admin,
            Role::Supervisor => Holder::Supervisor,
            Role::Agent => Holder::Agent,
            Role::Auditor => Holder::Auditor,
        }
    }
}

/// The table of permissions: who holds one, and the scope that a credential with limited scopes needs besides.
fn holders(action: Action) -> (&'static [Holder], Option<Scope>) {
    use Action as A;
    use Holder as H;
    const EVERYBODY: &[Holder] = &[H::Admin, H::Supervisor, H::Agent, H::Auditor, H::Client];
    const STAFF: &[Holder] = &[H::Admin, H::Supervisor, H::Agent, H::Auditor];
    const DESK: &[Holder] = &[H::Admin, H::Supervisor, H::Agent];
    const DESK_AND_CLIENTS: &[Holder] = &[H::Admin, H::Supervisor, H::Agent, H::Client];
    const HEADS: &[Holder] = &[H::Admin, H::Supervisor];
    const HEADS_AND_AUDITOR: &[Holder] = &[H::Admin, H::Supervisor, H::Auditor];
    const ADMIN: &[Holder] = &[H::Admin];
    match action {
        A::ReadSelf | A::ReadDirectory | A::ReadCalendars => (EVERYBODY, None),
        A::ReadStaff | A::ReadRuleHistory | A::ReadErasures => (STAFF, None),
        A::ReadSignIn => (&[H::Admin, H::Auditor], None),
        A::ManageSelf => (STAFF, Some(Scope::AccountWrite)),
        A::ManageStaff | A::ManageClients => (ADMIN, Some(Scope::IdentityWrite)),
        A::ReadClients => (&[H::Admin, H::Auditor], Some(Scope::IdentityWrite)),
        A::RotateOwnKey => (&[H::Client], None),
        A::AnonymiseRequesters => (HEADS, Some(Scope::DirectoryWrite)),
        A::ManageDirectory => (ADMIN, Some(Scope::DirectoryWrite)),
        A::ReadRequesters => (EVERYBODY, Some(Scope::TicketsRead)),
        A::ManageRequesters => (DESK_AND_CLIENTS, Some(Scope::TicketsWrite)),
        A::ManageCalendars => (ADMIN, Some(Scope::RulesWrite)),
        A::ReadTicket => (EVERYBODY, Some(Scope::TicketsRead)),
        A::ReadNotes | A::ReadQueueSummary => (STAFF, Some(Scope::TicketsRead)),
        A::FileTicket | A::PostMessage | A::SendAttachment | A::Close | A::Reopen | A::Cancel => {
            (DESK_AND_CLIENTS, Some(Scope::TicketsWrite))
        }
        A::PostNote
        | A::Claim
        | A::Release
        | A::Transfer
        | A::ChangeTicket
        | A::Wait
        | A::Resume
        | A::Resolve
        | A::ClaimNext => (DESK, Some(Scope::TicketsWrite)),
        A::Assign | A::MoveTicket | A::RetryDelivery => (HEADS, Some(Scope::TicketsWrite)),
        A::ReadDeliveries | A::ReadReports => (HEADS_AND_AUDITOR, Some(Scope::ReportsRead)),
    }
}

/// May this principal do this to anything at all? Asked for every route before its body is read.
pub fn permit(principal: &Principal, action: Action) -> Result<()> {
    let (holders, scope) = holders(action);
    let holds = |holder: Holder, scopes: Option<&[Scope]>| {
        let in_scope = match (scope, scopes) {
            (Some(needed), Some(given)) => given.contains(&needed),
            // What needs no scope is open to whoever may do something with it; not to who only looks after the account.
            (None, Some([Scope::AccountWrite])) => action == Action::ReadSelf,
            _ => true,
        };
        holders.contains(&holder) && in_scope
    };
    let allowed = match principal {
        Principal::System => true,
        Principal::Client { client } => holds(Holder::Client, Some(&client.scopes)),
        // Where another party answers for the person, what they would make here would outlive its word.
        Principal::Staff { staff } if action == Action::ManageSelf && staff.credential_id.is_none() => false,
        Principal::Staff { staff } => staff
            .roles()
            .all(|role| holds(role.into(), staff.scopes.as_deref())),
    };
    if allowed { Ok(()) } else { Err(Error::Forbidden) }
}

/// Could a person of this role do this to anything? Of somebody who does not ask, but is to be given something to do.
pub fn could(role: Role, action: Action) -> bool {
    holders(action).0.contains(&role.into())
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
        Principal::Staff { staff, .. } if is_agent(staff) && !agent_may(staff, action, target) => {
            Err(Error::Forbidden)
        }
        _ => Ok(()),
    }
}

/// Whether what holds for agents holds for this person, with what they presented.
fn is_agent(staff: &Staff) -> bool {
    staff.roles().any(|role| role == Role::Agent)
}

/// Which of all tickets a principal sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight<'a> {
    Everything,
    /// Those of these organisations.
    Organisations(&'a [i64]),
    /// Those of an agent's queues, and their own.
    Agent {
        user_id: i64,
        queues: &'a [i64],
    },
}

impl Sight<'_> {
    /// `open_desk`: agents see the tickets of all queues.
    pub fn of(principal: &Principal, open_desk: bool) -> Sight<'_> {
        match principal {
            Principal::Client { client } => Sight::Organisations(&client.reach),
            Principal::Staff { staff } if is_agent(staff) && !open_desk => Sight::Agent {
                user_id: staff.user_id,
                queues: &staff.queues,
            },
            Principal::Staff { .. } | Principal::System => Sight::Everything,
        }
    }
}

fn sees(principal: &Principal, target: Target, open_desk: bool) -> bool {
    let Target::Ticket {
        organisation_id,
        queue_id,
        assignee_id,
    } = target
    else {
        // Which queues exist is no secret.
        return true;
    };
    match Sight::of(principal, open_desk) {
        Sight::Everything => true,
        Sight::Organisations(reach) => reach.contains(&organisation_id),
        Sight::Agent { user_id, queues } => queues.contains(&queue_id) || assignee_id == Some(user_id),
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
    use chrono::DateTime;

    use super::super::{Client, Presentation};
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
            made_as: Vec::new(),
            queues: queues.to_vec(),
            scopes: None,
            credential_id: None,
            version: 1,
        };
        Principal::Staff { staff }
    }

    fn client(organisation_id: i64, scopes: &[Scope]) -> Principal {
        let client = Client {
            client_id: 2,
            uid: Uid::new(),
            name: "LGSP".into(),
            organisation_id,
            reach: vec![organisation_id],
            include_units: false,
            scopes: scopes.to_vec(),
            requests_per_minute: None,
            credential_id: 3,
            here: Presentation::local(DateTime::UNIX_EPOCH),
            version: 1,
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
        let foreign = client(2, &Scope::OF_CLIENTS);
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
        let own = client(1, &Scope::OF_CLIENTS);
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
    fn a_program_sees_the_tickets_of_predecessors_and_granted_units() {
        let Principal::Client { mut client } = client(2, &Scope::OF_CLIENTS) else {
            unreachable!("a program");
        };
        client.reach = vec![2, 1];
        let successor = Principal::Client { client };
        assert!(authorise(&successor, Action::ReadTicket, TICKET, false).is_ok());
    }

    #[test]
    fn a_personal_token_may_no_more_than_its_scopes_and_its_owner() {
        let with = |role, scopes: &[Scope]| {
            let Principal::Staff { mut staff } = staff(role, 7, &[10]) else {
                unreachable!("a person");
            };
            staff.scopes = Some(scopes.to_vec());
            Principal::Staff { staff }
        };
        let reader = with(Role::Admin, &[Scope::TicketsRead]);
        assert!(authorise(&reader, Action::ReadTicket, TICKET, false).is_ok());
        for action in [
            Action::Resolve,
            Action::ManageStaff,
            Action::ManageCalendars,
            Action::ReadReports,
        ] {
            assert!(
                matches!(permit(&reader, action), Err(Error::Forbidden)),
                "{action:?}"
            );
        }
        let agent = with(Role::Agent, &Scope::ALL);
        assert!(matches!(
            permit(&agent, Action::ManageStaff),
            Err(Error::Forbidden)
        ));
    }

    #[test]
    fn a_token_may_what_the_roles_of_its_making_and_of_now_both_may() {
        let with = |role, made_as: &[Role]| {
            let Principal::Staff { mut staff } = staff(role, 7, &[10]) else {
                unreachable!("a person");
            };
            staff.made_as = made_as.to_vec();
            Principal::Staff { staff }
        };
        let ours = TICKET;
        let theirs = Target::Ticket {
            organisation_id: 1,
            queue_id: 11,
            assignee_id: None,
        };
        let (risen, fallen) = (
            with(Role::Admin, &[Role::Agent]),
            with(Role::Agent, &[Role::Admin]),
        );
        for token in [&risen, &fallen, &with(Role::Admin, &[Role::Admin, Role::Agent])] {
            assert!(permit(token, Action::ManageStaff).is_err());
            assert!(authorise(token, Action::Resolve, ours, false).is_ok());
            assert!(matches!(
                authorise(token, Action::ReadTicket, theirs, false),
                Err(Error::NotFound(_))
            ));
        }
        let read_only = with(Role::Admin, &[Role::Auditor]);
        assert!(authorise(&read_only, Action::ReadTicket, theirs, false).is_ok());
        assert!(permit(&read_only, Action::FileTicket).is_err());
        assert!(permit(&with(Role::Admin, &[Role::Admin]), Action::ManageStaff).is_ok());
    }

    #[test]
    fn nobody_manages_an_account_by_the_word_of_another_party() {
        let Principal::Staff { mut staff } = staff(Role::Admin, 7, &[]) else {
            unreachable!("a person");
        };
        let by_another = Principal::Staff { staff: staff.clone() };
        staff.credential_id = Some(1);
        assert!(permit(&Principal::Staff { staff }, Action::ManageSelf).is_ok());
        assert!(matches!(
            permit(&by_another, Action::ManageSelf),
            Err(Error::Forbidden)
        ));
        assert!(permit(&by_another, Action::ManageStaff).is_ok());
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
