//! The reference data that ships inside the binary, loaded into an empty database: the directory, the working calendar,
//! the default policy, the groups' queues, the topics, and a first administrator with a token.
//!
//! Runs inside the migration's transaction and lock, so that of several processes that start together one loads it.
//! A database that has queues is left alone: from then on all of this is the operator's data. Says where the data came
//! from in data/README.md; refuses data that its own domain would refuse from a caller.
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::calendars::{self, Name, NewCalendar};
use crate::directory::{self, ImportError};
use crate::error::{Error, Result};
use crate::identity::{self, NewUser, Role, Secret};
use crate::language::Language;
use crate::policies::{self, NewPolicy};
use crate::queues::db::{self as queues, NewQueue, NewTopic};
use crate::sla::Priority;
use crate::sla::calendar::{CalendarSpec, ExceptionSpec, PatternSpec};
use crate::sla::policy::PolicySpec;
use crate::store::Db;
use crate::text::nfc;

const ORGANISATIONS: &str = include_str!("../data/organisations.csv");
const QUEUES: &str = include_str!("../data/queues.json");
const TOPICS: &str = include_str!("../data/topics.csv");
const CALENDAR: &str = include_str!("../data/calendars/vn-government.json");
const POLICY: &str = include_str!("../data/policies/default.json");

/// Gets the questions that no topic routes.
const DEFAULT_QUEUE: &str = "standing";
/// Who made the first version of calendar and policy, as their history shows it.
const AUTHOR: &str = "giaidap";
/// The address of the first administrator.
pub const FIRST_ADMIN: &str = "admin@localhost";

/// What loading did.
pub struct Seeded {
    /// The database was empty.
    pub fresh: bool,
    /// The first administrator's token. Not stored anywhere: show it now or never.
    pub admin_token: Option<Secret>,
}

/// Load everything into an empty database, or do nothing. The caller's transaction makes it all or nothing.
pub fn load(conn: &mut Db, now: DateTime<Utc>) -> Result<Seeded> {
    if !queues::list_queues(conn)?.is_empty() {
        return Ok(Seeded {
            fresh: false,
            admin_token: None,
        });
    }
    let shipped = Shipped::read()?;
    directory::import::load_first(conn, ORGANISATIONS.as_bytes(), now).map_err(|refused| match refused {
        ImportError::Store(error) => error,
        lines @ ImportError::Lines(_) => unreadable(lines),
    })?;
    let policy = shipped.default_policy();
    calendars::create_calendar(conn, &shipped.calendar.into_new(), AUTHOR, now)?;
    policies::create_policy(conn, &policy, AUTHOR, now)?;
    load_queues(conn, &shipped.queues, now)?;
    load_topics(conn, &shipped.topics, now)?;
    Ok(Seeded {
        fresh: true,
        admin_token: Some(create_first_admin(conn, now)?),
    })
}

fn load_queues(conn: &mut Db, shipped: &[ShippedQueue], now: DateTime<Utc>) -> Result<()> {
    for queue in shipped {
        let new = NewQueue {
            code: &queue.code,
            name_vi: &nfc(&queue.name.vi),
            name_en: &nfc(&queue.name.en),
            position: queue.position,
            is_default: queue.code == DEFAULT_QUEUE,
        };
        queues::insert_queue(conn, &new, now)?;
    }
    Ok(())
}

fn load_topics(conn: &mut Db, shipped: &[ShippedTopic], now: DateTime<Utc>) -> Result<()> {
    let groups = queues::list_queues(conn)?;
    let id_of = |code: &str| {
        let group = groups.iter().find(|group| group.code == code);
        group
            .map(|group| group.id)
            .ok_or_else(|| unreadable(format!("no queue `{code}`")))
    };
    for topic in shipped {
        let new = NewTopic {
            code: &topic.code,
            name_vi: &nfc(&topic.name_vi),
            name_en: &nfc(&topic.name_en),
            queue_id: id_of(&topic.default_group)?,
            co_queue_id: topic.co_group.as_deref().map(id_of).transpose()?,
            external_owner: topic.external_owner.as_deref(),
            default_priority: topic.default_priority,
            keywords: &nfc(&topic.keywords_vi),
            legal_basis: &nfc(&topic.legal_basis),
        };
        queues::insert_topic(conn, &new, now)?;
    }
    Ok(())
}

fn create_first_admin(conn: &mut Db, now: DateTime<Utc>) -> Result<Secret> {
    let admin = NewUser {
        email: FIRST_ADMIN.to_owned(),
        name: "Quản trị viên".to_owned(),
        role: Role::Admin,
        language: Language::Vi,
        queues: Vec::new(),
    };
    identity::create_user(conn, &admin, None, now)?;
    identity::create_token(conn, FIRST_ADMIN, "first token", now)
}

/// The files as they are written, except for the directory, whose import reads its own form.
struct Shipped {
    queues: Vec<ShippedQueue>,
    topics: Vec<ShippedTopic>,
    calendar: ShippedCalendar,
    policy: PolicySpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedQueue {
    code: String,
    name: Name,
    position: i32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedTopic {
    code: String,
    name_vi: String,
    name_en: String,
    default_group: String,
    co_group: Option<String>,
    external_owner: Option<String>,
    default_priority: Priority,
    keywords_vi: String,
    legal_basis: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShippedCalendar {
    code: String,
    name: Name,
    time_zone: String,
    patterns: Vec<PatternSpec>,
    exceptions: Vec<ExceptionSpec>,
}

impl Shipped {
    fn read() -> Result<Shipped> {
        let topics = csv::Reader::from_reader(TOPICS.as_bytes())
            .deserialize()
            .collect::<std::result::Result<_, csv::Error>>()
            .map_err(unreadable)?;
        Ok(Shipped {
            queues: json(QUEUES)?,
            topics,
            calendar: json(CALENDAR)?,
            policy: json(POLICY)?,
        })
    }

    fn default_policy(&self) -> NewPolicy {
        NewPolicy {
            code: "default".to_owned(),
            name: Name {
                vi: "Chính sách mặc định".to_owned(),
                en: "Default policy".to_owned(),
            },
            calendar: self.calendar.code.clone(),
            spec: self.policy.clone(),
            is_default: true,
        }
    }
}

impl ShippedCalendar {
    fn into_new(self) -> NewCalendar {
        NewCalendar {
            code: self.code,
            name: self.name,
            spec: CalendarSpec {
                time_zone: self.time_zone,
                patterns: self.patterns,
                exceptions: self.exceptions,
            },
            is_default: true,
        }
    }
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(unreadable)
}

fn unreadable(cause: impl std::fmt::Display) -> Error {
    Error::internal("the shipped data cannot be read", cause)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::store::{Store, StoreSettings};

    fn now() -> DateTime<Utc> {
        "2019-11-22T02:00:00Z".parse().unwrap()
    }

    #[test]
    fn the_shipped_topics_calendar_and_policy_are_consistent() {
        let shipped = Shipped::read().unwrap();
        let groups: HashSet<&str> = shipped.queues.iter().map(|queue| queue.code.as_str()).collect();
        assert_eq!((groups.len(), shipped.queues.len()), (5, 5));
        assert!(groups.contains(DEFAULT_QUEUE));
        assert_eq!(shipped.topics.len(), 25);
        for topic in &shipped.topics {
            assert!(groups.contains(topic.default_group.as_str()), "{}", topic.code);
            let co_group = topic.co_group.as_deref();
            assert!(
                co_group.is_none_or(|group| groups.contains(group)),
                "{}",
                topic.code
            );
            assert_ne!(co_group, Some(topic.default_group.as_str()), "{}", topic.code);
        }
        shipped.policy.check().unwrap();
        shipped.calendar.into_new().spec.check().unwrap();
    }

    #[test]
    fn the_shipped_directory_is_whole_and_every_successor_is_in_it() {
        let mut reader = csv::Reader::from_reader(ORGANISATIONS.as_bytes());
        let column = |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name);
        let headers = reader.headers().unwrap().clone();
        let (code, successor) = (
            column("code", &headers).unwrap(),
            column("successor_code", &headers).unwrap(),
        );
        let rows: Vec<csv::StringRecord> = reader.records().map(std::result::Result::unwrap).collect();
        let codes: HashSet<&str> = rows.iter().map(|row| &row[code]).collect();
        assert_eq!((rows.len(), codes.len()), (123, 123));
        for row in &rows {
            let named = &row[successor];
            assert!(named.is_empty() || codes.contains(named), "{row:?}");
        }
    }

    #[tokio::test]
    async fn an_empty_database_is_loaded_once_with_an_administrator_who_can_sign_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreSettings {
            url: format!("sqlite://{}", folder.path().join("seed.db").display()),
            pool_size: 2,
            allow_plaintext: false,
            waiting: crate::config::Waiting::default(),
        })
        .unwrap();
        let (ran, first) = store.migrate(|conn| load(conn, now())).await.unwrap();
        assert!(ran > 0 && first.fresh);
        let token = first.admin_token.unwrap().reveal().to_owned();
        let (ran, second) = store.migrate(|conn| load(conn, now())).await.unwrap();
        assert_eq!(
            (ran, second.fresh, second.admin_token.is_none()),
            (0, false, true)
        );
        store
            .read(move |conn| {
                let signed_in = identity::authenticate(conn, &token, identity::Presentation::local(now()))?;
                assert_eq!(signed_in.principal.staff().unwrap().role, Role::Admin);
                let filter = directory::OrganisationFilter::default();
                assert_eq!(
                    directory::list_organisations(conn, &filter, None, 200)?
                        .items
                        .len(),
                    123
                );
                assert_eq!(queues::list_topics(conn, "", 100)?.len(), 25);
                let all = queues::list_queues(conn)?;
                let default = all.iter().find(|queue| queue.is_default).unwrap();
                assert_eq!(default.code, DEFAULT_QUEUE);
                let policy = policies::get_policy(conn, "default")?;
                assert!(policy.is_default && policy.calendar_code == "vn-government");
                assert!(calendars::get_calendar(conn, "vn-government")?.is_default);
                Ok(())
            })
            .await
            .unwrap();
    }
}
