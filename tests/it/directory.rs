//! The directory: what a second import changes, which successors it refuses, and what is kept of the persons who ask.
use giaidap::directory::{self, ImportError, Organisation};
use giaidap::error::Error;
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::{TestApp, file, question};

const HEADER: &str = "code,kind,name_vi,gso_code,egov_code,valid_from,valid_to,successor_code\n";

/// Import these lines; the refusal, if there is one, with nothing of the file left.
fn import(app: &TestApp, lines: &str) -> Result<usize, String> {
    let (text, now) = (format!("{HEADER}{lines}"), app.app.clock.now());
    let desk = app.app.desk.clone();
    let imported = app.app.store.write(move |conn| {
        let plan = directory::import_organisations(conn, &desk, text.as_bytes(), now);
        plan.map(|plan| plan.lines()).map_err(|error| match error {
            ImportError::Store(error) => error,
            refused => Error::Malformed {
                reason: refused.to_string(),
            },
        })
    });
    block_on(imported).map_err(|error| match error {
        Error::Malformed { reason } => reason,
        other => panic!("{other:?}"),
    })
}

fn organisation(app: &TestApp, code: &'static str) -> Organisation {
    app.read(move |conn| directory::get_organisation(conn, code))
}

#[test]
fn a_second_import_clears_what_the_file_no_longer_says() {
    let app = TestApp::start();
    import(
        &app,
        "X1,agency,Cục Một,12,E1,2019-01-01,2025-06-30,X2\nX2,agency,Cục Hai,,,,,\n",
    )
    .unwrap();
    let closed = organisation(&app, "X1");
    assert!(closed.valid_to.is_some() && closed.successor_id.is_some());
    // It was closed by mistake.
    import(&app, "X1,agency,Cục Một,,,,,\n").unwrap();
    let open = organisation(&app, "X1");
    assert_eq!(
        (
            open.gso_code,
            open.egov_code,
            open.valid_from,
            open.valid_to,
            open.successor_id
        ),
        (None, None, None, None, None)
    );
    assert_eq!((open.id, open.uid), (closed.id, closed.uid));
}

#[test]
fn nobody_succeeds_themselves_however_long_the_way() {
    let app = TestApp::start();
    let refused = import(&app, "X1,agency,Một,,,,,\nX2,agency,Hai,,,,,X2\n").unwrap_err();
    assert_eq!(refused, "line 3: `X2` cannot be its own successor");
    let refused = import(
        &app,
        "X1,agency,Một,,,,,X2\nX2,agency,Hai,,,,,X3\nX3,agency,Ba,,,,,X1\n",
    )
    .unwrap_err();
    assert_eq!(
        refused,
        "line 2: the successors of `X1` lead back to it through `X2`"
    );
    // Through lines of an earlier file; a chain that ends is none of this.
    import(
        &app,
        "X1,agency,Một,,,,2019-12-31,X2\nX2,agency,Hai,,,,2020-12-31,X3\nX3,agency,Ba,,,,,\n",
    )
    .unwrap();
    let refused = import(&app, "X4,agency,Bốn,,,,,X1\nX3,agency,Ba,,,,,X1\n").unwrap_err();
    assert_eq!(
        refused,
        "line 3: the successors of `X3` lead back to it through `X1`"
    );
    assert_eq!(organisation(&app, "X3").successor_id, None);
}

#[test]
fn what_a_later_question_leaves_out_of_a_known_person_stays() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ask = |person: Value| {
        let mut asked = question();
        asked["requester"] = person;
        hue.post("/api/v1/tickets", &asked).expect(201).body["requester"].clone()
    };
    let email = "hoa@hue.example";
    let full = ask(json!({
        "name": "Hòa", "email": email, "unit": "Sở TT&TT", "phone": "0234", "language": "en"
    }));
    assert_eq!(ask(json!({ "name": "Hòa", "email": email })), full);
    let moved = ask(json!({ "name": "Nguyễn Thị Hòa", "email": email, "unit": "Văn phòng" }));
    assert_eq!(
        (&moved["name"], &moved["unit"]),
        (&json!("Nguyễn Thị Hòa"), &json!("Văn phòng"))
    );
    assert_eq!(
        (&moved["phone"], &moved["language"]),
        (&json!("0234"), &json!("en"))
    );
    assert_eq!(
        ask(json!({ "name": "Nguyễn Thị Hòa", "email": email, "language": "vi" }))["language"],
        "vi"
    );
    assert_eq!(file(&hue)["requester"]["language"], "vi", "new and nothing said");
}

#[test]
fn an_organisation_is_added_shown_and_changed_under_its_version() {
    const PATH: &str = "/api/v1/organisations";
    let app = TestApp::start();
    let admin = app.admin();
    let name = json!({ "vi": "Sở Thông tin và Truyền thông", "en": "Department" });
    let new =
        json!({ "code": "000.00.14.H57", "kind": "agency", "name": name, "egov_code": "000.00.14.H57" });
    let made = admin.post(PATH, &new).expect(201);
    assert_eq!(made.header("location"), Some("/api/v1/organisations/H57.14"));
    assert_eq!(
        (&made.body["code"], &made.body["egov_code"]),
        (&json!("H57.14"), &json!("H57.14"))
    );
    assert_eq!(
        (&made.body["short_name"], &made.body["parent"]["code"]),
        (&name["vi"], &json!("H57"))
    );
    assert_eq!(admin.post(PATH, &new).expect(409).problem(), "conflict");
    let mut apart = new.clone();
    apart["code"] = json!("H57.15");
    apart["parent"] = Value::Null;
    assert_eq!(admin.post(PATH, &apart).expect(201).body["parent"], Value::Null);
    let units = |query: &str| {
        let page = admin.get(&format!("{PATH}?{query}")).expect(200).body;
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(units("parent=000.00.00.H57"), ["H57.14"]);
    assert_eq!(units("q=so%20thong%20tin"), ["H57.14", "H57.15"]);

    let path = format!("{PATH}/000.00.14.H57");
    let shown = admin.get(&path).expect(200);
    assert_eq!(
        (shown.header("etag"), &shown.body),
        (made.header("etag"), &made.body)
    );
    admin
        .with("If-None-Match", made.header("etag").unwrap())
        .get(&path)
        .expect(304);
    admin.patch(&path, &json!({ "pilot": true })).expect(428);
    admin
        .with("If-Match", "\"2\"")
        .patch(&path, &json!({ "pilot": true }))
        .expect(412);
    let changes = json!({ "pilot": true, "short_name": "Sở KH&CN", "parent": "H57.15", "egov_code": null });
    let changed = admin.with("If-Match", "\"1\"").patch(&path, &changes).expect(200);
    assert_eq!(changed.version(), 2);
    let body = &changed.body;
    assert_eq!(
        (&body["pilot"], &body["egov_code"], &body["name"]),
        (&json!(true), &Value::Null, &name)
    );
    assert_eq!(units("q=so%20kh%20cn"), ["H57.14"]);
    let refusals = [
        ("H57.15", json!({ "parent": "H57.14" }), "/parent", "parent_cycle"),
        ("H57.15", json!({ "parent": "H57.15" }), "/parent", "parent_cycle"),
        ("H57.15", json!({ "parent": "H99" }), "/parent", "unknown_code"),
        ("H57.15", json!({ "kind": "village" }), "/kind", "out_of_range"),
        (
            "H57.15",
            json!({ "valid_from": "2020-02-01", "valid_to": "2020-01-01" }),
            "/valid_to",
            "ends_before_it_begins",
        ),
    ];
    for (code, body, place, error) in refusals {
        let refused = admin
            .with("If-Match", "*")
            .patch(&format!("{PATH}/{code}"), &body)
            .expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), error.to_owned())],
            "{body}"
        );
    }
    // What a client would fold away, and what leads elsewhere.
    for code in ["H57/14", ".", "..", "import", "0191a2b4000070008000000000000000"] {
        let mut bad = new.clone();
        bad["code"] = json!(code);
        let refused = admin.post(PATH, &bad).expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/code".to_owned(), "bad_code".to_owned())],
            "{code}"
        );
    }
    for day in ["2025-07-1", "2025-7-01", "+2025-07-01", " 2025-07-01"] {
        let query = format!("{PATH}?active_on={}", day.replace('+', "%2B").replace(' ', "%20"));
        let refused = admin.get(&query).expect(422);
        assert_eq!(
            refused.field_errors(),
            [("active_on".to_owned(), "invalid_format".to_owned())],
            "{day}"
        );
    }
}

#[test]
fn another_kind_of_organisation_is_held_against_its_agreements() {
    let app = TestApp::start();
    let admin = app.admin();
    // Works one hour a week, which is too little for ten years of it to hold what is agreed.
    let hours = json!({
        "code": "one-hour",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "09:00"]] } }],
    });
    admin.post("/api/v1/calendars", &hours).expect(201);
    let mut policy = crate::support::desk::policy("others", 10, json!({ "kind": ["other"] }));
    policy["calendar"] = json!("one-hour");
    policy["targets"] = json!({ "first_response": { "normal": { "business_minutes": 30 } } });
    admin.post("/api/v1/sla-policies", &policy).expect(201);
    let mut agreed = crate::support::desk::agreement("H57", "2020-01-01");
    agreed["targets"] = json!({ "first_response": { "normal": { "business_minutes": 100_000 } } });
    admin.post("/api/v1/agreements", &agreed).expect(201);
    let change = admin.with("If-Match", "*");
    let refused = change
        .patch("/api/v1/organisations/H57", &json!({ "kind": "other" }))
        .expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/kind".to_owned(), "too_little_working_time".to_owned())]
    );
    for query in ["", "?apply=true"] {
        let file = "code,kind,name_vi\nH57,other,Huế\n";
        let refused = admin
            .post_raw(
                &format!("/api/v1/organisations/import{query}"),
                "text/csv",
                file.as_bytes(),
            )
            .expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/lines/2/kind".to_owned(), "too_little_working_time".to_owned())]
        );
    }
    change
        .patch("/api/v1/organisations/H57", &json!({ "kind": "agency" }))
        .expect(200);
}
