//! The directory as a file over the API: shown first, carried out whole or not at all, and written out so that reading it
//! again changes nothing.
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::support::client::Reply;
use crate::support::{Client, TestApp};

const IMPORT: &str = "/api/v1/organisations/import";

fn import(caller: &Client, query: &str, file: &[u8]) -> Reply {
    caller.post_raw(&format!("{IMPORT}{query}"), "text/csv", file)
}

#[test]
fn the_whole_directory_goes_out_and_comes_back_unchanged() {
    let app = TestApp::start();
    let admin = app.admin();
    let exported = app
        .organisation("H57")
        .get("/api/v1/organisations/export.csv")
        .expect(200);
    assert_eq!(exported.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(exported.text.lines().count(), 124);
    for query in ["", "?apply=false", "?apply=true"] {
        let told = import(&admin, query, exported.text.as_bytes()).expect(200).body;
        assert_eq!(
            (&told["added"], &told["changed"]),
            (&json!([]), &json!([])),
            "{query}"
        );
        assert_eq!(told["unchanged"], 123);
    }
    let version = admin.get("/api/v1/organisations/H57").expect(200);
    assert_eq!(version.version(), 1, "what is the same is not written");
}

#[test]
fn an_import_is_shown_first_and_then_carried_out_whole() {
    let app = TestApp::start();
    let admin = app.admin();
    // As a spreadsheet in Việt Nam writes it: byte order mark, semicolons, CRLF, decomposed letters, an empty line.
    let decomposed: String = "Sở Thông tin và Truyền thông".nfd().collect();
    let file = format!(
        "\u{feff}CODE;kind;name_vi;successor_code;valid_to\r\n000.00.14.H57;agency;{decomposed};;\r\n\r\nH26;province;Tỉnh Hải Dương mới;H50;2020-12-31\r\n"
    );
    let preview = import(&admin, "", file.as_bytes()).expect(200).body;
    assert_eq!(preview["applied"], false);
    assert_eq!(
        preview["added"],
        json!([{ "line": 2, "code": "H57.14", "name": "Sở Thông tin và Truyền thông" }])
    );
    assert_eq!(
        (&preview["changed"][0]["line"], &preview["changed"][0]["code"]),
        (&json!(4), &json!("H26"))
    );
    let fields = preview["changed"][0]["fields"].as_array().unwrap();
    let columns: Vec<&Value> = fields.iter().map(|field| &field["column"]).collect();
    assert_eq!(
        columns,
        ["name_vi", "valid_to", "successor_code"],
        "what the file has no column for stays"
    );
    assert_eq!(
        (&fields[1]["new"], &fields[2]["new"]),
        (&json!("2020-12-31"), &json!("H50"))
    );
    admin.get("/api/v1/organisations/H57.14").expect(404);

    let caller = admin.with("Idempotency-Key", "k");
    let applied = import(&caller, "?apply=true", file.as_bytes()).expect(200);
    let again = import(&caller, "?apply=true", file.as_bytes()).expect(200);
    assert_eq!(
        (&again.text, again.header("idempotency-replayed")),
        (&applied.text, Some("true"))
    );
    let mut expected = preview.clone();
    expected["applied"] = json!(true);
    assert_eq!(applied.body, expected);
    let added = admin.get("/api/v1/organisations/000.00.14.H57").expect(200).body;
    assert_eq!(
        (&added["name"]["vi"], &added["parent"]["code"]),
        (&json!("Sở Thông tin và Truyền thông"), &json!("H57"))
    );
    let changed = admin.get("/api/v1/organisations/H26").expect(200);
    assert_eq!(
        (&changed.body["successor"]["code"], changed.version()),
        (&json!("H50"), 2)
    );
    let third = import(&admin, "?apply=true", file.as_bytes()).expect(200).body;
    assert_eq!((&third["unchanged"], &third["changed"]), (&json!(2), &json!([])));
}

#[test]
fn a_file_is_held_to_the_rules_for_one_organisation_also_through_those_that_it_does_not_name() {
    let app = TestApp::start();
    let admin = app.admin();
    let known = "code,kind,name_vi,valid_from,valid_to,successor_code\n\
        X1,other,Một,2019-01-01,2019-12-31,X2\n\
        X2,other,Hai,2019-06-01,2020-06-30,X3\n\
        X3,other,Ba,2020-01-01,,\n";
    import(&admin, "?apply=true", known.as_bytes()).expect(200);
    for (file, place, code) in [
        // Only the end, of what began before it.
        (
            "valid_to\nX1,other,Một,2018-12-31\n",
            "valid_to",
            "ends_before_it_begins",
        ),
        ("valid_to\nX1,other,Một,\n", "valid_to", "succession_without_end"),
        (
            "successor_code\nX3,other,Ba,H57\n",
            "valid_to",
            "succession_without_end",
        ),
        (
            "valid_to\nX1,other,Một,2020-06-30\n",
            "successor_code",
            "successor_not_alive",
        ),
        (
            "valid_from\nX2,other,Hai,2020-01-02\n",
            "valid_from",
            "successor_not_alive",
        ),
        (
            "valid_to\nX3,other,Ba,2020-06-30\n",
            "valid_to",
            "before_predecessor",
        ),
        (
            "valid_to\nX2,other,Hai,2019-12-31\n",
            "valid_to",
            "before_predecessor",
        ),
    ] {
        let file = format!("code,kind,name_vi,{file}");
        for query in ["", "?apply=true"] {
            let refused = import(&admin, query, file.as_bytes()).expect(422);
            let expected = (format!("/lines/2/{place}"), code.to_owned());
            assert_eq!(refused.field_errors(), [expected], "{file}");
        }
    }
    // Both at once, where neither would do alone.
    let moved = "code,kind,name_vi,valid_from,valid_to\n\
        X1,other,Một,2019-01-01,2020-01-31\n\
        X2,other,Hai,2020-02-01,2020-06-30\n";
    import(&admin, "?apply=true", moved.as_bytes()).expect(200);
}

/// Whatever the API and files have made of the directory.
#[test]
fn every_export_comes_back_unchanged() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut random = proptest::test_runner::TestRunner::deterministic();
    let mut pick = |count: usize| {
        let strategy = 0..count;
        let tree = proptest::strategy::Strategy::new_tree(&strategy, &mut random).unwrap();
        proptest::strategy::ValueTree::current(&tree)
    };
    let codes = [
        "Y1",
        "Y2",
        "Y3.1",
        "A11.B22.C33.D44",
        "000.00.14.H57",
        "H26",
        "H27",
        "H57",
    ];
    let names = [
        "Một, hai; \"ba\"",
        "\"",
        "a\u{feff}b",
        "\u{feff}Sở",
        "=1+1",
        "’",
        "Tiê\u{0301}ng",
        "x\u{00a0}y",
        ",",
    ];
    let days = [
        "2018-12-31",
        "2019-01-01",
        "2019-06-30",
        "2019-07-01",
        "2020-02-29",
    ];
    let mut accepted = 0;
    for _ in 0..150 {
        let (code, other) = (codes[pick(8)], codes[pick(8)]);
        let mut day = || match pick(7) {
            at if at < days.len() => json!(days[at]),
            _ => Value::Null,
        };
        let (from, to) = (day(), day());
        let name = names[pick(9)];
        let path = format!("/api/v1/organisations/{code}");
        let (changing, text) = (admin.with("If-Match", "*"), |value: &Value| {
            value.as_str().unwrap_or_default().to_owned()
        });
        let reply = match pick(5) {
            0 => admin.post(
                "/api/v1/organisations",
                &json!({ "code": code, "kind": "other", "name": { "vi": name, "en": name }, "valid_from": from, "valid_to": to, "egov_code": other, "gso_code": name, "source": name }),
            ),
            1 => changing.patch(&path, &json!({ "valid_from": from, "valid_to": to, "short_name": name })),
            2 => changing.patch(&path, &json!({ "successor": null, "valid_to": to, "parent": other })),
            3 => admin.post(&format!("{path}/succession"), &json!({ "successor": other, "last_day": to })),
            _ => {
                let quoted = name.replace('"', "\"\"");
                let line = format!("{code},other,\"{quoted}\",{},{},{other}\n", text(&from), text(&to));
                let file = format!("code,kind,name_vi,valid_from,valid_to,successor_code\n{line}");
                import(&admin, "?apply=true", file.as_bytes())
            }
        };
        accepted += usize::from(reply.status < 300);
        let exported = admin.get("/api/v1/organisations/export.csv").expect(200);
        let told = import(&admin, "", exported.text.as_bytes()).expect(200).body;
        assert_eq!(
            (&told["added"], &told["changed"]),
            (&json!([]), &json!([])),
            "{code} {name} {from} {to} {other}"
        );
    }
    assert!(accepted > 30, "{accepted}");
}

#[test]
fn all_that_is_wrong_with_a_file_is_named_by_line_and_column_and_nothing_is_written() {
    let app = TestApp::start();
    let admin = app.admin();
    let header = "code,kind,name_vi,valid_from,valid_to,successor_code,parent_code,pilot\n";
    let whole = [
        "X1,other,Một,,,,,",
        "X 2,other,Hai,,,,,",
        "X3,village,,2020-13-01,,,,",
        "X1,other,Bốn,2020-02-01,2020-01-01,,,maybe",
        "X5,other,a\tb,,,,,",
    ]
    .join("\n");
    let told = |file: &[u8]| {
        let before = app.footprint();
        let mut errors = Vec::new();
        for query in ["", "?apply=true"] {
            let refused = import(&admin, query, file).expect(422);
            errors = refused.field_errors();
            assert!(refused.text.contains("detail"));
        }
        assert_eq!(app.footprint(), before);
        errors
    };
    let named = |errors: &[(&str, &str)]| -> Vec<(String, String)> {
        errors
            .iter()
            .map(|(place, code)| ((*place).to_owned(), (*code).to_owned()))
            .collect()
    };
    assert_eq!(
        told(format!("{header}{whole}").as_bytes()),
        named(&[
            ("/lines/3/code", "bad_code"),
            ("/lines/4/kind", "unknown_value"),
            ("/lines/4/name_vi", "empty_name"),
            ("/lines/4/valid_from", "bad_date"),
            ("/lines/5/valid_to", "ends_before_it_begins"),
            ("/lines/5/pilot", "unknown_value"),
            ("/lines/5/code", "duplicate_code"),
            ("/lines/6/name_vi", "control_character"),
        ])
    );
    for (lines, errors) in [
        (
            "X1,other,Một,,,H99,H98,",
            named(&[
                ("/lines/2/successor_code", "unknown_organisation"),
                ("/lines/2/parent_code", "unknown_organisation"),
            ]),
        ),
        (
            "X1,other,Một,,,X2,,\nX2,other,Hai,,,X1,,",
            named(&[("/lines/2/successor_code", "succession_cycle")]),
        ),
        (
            "X1,other,Một,,,,X2,\nX2,other,Hai,,,,X1,",
            named(&[("/lines/2/parent_code", "parent_cycle")]),
        ),
        ("H57.14,agency,Một\n", named(&[("/lines/2", "bad_line")])),
        ("X1,other,\"Một,,,,,\nX2", named(&[("/lines/2", "bad_line")])),
    ] {
        assert_eq!(told(format!("{header}{lines}").as_bytes()), errors, "{lines}");
    }
    assert_eq!(told(b""), named(&[("/lines/1", "missing_header")]));
    assert_eq!(
        told(b"code,name_vi,colour\nX1,x,y\n"),
        named(&[
            ("/lines/1", "unknown_column"),
            ("/lines/1/kind", "missing_header")
        ])
    );
    assert_eq!(
        told(b"code,kind,name_vi\nX1,other,Hu\xe9\n"),
        named(&[("/lines/2", "bad_encoding")])
    );
    admin.post_raw(IMPORT, "application/json", b"{}").expect(415);
    let refused = import(&admin, "?apply=yes", b"code,kind,name_vi\n").expect(422);
    assert_eq!(refused.field_errors(), named(&[("apply", "invalid_format")]));
}

#[test]
fn units_of_a_file_are_part_of_what_it_adds_in_whatever_order() {
    let app = TestApp::start();
    let admin = app.admin();
    let file = "code,kind,name_vi\n\
        q99.03.01,agency,Phòng\n\
        Q99.03,agency,Sở\n\
        000.00.04.Q99,agency,Sở khác\n\
        Q99,province,Tỉnh\n\
        Q98.01,agency,Không có tỉnh\n";
    let told = import(&admin, "?apply=true", file.as_bytes()).expect(200).body;
    assert_eq!(told["added"][0]["code"], "Q99.03.01");
    for (code, parent) in [
        ("Q99.03.01", json!("Q99.03")),
        ("Q99.03", json!("Q99")),
        ("Q99.04", json!("Q99")),
        ("Q99", Value::Null),
        ("Q98.01", Value::Null),
    ] {
        let unit = admin
            .get(&format!("/api/v1/organisations/{code}"))
            .expect(200)
            .body;
        assert_eq!(unit["parent"]["code"], parent, "{code}");
    }
    let again = import(&admin, "", file.as_bytes()).expect(200).body;
    assert_eq!((&again["changed"], &again["unchanged"]), (&json!([]), &json!(5)));
}

#[test]
fn codes_that_differ_in_capitals_only_are_one() {
    let app = TestApp::start();
    let admin = app.admin();
    let name = json!({ "vi": "Sở", "en": "Department" });
    let new = |code: &str| json!({ "code": code, "kind": "agency", "name": name, "egov_code": code });
    let made = admin
        .post("/api/v1/organisations", &new("h57.14"))
        .expect(201)
        .body;
    assert_eq!(
        (&made["code"], &made["egov_code"], &made["parent"]["code"]),
        (&json!("H57.14"), &json!("H57.14"), &json!("H57"))
    );
    let twice = admin.post("/api/v1/organisations", &new("H57.14")).expect(409);
    assert_eq!(twice.problem(), "conflict");
    let found = admin.get("/api/v1/organisations/000.00.14.h57").expect(200).body;
    assert_eq!(found["id"], made["id"]);
    let file = "code,kind,name_vi\nq99,other,Một\nQ99,other,Hai\n";
    let refused = import(&admin, "?apply=true", file.as_bytes()).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/lines/3/code".to_owned(), "duplicate_code".to_owned())]
    );
    for code in ["import", "IMPORT"] {
        let refused = admin.post("/api/v1/organisations", &new(code)).expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/code".to_owned(), "bad_code".to_owned())]
        );
    }
    let mut asked = crate::support::question();
    asked["organisation"] = json!("h57");
    let ticket = app.supervisor().post("/api/v1/tickets", &asked).expect(201).body;
    assert_eq!(ticket["organisation"]["code"], "H57");
}
