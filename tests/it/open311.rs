//! The Open311 façade: the same tickets, in the form of GeoReport v2.
use giaidap::config::{LimitsOverrides, Overrides};
use giaidap::http::routes::{Access, ROUTES};
use giaidap::identity::Scope;
use serde_json::json;

use crate::support::client::Reply;
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, question};

const FORM: &str = "application/x-www-form-urlencoded";

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    serde_urlencoded::to_string(fields).unwrap().into_bytes()
}

fn file(caller: &Client, fields: &[(&str, &str)]) -> Reply {
    caller.post_raw("/open311/v2/requests.json", FORM, &form(fields))
}

#[test]
fn a_request_is_filed_with_a_key_in_the_form_and_read_by_its_number() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let nobody = app.anonymous();
    let description = "Đề nghị hướng dẫn đăng ký dịch vụ.\nTỉnh cần gửi kế hoạch về đâu?";
    let filed = file(
        &nobody,
        &[
            ("api_key", hue.token()),
            ("service_code", "NGSP"),
            ("description", description),
            ("last_name", "Trần Thị"),
            ("first_name", "Lan"),
            ("email", "lan@hue.example"),
            ("address_string", "16 Lê Lợi, Huế"),
            ("lat", "16.46"),
            ("long", "107.59"),
            ("account_id", "HUE-7"),
        ],
    )
    .expect(201);
    let number = filed.body[0]["service_request_id"].as_str().unwrap();

    let ticket = hue.get(&format!("/api/v1/tickets/{number}")).expect(200).body;
    assert_eq!(ticket["subject"], "Đề nghị hướng dẫn đăng ký dịch vụ.");
    assert_eq!(
        ticket["body"],
        format!("{description}\n\nĐịa chỉ: 16 Lê Lợi, Huế\nTọa độ: 16.46, 107.59")
    );
    assert_eq!(ticket["requester"]["name"], "Trần Thị Lan");
    assert_eq!(ticket["external_ref"], "HUE-7");
    assert_eq!(ticket["queue"]["code"], "technology");

    let path = format!("/open311/v2/requests/{number}.json?api_key={}", hue.token());
    let shown = nobody.get(&path).expect(200).body;
    assert_eq!(shown[0]["status"], "open");
    assert_eq!(shown[0]["service_code"], "NGSP");
    assert_eq!(shown[0]["expected_datetime"], ticket["clocks"][1]["due_at"]);
    let token = ticket["id"].as_str().unwrap();
    let by_token = hue
        .get(&format!("/open311/v2/tokens/{token}.json"))
        .expect(200)
        .body;
    assert_eq!(
        by_token,
        json!([{ "service_request_id": number, "token": token }])
    );
}

#[test]
fn xml_says_the_same_and_escapes_what_people_write() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    file(
        &hue,
        &[
            ("service_code", "NGSP"),
            ("description", "A < B & C? </description>"),
        ],
    )
    .expect(201);
    let shown = hue.get("/open311/v2/requests.xml").expect(200);
    assert_eq!(shown.header("content-type"), Some("text/xml; charset=utf-8"));
    assert!(
        shown
            .text
            .starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<service_requests><request>")
    );
    assert!(
        shown
            .text
            .contains("<description>A &lt; B &amp; C? &lt;/description&gt;</description>"),
        "{}",
        shown.text
    );
    let services = app.anonymous().get("/open311/v2/services.xml").expect(200);
    assert!(services.text.contains("<service_code>NGSP</service_code>"));
    // A cache between must not show one reader's language to the other.
    let told = ["content-language", "vary"].map(|name| services.header(name).unwrap());
    assert_eq!(told, ["vi", "Accept-Language"]);
    let refused = app.anonymous().get("/open311/v2/requests.xml").expect(403);
    assert!(refused.text.contains("api_key"), "{}", refused.text);
    assert!(
        refused
            .text
            .contains("<errors><error><code>403</code><description>")
    );
}

#[test]
fn lists_are_bounded_by_90_days_and_filtered() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let lan = app.agent("lan", &["technology"]);
    let first = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let path = path_of(&first);
    lan.call(&format!("{path}/claim")).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    app.at("2020-02-20T09:00:00+07:00");
    file(&hue, &[("service_code", "DIEMMAU"), ("description", "Hỏi.")]).expect(201);
    let count = |query: &str| {
        let shown = hue.get(&format!("/open311/v2/requests.json{query}")).expect(200);
        shown.body.as_array().unwrap().len()
    };
    assert_eq!(count(""), 2);
    assert_eq!(count("?status=open"), 1);
    assert_eq!(count("?status=closed"), 1);
    assert_eq!(count("?status=open,closed"), 2);
    assert_eq!(count("?service_code=DIEMMAU"), 1);
    assert_eq!(count("?service_code=DIEMMAU,NGSP"), 2);
    app.at("2020-03-20T09:00:00+07:00");
    assert_eq!(count(""), 1, "the first was filed more than 90 days ago");
    assert_eq!(count("?start_date=2019-11-01T00:00:00Z"), 1);
    for (query, status) in [
        ("?status=half", 400),
        ("?start_date=yesterday", 400),
        (
            "?start_date=2019-01-01T00:00:00Z&end_date=2019-12-01T00:00:00Z",
            400,
        ),
        (
            "?start_date=2019-12-01T00:00:00Z&end_date=2019-11-01T00:00:00Z",
            400,
        ),
        ("?service_code=NONE", 404),
        ("?service_code=%00", 400),
        ("?service_request_id=GD-2019-999999", 404),
        ("?service_request_id=%00", 400),
    ] {
        hue.get(&format!("/open311/v2/requests.json{query}"))
            .expect(status);
    }
}

#[test]
fn what_is_named_again_is_shown_once_and_too_many_names_are_refused() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let first = hue.post("/api/v1/tickets", &question()).expect(201).body;
    file(&hue, &[("service_code", "DIEMMAU"), ("description", "Hỏi.")]).expect(201);
    let topic = hue.get("/api/v1/topics/DIEMMAU").expect(200).body["id"].clone();
    let list = |query: String| hue.get(&format!("/open311/v2/requests.json?{query}"));
    let count = |query: String| list(query).expect(200).body.as_array().unwrap().len();
    assert_eq!(count("service_code=NGSP,NGSP".into()), 1);
    let often = vec!["NGSP"; 1000].join(",");
    assert_eq!(count(format!("service_code={often}&status=open,open")), 1);
    let by_id = topic.as_str().unwrap();
    assert_eq!(count(format!("service_code=DIEMMAU,{by_id},NGSP")), 2);
    let (number, id) = (first["number"].as_str().unwrap(), first["id"].as_str().unwrap());
    assert_eq!(count(format!("service_request_id={number},{id},{number}")), 1);

    let many: Vec<String> = (0..201).map(|n| format!("T{n}")).collect();
    let refused = list(format!("service_code={}", many.join(","))).expect(400);
    let text = refused.body[0]["description"].as_str().unwrap();
    assert!(
        text.starts_with("service_code: ") && text.contains("200"),
        "{text}"
    );
    let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    list(format!("service_request_id={}", many.join(","))).expect(400);
}

#[test]
fn too_many_requests_are_told_when_to_come_again_in_the_form_that_was_asked_for() {
    let app = TestApp::start_with(&Overrides {
        limits: LimitsOverrides {
            requests_per_minute: Some(1),
            anonymous_requests_per_minute: Some(2),
            ..LimitsOverrides::default()
        },
        ..Overrides::default()
    });
    let (hue, nobody) = (app.organisation("H57"), app.anonymous());
    hue.get("/open311/v2/requests.xml").expect(200);
    let refused = hue.get("/open311/v2/requests.xml").expect(429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert!(refused.text.contains("<errors><error><code>429</code>"));
    nobody.get("/open311/v2/services.json").expect(200);
    nobody.get("/open311/v2/requests.json").expect(403);
    let refused = nobody.get("/open311/v2/requests.json").expect(429);
    assert_eq!(refused.body[0]["code"], 429);
    assert_eq!(refused.header("retry-after"), Some("30"));
    // Nobody asks there in a form of the façade before the limit is looked at.
    let refused = nobody.get("/open311/v2/services.json").expect(429);
    assert_eq!(refused.problem(), "too-many-requests");
    assert_eq!(refused.header("retry-after"), Some("30"));
}

#[test]
fn a_form_that_is_wrong_files_nothing_and_is_told_by_field() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for (form, named) in [
        ("description=a", "service_code"),
        ("service_code=NGSP", "description"),
        ("service_code=NONE&description=a", "service_code"),
        ("service_code=NGSP&description=a%00", "description"),
        ("service_code=NGSP&description=a%EF%BF%BF", "description"),
        ("service_code=NGSP&description=%ff%fe", "description"),
        ("service_code=NGSP&description=%ED%A0%80", "description"),
        ("service_code=NGSP&description=a&description=b", "description"),
        (
            "service_code=NGSP&description=a&attribute[x]=1&attribute[x]=2",
            "attribute[x]",
        ),
        (
            "service_code=NGSP&description=a&attribute[x][]=1",
            "attribute[x][]",
        ),
        ("service_code=NGSP&description=a&attribute=1", "attribute"),
        ("service_code=NGSP&description=a&email=x", "email"),
        (
            "service_code=NGSP&description=a&email=a%40b.example&phone=%01",
            "phone",
        ),
        ("service_code=NGSP&description=a&lat=999&long=1", "lat"),
        ("service_code=NGSP&description=a&lat=16&long=x", "long"),
        ("service_code=NGSP&description=a&lat=16", "long"),
        ("service_code=NGSP&description=a&lat=NaN&long=1", "lat"),
    ] {
        let path = "/open311/v2/requests.json";
        let refused = hue.post_raw(path, FORM, form.as_bytes()).expect(400);
        let text = refused.body[0]["description"].as_str().unwrap();
        assert!(text.starts_with(&format!("{named}: ")), "{form}: {text}");
        assert_eq!(refused.body.as_array().unwrap().len(), 1, "{form}");
    }
    let path = "/open311/v2/requests.json";
    let raw = b"service_code=NGSP&description=\xff";
    hue.post_raw(path, FORM, raw).expect(400);
    hue.get(&format!("{path}?status=open&status=closed")).expect(400);
    hue.get(&format!("{path}?status=%ff")).expect(400);
    hue.post_raw("/open311/v2/requests.json", "application/json", b"{}")
        .expect(415);
    hue.post_raw("/open311/v2/requests.yaml", FORM, b"x=1")
        .expect(404);
    let all = hue.get("/api/v1/tickets").expect(200).body;
    assert_eq!(all["items"], json!([]));
}

#[test]
fn the_same_form_with_the_same_key_is_one_question() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let fields = [("service_code", "NGSP"), ("description", "Hỏi.")];
    let again = hue.with("Idempotency-Key", "k-1");
    let first = file(&again, &fields).expect(201);
    let second = file(&again, &fields).expect(201);
    assert_eq!(first.text, second.text);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    file(&again, &[("service_code", "NGSP"), ("description", "Khác.")]).expect(400);
    let all = hue.get("/api/v1/tickets").expect(200).body;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
}

#[test]
fn no_key_and_a_wrong_key_are_forbidden_on_every_route_that_needs_one() {
    let app = TestApp::start();
    let reader = app.key("H57", &[Scope::TicketsRead]);
    file(&reader, &[("service_code", "NGSP"), ("description", "Hỏi.")]).expect(403);
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::NeedsKey(_)))
    {
        let path = route
            .path
            .replace("{id}", "GD-2019-000001")
            .replace("{format}", "json");
        for query in ["", "?api_key=x", "?api_key="] {
            let path = format!("{path}{query}");
            let reply = match route.method {
                "POST" => app.anonymous().post_raw(&path, FORM, b"service_code=NGSP"),
                _ => app.anonymous().get(&path),
            };
            assert_eq!(reply.expect(403).body[0]["code"], 403, "{path}");
        }
    }
}

#[test]
fn the_custom_fields_of_a_topic_are_the_attributes_of_its_service() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let label = |vi: &str, en: &str| json!({ "vi": vi, "en": en });
    let definition = json!({ "custom_fields": [
        { "code": "dossier", "type": "text", "label": label("Số hồ sơ", "Dossier"), "required": true },
        { "code": "copies", "type": "number", "label": label("Số bản", "Copies"), "required": false },
        { "code": "paper", "type": "boolean", "label": label("Có bản giấy", "On paper"), "required": false },
        { "code": "day", "type": "date", "label": label("Ngày", "Day"), "required": false },
        { "code": "level", "type": "choice", "label": label("Cấp", "Level"), "required": false,
          "choices": [{ "code": "commune", "label": label("Xã", "Commune") }] },
    ] });
    let path = "/api/v1/topics/NGSP/custom-fields";
    admin.with("If-Match", "*").put(path, &definition).expect(200);

    let services = app.anonymous().get("/open311/v2/services.json").expect(200).body;
    let with_metadata: Vec<&str> = services
        .as_array()
        .unwrap()
        .iter()
        .filter(|service| service["metadata"] == true)
        .map(|service| service["service_code"].as_str().unwrap())
        .collect();
    assert_eq!(with_metadata, ["NGSP"]);
    let shown = app
        .anonymous()
        .get("/open311/v2/services/NGSP.json")
        .expect(200)
        .body;
    let datatypes: Vec<&str> = shown["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| attribute["datatype"].as_str().unwrap())
        .collect();
    assert_eq!(
        datatypes,
        [
            "string",
            "number",
            "singlevaluelist",
            "datetime",
            "singlevaluelist"
        ]
    );
    let xml = app
        .anonymous()
        .get("/open311/v2/services/NGSP.xml")
        .expect(200)
        .text;
    assert!(
        xml.contains("<values><value><key>commune</key><name>Xã</name></value></values>"),
        "{xml}"
    );

    let fields = [("service_code", "NGSP"), ("description", "Hỏi.")];
    let refused = file(&hue, &fields).expect(400);
    let text = refused.body[0]["description"].as_str().unwrap();
    assert!(text.starts_with("attribute[dossier]: "), "{text}");
    let with = |extra: &[(&'static str, &'static str)]| [&fields[..], extra].concat();
    let wrong = with(&[("attribute[dossier]", "H1"), ("attribute[copies]", "two")]);
    file(&hue, &wrong).expect(400);
    let wrong = with(&[
        ("attribute[dossier]", "H1"),
        ("attribute[day]", "2019-11-22T18:30:00"),
    ]);
    let refused = file(&hue, &wrong).expect(400);
    let text = refused.body[0]["description"].as_str().unwrap();
    assert!(text.starts_with("attribute[day]: "), "{text}");
    let right = with(&[
        ("attribute[dossier]", "12"),
        ("attribute[copies]", "2"),
        ("attribute[paper]", "true"),
        ("attribute[level]", "commune"),
        // An instant is its day at the desk.
        ("attribute[day]", "2019-11-22T18:30:00Z"),
    ]);
    let filed = file(&hue, &right).expect(201);
    let number = filed.body[0]["service_request_id"].as_str().unwrap();
    let ticket = hue.get(&format!("/api/v1/tickets/{number}")).expect(200).body;
    assert_eq!(
        ticket["custom_fields"],
        json!({ "dossier": "12", "copies": 2, "paper": true, "level": "commune", "day": "2019-11-23" })
    );
    let bare = with(&[("attribute[dossier]", "12"), ("attribute[day]", "2019-11-22")]);
    let filed = file(&hue, &bare).expect(201);
    let number = filed.body[0]["service_request_id"].as_str().unwrap();
    let ticket = hue.get(&format!("/api/v1/tickets/{number}")).expect(200).body;
    assert_eq!(ticket["custom_fields"]["day"], "2019-11-22");
}
