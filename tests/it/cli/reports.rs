//! Clocks explained and the report at the command line.
use serde_json::Value;

use super::Binary;
use crate::support::TestApp;

#[test]
fn the_clocks_of_a_ticket_are_explained_at_the_command_line_as_over_the_api() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = crate::support::file(&hue);
    let number = ticket["number"].as_str().unwrap();
    app.at("2019-11-25T09:00:00+07:00");
    let path = format!("/api/v1/tickets/{number}");
    lan.call(&format!("{path}/claim")).expect(200);
    let answer = serde_json::json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    let over_api = lan.get(&format!("{path}/sla/explanation")).expect(200).body;
    let printed = binary.json(&["sla", "explain", number, "--json"]);
    assert_eq!(
        printed["clocks"], over_api["clocks"],
        "stopped clocks stay as they are"
    );
    let vi = binary.out(&["sla", "explain", number, "--target", "first_response"]);
    assert!(vi.contains("Phản hồi đầu tiên, chu kỳ 1: đúng hạn"), "{vi}");
    assert!(vi.contains("Chủ Nhật 24/11/2019: nghỉ (cuối tuần)"), "{vi}");
    assert!(!vi.contains("Giải quyết"), "{vi}");
    let en = binary.out(&["sla", "explain", number, "--language", "en", "--cycle", "1"]);
    assert!(en.contains("Sunday 24/11/2019: off (weekend)"), "{en}");
    let unknown = binary.failure(&["sla", "explain", "GD-2019-999999"]);
    assert_eq!(unknown, "there is no such ticket");
    for bad in [["--target", "someday"], ["--cycle", "0"], ["--language", "fr"]] {
        let refused = binary.run(&[&["sla", "explain", number][..], &bad].concat());
        assert_eq!(refused.status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn the_report_is_drawn_as_a_table_as_json_and_as_csv() {
    let app = TestApp::start();
    crate::support::file(&app.organisation("H57"));
    let binary = Binary::on(&app.database.url);
    let ask = ["report", "sla", "--from", "2019-11-01", "--to", "2019-12-01"];
    let with = |more: &[&str]| binary.out(&[&ask[..], more].concat());
    let table = with(&[]);
    assert!(table.lines().count() >= 3, "{table}");
    let report: Value = serde_json::from_str(&with(&["--json", "--group-by", "organisation"])).unwrap();
    assert_eq!(report["total"]["filed"], 1);
    let csv = with(&["--csv", "--group-by", "month"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("group_code,group_name_vi,"), "{csv}");
    assert!(lines[1].starts_with("2019-11,"), "{csv}");
    assert!(lines.last().unwrap().starts_with("total,"), "{csv}");
    assert_ne!(with(&["--language", "en"]), table);
    let backwards = binary.failure(&["report", "sla", "--from", "2019-12-01", "--to", "2019-11-01"]);
    assert!(backwards.contains("to"), "{backwards}");
}
