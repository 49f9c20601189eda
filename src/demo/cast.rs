//! The people of the demo and the programs of the organisations that ask, made by the operations that the command line
//! uses. All names are invented; staff addresses are in a domain that never exists (RFC 2606).
use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, Utc};

use super::samples::Question;
use crate::error::{Error, Result};
use crate::identity::{self, NewUser, Role, Scope, Secret};
use crate::language::Language;
use crate::store::Db;

/// Name, mailbox, role, queue.
const PEOPLE: [(&str, &str, Role, &str); 10] = [
    ("Nguyễn Thị Minh Hạnh", "hanh.nguyen", Role::Agent, "standing"),
    ("Trần Văn Lợi", "loi.tran", Role::Agent, "resources"),
    ("Lê Quốc Tuấn", "tuan.le", Role::Agent, "technology"),
    ("Phạm Thị Thu Hà", "ha.pham", Role::Agent, "technology"),
    ("Vũ Đức Thắng", "thang.vu", Role::Agent, "security"),
    ("Hoàng Thị Ngọc Ánh", "anh.hoang", Role::Agent, "security"),
    ("Đặng Thị Bích Ngọc", "ngoc.dang", Role::Agent, "policy"),
    ("Bùi Văn Khải", "khai.bui", Role::Agent, "policy"),
    ("Đỗ Thị Lan Phương", "phuong.do", Role::Supervisor, ""),
    ("Ngô Quang Vinh", "vinh.ngo", Role::Auditor, ""),
];
const ADMIN: (&str, &str, Role, &str) = ("Quản trị viên trình diễn", "quan.tri", Role::Admin, "");
const STAFF_DOMAIN: &str = "giaidap.example";
const CREDENTIAL: &str = "demo";
/// The asking programs, as history names them.
const PROGRAM: &str = "Phần mềm quản lý văn bản";

/// A person of the centre with a token.
#[derive(Clone)]
pub struct Person {
    pub name: &'static str,
    pub email: String,
    pub role: Role,
    /// Code of the queue that an agent works.
    pub queue: &'static str,
    pub token: String,
}

/// Everybody who acts.
pub struct Cast {
    people: Vec<Person>,
    /// Organisation's code to the secret of its key.
    keys: BTreeMap<String, String>,
    pub admin_token: String,
}

impl Cast {
    /// Make the people, and a key for each organisation that asks. `admin` is the token of the database's first
    /// administrator where the database is new; else the demo gets one of its own.
    pub fn create(
        conn: &mut Db,
        questions: &[Question],
        admin: Option<&Secret>,
        now: DateTime<Utc>,
    ) -> Result<Cast> {
        let mut people = Vec::new();
        for role in PEOPLE {
            people.push(Person::create(conn, role, now)?);
        }
        let admin_token = match admin {
            Some(secret) => secret.reveal().to_owned(),
            None => Person::create(conn, ADMIN, now)?.token,
        };
        let mut keys = BTreeMap::new();
        for question in questions {
            let code = &question.organisation_code;
            if !keys.contains_key(code) {
                let secret = identity::create_key(conn, code, PROGRAM, &Scope::OF_CLIENTS, now)?;
                keys.insert(code.clone(), secret.reveal().to_owned());
            }
        }
        Ok(Cast {
            people,
            keys,
            admin_token,
        })
    }

    /// The first with this role.
    pub fn first(&self, role: Role) -> Result<&Person> {
        let found = self.people.iter().find(|person| person.role == role);
        found.ok_or_else(|| Error::internal("nobody of the demo has the role", role.as_str()))
    }

    /// Who works the queue.
    pub fn members<'a>(&'a self, queue: &'a str) -> impl Iterator<Item = &'a Person> {
        self.people.iter().filter(move |person| person.queue == queue)
    }

    /// A token of the role.
    pub fn token(&self, role: Role) -> anyhow::Result<&str> {
        let person = self.first(role);
        let person = person.map_err(|error| anyhow::anyhow!("{}", error.log_text()))?;
        Ok(&person.token)
    }

    /// An organisation that asks, with its key.
    pub fn any_key(&self) -> anyhow::Result<(&str, &str)> {
        let first = self.keys.iter().next();
        let (code, key) = first.context("the demo has no keys")?;
        Ok((code, key))
    }

    pub fn key(&self, organisation: &str) -> Result<&str> {
        let key = self.keys.get(organisation).map(String::as_str);
        key.ok_or_else(|| Error::internal("the demo has no key for the organisation", organisation))
    }
}

impl Person {
    fn create(
        conn: &mut Db,
        (name, mailbox, role, queue): (&'static str, &str, Role, &'static str),
        now: DateTime<Utc>,
    ) -> Result<Person> {
        let email = format!("{mailbox}@{STAFF_DOMAIN}");
        let new = NewUser {
            email: email.clone(),
            name: name.to_owned(),
            role,
            language: Language::Vi,
            queues: Some(queue.to_owned())
                .filter(|code| !code.is_empty())
                .into_iter()
                .collect(),
        };
        identity::create_user(conn, &new, None, now)?;
        let token = identity::create_token(conn, &email, CREDENTIAL, now)?;
        Ok(Person {
            name,
            email,
            role,
            queue,
            token: token.reveal().to_owned(),
        })
    }
}

/// Who asks for an organisation: an invented person of the named unit, the same for all its questions.
pub fn requester(question: &Question) -> serde_json::Value {
    const FAMILY: [&str; 8] = ["Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Võ", "Đinh", "Lý"];
    const GIVEN: [&str; 7] = [
        "Thị Hồng Nhung",
        "Văn Cường",
        "Thị Mai",
        "Hữu Nghĩa",
        "Thị Kim Oanh",
        "Minh Đức",
        "Thanh Sơn",
    ];
    let code = &question.organisation_code;
    let sum = code
        .bytes()
        .fold(0_usize, |sum, byte| sum * 31 + usize::from(byte));
    let of = |names: &[&str], at: usize| -> String {
        let name = at.checked_rem(names.len()).and_then(|at| names.get(at));
        (*name.unwrap_or(&"Nguyễn")).to_owned()
    };
    let name = format!("{} {}", of(&FAMILY, sum), of(&GIVEN, sum / 8));
    serde_json::json!({
        "name": name,
        "email": format!("{}@example.gov.vn", code.to_lowercase()),
        "unit": question.unit,
        "language": "vi",
    })
}
