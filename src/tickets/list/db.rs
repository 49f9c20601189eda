//! How a page of tickets is found. PostgreSQL plans by its statistics. SQLite has none: it takes the first index with an
//! equality, however many rows that has. So what is few is counted (up to a bound) and driven by its own index; what may
//! be many is hidden from the planner by a unary plus (sqlite.org/optoverview.html, section 2.1), which leaves the order's.
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, SmallInt, Text};

use super::{AssigneeFilter, Cursor, Key, Place, Sort, TicketFilter, organisations_in};
use crate::error::Result;
use crate::identity::access::Sight;
use crate::sla::Priority;
use crate::store::schema::{requesters, tickets};
use crate::store::{Db, MultiBackend, Ts, Uid};
use crate::tickets::never;
use crate::tickets::search::{Found, Mark, Needle, is_rare};

/// As many rows are sorted for a page rather than passed over in the order of an index.
const FEW: i64 = 5_000;

type Columns = (tickets::id, tickets::priority, tickets::updated_at);
type Query = diesel::dsl::IntoBoxed<'static, diesel::dsl::Select<tickets::table, Columns>, MultiBackend>;

/// What leads to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drive {
    /// The few that the index of texts gives.
    Texts,
    /// An organisation's or a person's tickets.
    Holder,
    Queue,
    Priority,
    State,
    /// The index of the order alone.
    Order,
}

/// A list's question with the way to its answer.
pub struct Plan<'a> {
    filter: &'a TicketFilter,
    sight: Sight<'a>,
    sort: Sort,
    /// `None`: of all organisations.
    organisations: Option<Vec<i64>>,
    needles: Vec<Needle>,
    drive: Drive,
}

impl<'a> Plan<'a> {
    pub fn make(conn: &mut Db, sight: Sight<'a>, filter: &'a TicketFilter, sort: Sort) -> Result<Plan<'a>> {
        let organisations = organisations_in(sight, filter);
        let only = filter.only_indexed();
        let mut all = filter.also_indexed();
        all.extend(only.iter().cloned());
        if let (Some(ids), false) = (&organisations, all.is_empty()) {
            all.push(Needle::one_of(ids.iter().map(|id| Mark::Organisation(*id))));
        }
        let mut plan = Plan {
            filter,
            sight,
            sort,
            organisations,
            needles: only,
            drive: Drive::Order,
        };
        if plan.finds_nothing() {
            return Ok(plan);
        }
        plan.drive = match (&plan.organisations, filter.assignee) {
            _ if !all.is_empty() && is_rare(conn, &all)? => {
                plan.needles = all;
                Drive::Texts
            }
            (Some(_), _) | (_, Some(AssigneeFilter::User(_))) => Drive::Holder,
            _ => plan.drive_of_columns(conn)?,
        };
        Ok(plan)
    }

    fn drive_of_columns(&self, conn: &mut Db) -> Result<Drive> {
        let Db::Lite(lite) = conn else {
            return Ok(Drive::Order);
        };
        let (filter, key) = (self.filter, self.sort.key);
        let in_order = |keys: &[Key]| keys.contains(&key);
        if let Some(id) = filter.queue_id
            && (in_order(&[Key::Filed, Key::Due]) || is_few(lite, &format!("queue_id = {id}"))?)
        {
            return Ok(Drive::Queue);
        }
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        if !states.is_empty()
            && ((states.len() == 1 && in_order(&[Key::Filed]))
                || is_few(lite, &format!("state IN ('{}')", states.join("', '")))?)
        {
            return Ok(Drive::State);
        }
        if key == Key::Priority {
            return Ok(Drive::Priority);
        }
        let ranks: Vec<String> = filter
            .priorities
            .iter()
            .map(|priority| priority.rank().to_string())
            .collect();
        if !ranks.is_empty()
            && ((ranks.len() == 1 && in_order(&[Key::Due]))
                || is_few(lite, &format!("priority IN ({})", ranks.join(", ")))?)
        {
            return Ok(Drive::Priority);
        }
        Ok(Drive::Order)
    }

    fn finds_nothing(&self) -> bool {
        let is_empty = |ids: &Option<Vec<i64>>| ids.as_ref().is_some_and(Vec::is_empty);
        is_empty(&self.organisations) || is_empty(&self.filter.requester_ids)
    }

    /// The next so many places, lane by lane.
    pub fn page(&self, conn: &mut Db, after: Option<Cursor>, limit: i64) -> Result<Vec<Place>> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page: Vec<Place> = Vec::new();
        if self.finds_nothing() {
            return Ok(page);
        }
        for priority in self.priority_lanes(after) {
            let after =
                after.filter(|cursor| priority.is_none_or(|priority| priority.rank() == cursor.priority));
            let mut found = Vec::new();
            for organisations in self.organisation_lanes() {
                let query = self.ordered(self.lane(conn, organisations, priority), after);
                found.extend(query.limit(limit).load::<Place>(conn)?);
            }
            found.sort_by(|one, other| one.compare(other, self.sort));
            page.extend(found);
            page.truncate(most);
            if page.len() == most {
                break;
            }
        }
        Ok(page)
    }

    /// How many there are, counted no further than to `most`.
    pub fn count(&self, conn: &mut Db, most: i64) -> Result<i64> {
        if self.finds_nothing() {
            return Ok(0);
        }
        let query = self.lane(conn, self.organisations.as_deref(), None);
        let found = query.limit(most).load::<Place>(conn)?;
        Ok(i64::try_from(found.len()).unwrap_or(i64::MAX))
    }

    /// By priority one after the other, in the order of the list, from where the page before ended.
    fn priority_lanes(&self, after: Option<Cursor>) -> Vec<Option<Priority>> {
        if self.sort.key != Key::Priority {
            return vec![None];
        }
        let mut ranks: Vec<i16> = (1..=4).collect();
        if self.sort.descending {
            ranks.reverse();
        }
        let is_behind = |rank: i16, cursor: Cursor| match self.sort.descending {
            true => rank > cursor.priority,
            false => rank < cursor.priority,
        };
        ranks
            .into_iter()
            .filter(|rank| !after.is_some_and(|cursor| is_behind(*rank, cursor)))
            .map(Priority::of_rank)
            .filter(|priority| self.filter.priorities.is_empty() || self.filter.priorities.contains(priority))
            .map(Some)
            .collect()
    }

    /// Organisation by organisation, where an index has each of them in order; few found texts are sorted together.
    fn organisation_lanes(&self) -> Vec<Option<&[i64]>> {
        match &self.organisations {
            None => vec![None],
            Some(all) if self.drive == Drive::Texts => vec![Some(all)],
            Some(all) => all.chunks(1).map(Some).collect(),
        }
    }

    /// Everything but the order.
    fn lane(&self, conn: &Db, organisations: Option<&[i64]>, priority: Option<Priority>) -> Query {
        let (filter, drive) = (self.filter, self.drive);
        // Not shown to SQLite's planner, because something better leads to the rows.
        let is_hidden = |own: Drive| matches!(conn, Db::Lite(_)) && drive != own;
        let mut query = self.columns();
        if let Sight::Agent { user_id, queues } = self.sight {
            let mine = tickets::assignee_id
                .is_not_null()
                .and(tickets::assignee_id.assume_not_null().eq(user_id));
            query = query.filter(tickets::queue_id.eq_any(queues.to_vec()).or(mine));
        }
        match organisations {
            None => {}
            Some(all) if is_hidden(Drive::Holder) => {
                query = query.filter(sql::<BigInt>("+tickets.organisation_id").eq_any(all.to_vec()));
            }
            // One value, so that the index's own order is the page's.
            Some([only]) => query = query.filter(tickets::organisation_id.eq(*only)),
            Some(several) => query = query.filter(tickets::organisation_id.eq_any(several.to_vec())),
        }
        match filter.queue_id {
            None => {}
            Some(id) if is_hidden(Drive::Queue) => {
                query = query.filter(sql::<BigInt>("+tickets.queue_id").eq(id));
            }
            Some(id) => query = query.filter(tickets::queue_id.eq(id)),
        }
        let ranks: Vec<i16> = match priority {
            Some(one) => vec![one.rank()],
            None => filter.priorities.iter().map(|priority| priority.rank()).collect(),
        };
        match ranks.as_slice() {
            [] => {}
            _ if is_hidden(Drive::Priority) => {
                query = query.filter(sql::<SmallInt>("+tickets.priority").eq_any(ranks));
            }
            [only] => query = query.filter(tickets::priority.eq(*only)),
            _ => query = query.filter(tickets::priority.eq_any(ranks)),
        }
        match filter.states.as_slice() {
            [] => {}
            several if is_hidden(Drive::State) => {
                query = query.filter(sql::<Text>("+tickets.state").eq_any(several.to_vec()));
            }
            [only] => query = query.filter(tickets::state.eq(*only)),
            several => query = query.filter(tickets::state.eq_any(several.to_vec())),
        }
        match filter.assignee {
            None => {}
            Some(AssigneeFilter::Nobody) => query = query.filter(tickets::assignee_id.is_null()),
            Some(AssigneeFilter::User(id)) if is_hidden(Drive::Holder) => {
                query = query.filter(sql::<BigInt>("+tickets.assignee_id").eq(id));
            }
            Some(AssigneeFilter::User(id)) => query = query.filter(tickets::assignee_id.eq(id)),
        }
        self.periods(self.plain(conn, query))
    }

    /// What no index of its own leads to.
    fn plain(&self, conn: &Db, mut query: Query) -> Query {
        let filter = self.filter;
        if !self.needles.is_empty() {
            query = match self.drive {
                Drive::Texts => query.filter(Found::among_keys(conn, &self.needles)),
                _ => query.filter(Found::ticket_by_ticket(conn, &self.needles)),
            };
        }
        match filter.topic_ids.as_slice() {
            [] => {}
            [only] => query = query.filter(tickets::topic_id.eq(*only)),
            several => query = query.filter(tickets::topic_id.eq_any(several.to_vec())),
        }
        if let Some(channel) = filter.channel {
            query = query.filter(tickets::channel.eq(channel));
        }
        if let Some(ids) = &filter.requester_ids {
            query = query.filter(tickets::requester_id.eq_any(ids.clone()));
        }
        if let Some(external_ref) = &filter.external_ref {
            query = query.filter(tickets::external_ref.eq(external_ref.clone()));
        }
        match filter.breached {
            None => query,
            // Literally, as the partial index says it.
            Some(true) if self.drive == Drive::Order => query.filter(sql::<Bool>("tickets.breached")),
            Some(breached) => query.filter(tickets::breached.eq(breached)),
        }
    }

    fn periods(&self, mut query: Query) -> Query {
        let filter = self.filter;
        if let Some(from) = filter.filed_from {
            query = query.filter(tickets::filed_at.ge(Ts::from(from)));
        }
        if let Some(to) = filter.filed_to {
            query = query.filter(tickets::filed_at.lt(Ts::from(to)));
        }
        if let Some(from) = filter.due_from {
            // What has no running clock is due at no time, and so neither after another.
            query = query.filter(tickets::urgency_at.ge(Ts::from(from)));
            query = query.filter(tickets::urgency_at.lt(never()));
        }
        if let Some(before) = filter.due_before {
            query = query.filter(tickets::urgency_at.lt(Ts::from(before)));
        }
        if let Some(from) = filter.updated_from {
            query = query.filter(tickets::updated_at.ge(Ts::from(from)));
        }
        if let Some(to) = filter.updated_to {
            query = query.filter(tickets::updated_at.lt(Ts::from(to)));
        }
        query
    }

    fn columns(&self) -> Query {
        use tickets::{filed_at, id, priority, updated_at, urgency_at};
        match self.sort.key {
            Key::Filed => tickets::table.select((id, priority, filed_at)).into_boxed(),
            Key::Due | Key::Priority => tickets::table.select((id, priority, urgency_at)).into_boxed(),
            Key::Updated => tickets::table.select((id, priority, updated_at)).into_boxed(),
        }
    }

    fn ordered(&self, query: Query, after: Option<Cursor>) -> Query {
        let latest_first = self.sort.latest_first();
        // Keyset conditions are written out because Diesel has no portable row comparison; as a bound with an exception
        // and not as two alternatives, so that the index is entered at the cursor and not walked from its beginning.
        macro_rules! by {
            ($at:path) => {{
                let mut query = query;
                match (after, latest_first) {
                    (None, _) => {}
                    (Some(Cursor { at, id, .. }), true) => {
                        query = query
                            .filter($at.le(at))
                            .filter($at.lt(at).or(tickets::id.lt(id)));
                    }
                    (Some(Cursor { at, id, .. }), false) => {
                        query = query
                            .filter($at.ge(at))
                            .filter($at.gt(at).or(tickets::id.gt(id)));
                    }
                }
                match latest_first {
                    true => query.order(($at.desc(), tickets::id.desc())),
                    false => query.order(($at.asc(), tickets::id.asc())),
                }
            }};
        }
        match self.sort.key {
            Key::Filed => by!(tickets::filed_at),
            Key::Due | Key::Priority => by!(tickets::urgency_at),
            Key::Updated => by!(tickets::updated_at),
        }
    }
}

/// As many persons as one address may stand for: one of each organisation that the caller sees.
const MOST_PERSONS: i64 = 200;

/// The persons with this UUID or address, of these organisations where the caller sees only some.
pub fn list_requester_ids(conn: &mut Db, asked: &str, organisations: Option<&[i64]>) -> Result<Vec<i64>> {
    let mut query = requesters::table
        .select(requesters::id)
        .order(requesters::id)
        .limit(MOST_PERSONS)
        .into_boxed::<MultiBackend>();
    query = match uuid::Uuid::parse_str(asked) {
        Ok(uid) => query.filter(requesters::uid.eq(Uid(uid))),
        Err(_) => query.filter(requesters::email.eq(asked.to_lowercase())),
    };
    if let Some(ids) = organisations {
        query = query.filter(requesters::organisation_id.eq_any(ids.to_vec()));
    }
    Ok(query.load(conn)?)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Do few tickets have this? Asked of an index that begins with it; `condition` is made of keys and names of ours.
fn is_few(lite: &mut SqliteConnection, condition: &str) -> Result<bool> {
    let bounded = format!(
        "SELECT count(*) AS count FROM (SELECT 1 FROM tickets WHERE {condition} LIMIT {})",
        FEW + 1
    );
    let counted: Count = diesel::sql_query(bounded).get_result(lite)?;
    Ok(counted.count <= FEW)
}
