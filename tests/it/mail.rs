//! What leaves the house by mail: to whom, how it reads, and what happens when a mail server does not play along.
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::mail::ReceivedMail;
use crate::support::smtp::Behaviour;
use crate::support::{Client, TestApp, file, question};

const ASKER: &str = "lan@hue.example";

/// The newest delivery.
fn newest(admin: &Client) -> Value {
    let list = admin.get("/api/v1/deliveries?limit=1").expect(200).body;
    list["items"][0].clone()
}

fn deliveries(admin: &Client, query: &str) -> Vec<Value> {
    let list = admin
        .get(&format!("/api/v1/deliveries?limit=200{query}"))
        .expect(200)
        .body;
    list["items"].as_array().unwrap().clone()
}

/// Seconds from the clock's time to the next attempt.
fn wait_of(app: &TestApp, delivery: &Value) -> i64 {
    let next = delivery["next_attempt_at"].as_str().unwrap();
    let next = chrono::DateTime::parse_from_rfc3339(next).unwrap();
    (next.to_utc() - app.app.clock.now()).num_seconds()
}

/// Turn the clock to the delivery's next attempt and let the workers go.
fn turn_to_next_attempt(app: &TestApp, delivery: &Value) {
    app.at(delivery["next_attempt_at"].as_str().unwrap()).settle();
}

fn to(mails: &[ReceivedMail], recipient: &str) -> Vec<String> {
    let theirs = mails.iter().filter(|mail| mail.to == [recipient]);
    theirs.map(|mail| mail.subject.clone()).collect()
}

#[test]
fn a_mail_that_is_put_off_is_tried_again_with_growing_delays_until_it_is_taken() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    app.smtp.behave(ASKER, Behaviour::Defer);
    file(&hue);
    let written = newest(&admin);
    assert_eq!(
        (&written["state"], &written["attempts"]),
        (&json!("pending"), &json!(0))
    );
    app.settle();
    let mut last = 0;
    // 30 s, 2 min, 10 min, 30 min, 2 h, each up to a tenth more or less.
    for (attempt, planned) in [(1, 30), (2, 120), (3, 600), (4, 1800), (5, 7200)] {
        let delivery = newest(&admin);
        assert_eq!(
            (&delivery["state"], &delivery["attempts"]),
            (&json!("pending"), &json!(attempt))
        );
        assert!(
            delivery["last_error"].as_str().unwrap().contains("451"),
            "{delivery}"
        );
        let wait = wait_of(&app, &delivery);
        assert!(
            (planned * 9 / 10 - 1..=planned * 11 / 10).contains(&wait) && wait > last,
            "{wait}"
        );
        last = wait;
        // Not a second earlier.
        app.app
            .clock
            .set(app.app.clock.now() + chrono::Duration::seconds(wait - 1));
        app.settle();
        assert_eq!(newest(&admin)["attempts"], attempt);
        if attempt == 5 {
            app.smtp.behave(ASKER, Behaviour::Accept);
        }
        turn_to_next_attempt(&app, &delivery);
    }
    let sent = newest(&admin);
    assert_eq!((&sent["state"], &sent["attempts"]), (&json!("sent"), &json!(6)));
    assert_eq!(
        (&sent["next_attempt_at"], &sent["last_error"]),
        (&Value::Null, &Value::Null)
    );
    let mails = app.smtp.wait_for(1);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].header("Message-ID"), written["message_id"].as_str());
}

#[test]
fn a_mail_that_nobody_takes_for_days_is_dead_and_says_so() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    app.smtp.behave(ASKER, Behaviour::Defer);
    file(&hue);
    app.settle();
    for _ in 0..8 {
        turn_to_next_attempt(&app, &newest(&admin));
    }
    let dead = newest(&admin);
    assert_eq!((&dead["state"], &dead["attempts"]), (&json!("dead"), &json!(9)));
    assert_eq!(dead["next_attempt_at"], Value::Null);
    assert_eq!(deliveries(&admin, "&state=dead").len(), 1);
}

#[test]
fn a_refused_mail_is_dead_at_once_and_a_person_may_have_it_sent_again() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    app.smtp.behave(ASKER, Behaviour::Refuse);
    let ticket = file(&hue);
    app.settle();
    let number = ticket["number"].as_str().unwrap();
    let dead = deliveries(&sup, &format!("&state=dead&ticket={number}"));
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (&dead[0]["attempts"], &dead[0]["recipient"]),
        (&json!(1), &json!(ASKER))
    );
    assert!(
        dead[0]["last_error"].as_str().unwrap().contains("550"),
        "{}",
        dead[0]
    );
    app.at("2019-12-02T09:00:00+07:00").settle();
    assert!(
        app.smtp.received().iter().all(|mail| mail.to != [ASKER]),
        "nobody tries by themselves"
    );

    let path = format!("/api/v1/deliveries/{}", dead[0]["id"].as_str().unwrap());
    app.smtp.behave(ASKER, Behaviour::Accept);
    let retried = sup.call(&format!("{path}/retry")).expect(200).body;
    assert_eq!(retried["state"], "pending");
    app.settle();
    let sent = sup.get(&path).expect(200).body;
    assert_eq!(
        (&sent["state"], &sent["message_id"]),
        (&json!("sent"), &dead[0]["message_id"])
    );
    assert_eq!(to(&app.smtp.received(), ASKER).len(), 1);
    let refused = sup.call(&format!("{path}/retry")).expect(409);
    assert_eq!(refused.problem(), "conflict", "what is sent is sent");
}

#[test]
fn one_recipients_trouble_is_nobody_elses() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    app.smtp.behave("a@hue.example", Behaviour::Defer);
    app.smtp.behave("b@hue.example", Behaviour::Refuse);
    for address in ["a@hue.example", "b@hue.example", "c@hue.example"] {
        let mut body = question();
        body["requester"]["email"] = json!(address);
        hue.post("/api/v1/tickets", &body).expect(201);
    }
    app.settle();
    let mut states: Vec<(String, String)> = deliveries(&admin, "")
        .iter()
        .map(|d| {
            (
                d["recipient"].as_str().unwrap().into(),
                d["state"].as_str().unwrap().into(),
            )
        })
        .collect();
    states.sort();
    let named = |address: &str, state: &str| (address.to_owned(), state.to_owned());
    assert_eq!(
        states,
        [
            named("a@hue.example", "pending"),
            named("b@hue.example", "dead"),
            named("c@hue.example", "sent")
        ]
    );
}

#[test]
fn a_mail_whose_fate_is_unknown_goes_out_again_under_the_same_message_id() {
    for stored in [true, false] {
        let app = TestApp::start();
        let (hue, admin) = (app.organisation("H57"), app.admin());
        app.smtp.behave(ASKER, Behaviour::Drop { stored });
        file(&hue);
        app.settle();
        let lost = newest(&admin);
        assert_eq!(
            (&lost["state"], &lost["attempts"]),
            (&json!("pending"), &json!(1))
        );
        app.smtp.behave(ASKER, Behaviour::Accept);
        turn_to_next_attempt(&app, &lost);
        assert_eq!(newest(&admin)["state"], "sent");
        let mails = app.smtp.received();
        assert_eq!(mails.len(), 1 + usize::from(stored));
        for mail in &mails {
            assert_eq!(mail.header("Message-ID"), lost["message_id"].as_str());
            assert_eq!(mail.data, mails[0].data, "byte for byte");
        }
    }
}

#[test]
fn a_mail_reads_in_vietnamese_first_as_text_and_as_html() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file(&hue);
    app.settle();
    let mail = app.smtp.wait_for(1).remove(0);
    let number = ticket["number"].as_str().unwrap();
    assert_eq!(
        mail.subject,
        format!("[{number}] Xác nhận đã tiếp nhận câu hỏi: Kết nối LGSP với NGSP")
    );
    let html = mail.part("text/html").unwrap().replace("&#x2f;", "/");
    let link = ticket["status_link"].as_str().unwrap();
    for part in [&mail.text, &html] {
        for words in [
            "Kính gửi: Tỉnh Thừa Thiên Huế",
            "Kết nối LGSP với NGSP",
            number,
            link,
        ] {
            assert!(part.contains(words), "{words} is not in {part}");
        }
        // Five working days after the Friday, read in Việt Nam.
        assert!(part.contains("29/11/2019"), "{part}");
    }
    assert!(!html.contains("src="), "it loads nothing");
    assert_eq!(mail.to, [ASKER]);
    assert!(mail.header("From").unwrap().contains("<giaidap@centre.example>"));
    assert_eq!(mail.header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(mail.header("Content-Language"), Some("vi"));
}

#[test]
fn a_requester_who_chose_english_gets_english() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let mut body = question();
    body["requester"]["language"] = json!("en");
    body["subject"] = json!("Connecting <b>LGSP</b> & {{ owner }}");
    hue.post("/api/v1/tickets", &body).expect(201);
    app.settle();
    let mail = app.smtp.wait_for(1).remove(0);
    assert_eq!(
        mail.subject,
        "[GD-2019-000001] We have received your question: Connecting <b>LGSP</b> & {{ owner }}"
    );
    assert!(mail.text.contains("Thua Thien Hue Province"), "{}", mail.text);
    let html = mail.part("text/html").unwrap();
    assert!(
        html.contains("&lt;b&gt;LGSP") && !html.contains("<b>LGSP"),
        "{html}"
    );
}

#[test]
fn the_mails_of_a_question_form_one_thread() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    file(&hue);
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/messages"), &json!({ "body": "Đang xem." }))
        .expect(201);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    app.settle();
    let mails = app.smtp.wait_for(4);
    let root = |mail: &ReceivedMail| mail.header("References").map(str::to_owned);
    let of_first: Vec<&ReceivedMail> = mails
        .iter()
        .filter(|mail| mail.subject.starts_with("[GD-2019-000001] "))
        .collect();
    assert_eq!(of_first.len(), 3);
    for mail in &of_first {
        assert!(
            root(mail).is_some() && root(mail) == root(of_first[0]),
            "{}",
            mail.subject
        );
        assert_eq!(mail.header("In-Reply-To"), root(mail).as_deref());
    }
    let other = mails
        .iter()
        .find(|mail| mail.subject.starts_with("[GD-2019-000002] "))
        .unwrap();
    assert_ne!(root(other), root(of_first[0]));
    let mut ids: Vec<&str> = mails
        .iter()
        .map(|mail| mail.header("Message-ID").unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[test]
fn each_event_is_mailed_to_each_person_once() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/wait"), &json!({ "message": "?" }))
        .expect(200);
    for _ in 0..3 {
        app.settle();
    }
    let replica = app.replica();
    replica.settle();
    let there = lan.on(&replica.url).get(&path).expect(200).body;
    assert_eq!(
        there,
        lan.get(&path).expect(200).body,
        "one desk, whichever instance answers"
    );
    app.at("2019-11-23T16:30:00+07:00").settle();
    let mut subjects = to(&app.smtp.received(), ASKER);
    subjects.sort();
    assert_eq!(
        subjects,
        [
            "[GD-2019-000001] Xác nhận đã tiếp nhận câu hỏi: Kết nối LGSP với NGSP",
            "[GD-2019-000001] Đề nghị bổ sung thông tin: Kết nối LGSP với NGSP",
        ]
    );
    assert_eq!(app.smtp.received().len(), 2);
}

#[test]
fn a_question_without_an_address_mails_nobody() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    hue.post("/api/v1/tickets", &json!({ "subject": "a", "body": "b" }))
        .expect(201);
    let mut body = question();
    body["requester"].as_object_mut().unwrap().remove("email");
    hue.post("/api/v1/tickets", &body).expect(201);
    assert_eq!(app.rows_in("deliveries"), 0);
}

#[test]
fn who_is_given_a_question_by_somebody_else_gets_a_mail() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    app.agent("hung", &["technology"]);
    hue.post(
        "/api/v1/tickets",
        &json!({ "subject": "a", "body": "b", "topic": "NGSP", "priority": "normal" }),
    )
    .expect(201);
    let path = "/api/v1/tickets/GD-2019-000001";
    lan.call(&format!("{path}/claim")).expect(200);
    sup.post(
        &format!("{path}/assign"),
        &json!({ "assignee": "sup@centre.example" }),
    )
    .expect(200);
    assert_eq!(app.rows_in("deliveries"), 0, "who takes a question knows it");
    sup.post(
        &format!("{path}/assign"),
        &json!({ "assignee": "hung@centre.example" }),
    )
    .expect(200);
    app.settle();
    let mails = app.smtp.wait_for(1);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to, ["hung@centre.example"]);
    assert_eq!(mails[0].subject, "[GD-2019-000001] Phân công xử lý: a");
    // The asker's reply goes to who works on it now, not to who did.
    hue.post(&format!("{path}/messages"), &json!({ "body": "Bổ sung." }))
        .expect(201);
    app.settle();
    let mails = app.smtp.wait_for(2);
    assert_eq!(
        (mails.len(), &mails[1].to),
        (2, &vec!["hung@centre.example".to_owned()])
    );
}

#[test]
fn a_deadline_is_announced_before_and_after_to_who_must_act() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.supervisor();
    app.admin();
    app.auditor();
    app.agent("hung", &["technology"]);
    hue.post(
        "/api/v1/tickets",
        &json!({ "subject": "a", "body": "b", "topic": "NGSP", "priority": "normal" }),
    )
    .expect(201);
    let path = "/api/v1/tickets/GD-2019-000001";
    lan.call(&format!("{path}/claim")).expect(200);
    let at = |instant: &str| -> Vec<(String, String)> {
        let before = app.smtp.received().len();
        app.at(instant).settle();
        let new = app.smtp.received();
        let mut new: Vec<(String, String)> = new
            .iter()
            .skip(before)
            .map(|mail| (mail.to.join(","), mail.subject.clone()))
            .collect();
        new.sort();
        new
    };
    // 480 business minutes from Friday 16:30; three quarters are used up on Monday at 14:30.
    assert_eq!(at("2019-11-25T14:29:59+07:00"), []);
    let warning = at("2019-11-25T14:30:00+07:00");
    assert_eq!(warning.len(), 1, "{warning:?}");
    assert_eq!(warning[0].0, "lan@centre.example");
    assert!(
        warning[0].1.contains("sắp đến hạn trả lời") && warning[0].1.contains("25/11/2019"),
        "{warning:?}"
    );
    // The due itself is in time.
    assert_eq!(at("2019-11-25T16:30:00+07:00"), []);
    let overdue = at("2019-11-25T16:30:01+07:00");
    let people: Vec<&str> = overdue.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(people, ["lan@centre.example", "sup@centre.example"]);
    assert!(
        overdue
            .iter()
            .all(|(_, subject)| subject == "[GD-2019-000001] QUÁ HẠN trả lời: a"),
        "{overdue:?}"
    );
    assert_eq!(at("2019-11-25T17:00:00+07:00"), [], "once");
}
