//! What lists find: words of texts in every spelling, tags, custom fields, people; totals; pages over several
//! organisations. Nobody finds by what they may not read.
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::support::desk::path_of;
use crate::support::{Client, TestApp};

fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.bytes()
        .map(|byte| match keep(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

fn ask(caller: &Client, query: &str) -> Value {
    caller.get(&format!("/api/v1/tickets?{query}")).expect(200).body
}

/// The last digits of the numbers that the list has.
fn numbers(list: &Value) -> Vec<u32> {
    let number = |item: &Value| {
        item["number"]
            .as_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    list["items"].as_array().unwrap().iter().map(number).collect()
}

fn find(caller: &Client, words: &str) -> Vec<u32> {
    let list = ask(caller, &format!("sort=filed_at&total=true&q={}", encoded(words)));
    let found = numbers(&list);
    assert_eq!(
        list["total"],
        json!({ "count": found.len(), "relation": "exact" })
    );
    found
}

fn say(organisation: &Client, subject: &str, body: &str) -> Value {
    let question = json!({ "subject": subject, "body": body, "topic": "NGSP" });
    organisation.post("/api/v1/tickets", &question).expect(201).body
}

#[test]
fn a_zero_is_found_whatever_its_sign() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for zero in ["-0", "0", "-0.0", "0e5"] {
        let body = format!(r#"{{"subject":"a","body":"b","custom_fields":{{"n":{zero}}}}}"#);
        hue.post_raw("/api/v1/tickets", "application/json", body.as_bytes())
            .expect(201);
    }
    let found = hue.get("/api/v1/tickets?custom_field.n=0").expect(200).body;
    assert_eq!(found["items"].as_array().unwrap().len(), 4);
}

#[test]
fn words_are_found_in_every_spelling_and_in_all_public_texts_together() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let first = say(
        &hue,
        "Kết nối tỉnh Hoà Bình",
        "Đường truyền số liệu chuyên dùng của Đà Nẵng.",
    );
    say(
        &hue,
        "Uỷ ban nhân dân",
        "Dịch vụ công trực tuyến; văn bản 12/2019/NĐ-CP.",
    );
    let path = path_of(&first);
    let message = json!({ "body": "Bổ sung: máy chủ đặt tại Trung tâm dữ liệu." });
    hue.post(&format!("{path}/messages"), &message).expect(201);
    let note = json!({ "body": "Bí mật nội bộ: xem hồ sơ kín." });
    sup.post(&format!("{path}/notes"), &note).expect(201);
    let decomposed: String = "Đà Nẵng".nfd().collect();
    for (words, found) in [
        ("hoa binh", vec![1]),
        ("hòa bình", vec![1]),
        ("HOÀ BÌNH", vec![1]),
        (&decomposed, vec![1]),
        ("Ðà nẵng", vec![1]),
        ("duong truyen", vec![1]),
        ("đường", vec![1]),
        ("ủy ban", vec![2]),
        ("uy ban", vec![2]),
        // Of subject, body and message together; in any order.
        ("máy chủ hoà bình truyền", vec![1]),
        ("du lieu", vec![1]),
        ("tỉnh nhân dân", vec![]),
        ("so", vec![1]),
        // The last word is a beginning from three letters on, and only the last.
        ("chuy", vec![1]),
        ("ch", vec![]),
        ("chuy dung", vec![]),
        ("tru", vec![1, 2]),
        ("\"tru\"", vec![]),
        // Side by side, and not over the border of two texts.
        ("\"số liệu chuyên dùng\"", vec![1]),
        ("\"liệu số\"", vec![]),
        ("\"bình đường\"", vec![]),
        ("\"dùng của\" hoà", vec![1]),
        ("“dịch vụ công”", vec![2]),
        ("dịch \"vụ", vec![2]),
        // Signs are spaces.
        ("12/2019/nd-cp", vec![2]),
        ("nđ", vec![2]),
        ("công OR tỉnh", vec![]),
        ("NEAR(hoa binh)", vec![]),
        ("hoa* binh", vec![1]),
        ("'hoa' & !binh | (x:*)", vec![]),
        ("words : hoa", vec![]),
        // Notes are nobody's to find by.
        ("bí mật", vec![]),
        ("kín", vec![]),
    ] {
        for caller in [&sup, &hue] {
            assert_eq!(find(caller, words), found, "{words}");
        }
    }
    assert_eq!(find(&app.organisation("H26"), "hoa binh"), [0_u32; 0]);
    let change = json!({ "subject": "Kết nối Quảng Ninh" });
    sup.patch(&path, &change).expect(200);
    assert_eq!(find(&sup, "quảng ninh máy chủ"), [1]);
    assert_eq!(find(&sup, "bình"), [0_u32; 0]);
    // What an answer says is found too.
    sup.call(&format!("{path}/claim")).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Theo Quyết định 28." });
    sup.post(&format!("{path}/resolve"), &answer).expect(200);
    assert_eq!(find(&hue, "quyet dinh 28"), [1]);
}

#[test]
fn questions_without_a_word_or_with_too_many_are_refused() {
    let app = TestApp::start();
    let sup = app.supervisor();
    let many = (0..33).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    let long = "x".repeat(1001);
    for (words, code) in [
        ("!?", "invalid_format"),
        ("\"", "invalid_format"),
        ("", "too_short"),
        (long.as_str(), "too_long"),
        (many.as_str(), "out_of_range"),
    ] {
        let refused = sup
            .get(&format!("/api/v1/tickets?q={}", encoded(words)))
            .expect(422);
        assert_eq!(
            refused.field_errors(),
            [("q".to_owned(), code.to_owned())],
            "{words}"
        );
    }
    let longest = "w".repeat(1000);
    assert_eq!(find(&sup, &longest), [0_u32; 0]);
}

#[test]
fn nothing_that_people_type_is_syntax() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    say(&hue, "Câu hỏi", "Nội dung");
    let signs = prop::sample::select(vec![
        "\"", "'", "*", "^", "(", ")", "-", "+", ":", "NEAR", "AND", "OR", "NOT", "&", "|", "!", "<->", "\\",
        "%", "_", " ", "a", "cau", "đ", "§", "§o1", "\u{301}", "ﬁ", "words", "{", "}", ",", ";", "--", "/*",
        "🙂", "“", "”", "ế",
    ]);
    let typed = prop::collection::vec(signs, 1..20).prop_map(|parts| parts.concat());
    let any = prop_oneof![typed, "\\PC{1,60}"];
    let mut runner = TestRunner::new(Config::with_cases(150));
    runner
        .run(&any, |words| {
            let reply = sup.get(&format!("/api/v1/tickets?q={}", encoded(&words)));
            prop_assert!(matches!(reply.status, 200 | 422), "{words:?}: {}", reply.text);
            Ok(())
        })
        .unwrap();
    // And nothing that people write.
    let hostile = "'\\' :* & § §o1 \" ' || (x) \u{1F642} ﬁ".to_owned();
    say(&hue, &hostile, &format!("{hostile} {}", "dài".repeat(6_000)));
    assert_eq!(find(&sup, "§o1"), [2]);
    assert_eq!(find(&sup, &"dai".repeat(100)), [2]);
}

#[test]
fn a_very_long_conversation_is_kept_and_its_beginning_found() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let path = path_of(&say(&hue, "Dài", "Mở đầu"));
    for round in 0..20 {
        // 20,000 letters of words that never come again: more than a tsvector takes.
        let words: Vec<String> = (0..2_800).map(|n| format!("{:06x}", round * 2_800 + n)).collect();
        let message = json!({ "body": words.join(" ") });
        hue.post(&format!("{path}/messages"), &message).expect(201);
    }
    assert_eq!(find(&hue, "mở đầu 000001"), [1]);
    assert_eq!(find(&hue, "\"000001 000002\""), [1]);
}

#[test]
fn tags_fields_channels_people_and_priorities_filter() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    let file = |tags: Value, fields: Value, priority: &str, email: &str| {
        let body = json!({
            "subject": "Câu hỏi", "body": "Nội dung", "topic": "NGSP", "priority": priority, "tags": tags,
            "custom_fields": fields, "requester": { "name": "Minh", "email": email },
        });
        hue.post("/api/v1/tickets", &body).expect(201).body
    };
    let first = file(
        json!(["tỉnh điểm", "Khẩn"]),
        json!({ "ky": "2019-Q4", "so": 9.0 }),
        "low",
        "a@x.example",
    );
    app.at("2019-11-22T16:31:00+07:00");
    file(
        json!(["tỉnh điểm"]),
        json!({ "ky": "2019-Q3", "khan": true }),
        "urgent",
        "b@x.example",
    );
    app.at("2019-11-22T16:32:00+07:00");
    let third = file(json!(["a,b"]), json!({ "so": 0.5 }), "high", "b@x.example");
    lan.call(&format!("{}/claim", path_of(&third))).expect(200);
    let due = third["clocks"][0]["due_at"].as_str().unwrap().to_owned();
    let check = |query: &str, found: &[u32]| {
        assert_eq!(
            numbers(&ask(&sup, &format!("{query}&sort=filed_at"))),
            found,
            "{query}"
        );
    };
    let tag = |text: &str| format!("tag={}", encoded(text));
    check(&tag("tỉnh điểm"), &[1, 2]);
    check(&format!("{}&{}", tag("tỉnh điểm"), tag("Khẩn")), &[1]);
    check(&tag("khẩn"), &[]);
    check(&tag("tinh diem"), &[]);
    check(&tag("a,b"), &[3]);
    check("custom_field.ky=2019-Q4", &[1]);
    check("custom_field.so=9", &[1]);
    check("custom_field.so=0.5", &[3]);
    check("custom_field.khan=true&custom_field.ky=2019-Q3", &[2]);
    check("custom_field.ky=2019-Q3&custom_field.so=9", &[]);
    check("channel=api", &[1, 2, 3]);
    check("channel=email", &[]);
    check("priority=low,high", &[1, 3]);
    check("priority=low&priority=urgent", &[1, 2]);
    check("requester=b@x.example", &[2, 3]);
    check("requester=B@X.example&q=cau", &[2, 3]);
    check("requester=nobody@x.example", &[]);
    check("assignee=lan@centre.example", &[3]);
    check("updated_from=2019-11-22T09:31:00Z", &[2, 3]);
    check("updated_to=2019-11-22T09:31:00Z", &[1]);
    check("topic=NGSP&q=noi", &[1, 2, 3]);
    check("topic=SUCO&q=noi", &[]);
    check(&format!("due_from={due}"), &[1, 3]);
    let sorted = |sort: &str| numbers(&ask(&sup, &format!("sort={sort}")));
    for (sort, order) in [
        ("-priority", [2, 3, 1]),
        ("priority", [1, 3, 2]),
        ("due_at", [2, 3, 1]),
        ("-due_at", [1, 3, 2]),
        ("updated_at", [1, 2, 3]),
        ("-updated_at", [3, 2, 1]),
    ] {
        assert_eq!(sorted(sort), order, "{sort}");
        let mut paged = Vec::new();
        let mut next = format!("/api/v1/tickets?sort={sort}&limit=1");
        loop {
            let page = sup.get(&next).expect(200).body;
            paged.extend(numbers(&page));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            next = format!("/api/v1/tickets?sort={sort}&limit=1&cursor={cursor}");
        }
        assert_eq!(paged, order, "{sort}");
    }
    // A change is found at once, by the new and no more by the old.
    let change = json!({ "tags": ["mới"], "custom_fields": { "ky": null, "them": "x" } });
    sup.patch(&path_of(&first), &change).expect(200);
    check(&tag("mới"), &[1]);
    check(&tag("tỉnh điểm"), &[2]);
    check("custom_field.ky=2019-Q4", &[]);
    check("custom_field.them=x&custom_field.so=9", &[1]);
    let moved = json!({ "organisation": "H26" });
    sup.patch(&path_of(&first), &moved).expect(200);
    let hai_duong = app.organisation("H26");
    assert_eq!(numbers(&ask(&hai_duong, "custom_field.them=x")), [1]);
    assert_eq!(numbers(&ask(&hue, "custom_field.them=x")), [0_u32; 0]);
    assert_eq!(numbers(&ask(&hai_duong, "requester=a@x.example")), [1]);
    assert_eq!(numbers(&ask(&hai_duong, "requester=b@x.example")), [0_u32; 0]);
}

#[test]
fn what_is_asked_wrongly_is_refused_by_name() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    say(&hue, "Một", "x");
    say(&hue, "Hai", "x");
    app.agent("lan", &["technology"]);
    for (query, parameter, code) in [
        ("custom_field.=x", "custom_field.", "unknown_field"),
        ("custom_field.a=x&custom_field.a=y", "custom_field.a", "duplicate"),
        ("custom_fields=x", "custom_fields", "unknown_field"),
        ("tag=", "tag", "out_of_range"),
        ("channel=fax", "channel", "invalid_format"),
        ("priority=mild", "priority", "invalid_format"),
        ("sort=number", "sort", "invalid_format"),
        ("total=yes", "total", "invalid_format"),
        ("custom_field.a%00=x", "custom_field.a\0", "control_character"),
    ] {
        let refused = sup.get(&format!("/api/v1/tickets?{query}")).expect(422);
        let first = refused.field_errors().remove(0);
        assert_eq!(first, (parameter.to_owned(), code.to_owned()), "{query}");
    }
    // Which colleagues there are is nothing that an organisation finds out.
    hue.get("/api/v1/tickets?assignee=lan@centre.example").expect(422);
    // A cursor of other words, another order or another kind of asker.
    let page = ask(&sup, "q=x&limit=1");
    let cursor = page["next_cursor"].as_str().unwrap();
    for query in ["q=y&limit=1", "limit=1", "q=x&limit=1&tag=a", "q=x&sort=priority"] {
        let refused = sup
            .get(&format!("/api/v1/tickets?{query}&cursor={cursor}"))
            .expect(422);
        assert_eq!(
            refused.field_errors(),
            [("cursor".to_owned(), "invalid_cursor".to_owned())]
        );
    }
    hue.get(&format!("/api/v1/tickets?q=x&limit=1&cursor={cursor}"))
        .expect(422);
    let rest = ask(&sup, &format!("q=x&limit=1&cursor={cursor}"));
    assert_eq!(numbers(&rest), [1]);
}

#[test]
fn totals_are_exact_up_to_ten_thousand_and_say_when_they_are_not() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    say(&hue, "Câu hỏi", "Nội dung");
    assert_eq!(ask(&sup, "limit=1")["total"], Value::Null);
    let uncounted = ask(&sup, "total=false");
    assert!(!uncounted.as_object().unwrap().contains_key("total"));
    app.multiply(10_000);
    assert_eq!(
        ask(&hue, "total=true&limit=1")["total"],
        json!({ "count": 10_000, "relation": "exact" })
    );
    say(&hue, "Thêm", "Nữa");
    assert_eq!(
        ask(&sup, "total=true&limit=1")["total"],
        json!({ "count": 10_000, "relation": "at_least" })
    );
    assert_eq!(
        ask(&sup, "total=true&q=them")["total"],
        json!({ "count": 1, "relation": "exact" })
    );
    assert_eq!(
        ask(&sup, "total=true&state=closed")["total"],
        json!({ "count": 0, "relation": "exact" })
    );
}

#[test]
fn a_program_that_reaches_several_organisations_has_one_list_of_them() {
    let app = TestApp::start();
    let tickets: Vec<Client> = ["H57", "H26", "H23"].map(|code| app.organisation(code)).to_vec();
    let sup = app.supervisor();
    for (minute, organisation) in (30..39).zip(tickets.iter().cycle()) {
        app.at(&format!("2019-11-22T16:{minute}:00+07:00"));
        let priority = ["low", "urgent", "normal", "high"][minute % 4];
        let body = json!({ "subject": "Câu hỏi chung", "body": "x", "topic": "NGSP", "priority": priority });
        organisation.post("/api/v1/tickets", &body).expect(201);
    }
    say(&app.organisation("H50"), "Câu hỏi chung", "của cơ quan khác");
    for unit in ["H26", "H23"] {
        app.sql(&format!(
            "UPDATE organisations SET parent_id = (SELECT id FROM organisations WHERE code = 'H57') WHERE code = '{unit}'"
        ));
    }
    app.sql("UPDATE clients SET include_units = true WHERE organisation_id = (SELECT id FROM organisations WHERE code = 'H57')");
    let hue = &tickets[0];
    for sort in [
        "filed_at",
        "-filed_at",
        "due_at",
        "-due_at",
        "updated_at",
        "-priority",
        "priority",
    ] {
        for filter in ["", "&q=chung", "&total=true"] {
            let all = numbers(&ask(&sup, &format!("sort={sort}{filter}")));
            let expected: Vec<u32> = all.into_iter().filter(|number| *number != 10).collect();
            let mut paged = Vec::new();
            let mut cursor = String::new();
            loop {
                let page = ask(hue, &format!("sort={sort}{filter}&limit=2{cursor}"));
                paged.extend(numbers(&page));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(paged, expected, "{sort}{filter}");
        }
    }
    assert_eq!(ask(hue, "total=true")["total"]["count"], 9);
    assert_eq!(numbers(&ask(hue, "organisation=H26&sort=filed_at")), [2, 5, 8]);
    assert_eq!(numbers(&ask(hue, "organisation=H50")), [0_u32; 0]);
    assert_eq!(numbers(&ask(&tickets[1], "q=chung&sort=filed_at")), [2, 5, 8]);
}
