//! Filing: many questions in one transaction, each with its number, route, clocks, history, mail and idempotency record.
//!
//! The rows of a batch are written together, a few statements whatever its size. A question that is wrong by itself
//! is refused by itself; a failure of the database fails the batch, and the intake then files one by one.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::clocks::{Terms, start_all, urgency};
use super::db::{self, ClockRow, TicketRow};
use super::history::{EventKind, event};
use super::lifecycle::{Channel, State};
use super::search::{Document, store_documents};
use super::terms::{Asked, valid_agreement};
use super::view::{Reference, TicketView, remaining};
use crate::agreements::{self, Agreement};
use crate::attachments::{self, Attachment, Waiting};
use crate::directory::{self, Organisation, Requester, RequesterInput};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::idempotency::{self, Answer, Key};
use crate::identity::Principal;
use crate::identity::access::Action;
use crate::identity::standing::Standing;
use crate::identity::token::random_base32;
use crate::notifications::db::{DeliveryRow, insert_deliveries};
use crate::notifications::outbox::{Addressee, Letter, Subject, mail};
use crate::notifications::templates::MailKind;
use crate::queues::{self, Queue, Topic, fields};
use crate::rules::{CalendarVersion, PolicyVersion, pick};
use crate::sla::Priority;
use crate::sla::policy::TargetKind;
use crate::store::{Db, Json, Ts, Uid};
use crate::tx::Desk;

/// A question as it was asked; texts are checked and normalised, codes are not yet looked up.
#[derive(Debug, Clone, Default)]
pub struct FileTicket {
    pub subject: String,
    pub body: String,
    pub organisation: Option<String>,
    pub topic: Option<String>,
    pub priority: Option<Priority>,
    pub channel: Option<Channel>,
    pub requester: Option<RequesterInput>,
    pub external_ref: Option<String>,
    pub attachments: Vec<Uuid>,
    pub tags: Vec<String>,
    pub custom_fields: Map<String, Value>,
}

/// Makes the answer that is sent, and stored under the idempotency key, from the ticket.
pub type Answering = Arc<dyn Fn(&TicketView) -> Result<Answer> + Send + Sync>;

/// One request to file.
#[derive(Clone)]
pub struct Filing {
    pub principal: Arc<Principal>,
    pub question: FileTicket,
    pub key: Option<Key>,
    pub filed_at: DateTime<Utc>,
    pub answering: Answering,
}

/// File all; the outer error is the database's and means that nothing was written.
pub fn file_batch(conn: &mut Db, desk: &Desk, filings: &[Filing]) -> Result<Vec<Result<Answer>>> {
    let mut results: Vec<Option<Result<Answer>>> = filings.iter().map(|_| None).collect();
    let now = filings
        .iter()
        .map(|filing| filing.filed_at)
        .max()
        .unwrap_or_default();
    replay_known(conn, filings, &mut results, now)?;
    let standing = Standing::of(conn, filings.iter().map(|filing| &*filing.principal))?;
    for (position, filing) in filings.iter().enumerate() {
        if let Err(refused) = standing.admit(conn, &filing.principal, Action::FileTicket) {
            set(&mut results, position, Err(refused));
        }
    }
    let waiting = filings
        .iter()
        .zip(&results)
        .filter(|(_, result)| result.is_none())
        .map(|(filing, _)| filing);
    let mut batch = Batch::new(conn, desk, waiting)?;
    for (position, filing) in filings.iter().enumerate() {
        if results.get(position).is_some_and(Option::is_none)
            && let Err(error) = batch.add(conn, position, filing)?
        {
            set(&mut results, position, Err(error));
        }
    }
    batch.remember_requesters(conn, filings)?;
    for (position, answer) in batch.write(conn, filings)? {
        set(&mut results, position, answer);
    }
    let unanswered = || Err(Error::internal("a question was not answered", "it is in no list"));
    Ok(results
        .into_iter()
        .map(|result| result.unwrap_or_else(unanswered))
        .collect())
}

fn set(results: &mut [Option<Result<Answer>>], position: usize, answer: Result<Answer>) {
    if let Some(slot) = results.get_mut(position) {
        *slot = Some(answer);
    }
}

/// Answer what was asked before; a second request with the same key in this batch has to come back.
fn replay_known(
    conn: &mut Db,
    filings: &[Filing],
    results: &mut [Option<Result<Answer>>],
    now: DateTime<Utc>,
) -> Result<()> {
    let mut positions = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    let mut firsts: HashMap<_, &Key> = HashMap::new();
    for (position, filing) in filings.iter().enumerate() {
        let Some(key) = &filing.key else { continue };
        match firsts.get(&key.of_owner()) {
            None => {
                firsts.insert(key.of_owner(), key);
                positions.push(position);
                keys.push(key.clone());
            }
            Some(first) if first.request_hash == key.request_hash => {
                set(results, position, Err(Error::InProgress))
            }
            Some(_) => set(results, position, Err(Error::IdempotencyKeyReused)),
        }
    }
    idempotency::lock_keys(conn, &keys)?;
    for (at, answer) in idempotency::lookup(conn, &keys, now)? {
        if let Some(position) = positions.get(at) {
            set(results, *position, answer);
        }
    }
    Ok(())
}

/// Everything that a batch shares, and the tickets made so far.
struct Batch<'a> {
    desk: &'a Desk,
    policies: Vec<Arc<PolicyVersion>>,
    /// By calendar, the version in force.
    calendars: HashMap<i64, Arc<CalendarVersion>>,
    agreements: Vec<Agreement>,
    /// Whose agreements these are; most have none.
    asked: BTreeSet<i64>,
    organisations: HashMap<i64, Organisation>,
    topics: HashMap<String, Topic>,
    queues: HashMap<i64, Queue>,
    attachments: Waiting,
    drafts: Vec<Draft>,
}

/// A ticket that is checked and waits for its number and inside key.
struct Draft {
    position: usize,
    ticket: TicketRow,
    clocks: Vec<ClockRow>,
    organisation: Organisation,
    queue: Queue,
    topic: Option<Topic>,
    requester: Option<Requester>,
    attachments: Vec<Attachment>,
}

impl<'a> Batch<'a> {
    /// Reads in one statement each what most of the batch needs.
    fn new<'f>(conn: &mut Db, desk: &'a Desk, filings: impl Iterator<Item = &'f Filing>) -> Result<Self> {
        let mut asking = BTreeSet::new();
        let mut files = Vec::new();
        for filing in filings {
            files.extend_from_slice(&filing.question.attachments);
            let Some(client) = filing.principal.client() else {
                continue;
            };
            asking.insert(client.organisation_id);
        }
        let ids: Vec<i64> = asking.iter().copied().collect();
        let policies = desk.rules.policies_in_force(conn)?;
        let calendar_ids: BTreeSet<i64> = policies.iter().map(|policy| policy.calendar_id).collect();
        let calendars = calendar_ids
            .into_iter()
            .map(|id| Ok((id, desk.rules.calendar_in_force(conn, id)?)))
            .collect::<Result<HashMap<_, _>>>()?;
        let queues = queues::db::list_queues(conn)?
            .into_iter()
            .map(|queue| (queue.id, queue))
            .collect();
        Ok(Batch {
            desk,
            policies,
            calendars,
            agreements: agreements::db::hold_of(conn, &ids)?,
            asked: asking,
            organisations: directory::list_by_id(conn, &ids)?
                .into_iter()
                .map(|organisation| (organisation.id, organisation))
                .collect(),
            topics: HashMap::new(),
            queues,
            attachments: Waiting::lock(conn, &files)?,
            drafts: Vec::new(),
        })
    }

    /// Check one question; the inner error is the asker's.
    fn add(&mut self, conn: &mut Db, position: usize, filing: &Filing) -> Result<Result<()>> {
        let question = &filing.question;
        let mut errors = Vec::new();
        let organisation = self.organisation(conn, filing, &mut errors)?;
        let topic = self.topic(conn, question, &mut errors)?;
        if let Some(topic) = &topic {
            errors.extend(fields::check(&topic.fields()?, &question.custom_fields));
        }
        let (Some(organisation), true) = (organisation, errors.is_empty()) else {
            return Ok(Err(Error::Invalid(errors)));
        };
        // Last, because what is taken here is this question's.
        let most = self.desk.attachments.per_ticket;
        let files = match self
            .attachments
            .take(&filing.principal, &question.attachments, most)
        {
            Ok(files) => files,
            Err(errors) => return Ok(Err(Error::Invalid(errors))),
        };
        let mut draft = self.draft(position, filing, organisation, topic)?;
        draft.attachments = files;
        self.drafts.push(draft);
        Ok(Ok(()))
    }

    /// In one order for all batches: two that change the same people in different orders would lock each other out.
    fn remember_requesters(&mut self, conn: &mut Db, filings: &[Filing]) -> Result<()> {
        let mut asked: Vec<(&mut Draft, &RequesterInput, DateTime<Utc>)> = self
            .drafts
            .iter_mut()
            .filter_map(|draft| {
                let filing = filings.get(draft.position)?;
                Some((draft, filing.question.requester.as_ref()?, filing.filed_at))
            })
            .collect();
        asked.sort_by(|(a, person, _), (b, other, _)| {
            (a.organisation.id, &person.email, &person.name).cmp(&(
                b.organisation.id,
                &other.email,
                &other.name,
            ))
        });
        let with_address = asked.iter().filter_map(|(draft, person, _)| {
            let address = person.email.as_deref()?;
            Some((draft.organisation.id, address))
        });
        let (organisations, addresses): (BTreeSet<i64>, BTreeSet<&str>) = with_address.unzip();
        let organisations: Vec<i64> = organisations.into_iter().collect();
        let addresses: Vec<&str> = addresses.into_iter().collect();
        let mut known = directory::hold_requesters_by_email(conn, &organisations, &addresses)?;
        for (draft, person, at) in asked {
            let requester = remember(conn, &mut known, draft.organisation.id, person, at)?;
            draft.ticket.requester_id = Some(requester.id);
            draft.requester = Some(requester);
        }
        Ok(())
    }

    fn organisation(
        &mut self,
        conn: &mut Db,
        filing: &Filing,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<Organisation>> {
        let mut refuse = |code| {
            errors.push(FieldError::pointer("/organisation", code));
            Ok(None)
        };
        match (&*filing.principal, &filing.question.organisation) {
            (Principal::Client { .. }, Some(_)) => refuse(FieldCode::NotAllowed),
            (Principal::Client { client, .. }, None) => {
                Ok(self.organisations.get(&client.organisation_id).cloned())
            }
            (_, None) => refuse(FieldCode::Required),
            (_, Some(code)) => match directory::find_organisation(conn, code)? {
                Some(organisation) => {
                    self.know_agreements_of(conn, organisation.id)?;
                    Ok(Some(organisation))
                }
                None => refuse(FieldCode::UnknownCode),
            },
        }
    }

    /// Staff file for any organisation, which the batch did not know of when it began.
    fn know_agreements_of(&mut self, conn: &mut Db, organisation_id: i64) -> Result<()> {
        if self.asked.insert(organisation_id) {
            let further = agreements::db::hold_of(conn, &[organisation_id])?;
            self.agreements.extend(further);
        }
        Ok(())
    }

    /// The terms of a question, and the calendar that counts for it.
    fn terms(&self, asked: &Asked<'_>, filed_at: DateTime<Utc>) -> Result<(Terms, Arc<CalendarVersion>)> {
        let policy = Arc::clone(pick(&self.policies, &asked.question())?);
        let own = self
            .agreements
            .iter()
            .filter(|agreement| agreement.organisation_id == asked.organisation.id);
        let agreement = valid_agreement(own, self.desk.date_of(filed_at))?;
        let calendar = self
            .calendars
            .get(&policy.calendar_id)
            .ok_or_else(|| Error::internal("a policy without a calendar", &policy.code))?;
        Ok((Terms { policy, agreement }, Arc::clone(calendar)))
    }

    fn topic(
        &mut self,
        conn: &mut Db,
        question: &FileTicket,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<Topic>> {
        let Some(code) = &question.topic else {
            return Ok(None);
        };
        if !self.topics.contains_key(code) {
            match queues::find_topic(conn, code)? {
                Some(topic) => self.topics.insert(code.clone(), topic),
                None => {
                    errors.push(FieldError::pointer("/topic", FieldCode::UnknownCode));
                    return Ok(None);
                }
            };
        }
        Ok(self.topics.get(code).cloned())
    }

    fn draft(
        &self,
        position: usize,
        filing: &Filing,
        organisation: Organisation,
        topic: Option<Topic>,
    ) -> Result<Draft> {
        let question = &filing.question;
        let at = filing.filed_at;
        let queue = queues::route(&self.queues, topic.as_ref())?.clone();
        let priority = question
            .priority
            .or_else(|| {
                topic
                    .as_ref()
                    .map(|topic| Priority::of_rank(topic.default_priority))
            })
            .unwrap_or(Priority::Normal);
        let channel = question.channel.unwrap_or(match *filing.principal {
            Principal::Client { .. } => Channel::Api,
            _ => Channel::Web,
        });
        let asked = Asked {
            organisation: &organisation,
            topic: topic.as_ref(),
            queue: &queue,
            channel: channel.as_str(),
            tags: &question.tags,
        };
        let (terms, calendar) = self.terms(&asked, at)?;
        let clocks = start_all(&terms, &calendar, priority, at)?;
        let ticket = TicketRow {
            id: 0,
            uid: Uid::new(),
            number: String::new(),
            link_token: random_base32::<20>()?,
            subject: question.subject.clone(),
            body: question.body.clone(),
            state: State::Queued,
            outcome: None,
            referred_to: None,
            priority: priority.rank(),
            channel,
            organisation_id: organisation.id,
            requester_id: None,
            queue_id: queue.id,
            topic_id: topic.as_ref().map(|topic| topic.id),
            assignee_id: None,
            external_ref: question.external_ref.clone(),
            tags: Json(json!(question.tags)),
            custom_fields: Json(Value::Object(question.custom_fields.clone())),
            policy_version_id: terms.policy.id,
            urgency_at: urgency(&clocks),
            breached: false,
            filed_at: Ts::from(at),
            updated_at: Ts::from(at),
            first_response_at: None,
            resolved_at: None,
            closed_at: None,
            closes_at: None,
            status_update_at: None,
            status_updates: 0,
            anonymised_at: None,
            version: 1,
        };
        Ok(Draft {
            position,
            ticket,
            clocks,
            organisation,
            queue,
            topic,
            requester: None,
            attachments: Vec::new(),
        })
    }

    /// Number the drafts, write their rows, and make the answers.
    fn write(mut self, conn: &mut Db, filings: &[Filing]) -> Result<Vec<(usize, Result<Answer>)>> {
        if self.drafts.is_empty() {
            return Ok(Vec::new());
        }
        self.number(conn)?;
        let rows: Vec<TicketRow> = self.drafts.iter().map(|draft| draft.ticket.clone()).collect();
        let ids: HashMap<Uid, i64> = db::insert_tickets(conn, &rows)?.into_iter().collect();
        let mut clocks = Vec::with_capacity(2 * self.drafts.len());
        let mut events = Vec::with_capacity(self.drafts.len());
        let mut mails = Vec::new();
        for draft in &mut self.drafts {
            let uid = draft.ticket.uid;
            let id = *ids
                .get(&uid)
                .ok_or_else(|| Error::internal("an inserted ticket was not returned", uid))?;
            draft.ticket.id = id;
            draft.clocks.iter_mut().for_each(|clock| clock.ticket_id = id);
            clocks.extend(draft.clocks.iter().cloned());
            draft.give_files(conn)?;
            let Some(filing) = filings.get(draft.position) else {
                continue;
            };
            let data = json!({
                "queue": draft.queue.code,
                "topic": draft.topic.as_ref().map(|topic| &topic.code),
                "priority": Priority::of_rank(draft.ticket.priority),
                "channel": draft.ticket.channel,
            });
            let filed = event(&filing.principal, id, EventKind::Filed, filing.filed_at, data);
            mails.extend(draft.confirmation(self.desk, filed.uid, filing.filed_at)?);
            events.push(filed);
        }
        let documents: Vec<Document> = self
            .drafts
            .iter()
            .map(|draft| Document::new(&draft.ticket, []))
            .collect();
        store_documents(conn, &documents)?;
        db::insert_clocks(conn, &clocks)?;
        db::insert_events(conn, &events)?;
        insert_deliveries(conn, &mails)?;
        self.answer(conn, filings)
    }

    /// Numbers run by the year in which the question was filed, in the order of the batch.
    fn number(&mut self, conn: &mut Db) -> Result<()> {
        // In the order of years: two batches around New Year must not wait for each other.
        let mut by_year: BTreeMap<i32, Vec<&mut Draft>> = BTreeMap::new();
        for draft in &mut self.drafts {
            by_year
                .entry(self.desk.year_of(draft.ticket.filed_at.0))
                .or_default()
                .push(draft);
        }
        for (year, drafts) in by_year {
            let count = i64::try_from(drafts.len()).unwrap_or(i64::MAX);
            let first = db::allocate_numbers(conn, year, count)?;
            for (number, draft) in (first..).zip(drafts) {
                draft.ticket.number = format!("GD-{year}-{number:06}");
            }
        }
        Ok(())
    }

    fn answer(self, conn: &mut Db, filings: &[Filing]) -> Result<Vec<(usize, Result<Answer>)>> {
        let mut answers = Vec::with_capacity(self.drafts.len());
        for draft in self.drafts {
            let Some(filing) = filings.get(draft.position) else {
                continue;
            };
            let position = draft.position;
            let view = draft.into_view(conn, self.desk, filing.filed_at)?;
            answers.push((position, (filing.answering)(&view)?));
        }
        let kept: Vec<(&Key, &Answer)> = answers
            .iter()
            .filter_map(|(position, answer)| Some((filings.get(*position)?.key.as_ref()?, answer)))
            .collect();
        let now = filings
            .iter()
            .map(|filing| filing.filed_at)
            .max()
            .unwrap_or_default();
        idempotency::insert_answers(conn, &kept, now)?;
        Ok(answers
            .into_iter()
            .map(|(position, answer)| (position, Ok(answer)))
            .collect())
    }
}

/// The person, from those that the batch holds where they say the same.
fn remember(
    conn: &mut Db,
    known: &mut HashMap<(i64, String), Requester>,
    organisation_id: i64,
    input: &RequesterInput,
    at: DateTime<Utc>,
) -> Result<Requester> {
    let person = input.email.clone().map(|address| (organisation_id, address));
    let already = person.as_ref().and_then(|person| known.get(person));
    if let Some(requester) = already.filter(|requester| requester.says_the_same_as(input)) {
        return Ok(requester.clone());
    }
    let remembered = directory::remember_requester(conn, organisation_id, input, at)?;
    if let Some(person) = person {
        known.insert(person, remembered.clone());
    }
    Ok(remembered)
}

impl Draft {
    fn give_files(&mut self, conn: &mut Db) -> Result<()> {
        if self.attachments.is_empty() {
            return Ok(());
        }
        let files: Vec<i64> = self.attachments.iter().map(|file| file.id).collect();
        let ticket_id = self.ticket.id;
        attachments::db::give_to(conn, &files, ticket_id, None, false)?;
        for file in &mut self.attachments {
            file.ticket_id = Some(ticket_id);
        }
        Ok(())
    }

    /// The mail that confirms the receipt, if the asking person gave an address.
    fn confirmation(&self, desk: &Desk, event: Uid, at: DateTime<Utc>) -> Result<Option<DeliveryRow>> {
        let Some(requester) = &self.requester else {
            return Ok(None);
        };
        let Some(address) = &requester.email else {
            return Ok(None);
        };
        let to = Addressee {
            address: address.clone(),
            name: requester.name.clone(),
            language: requester.language,
        };
        let about = Subject {
            ticket_id: self.ticket.id,
            ticket_uid: self.ticket.uid,
            number: &self.ticket.number,
            subject: &self.ticket.subject,
            link_token: &self.ticket.link_token,
            organisation_vi: &self.organisation.name_vi,
            organisation_en: &self.organisation.name_en,
        };
        let resolution = self
            .clocks
            .iter()
            .find(|clock| clock.target == TargetKind::Resolution.as_str());
        let due_at = resolution.and_then(|clock| clock.due_at).map(|due| due.0);
        let letter = Letter {
            kind: MailKind::Received,
            event,
            due_at,
            agent_name: None,
        };
        mail(desk, &about, &letter, &to, at).map(Some)
    }

    fn into_view(self, conn: &mut Db, desk: &Desk, now: DateTime<Utc>) -> Result<TicketView> {
        let remaining = remaining(conn, desk, &self.clocks, now)?;
        Ok(TicketView {
            queue: Reference::new(&self.queue.code, &self.queue.name_vi, &self.queue.name_en),
            organisation: Reference::new(
                &self.organisation.code,
                &self.organisation.name_vi,
                &self.organisation.name_en,
            ),
            topic: self
                .topic
                .map(|topic| Reference::new(&topic.code, &topic.name_vi, &topic.name_en)),
            requester: self.requester,
            assignee: None,
            ticket: self.ticket,
            clocks: self.clocks,
            remaining,
            attachments: self.attachments,
        })
    }
}
