//! Files of holidays over the API: what they would change, the export, and that nothing changes by either.
use serde_json::{Value, json};

use crate::support::TestApp;

const SHIPPED: &str = "/api/v1/calendars/vn-government";

#[test]
fn the_shipped_calendar_is_exported_and_importing_it_changes_nothing() {
    let app = TestApp::start();
    // Whoever subscribes has no login.
    let (admin, anyone) = (app.admin(), app.anonymous());
    let export = anyone.get(&format!("{SHIPPED}/calendar.ics")).expect(200);
    assert_eq!(
        export.header("content-type"),
        Some("text/calendar; charset=utf-8")
    );
    assert!(
        export
            .text
            .contains("SUMMARY;LANGUAGE=vi:Làm bù cho ngày 29/04/2019\r\n")
    );
    assert!(export.text.contains("CATEGORIES:MAKE-UP\r\n"));
    let english = anyone
        .get(&format!("{SHIPPED}/calendar.ics?language=en"))
        .expect(200);
    assert!(
        english
            .text
            .contains("SUMMARY;LANGUAGE=en:Worked in place of 29 Apr 2019\r\n")
    );
    let tag = export.header("etag").unwrap();
    let known = anyone.with("If-None-Match", tag);
    known.get(&format!("{SHIPPED}/calendar.ics")).expect(304);
    known
        .get(&format!("{SHIPPED}/calendar.ics?language=en"))
        .expect(200);
    for nothing in ["none", "%00", "Vn-Government"] {
        anyone
            .get(&format!("/api/v1/calendars/{nothing}/calendar.ics"))
            .expect(404);
    }
    let before = app.footprint();
    for file in [&export.text, &english.text] {
        let path = format!("{SHIPPED}/import");
        let plan = admin
            .post_raw(&path, "text/calendar; charset=UTF-8", file.as_bytes())
            .expect(200)
            .body;
        assert_eq!((&plan["change"], &plan["days"]), (&json!({}), &json!([])));
        assert!(plan["unchanged"].as_u64().unwrap() > 100);
    }
    assert_eq!(app.footprint(), before);
}

#[test]
fn a_years_decision_in_csv_comes_to_a_change_that_can_be_made() {
    let app = TestApp::start();
    let admin = app.admin();
    let file = "date,kind,name_vi,legal_basis\n\
                01/01/2027,statutory,Tết Dương lịch,Bộ luật Lao động 2019\n\
                2027-01-02,make_up,Làm bù,Công văn\n";
    let plan = admin
        .post_raw(&format!("{SHIPPED}/import"), "text/csv", file.as_bytes())
        .expect(200)
        .body;
    let counts = ["base_version", "added", "changed", "removed", "unchanged"].map(|name| plan[name].as_i64());
    assert_eq!(counts, [Some(1), Some(2), Some(0), Some(0), Some(0)]);
    assert_eq!(
        plan["days"][1]["exception"]["intervals"],
        json!([["08:00", "12:00"], ["13:30", "17:30"]])
    );
    let mut change = plan["change"].clone();
    change["reason"] = json!("Quyết định nghỉ lễ 2027");
    let body = change.to_string();
    admin
        .with("If-Match", "\"1\"")
        .send("PATCH", SHIPPED, Some("application/json"), Some(body.as_bytes()))
        .expect(200);
    let days = admin
        .get(&format!(
            "{SHIPPED}/exceptions?from=2027-01-01&to=2028-01-01&limit=1"
        ))
        .expect(200)
        .body;
    assert_eq!(days["items"][0]["date"], "2027-01-01");
    let cursor = days["next_cursor"].as_str().unwrap();
    let rest = format!("{SHIPPED}/exceptions?from=2027-01-01&to=2028-01-01&limit=1&cursor={cursor}");
    let rest = admin.get(&rest).expect(200).body;
    assert_eq!(
        (&rest["items"][0]["date"], &rest["next_cursor"]),
        (&json!("2027-01-02"), &Value::Null)
    );
}

#[test]
fn a_file_that_cannot_be_meant_is_refused_by_its_line_and_changes_nothing() {
    let app = TestApp::start();
    let (admin, path) = (app.admin(), format!("{SHIPPED}/import"));
    let before = app.footprint();
    let event = |inner: &str| format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\n{inner}\nEND:VEVENT\nEND:VCALENDAR\n");
    let many = "BEGIN:VEVENT\nDTSTART:20190902\nEND:VEVENT\n".repeat(20_000);
    for (kind, file, place, code) in [
        (
            "text/calendar",
            event("DTSTART:20190902T080000Z"),
            "/lines/3",
            "timed_event",
        ),
        (
            "text/calendar",
            event("DTSTART:20190902\nRRULE:FREQ=SECONDLY"),
            "/lines/4",
            "unsupported_recurrence",
        ),
        (
            "text/calendar",
            event("DTSTART;TZID=Asia/Hue:20190902T000000"),
            "/lines/3",
            "unknown_time_zone",
        ),
        (
            "text/calendar",
            format!("BEGIN:VCALENDAR\n{many}END:VCALENDAR\n"),
            "/lines/15002",
            "too_many_events",
        ),
        (
            "text/csv",
            "date\n2019-02-29\n".to_owned(),
            "/lines/2",
            "bad_date",
        ),
        (
            "text/csv",
            "date,color\n2019-02-28,x\n".to_owned(),
            "/lines/1",
            "unknown_column",
        ),
    ] {
        let refused = admin.post_raw(&path, kind, file.as_bytes()).expect(422);
        assert_eq!(refused.field_errors(), [(place.to_owned(), code.to_owned())]);
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(!detail.is_ascii(), "in Vietnamese: {detail}");
    }
    admin.post_raw(&path, "application/json", b"{}").expect(415);
    admin
        .post_raw(&path, "text/csv; charset=windows-1258", b"date\n")
        .expect(415);
    admin
        .post_raw(&path, "text/csv", &vec![b' '; 2 << 20])
        .expect(413);
    let years = admin
        .post_raw(&format!("{path}?from=2000&to=2100"), "text/csv", b"date\n")
        .expect(422);
    assert_eq!(
        years.field_errors(),
        [("to".to_owned(), "out_of_range".to_owned())]
    );
    assert_eq!(app.footprint(), before);
    assert_eq!(admin.get(SHIPPED).expect(200).body["version"], 1);
}
