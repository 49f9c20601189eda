use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Asia::Ho_Chi_Minh;
use diesel::prelude::*;

use super::*;
use crate::attachments::Vault;
use crate::config::AttachmentStore;
use crate::config::Overrides;
use crate::directory::RequesterInput;
use crate::idempotency::Answer;
use crate::identity::Principal;
use crate::language::Language;
use crate::notifications::db::{DeliveryState, list_deliveries};
use crate::seed;
use crate::store::schema::{deliveries, tickets};
use crate::store::{Json, StoreSettings, Ts};
use crate::tickets::State;
use crate::tickets::filing::{FileTicket, Filing, file_batch};
use crate::tx::Desk;
use crate::workers::{Hands, settle};

/// A migrated and seeded house in a folder of its own, whose clock stands on a working day.
struct House {
    folder: tempfile::TempDir,
    store: Store,
    desk: Arc<Desk>,
    clock: Clock,
}

impl House {
    async fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let filed_at: DateTime<Utc> = "2019-11-22T02:00:00Z".parse().unwrap();
        let store = Store::open(&StoreSettings {
            url: format!("sqlite://{}", folder.path().join("house.db").display()),
            pool_size: 4,
            allow_plaintext: false,
            waiting: crate::config::Waiting::default(),
        })
        .unwrap();
        store
            .migrate(move |conn| seed::load(conn, filed_at))
            .await
            .unwrap();
        let config = Config::load(&Overrides::default()).unwrap();
        House {
            folder,
            store,
            desk: Arc::new(Desk::new(&config)),
            clock: Clock::manual(filed_at),
        }
    }

    fn carrier(&self, folder: &Path) -> Carrier {
        let templates = Templates::new(Ho_Chi_Minh).unwrap();
        Carrier::new(
            Mailer::folder(folder).unwrap(),
            templates,
            "giaidap@localhost",
            Duration::from_secs(20),
        )
    }

    async fn file(&self, subject: &str, email: &str) {
        let filing = Filing {
            principal: Arc::new(Principal::System),
            question: FileTicket {
                subject: subject.into(),
                body: "Nội dung".into(),
                organisation: Some("H57".into()),
                topic: Some("NGSP".into()),
                requester: Some(RequesterInput {
                    name: "Trần Văn Đức".into(),
                    email: Some(email.into()),
                    unit: None,
                    phone: None,
                    language: Some(Language::Vi),
                }),
                ..FileTicket::default()
            },
            key: None,
            filed_at: self.clock.now(),
            answering: Arc::new(|view| {
                Ok(Answer {
                    status: 201,
                    headers: Vec::new(),
                    body: view.ticket.number.clone(),
                    replayed: false,
                })
            }),
        };
        let desk = Arc::clone(&self.desk);
        let answers = self
            .store
            .write(move |conn| file_batch(conn, &desk, &[filing]))
            .await
            .unwrap();
        assert!(answers.iter().all(std::result::Result::is_ok), "{answers:?}");
    }

    async fn settle(&self, carrier: &Carrier) {
        let place = AttachmentStore::Folder(self.folder.path().join("attachments"));
        let hands = Hands {
            store: self.store.clone(),
            desk: Arc::clone(&self.desk),
            clock: self.clock.clone(),
            carrier: carrier.clone(),
            vault: Vault::open(&place).unwrap(),
        };
        settle(&hands).await.unwrap();
    }

    async fn deliveries(&self) -> Vec<DeliveryRow> {
        let rows = self
            .store
            .read(|conn| list_deliveries(conn, None, None, None, 100))
            .await
            .unwrap();
        rows.into_iter().map(|row| row.delivery).collect()
    }

    async fn change<T>(
        &self,
        statement: impl FnOnce(&mut crate::store::Db) -> QueryResult<T> + Send + 'static,
    ) where
        T: Send + 'static,
    {
        self.store
            .write(move |conn| {
                statement(conn)?;
                Ok(())
            })
            .await
            .unwrap();
    }
}

fn letters(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .collect()
}

#[tokio::test]
async fn a_filed_question_is_confirmed_by_one_mail_dated_when_it_was_filed() {
    let house = House::new().await;
    let mails = house.folder.path().join("mails");
    let carrier = house.carrier(&mails);
    house.file("Kết nối trục", "duc@example.vn").await;
    house.clock.set(house.clock.now() + TimeDelta::minutes(3));
    house.settle(&carrier).await;
    house.settle(&carrier).await;
    let sent = house.deliveries().await;
    assert_eq!(sent.len(), 1);
    let sent = &sent[0];
    assert_eq!((sent.state, sent.attempts), (DeliveryState::Sent, 1));
    assert_eq!(sent.sent_at, Some(Ts::from(house.clock.now())));
    let files = letters(&mails);
    assert_eq!(files, [mails.join(format!("{}.eml", sent.uid))]);
    let letter = std::fs::read_to_string(&files[0]).unwrap();
    assert!(
        letter.contains(&format!("Message-ID: {}", sent.message_id)),
        "{letter}"
    );
    assert!(
        letter.contains("Date: Fri, 22 Nov 2019 02:00:00 +0000"),
        "{letter}"
    );
}

#[tokio::test]
async fn a_mail_that_cannot_be_handed_over_is_tried_again_later_and_dies_in_the_end() {
    let house = House::new().await;
    let mails = house.folder.path().join("mails");
    let carrier = house.carrier(&mails);
    // Nobody, not even root, can write a file into a file.
    std::fs::remove_dir(&mails).unwrap();
    std::fs::write(&mails, "in the way").unwrap();
    house.file("Kết nối trục", "duc@example.vn").await;
    let step = async || carrier.step(&house.store, &house.clock, 8).await.unwrap();
    assert_eq!((step().await, step().await), (1, 0));
    for attempt in 1..=8 {
        let waiting = house.deliveries().await.remove(0);
        assert_eq!(
            (waiting.state, waiting.attempts),
            (DeliveryState::Pending, attempt)
        );
        assert!(waiting.last_error.is_some() && waiting.locked_until.is_none());
        house.clock.set(waiting.next_attempt_at.unwrap().0);
        assert_eq!(step().await, 1);
    }
    let dead = house.deliveries().await.remove(0);
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 9));
    assert!(dead.next_attempt_at.is_none() && dead.last_error.is_some());
    std::fs::remove_file(&mails).unwrap();
    std::fs::create_dir(&mails).unwrap();
    assert_eq!(step().await, 0);
}

#[tokio::test]
async fn a_mail_that_can_never_go_out_is_dead_at_once_and_holds_up_no_other() {
    let house = House::new().await;
    let mails = house.folder.path().join("mails");
    let carrier = house.carrier(&mails);
    for (subject, email) in [
        ("Địa chỉ sai", "duc@example.vn"),
        ("Thư hỏng", "lan@example.vn"),
        ("Thư tốt", "mai@example.vn"),
    ] {
        house.file(subject, email).await;
    }
    house
        .change(|conn| {
            diesel::update(deliveries::table.filter(deliveries::recipient.eq("duc@example.vn")))
                .set(deliveries::recipient.eq("no address"))
                .execute(conn)
        })
        .await;
    house
        .change(|conn| {
            diesel::update(deliveries::table.filter(deliveries::recipient.eq("lan@example.vn")))
                .set(deliveries::payload.eq(Json(serde_json::json!({ "subject": 5 }))))
                .execute(conn)
        })
        .await;
    house.settle(&carrier).await;
    let state_of = |rows: &[DeliveryRow], recipient: &str| {
        let row = rows.iter().find(|row| row.recipient == recipient).unwrap();
        (row.state, row.attempts, row.last_error.clone())
    };
    let rows = house.deliveries().await;
    assert_eq!(state_of(&rows, "mai@example.vn"), (DeliveryState::Sent, 1, None));
    let (state, attempts, error) = state_of(&rows, "no address");
    assert_eq!((state, attempts), (DeliveryState::Dead, 1));
    assert!(error.is_some_and(|error| !error.contains("no address")));
    let (state, attempts, error) = state_of(&rows, "lan@example.vn");
    assert_eq!((state, attempts), (DeliveryState::Dead, 1));
    assert_eq!(
        error.as_deref(),
        Some("the stored mail cannot be read at `subject`")
    );
}

#[tokio::test]
async fn a_delivery_whose_worker_died_is_sent_again_as_the_same_file() {
    let house = House::new().await;
    let mails = house.folder.path().join("mails");
    let carrier = house.carrier(&mails);
    house.file("Kết nối trục", "duc@example.vn").await;
    assert_eq!(carrier.lease, TimeDelta::minutes(6));
    let (now, until) = (house.clock.now(), house.clock.now() + carrier.lease);
    let leased = house
        .store
        .write(move |conn| claim_deliveries(conn, now, until, 8))
        .await
        .unwrap();
    // The first worker hands the mail over and dies before it can say so.
    carrier.hand_over(&leased[0]).unwrap();
    let first = std::fs::read(&letters(&mails)[0]).unwrap();
    assert_eq!(carrier.step(&house.store, &house.clock, 8).await.unwrap(), 0);
    house.clock.set(until + TimeDelta::seconds(1));
    assert_eq!(carrier.step(&house.store, &house.clock, 8).await.unwrap(), 1);
    assert_eq!(letters(&mails).len(), 1);
    assert_eq!(std::fs::read(&letters(&mails)[0]).unwrap(), first);
    // A first worker that was only slow comes back with a failure: the success stands.
    let late = Attempt::Again {
        at: now,
        error: "timeout".into(),
    };
    let id = leased[0].id;
    house
        .store
        .write(move |conn| record_attempt(conn, id, 1, &late))
        .await
        .unwrap();
    let sent = house.deliveries().await.remove(0);
    assert_eq!((sent.state, sent.next_attempt_at), (DeliveryState::Sent, None));
}

#[tokio::test]
async fn a_ticket_that_cannot_be_settled_holds_up_no_other() {
    let house = House::new().await;
    let carrier = house.carrier(&house.folder.path().join("mails"));
    house.file("Hỏng", "duc@example.vn").await;
    house.file("Lành", "lan@example.vn").await;
    house
        .change(|conn| {
            diesel::sql_query(
                "CREATE TRIGGER poison BEFORE UPDATE ON clocks WHEN NEW.ticket_id = 1 \
                 BEGIN SELECT RAISE(ABORT, 'poisoned'); END",
            )
            .execute(conn)
        })
        .await;
    house
        .change(|conn| {
            // A resolved ticket that is to close, and one that should have no time to close.
            diesel::update(tickets::table)
                .set(tickets::closes_at.eq(Some(Ts("2019-11-25T00:00:00Z".parse().unwrap()))))
                .execute(conn)?;
            diesel::update(tickets::table.find(2))
                .set(tickets::state.eq(State::Resolved))
                .execute(conn)
        })
        .await;
    house.clock.set("2019-12-10T02:00:00Z".parse().unwrap());
    house.settle(&carrier).await;
    let rows: Vec<(i64, State, bool)> = house
        .store
        .read(|conn| {
            Ok(tickets::table
                .order(tickets::id)
                .select((tickets::id, tickets::state, tickets::breached))
                .load(conn)?)
        })
        .await
        .unwrap();
    assert_eq!(rows, [(1, State::Queued, false), (2, State::Closed, true)]);
}
