//! Custom fields of topics: what administrators may define, and what questions then bring.
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::{Client, TestApp, question};

const FIELDS: &str = "/api/v1/topics/NGSP/custom-fields";

fn name(text: &str) -> Value {
    json!({ "vi": format!("{text} (vi)"), "en": text })
}

fn definitions() -> Value {
    json!({ "custom_fields": [
        { "code": "dossier", "type": "text", "label": name("Dossier"), "help": name("As on the receipt"),
          "required": true, "max_length": 10, "pattern": "H-[0-9]+" },
        { "code": "districts", "type": "number", "label": name("Districts"), "min": 1, "max": 20.5 },
        { "code": "since", "type": "date", "label": name("Since") },
        { "code": "level", "type": "choice", "label": name("Level"),
          "choices": [{ "code": "province", "label": name("Province") }, { "code": "commune", "label": name("Commune") }] },
        { "code": "urgent", "type": "boolean", "label": name("Urgent") },
    ] })
}

fn define(admin: &Client, body: &Value) -> Value {
    let seen = admin.get("/api/v1/topics/NGSP").expect(200);
    let tag = seen.header("etag").unwrap().to_owned();
    admin.with("If-Match", &tag).put(FIELDS, body).expect(200).body
}

fn with_fields(fields: Value) -> Value {
    let mut body = question();
    body["custom_fields"] = fields;
    body
}

fn full() -> Value {
    json!({ "dossier": "H-1", "districts": 9, "since": "2019-11-01", "level": "province", "urgent": false })
}

#[test]
fn a_question_brings_what_its_topic_asks_and_values_keep_their_types() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    // Without definitions whatever comes.
    hue.post("/api/v1/tickets", &with_fields(json!({ "anything": 1 })))
        .expect(201);
    let topic = define(&admin, &definitions());
    assert_eq!(
        (
            &topic["version"],
            topic["custom_fields"].as_array().unwrap().len()
        ),
        (&json!(2), 5)
    );
    let filed = hue.post("/api/v1/tickets", &with_fields(full())).expect(201).body;
    assert_eq!(filed["custom_fields"], full());
    for (fields, errors) in [
        (json!({}), vec![("dossier", "required")]),
        (json!({ "dossier": " " }), vec![("dossier", "required")]),
        (json!({ "dossier": "x" }), vec![("dossier", "pattern_mismatch")]),
        (
            json!({ "dossier": "H-1 H-2" }),
            vec![("dossier", "pattern_mismatch")],
        ),
        (
            json!({ "dossier": "H-1234567890" }),
            vec![("dossier", "too_long")],
        ),
        (json!({ "dossier": 7 }), vec![("dossier", "wrong_type")]),
        (
            json!({ "dossier": "H-1", "districts": "9" }),
            vec![("districts", "wrong_type")],
        ),
        (
            json!({ "dossier": "H-1", "districts": 21 }),
            vec![("districts", "out_of_range")],
        ),
        (
            json!({ "dossier": "H-1", "since": "2019-02-30" }),
            vec![("since", "invalid_format")],
        ),
        (
            json!({ "dossier": "H-1", "level": "ward" }),
            vec![("level", "unknown_choice")],
        ),
        (
            json!({ "dossier": "H-1", "urgent": "true" }),
            vec![("urgent", "wrong_type")],
        ),
        (
            json!({ "a/b": 1, "districts": 0 }),
            vec![
                ("dossier", "required"),
                ("districts", "out_of_range"),
                ("a~1b", "unknown_field"),
            ],
        ),
    ] {
        let refused = hue
            .post("/api/v1/tickets", &with_fields(fields.clone()))
            .expect(422);
        let expected: Vec<(String, String)> = errors
            .iter()
            .map(|(name, code)| (format!("/custom_fields/{name}"), (*code).to_owned()))
            .collect();
        assert_eq!(refused.field_errors(), expected, "{fields}");
    }
}

#[test]
fn changed_definitions_are_asked_of_a_ticket_when_its_fields_or_topic_change() {
    let app = TestApp::start();
    let (hue, admin, sup) = (app.organisation("H57"), app.admin(), app.supervisor());
    let old = hue
        .post("/api/v1/tickets", &with_fields(json!({ "anything": 1 })))
        .expect(201)
        .body;
    define(&admin, &definitions());
    let path = path_of(&old);
    // What was there stays, and may be worked on.
    sup.patch(&path, &json!({ "priority": "high", "topic": "NGSP" }))
        .expect(200);
    let refused = sup
        .patch(&path, &json!({ "custom_fields": { "level": "commune" } }))
        .expect(422);
    let places: Vec<String> = refused
        .field_errors()
        .into_iter()
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places, ["/custom_fields/dossier", "/custom_fields/anything"]);
    let mended = json!({ "custom_fields": { "anything": null, "dossier": "H-9", "level": "commune" } });
    let now = sup.patch(&path, &mended).expect(200).body;
    assert_eq!(
        now["custom_fields"],
        json!({ "dossier": "H-9", "level": "commune" })
    );

    let mut without = question();
    without["topic"] = json!("DIEMMAU");
    let other = hue.post("/api/v1/tickets", &without).expect(201).body;
    let moved = sup
        .patch(&path_of(&other), &json!({ "topic": "NGSP" }))
        .expect(422);
    assert_eq!(
        moved.field_errors(),
        [("/custom_fields/dossier".into(), "required".into())]
    );
    let both = json!({ "topic": "NGSP", "custom_fields": { "dossier": "H-3" } });
    sup.patch(&path_of(&other), &both).expect(200);
    // Away from a topic that asks, everything is free again.
    sup.patch(
        &path_of(&other),
        &json!({ "topic": null, "custom_fields": { "x": true } }),
    )
    .expect(200);
}

#[test]
fn definitions_that_no_value_could_meet_are_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let field = |more: Value| {
        let mut field = json!({ "code": "a", "type": "text", "label": name("A") });
        field
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        field
    };
    let choice = |choices: Value| field(json!({ "type": "choice", "choices": choices }));
    for (fields, place, code) in [
        (
            json!([field(json!({ "code": "Bad" }))]),
            "/0/code",
            "invalid_format",
        ),
        (
            json!([field(json!({})), field(json!({}))]),
            "/1/code",
            "duplicate",
        ),
        (json!([field(json!({ "min": 1 }))]), "/0/min", "not_for_type"),
        (
            json!([field(json!({ "pattern": "(" }))]),
            "/0/pattern",
            "bad_pattern",
        ),
        // Other readers of the schema take these for something else, or for nothing.
        (
            json!([field(json!({ "pattern": "(?i)h-[0-9]+" }))]),
            "/0/pattern",
            "bad_pattern",
        ),
        (
            json!([field(json!({ "pattern": "[[:alpha:]]+\\z" }))]),
            "/0/pattern",
            "bad_pattern",
        ),
        (
            json!([field(json!({ "max_length": 0 }))]),
            "/0/max_length",
            "out_of_range",
        ),
        (
            json!([field(json!({ "type": "number", "min": 2, "max": 1 }))]),
            "/0/max",
            "bad_range",
        ),
        (json!([choice(json!([]))]), "/0/choices", "no_choices"),
        (
            json!([choice(
                json!([{ "code": "x", "label": name("X") }, { "code": "x", "label": name("Y") }])
            )]),
            "/0/choices/1/code",
            "duplicate",
        ),
        (
            json!([field(json!({ "label": { "vi": "" , "en": "x" } }))]),
            "/0/label/vi",
            "too_short",
        ),
        (
            json!([field(json!({ "type": "colour" }))]),
            "/0/type",
            "out_of_range",
        ),
    ] {
        let refused = admin
            .with("If-Match", "*")
            .put(FIELDS, &json!({ "custom_fields": fields }))
            .expect(422);
        let expected = (format!("/custom_fields{place}"), code.to_owned());
        assert!(
            refused.field_errors().contains(&expected),
            "{} {expected:?}",
            refused.text
        );
    }
    assert_eq!(
        admin.put(FIELDS, &definitions()).expect(428).problem(),
        "precondition-required"
    );
    admin
        .with("If-Match", "\"7\"")
        .put(FIELDS, &definitions())
        .expect(412);
    assert_eq!(admin.get("/api/v1/topics/NGSP").body["custom_fields"], json!([]));
}

#[test]
fn the_schema_says_what_the_check_says() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let path = format!("{FIELDS}/schema");
    let free = hue.get(&path).expect(200);
    assert_eq!(free.body["additionalProperties"], true);
    define(&admin, &definitions());
    hue.with("If-None-Match", free.header("etag").unwrap())
        .get(&path)
        .expect(200);
    let vi = hue.get(&path).expect(200);
    let en = hue.with("Accept-Language", "en").get(&path).expect(200);
    assert_eq!(vi.body["properties"]["dossier"]["title"], "Dossier (vi)");
    assert_eq!(
        en.body["properties"]["dossier"]["description"],
        "As on the receipt"
    );
    assert_ne!(vi.header("etag"), en.header("etag"));
    hue.with("If-None-Match", vi.header("etag").unwrap())
        .get(&path)
        .expect(304);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&vi.body)
        .unwrap();
    let mut tried = 0;
    for fields in [
        full(),
        json!({ "dossier": "H-1" }),
        json!({}),
        json!({ "dossier": "x" }),
        json!({ "dossier": "H-1234567890" }),
        json!({ "dossier": "H-1", "districts": 0.5 }),
        json!({ "dossier": "H-1", "districts": 20.5 }),
        json!({ "dossier": "H-1", "since": "2019-13-01" }),
        json!({ "dossier": "H-1", "level": "ward" }),
        json!({ "dossier": "H-1", "urgent": 1 }),
        json!({ "dossier": "H-1", "other": 1 }),
    ] {
        let reply = hue.post("/api/v1/tickets", &with_fields(fields.clone()));
        assert_eq!(reply.status == 201, validator.is_valid(&fields), "{fields}");
        tried += 1;
    }
    assert_eq!(tried, 11);
}

/// What JSON libraries call their own inside, and numbers at the end of what a double can say.
#[test]
fn odd_names_and_extreme_numbers_are_read_back_as_they_were_written() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let raw = "$serde_json::private::RawValue";
    let odd = [
        json!({ raw: "x" }),
        json!({ raw: "[1,2]" }),
        json!({ raw: "{\"a\":null}", "$serde_json::private::Number": "1e" }),
        json!({ "most": f64::MAX, "least": f64::MIN, "smallest": 5e-324, "tiny": f64::MIN_POSITIVE }),
        json!({ "a": 993_453.629_073_407_7, "b": 0.1, "c": 1e300, "d": u64::MAX, "e": i64::MIN }),
    ];
    for fields in &odd {
        let filed = hue
            .post("/api/v1/tickets", &with_fields(fields.clone()))
            .expect(201);
        assert_eq!(&filed.body["custom_fields"], fields);
        let path = path_of(&filed.body);
        assert_eq!(&hue.get(&path).expect(200).body["custom_fields"], fields);
        let other = with_fields(json!({}));
        let other = path_of(&hue.post("/api/v1/tickets", &other).expect(201).body);
        let change = json!({ "custom_fields": fields });
        let changed = admin.with("If-Match", "*").patch(&other, &change).expect(200);
        assert_eq!(&changed.body["custom_fields"], fields);
        admin.get(&format!("{other}/events")).expect(200);
        let item = json!({ "operation": "file", "body": with_fields(fields.clone()) });
        let bulk = json!({ "mode": "each", "items": [item] });
        let bulk = hue.post("/api/v1/tickets/bulk", &bulk).expect(200).body;
        assert_eq!(&bulk["results"][0]["body"]["custom_fields"], fields);
    }
    // An object is no value, whatever its member is called.
    for value in [json!({ raw: "5" }), json!({ raw: "\"x\"" })] {
        let refused = hue
            .post("/api/v1/tickets", &with_fields(json!({ "x": value })))
            .expect(422);
        let at = ("/custom_fields/x".to_owned(), "wrong_type".to_owned());
        assert_eq!(refused.field_errors(), [at]);
    }
    let form = format!("service_code=NGSP&description=a&attribute[{raw}]=nope");
    hue.post_raw(
        "/open311/v2/requests.json",
        "application/x-www-form-urlencoded",
        form.as_bytes(),
    )
    .expect(201);
    let page = hue.get("/api/v1/tickets?limit=200").expect(200);
    assert_eq!(page.body["items"].as_array().unwrap().len(), odd.len() * 3 + 1);
    let bounds = json!({ "custom_fields": [
        { "code": "size", "type": "number", "label": name("Size"), "min": f64::MIN, "max": f64::MAX },
    ] });
    let topic = define(&admin, &bounds);
    assert_eq!(topic["custom_fields"][0]["max"], json!(f64::MAX));
}

#[test]
fn the_pattern_of_the_schema_is_read_alike_by_every_program() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let field = json!({ "code": "a", "type": "text", "label": name("A"), "pattern": r"\d+\s." });
    let topic = define(&admin, &json!({ "custom_fields": [field] }));
    assert_eq!(topic["custom_fields"][0]["pattern"], r"\d+\s.");
    let schema = hue.get(&format!("{FIELDS}/schema")).expect(200).body;
    let pattern = schema["properties"]["a"]["pattern"].as_str().unwrap();
    assert!(pattern.starts_with(r"^(?:[0-9]+[\t-\r "), "{pattern}");
    for (text, status) in [
        ("7 x", 201),
        ("7\u{a0}ở", 201),
        ("\u{662} x", 422),
        ("7 \u{2028}", 422),
        ("7_x", 422),
    ] {
        let reply = hue.post("/api/v1/tickets", &with_fields(json!({ "a": text })));
        assert_eq!(reply.status, status, "{text:?}");
        let there = jsonschema::is_valid(&schema, &json!({ "a": text }));
        assert_eq!(there, status == 201, "{text:?}");
    }
}
