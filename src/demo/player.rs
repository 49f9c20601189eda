//! Plays the plans through the HTTP API: one act after the other in the order of their instants, on a clock that is
//! turned by hand and never past a warning, a breach or a closing that is to be noticed first.
//!
//! Agents take what the queue gives them, the most urgent question, which need not be the one whose asking made them
//! look. So the acts of a question follow whoever took it; acts whose time has passed by then follow at once.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::cast::{self, Cast, Person};
use super::client::{Client, part, text};
use super::samples::{self, Question};
use super::script::{self, ActKind, Plan, Rules};
use super::texts;
use crate::app::App;
use crate::error::Error;
use crate::identity::{Role, Secret};
use crate::sla::{Instant, Timeline};
use crate::tickets::{Outcome, notices};

/// Between an act and the next on the same question, in business seconds.
const BREATH: i64 = 600;

/// A play in progress.
pub struct Play<'a> {
    app: &'a App,
    client: Client,
    cast: Cast,
    questions: Vec<Question>,
    plans: Vec<Plan>,
    timeline: Arc<Timeline>,
    tickets: Vec<Option<Ticket>>,
    by_number: HashMap<String, usize>,
    /// Questions that each agent has taken so far, by address.
    load: HashMap<String, usize>,
    /// What is to come, in order; the count keeps what falls together in the order of planning.
    to_come: BTreeMap<(Instant, u64), Step>,
    posts: u64,
    steps: u64,
}

/// What the play left behind.
pub struct Played {
    pub cast: Cast,
    /// In the order of filing, with the organisation's code.
    pub tickets: Vec<(String, String)>,
    /// The number of one with a long history.
    pub to_show: String,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    File(usize),
    Transfer(usize),
    /// Somebody takes this question, or what is more urgent in its queue.
    Take(usize),
    /// Somebody looks into a queue where a question may have been left.
    Look(&'static str, usize),
    /// The next act on a question, unless it was taken away from whom it was planned for.
    Act {
        question: usize,
        turn: u32,
    },
}

/// A filed question as the play knows it.
struct Ticket {
    number: String,
    queue: String,
    /// Who has it.
    agent: Option<Person>,
    /// How many acts are done.
    done: usize,
    /// Counts changes of hands.
    turn: u32,
    answers: u32,
}

impl<'a> Play<'a> {
    /// Make the people and the plans. Turns nothing and asks the server for its topics only.
    pub async fn prepare(
        app: &'a App,
        client: Client,
        admin: Option<Secret>,
        seed: u64,
    ) -> anyhow::Result<Play<'a>> {
        let questions = samples::all()?;
        let (desk, asking, now) = (Arc::clone(&app.desk), questions.clone(), app.clock.now());
        let (policy, timeline, cast) = app
            .store
            .write(move |conn| {
                // A fresh folder has the default policy only.
                let policies = desk.rules.policies_in_force(conn)?;
                let policy = policies
                    .last()
                    .cloned()
                    .ok_or_else(|| Error::internal("there is no default policy", "demo"))?;
                let calendar = desk.rules.calendar_in_force(conn, policy.calendar_id)?;
                let timeline = Arc::clone(&calendar.timeline);
                let cast = Cast::create(conn, &asking, admin.as_ref(), now)?;
                Ok((policy, timeline, cast))
            })
            .await
            .map_err(|error| anyhow::anyhow!("the demo's people cannot be made: {}", error.log_text()))?;
        let routes = routes(&client, &cast.admin_token).await?;
        let rules = Rules {
            policy: &policy.spec,
            timeline: &timeline,
            routes: &routes,
        };
        let plans = script::write(&questions, &rules, seed)?;
        let mut play = Play {
            app,
            client,
            cast,
            tickets: questions.iter().map(|_| None).collect(),
            by_number: HashMap::new(),
            load: HashMap::new(),
            to_come: BTreeMap::new(),
            posts: 0,
            steps: 0,
            timeline,
            questions,
            plans,
        };
        for index in 0..play.questions.len() {
            play.plan_at(play.plan(index)?.filed_at, Step::File(index));
        }
        Ok(play)
    }

    /// Play everything, then let the time pass until nothing is left to happen by itself. Reports each filing. A stop
    /// ends it between two acts with an error.
    pub async fn run(
        mut self,
        stop: &CancellationToken,
        mut progress: impl FnMut(&str),
    ) -> anyhow::Result<Played> {
        while let Some(((at, _), step)) = self.to_come.pop_first() {
            self.pass_time(Some(at), stop).await?;
            self.app.clock.set(at);
            self.act_out(step, &mut progress).await?;
            self.settle().await?;
        }
        self.pass_time(None, stop).await?;
        self.finish()
    }

    /// Let everything that happens by itself before `until` happen at its own time.
    async fn pass_time(&self, until: Option<Instant>, stop: &CancellationToken) -> anyhow::Result<()> {
        let mut last = None;
        loop {
            if stop.is_cancelled() {
                bail!("stopped by a signal before the play was over");
            }
            let next = self.app.store.read(notices::find_next_notice_at).await;
            let next = next.map_err(domain)?;
            let Some(at) = next.filter(|at| until.is_none_or(|until| *at <= until)) else {
                return Ok(());
            };
            if last == Some(at) {
                bail!("what was to be noticed at {at} is still to be noticed");
            }
            last = Some(at);
            self.app.clock.set(at.max(self.app.clock.now()));
            self.settle().await?;
        }
    }

    async fn settle(&self) -> anyhow::Result<()> {
        self.app.settle().await.map_err(domain)
    }

    async fn act_out(&mut self, step: Step, progress: &mut impl FnMut(&str)) -> anyhow::Result<()> {
        match step {
            Step::File(index) => progress(&self.file(index).await?),
            Step::Transfer(index) => self.transfer(index).await?,
            Step::Take(index) => self.take(index).await?,
            Step::Look(queue, hand) => {
                self.take_next(queue, hand).await?;
            }
            Step::Act { question, turn } => {
                if self.ticket(question)?.turn == turn {
                    self.act(question).await?;
                }
            }
        }
        Ok(())
    }

    async fn file(&mut self, index: usize) -> anyhow::Result<String> {
        let question = self.question(index)?.clone();
        let key = self
            .cast
            .key(&question.organisation_code)
            .map_err(domain)?
            .to_owned();
        let body = json!({
            "subject": question.subject,
            "body": question.body,
            "topic": question.topic,
            "priority": question.priority,
            "channel": question.channel,
            "external_ref": question.id,
            "requester": cast::requester(&question),
        });
        let filed = self.post(&key, "/tickets", body).await?;
        let number = text(&filed, "/number")?;
        let ticket = Ticket {
            number: number.clone(),
            queue: text(&filed, "/queue/code")?,
            agent: None,
            done: 0,
            turn: 0,
            answers: 0,
        };
        self.by_number.insert(number.clone(), index);
        let line = format!(
            "{:>3}/{}  {}  {number}  {}  ({})",
            index + 1,
            self.questions.len(),
            self.app
                .clock
                .now()
                .with_timezone(&self.app.config.time_zone)
                .format("%d/%m/%Y %H:%M"),
            question.subject,
            ticket.queue,
        );
        if let Some(slot) = self.tickets.get_mut(index) {
            *slot = Some(ticket);
        }
        let plan = self.plan(index)?;
        let (taken_at, transfer_at) = (plan.taken_at, plan.transfer.as_ref().map(|transfer| transfer.at));
        match transfer_at {
            Some(at) => self.plan_at(at, Step::Transfer(index)),
            None => self.plan_at(taken_at, Step::Take(index)),
        }
        Ok(line)
    }

    async fn transfer(&mut self, index: usize) -> anyhow::Result<()> {
        let plan = self.plan(index)?.clone();
        let Some(transfer) = plan.transfer else {
            return Ok(());
        };
        let supervisor = self.cast.first(Role::Supervisor).map_err(domain)?.token.clone();
        let path = format!("/tickets/{}/transfer", self.ticket(index)?.number);
        let body = json!({ "queue": transfer.to, "reason": texts::transferred() });
        self.post(&supervisor, &path, body).await?;
        let ticket = self.ticket_mut(index)?;
        ticket.queue = transfer.to;
        ticket.turn += 1;
        // Whoever had taken it did so instead of another question, for which somebody has to look in now.
        let left_alone = ticket.agent.take().map(|agent| agent.queue);
        let soon = self.breath_after(self.app.clock.now())?;
        self.plan_at(plan.taken_at.max(soon), Step::Take(index));
        if let Some(queue) = left_alone {
            self.plan_at(soon, Step::Look(queue, plan.hand));
        }
        Ok(())
    }

    async fn take(&mut self, index: usize) -> anyhow::Result<()> {
        let (handed_out, hand) = self.plan(index).map(|plan| (plan.handed_out, plan.hand))?;
        let ticket = self.ticket(index)?;
        let (queue, number, is_free) = (
            ticket.queue.clone(),
            ticket.number.clone(),
            ticket.agent.is_none(),
        );
        if handed_out && is_free {
            let agent = self.whose_turn(&queue, hand)?;
            let supervisor = self.cast.first(Role::Supervisor).map_err(domain)?.token.clone();
            let body = json!({ "assignee": agent.email });
            self.post(&supervisor, &format!("/tickets/{number}/assign"), body)
                .await?;
            return self.taken(index, agent);
        }
        self.take_next(&queue, hand).await
    }

    async fn take_next(&mut self, queue: &str, hand: usize) -> anyhow::Result<()> {
        let agent = self.whose_turn(queue, hand)?;
        let claimed = self
            .post(&agent.token, &format!("/queues/{queue}/next"), json!({}))
            .await?;
        if claimed.is_null() {
            return Ok(());
        }
        let number = text(&claimed, "/number")?;
        let index = self.by_number.get(&number).copied();
        self.taken(
            index.with_context(|| format!("{number} is not of this play"))?,
            agent,
        )
    }

    /// The member who has taken least so far; among equals the plan's hand decides.
    fn whose_turn(&self, queue: &str, hand: usize) -> anyhow::Result<Person> {
        let members: Vec<&Person> = self.cast.members(queue).collect();
        let count = members.len().max(1);
        let taken = |person: &Person| self.load.get(&person.email).copied().unwrap_or(0);
        let least = members
            .into_iter()
            .enumerate()
            .min_by_key(|(position, person)| (taken(person), (position + hand) % count));
        let (_, agent) = least.with_context(|| format!("nobody of the demo works the queue {queue}"))?;
        Ok(agent.clone())
    }

    fn taken(&mut self, index: usize, agent: Person) -> anyhow::Result<()> {
        *self.load.entry(agent.email.clone()).or_insert(0) += 1;
        self.ticket_mut(index)?.agent = Some(agent);
        self.plan_next_act(index)
    }

    fn plan_next_act(&mut self, index: usize) -> anyhow::Result<()> {
        let ticket = self.ticket(index)?;
        let (done, turn) = (ticket.done, ticket.turn);
        let Some(planned) = self.plan(index)?.acts.get(done).map(|act| act.at) else {
            return Ok(());
        };
        let at = planned.max(self.breath_after(self.app.clock.now())?);
        self.plan_at(
            at,
            Step::Act {
                question: index,
                turn,
            },
        );
        Ok(())
    }

    async fn act(&mut self, index: usize) -> anyhow::Result<()> {
        let ticket = self.ticket(index)?;
        let (number, done, answers) = (ticket.number.clone(), ticket.done, ticket.answers);
        let agent = ticket
            .agent
            .as_ref()
            .context("nobody has the question")?
            .token
            .clone();
        let (question, plan) = (self.question(index)?, self.plan(index)?);
        let asker = self
            .cast
            .key(&question.organisation_code)
            .map_err(domain)?
            .to_owned();
        let hand = plan.hand;
        let Some(kind) = plan.acts.get(done).map(|act| act.kind) else {
            return Ok(());
        };
        let (who, operation, body) = match kind {
            ActKind::Reply => (agent, "messages", json!({ "body": texts::reply(hand) })),
            ActKind::AskBack => (agent, "wait", json!({ "message": texts::asked_back(hand) })),
            ActKind::GiveMore => (asker, "messages", json!({ "body": texts::given(hand) })),
            ActKind::Note => (agent, "notes", json!({ "body": texts::note() })),
            ActKind::Resolve(outcome) => {
                let body = resolution(question, outcome, hand, answers > 0);
                (agent, "resolve", body)
            }
            ActKind::Close => (asker, "close", json!({ "reason": texts::content() })),
            ActKind::Reopen => (asker, "reopen", json!({ "reason": texts::reopened() })),
            ActKind::Decline => (agent, "messages", json!({ "body": texts::decline() })),
            ActKind::Cancel => (agent, "cancel", json!({ "reason": texts::cancelled() })),
        };
        self.post(&who, &format!("/tickets/{number}/{operation}"), body)
            .await?;
        let ticket = self.ticket_mut(index)?;
        ticket.done += 1;
        ticket.answers += u32::from(matches!(kind, ActKind::Resolve(_)));
        self.plan_next_act(index)
    }

    async fn post(&mut self, token: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        self.posts += 1;
        let key = format!("demo-{}", self.posts);
        self.client.post(token, path, &key, body).await
    }

    fn plan_at(&mut self, at: Instant, step: Step) {
        self.steps += 1;
        self.to_come.insert((at, self.steps), step);
    }

    fn breath_after(&self, at: Instant) -> anyhow::Result<Instant> {
        Ok(self.timeline.due(at, BREATH)?)
    }

    fn plan(&self, index: usize) -> anyhow::Result<&Plan> {
        self.plans.get(index).context("a question without a plan")
    }

    fn question(&self, index: usize) -> anyhow::Result<&Question> {
        self.questions.get(index).context("a plan without a question")
    }

    fn ticket(&self, index: usize) -> anyhow::Result<&Ticket> {
        let ticket = self.tickets.get(index).and_then(Option::as_ref);
        ticket.context("a question that was not filed")
    }

    fn ticket_mut(&mut self, index: usize) -> anyhow::Result<&mut Ticket> {
        let ticket = self.tickets.get_mut(index).and_then(Option::as_mut);
        ticket.context("a question that was not filed")
    }

    fn finish(self) -> anyhow::Result<Played> {
        let mut tickets = Vec::new();
        let mut longest = (0, String::new());
        for (index, question) in self.questions.iter().enumerate() {
            let ticket = self.ticket(index)?;
            let planned = self.plan(index)?.acts.len();
            if ticket.done < planned {
                bail!(
                    "{} stopped after {} of {planned} acts",
                    ticket.number,
                    ticket.done
                );
            }
            if planned > longest.0 {
                longest = (planned, ticket.number.clone());
            }
            tickets.push((ticket.number.clone(), question.organisation_code.clone()));
        }
        Ok(Played {
            cast: self.cast,
            tickets,
            to_show: longest.1,
        })
    }
}

async fn routes(client: &Client, token: &str) -> anyhow::Result<HashMap<String, String>> {
    let topics = client.get(token, "/topics?limit=200").await?;
    let topics = part(&topics, "/items")
        .as_array()
        .context("GET /topics: no items")?;
    topics
        .iter()
        .map(|topic| Ok((text(topic, "/code")?, text(topic, "/queue/code")?)))
        .collect()
}

fn resolution(question: &Question, outcome: Outcome, hand: usize, again: bool) -> Value {
    match outcome {
        Outcome::Answered => json!({
            "outcome": outcome,
            "message": texts::answer(question, hand, again),
        }),
        Outcome::Referred => {
            let agency = texts::competent_agency(&question.topic);
            json!({
                "outcome": outcome,
                "message": texts::referral(question, agency),
                "referred_to": agency,
            })
        }
        Outcome::Raised => json!({ "outcome": outcome, "message": texts::raised(question) }),
    }
}

fn domain(error: Error) -> anyhow::Error {
    anyhow::anyhow!("{}", error.log_text())
}
