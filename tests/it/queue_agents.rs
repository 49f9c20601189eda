//! Who works a queue and what each holds of it, as a supervisor sees it before assigning.
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::{Client, TestApp, file};

const AGENTS: &str = "/api/v1/queues/technology/agents";

/// Name, membership and figures of everybody in the answer.
fn told(reader: &Client) -> Vec<Value> {
    let answer = reader.get(AGENTS).expect(200).body;
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|who| {
            json!([
                who["name"],
                who["active"],
                who["member"],
                who["assigned"],
                who["waiting_for_asker"],
                who["breached"],
            ])
        })
        .collect()
}

#[test]
fn a_supervisor_sees_who_works_a_queue_and_how_much_each_holds_of_it() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let (lan, hung) = (
        app.agent("lan", &["technology", "policy"]),
        app.agent("hung", &["technology"]),
    );
    app.agent("mai", &["policy"]);
    let claimed = |agent: &Client| {
        let path = path_of(&file(&hue));
        agent.call(&format!("{path}/claim")).expect(200);
        path
    };
    let (_, second, elsewhere, done) = (claimed(&lan), claimed(&lan), claimed(&lan), claimed(&hung));
    file(&hue);
    lan.post(&format!("{second}/wait"), &json!({ "message": "?" }))
        .expect(200);
    let moved = json!({ "queue": "policy", "reason": "Đúng nhóm hơn." });
    lan.post(&format!("{elsewhere}/transfer"), &moved).expect(200);
    lan.call(&format!("{elsewhere}/claim")).expect(200);
    let answered = json!({ "outcome": "answered", "message": "Trả lời." });
    hung.post(&format!("{done}/resolve"), &answered).expect(200);
    assert_eq!(
        told(&sup),
        [
            json!(["Hung", true, true, 0, 0, 0]),
            json!(["Lan", true, true, 1, 1, 0])
        ],
        "not what is resolved, free, or of another queue"
    );

    // The clocks of the one that waits stand still.
    app.at("2020-03-02T09:00:00+07:00").settle();
    assert_eq!(told(&sup)[1], json!(["Lan", true, true, 1, 1, 1]));
}

#[test]
fn whoever_holds_a_ticket_of_a_queue_is_told_also_after_leaving_it() {
    let app = TestApp::start();
    let (hue, sup, admin) = (app.organisation("H57"), app.supervisor(), app.admin());
    for (name, change) in [
        ("an", json!({ "queues": ["policy"] })),
        ("hung", json!({ "active": false })),
        ("lan", json!({ "active": false })),
    ] {
        let agent = app.agent(name, &["technology"]);
        if name != "lan" {
            agent.call(&format!("{}/claim", path_of(&file(&hue)))).expect(200);
        }
        let account = format!("/api/v1/users/{name}@centre.example");
        admin.with("If-Match", "*").patch(&account, &change).expect(200);
    }
    assert_eq!(
        told(&sup),
        [
            json!(["An", true, false, 1, 0, 0]),
            json!(["Hung", false, true, 1, 0, 0])
        ],
        "not the one who left with nothing in hand"
    );
}

#[test]
fn a_page_of_agents_belongs_to_its_queue() {
    let app = TestApp::start();
    let sup = app.supervisor();
    for name in ["an", "hung"] {
        app.agent(name, &["technology", "policy"]);
    }
    let page = sup.get(&format!("{AGENTS}?limit=1")).expect(200).body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = format!("/api/v1/queues/policy/agents?limit=1&cursor={cursor}");
    let refused = sup.get(&other).expect(422).field_errors();
    assert_eq!(refused, [("cursor".to_owned(), "invalid_cursor".to_owned())]);
    let next = sup
        .get(&format!("{AGENTS}?limit=1&cursor={cursor}"))
        .expect(200)
        .body;
    assert_eq!(next["items"][0]["name"], "Hung");
    assert_eq!(next["next_cursor"], Value::Null);
}
