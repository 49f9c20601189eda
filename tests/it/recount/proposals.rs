//! Changes of a calendar as they are asked for: checked, on the version that the caller saw, by one at a time.
use serde_json::{Value, json};

use super::{CALENDAR, change, holiday, patch};
use crate::support::TestApp;
use crate::support::threads::at_once;

#[test]
fn two_administrators_apply_at_once_and_one_gets_412() {
    let app = TestApp::start();
    let admin = app.admin();
    let statuses = at_once(2, |n| {
        patch(&admin, 1, &change(&[["2019-12-02", "2019-12-03"][n]])).status
    });
    let mut statuses: Vec<u16> = statuses;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(admin.get(CALENDAR).expect(200).body["version"], 2);
}

#[test]
fn a_change_that_cannot_be_made_is_refused_with_its_place_and_the_calendar_in_force_is_untouched() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = admin.get(CALENDAR).expect(200).body;
    let unsent = change(&["2019-12-02"]).to_string();
    let missing = admin
        .send(
            "PATCH",
            CALENDAR,
            Some("application/json"),
            Some(unsent.as_bytes()),
        )
        .expect(428);
    assert_eq!(missing.problem(), "precondition-required");
    let wrong = [
        (
            change(&["2019-12-02", "2019-12-02"]),
            "/set_exceptions/1/date",
            "duplicate_date",
        ),
        (change(&["2019-13-02"]), "/set_exceptions/0/date", "bad_date"),
        (
            json!({ "time_zone": "Asia/Hanoi", "reason": "x" }),
            "/time_zone",
            "unknown_time_zone",
        ),
        (
            json!({ "remove_exceptions": ["2019-12-02"], "reason": "x" }),
            "/remove_exceptions/0",
            "unknown_code",
        ),
        (
            json!({ "patterns": [{ "valid_from": "2019-01-01", "weekly": {} }], "reason": "x" }),
            "/patterns/0/weekly",
            "no_working_time",
        ),
        (
            json!({ "patterns": [{ "valid_from": "2100-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }], "exceptions": [], "reason": "x" }),
            "/patterns",
            "no_working_time",
        ),
        (
            json!({ "set_exceptions": [{ "date": "2019-12-02", "intervals": [["08:00", "08:00"]] }], "reason": "x" }),
            "/set_exceptions/0/intervals/0",
            "empty_interval",
        ),
        (
            json!({ "set_exceptions": [{ "date": "2019-12-02", "intervals": [], "source": "a\u{7}b" }], "reason": "x" }),
            "/set_exceptions/0/source",
            "control_character",
        ),
    ];
    for (body, pointer, code) in wrong {
        let refused = patch(&admin, 1, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(pointer.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(
        patch(&admin, 7, &change(&["2019-12-02"])).expect(412).problem(),
        "precondition-failed"
    );
    assert_eq!(
        patch(&admin, 1, &json!({ "reason": "x" })).expect(409).problem(),
        "conflict"
    );
    let stale = json!({ "set_exceptions": [holiday("2019-12-02")], "base_version": 9 });
    admin.post(&format!("{CALENDAR}/preview"), &stale).expect(412);
    let cursor = json!({ "set_exceptions": [holiday("2019-12-02")], "cursor": "x" });
    let refused = admin.post(&format!("{CALENDAR}/preview"), &cursor).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/cursor".to_owned(), "invalid_cursor".to_owned())]
    );
    assert_eq!(admin.get(CALENDAR).expect(200).body, before);
    assert_eq!(app.rows_in("recounts"), 0);
}

#[test]
fn a_calendar_is_replaced_whole_and_keeps_its_name_unless_another_is_given() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = admin.get(CALENDAR).expect(200).body;
    let whole =
        json!({ "time_zone": "Asia/Ho_Chi_Minh", "patterns": before["patterns"], "reason": "Chỉ giữ giờ" });
    let put = |version: i64, body: &Value| {
        let body = body.to_string();
        admin.with("If-Match", &format!("\"{version}\"")).send(
            "PUT",
            CALENDAR,
            Some("application/json"),
            Some(body.as_bytes()),
        )
    };
    let replaced = put(1, &whole).expect(200).body;
    assert_eq!(
        (&replaced["exceptions"], &replaced["name"]),
        (&json!([]), &before["name"])
    );
    assert_eq!(put(2, &whole).expect(409).problem(), "conflict");
    let mut named = whole.clone();
    named["name"] = json!({ "vi": "Giờ hành chính", "en": "Office hours" });
    let named = put(2, &named).expect(200).body;
    assert_eq!(
        (&named["version"], &named["name"]["en"]),
        (&json!(3), &json!("Office hours"))
    );
}
