//! The rules of docs/REPORTS.md, one test each, on the pure arithmetic.
use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use super::db::Later;
use super::sla::{Case, Cycle, Judged, LaterTurns, Tally, Verdict, Verdicts, nearest_rank};
use super::*;
use crate::language::Language;
use crate::store::Json;
use crate::tickets::db::ClockState;
use crate::tickets::history::EventKind;

/// Friday 22 November 2019, Việt Nam.
fn at(clock: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2019-11-22T{clock}+07:00"))
        .unwrap()
        .with_timezone(&Utc)
}

fn cycle(number: i32, state: ClockState, due: &str, stopped: Option<&str>) -> Cycle {
    Cycle {
        number,
        state,
        due_at: Some(at(due)),
        stopped_at: stopped.map(at),
        consumed_seconds: i64::from(number) * 1000,
    }
}

fn resolution_of(cycles: Vec<Cycle>, resolved: Option<&str>) -> Case {
    Case {
        resolved_at: resolved.map(at),
        resolution: cycles,
        ..Case::default()
    }
}

fn judged(case: &Case, later: LaterTurns, as_of: &str) -> (bool, Verdict, Option<i64>) {
    let verdicts = Verdicts::of(case, later, at(as_of));
    let Judged { verdict, seconds } = verdicts.resolution.unwrap();
    (verdicts.answered, verdict, seconds)
}

const NOTHING_LATER: LaterTurns = LaterTurns {
    reopenings: 0,
    was_resolved: false,
};

#[test]
fn percentiles_are_values_that_occurred_by_nearest_rank() {
    let ten: Vec<u64> = (1..=10).map(|n| n * 10).collect();
    for (values, p50, p90) in [
        (&ten[..0], None, None),
        (&ten[..1], Some(10), Some(10)),
        (&ten[..2], Some(10), Some(20)),
        (&ten[..3], Some(20), Some(30)),
        (&ten[..], Some(50), Some(90)),
    ] {
        assert_eq!(
            (nearest_rank(values, 50), nearest_rank(values, 90)),
            (p50, p90),
            "{values:?}"
        );
    }
    assert_eq!(nearest_rank(&ten, 0), Some(10));
    assert_eq!(nearest_rank(&ten, 100), Some(100));
}

#[test]
fn a_due_that_passed_is_a_breach_though_no_worker_has_noticed_it() {
    let case = resolution_of(vec![cycle(1, ClockState::Running, "10:00:00", None)], None);
    // The due itself and the rest of its second are in time.
    assert_eq!(
        judged(&case, NOTHING_LATER, "10:00:00"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&case, NOTHING_LATER, "10:00:00.999"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&case, NOTHING_LATER, "10:00:01"),
        (false, Verdict::Breached, None)
    );
}

#[test]
fn a_paused_clock_has_no_due_and_is_open() {
    let mut paused = cycle(1, ClockState::Paused, "10:00:00", None);
    paused.due_at = None;
    let case = resolution_of(vec![paused], None);
    assert_eq!(
        judged(&case, NOTHING_LATER, "23:00:00"),
        (false, Verdict::Open, None)
    );
}

#[test]
fn an_answer_after_as_of_is_not_known_as_of_then() {
    let case = resolution_of(
        vec![cycle(1, ClockState::Met, "12:00:00", Some("11:00:00"))],
        Some("11:00:00"),
    );
    assert_eq!(
        judged(&case, NOTHING_LATER, "10:59:59"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&case, NOTHING_LATER, "11:00:00"),
        (true, Verdict::Met, Some(1000))
    );

    let late = resolution_of(
        vec![cycle(1, ClockState::Breached, "10:00:00", Some("11:00:00"))],
        Some("11:00:00"),
    );
    assert_eq!(
        judged(&late, NOTHING_LATER, "09:59:00"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&late, NOTHING_LATER, "10:30:00"),
        (false, Verdict::Breached, None)
    );
    assert_eq!(
        judged(&late, NOTHING_LATER, "11:00:00"),
        (true, Verdict::Breached, Some(1000))
    );
}

#[test]
fn a_cancelled_ticket_has_no_verdict_in_time_and_its_breach_if_late_but_no_time_to_an_answer() {
    let in_time = resolution_of(
        vec![cycle(1, ClockState::Stopped, "12:00:00", Some("11:00:00"))],
        None,
    );
    assert_eq!(
        judged(&in_time, NOTHING_LATER, "10:00:00"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&in_time, NOTHING_LATER, "13:00:00"),
        (false, Verdict::Stopped, None)
    );

    let late = resolution_of(
        vec![cycle(1, ClockState::Breached, "10:00:00", Some("11:00:00"))],
        None,
    );
    assert_eq!(
        judged(&late, NOTHING_LATER, "13:00:00"),
        (false, Verdict::Breached, None)
    );
}

#[test]
fn the_cycles_of_a_reopened_ticket_have_one_verdict() {
    let met = || cycle(1, ClockState::Met, "10:00:00", Some("09:00:00"));
    let late = || cycle(1, ClockState::Breached, "08:30:00", Some("09:00:00"));
    let open = || cycle(2, ClockState::Running, "14:00:00", None);
    let cancelled = || cycle(2, ClockState::Stopped, "14:00:00", Some("12:00:00"));
    let met_again = || cycle(2, ClockState::Met, "14:00:00", Some("12:00:00"));
    for (cycles, resolved, expected) in [
        (vec![met(), open()], None, (false, Verdict::Open, None)),
        (vec![late(), open()], None, (false, Verdict::Breached, None)),
        (vec![met(), cancelled()], None, (false, Verdict::Met, None)),
        (
            vec![late(), met_again()],
            Some("12:00:00"),
            (true, Verdict::Breached, Some(2000)),
        ),
        (
            vec![met(), met_again()],
            Some("12:00:00"),
            (true, Verdict::Met, Some(2000)),
        ),
    ] {
        let case = resolution_of(cycles, resolved);
        assert_eq!(judged(&case, NOTHING_LATER, "13:00:00"), expected, "{case:?}");
    }
    // The second cycle's due passes after the first was met.
    let case = resolution_of(vec![met(), open()], None);
    assert_eq!(
        judged(&case, NOTHING_LATER, "14:00:01"),
        (false, Verdict::Breached, None)
    );
}

#[test]
fn a_reopening_after_as_of_is_undone() {
    let mut later = Later::default();
    later.add(EventKind::Reopened, Json(json!({}))).unwrap();
    later.add(EventKind::Resolved, Json(json!({}))).unwrap();
    later.add(EventKind::Reopened, Json(json!({}))).unwrap();
    let turns = later.resolution;
    assert_eq!((turns.reopenings, turns.was_resolved), (2, true));

    let cycles = vec![
        cycle(1, ClockState::Met, "10:00:00", Some("09:00:00")),
        cycle(2, ClockState::Breached, "11:00:00", Some("12:00:00")),
        cycle(3, ClockState::Running, "18:00:00", None),
    ];
    let case = resolution_of(cycles, None);
    assert_eq!(judged(&case, turns, "09:30:00"), (true, Verdict::Met, Some(1000)));
    // Between the first reopening and the second resolution: one reopening is later, but not first.
    let mut later = Later::default();
    later.add(EventKind::Resolved, Json(json!({}))).unwrap();
    later.add(EventKind::Reopened, Json(json!({}))).unwrap();
    assert_eq!(
        judged(&case, later.resolution, "10:30:00"),
        (false, Verdict::Open, None)
    );
    assert_eq!(
        judged(&case, later.resolution, "11:30:00"),
        (false, Verdict::Breached, None)
    );
}

#[test]
fn a_later_transfer_is_undone_to_the_queue_that_held_the_ticket_then() {
    let mut later = Later::default();
    later
        .add(
            EventKind::Transferred,
            Json(json!({ "from": "standing", "to": "technology" })),
        )
        .unwrap();
    later
        .add(
            EventKind::Transferred,
            Json(json!({ "from": "technology", "to": "policy" })),
        )
        .unwrap();
    assert_eq!(later.queue_before.as_deref(), Some("standing"));
    assert_eq!(later.resolution, NOTHING_LATER);
}

#[test]
fn the_first_response_is_judged_apart_and_a_ticket_without_a_target_counts_as_filed_only() {
    let case = Case {
        first_response_at: Some(at("09:00:00")),
        first_response: vec![cycle(1, ClockState::Met, "10:00:00", Some("09:00:00"))],
        ..Case::default()
    };
    let verdicts = Verdicts::of(&case, NOTHING_LATER, at("12:00:00"));
    assert_eq!(verdicts.resolution, None);
    let mut tally = Tally::default();
    tally.add(&verdicts);
    let figures = tally.figures();
    assert_eq!(
        (figures.filed, figures.answered, figures.first_response.met),
        (1, 0, 1)
    );
    assert_eq!(figures.first_response.p50_business_seconds, Some(1000));
    let none = &figures.resolution;
    assert_eq!((none.met, none.breached, none.open, none.stopped), (0, 0, 0, 0));
    assert_eq!(
        (
            none.compliance,
            none.mean_business_seconds,
            none.p90_business_seconds
        ),
        (None, None, None)
    );
}

#[test]
fn every_time_that_the_asker_waited_again_counts_to_one_verdict_and_the_last_answer_gives_the_time() {
    let first = || cycle(1, ClockState::Met, "10:00:00", Some("09:00:00"));
    let of = |cycles: Vec<Cycle>, cancelled: Option<&str>, as_of: &str| {
        let case = Case {
            next_response: cycles,
            cancelled_at: cancelled.map(at),
            ..Case::default()
        };
        let judged = Verdicts::of(&case, NOTHING_LATER, at(as_of)).next_response;
        judged.map(|judged| (judged.verdict, judged.seconds))
    };
    assert_eq!(of(vec![], None, "12:00:00"), None);
    assert_eq!(
        of(vec![first()], None, "12:00:00"),
        Some((Verdict::Met, Some(1000)))
    );
    assert_eq!(of(vec![first()], None, "08:00:00"), Some((Verdict::Open, None)));
    let open = cycle(2, ClockState::Running, "14:00:00", None);
    assert_eq!(
        of(vec![first(), open.clone()], None, "12:00:00"),
        Some((Verdict::Open, None))
    );
    assert_eq!(
        of(vec![first(), open], None, "14:00:01"),
        Some((Verdict::Breached, None))
    );
    let late = cycle(2, ClockState::Breached, "14:00:00", Some("15:00:00"));
    let answered = of(vec![first(), late.clone()], None, "16:00:00");
    assert_eq!(answered, Some((Verdict::Breached, Some(2000))));
    // Cancelled, not answered.
    let over = of(vec![first(), late], Some("15:00:00"), "16:00:00");
    assert_eq!(over, Some((Verdict::Breached, None)));
}

fn answered_in(seconds: i64, verdict: Verdict) -> Verdicts {
    let resolution = Judged {
        verdict,
        seconds: Some(seconds),
    };
    Verdicts {
        answered: true,
        first_response: None,
        resolution: Some(resolution),
        next_response: None,
    }
}

/// The worked example of docs/REPORTS.md.
fn example() -> SlaReport {
    let mut policy = Tally::default();
    policy.add(&answered_in(7_200, Verdict::Met));
    policy.add(&answered_in(36_000, Verdict::Met));
    policy.add(&answered_in(90_000, Verdict::Breached));
    policy.add(&Verdicts {
        answered: false,
        first_response: None,
        resolution: Some(Judged {
            verdict: Verdict::Stopped,
            seconds: None,
        }),
        next_response: None,
    });
    let mut standing = Tally::default();
    standing.add(&answered_in(3_601, Verdict::Met));
    standing.add(&Verdicts {
        answered: false,
        first_response: None,
        resolution: Some(Judged {
            verdict: Verdict::Open,
            seconds: None,
        }),
        next_response: None,
    });
    let total = Tally::default().joined(&policy).joined(&standing).figures();
    let row = |code: &str, vi: &str, en: &str, tally: Tally| SlaReportRow {
        group: Reference::new(code, vi, en),
        figures: tally.figures(),
    };
    SlaReport {
        warnings: Vec::new(),
        from: "2019-10-31T17:00:00Z".parse().unwrap(),
        to: "2019-11-30T17:00:00Z".parse().unwrap(),
        as_of: "2019-12-02T01:00:00Z".parse().unwrap(),
        group_by: GroupBy::Queue,
        rows: vec![
            row("policy", "Tổ chính sách", "Policy group", policy),
            row("standing", "Tổ thường trực", "Standing group", standing),
        ],
        total,
        time_zone: chrono_tz::Asia::Ho_Chi_Minh,
    }
}

#[test]
fn the_total_is_of_all_tickets_at_once() {
    let report = example();
    let policy = &report.rows[0].figures.resolution;
    assert_eq!(
        (policy.p50_business_seconds, policy.p90_business_seconds),
        (Some(36_000), Some(90_000))
    );
    assert_eq!(policy.mean_business_seconds, Some(44_400.0));
    let total = &report.total.resolution;
    assert_eq!((report.total.filed, report.total.answered), (6, 4));
    assert_eq!(
        (total.met, total.breached, total.open, total.stopped),
        (3, 1, 1, 1)
    );
    assert_eq!(total.compliance, Some(0.75));
    assert_eq!(
        (total.p50_business_seconds, total.p90_business_seconds),
        (Some(7_200), Some(90_000))
    );
    assert_eq!(total.mean_business_seconds, Some(34_200.25));
}

#[test]
fn json_has_the_form_of_the_contract() {
    let written = serde_json::to_value(example()).unwrap();
    let none = json!({
        "met": 0, "breached": 0, "open": 0, "stopped": 0, "compliance": null,
        "p50_business_seconds": null, "p90_business_seconds": null, "mean_business_seconds": null,
    });
    assert_eq!(written["from"], "2019-10-31T17:00:00Z");
    assert_eq!(written["group_by"], "queue");
    assert_eq!(
        written["rows"][1],
        json!({
            "group": { "code": "standing", "name": { "vi": "Tổ thường trực", "en": "Standing group" } },
            "filed": 2, "answered": 1, "first_response": none, "next_response": none,
            "resolution": {
                "met": 1, "breached": 0, "open": 1, "stopped": 0, "compliance": 1.0,
                "p50_business_seconds": 3601, "p90_business_seconds": 3601, "mean_business_seconds": 3601.0,
            },
        })
    );
    let mut keys: Vec<_> = written.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        ["as_of", "from", "group_by", "rows", "to", "total", "warnings"]
    );
}

#[test]
fn csv_has_the_header_of_the_contract_empty_nulls_and_the_total_last() {
    let text = example().to_csv().unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let contract = include_str!("../../openapi.yaml");
    assert!(contract.contains(lines[0]), "{}", lines[0]);
    assert_eq!(
        lines[1..],
        [
            "policy,Tổ chính sách,Policy group,4,3,0,0,0,0,,,,,2,1,0,1,0.6666666666666666,36000,90000,44400,0,0,0,0,,,,",
            "standing,Tổ thường trực,Standing group,2,1,0,0,0,0,,,,,1,0,1,0,1,3601,3601,3601,0,0,0,0,,,,",
            "total,Tổng,Total,6,4,0,0,0,0,,,,,3,1,1,1,0.75,7200,90000,34200.25,0,0,0,0,,,,",
        ]
    );
}

#[test]
fn the_table_aligns_vietnamese_letters_in_either_normal_form() {
    use unicode_normalization::UnicodeNormalization;
    let mut report = example();
    let name = &mut report.rows[1].group.name.vi;
    *name = name.nfd().collect();
    let text = report.to_table(Language::Vi);
    let block: Vec<&str> = text
        .split("Giải quyết\n")
        .nth(1)
        .unwrap()
        .lines()
        .take(4)
        .collect();
    assert_eq!(
        block,
        [
            "Mã        Tên             Tiếp nhận  Đã trả lời  Đúng hạn  Quá hạn  Đang chạy  Dừng    Tỷ lệ       p50       p90        TB",
            "policy    Tổ chính sách           4           3         2        1          0     1   66,6 %  10:00:00  25:00:00  12:20:00",
            "standing  Tổ thường trực          2           1         1        0          1     0  100,0 %   1:00:01   1:00:01   1:00:01",
            "Tổng                              6           4         3        1          1     1   75,0 %   2:00:00  25:00:00   9:30:00",
        ]
    );
    assert!(text.starts_with(
        "Báo cáo SLA: câu hỏi tiếp nhận từ 01/11/2019 00:00 – 01/12/2019 00:00 (số liệu tính đến 02/12/2019 08:00)\n"
    ));
}

#[test]
fn a_question_that_makes_no_sense_is_refused_by_the_name_of_its_parameter() {
    let now = at("12:00:00");
    let day = Duration::days(1);
    let ask = |from, to, as_of| SlaQuestion::put_at(now, from, to, as_of, GroupBy::Queue);
    for (asked, name) in [
        (ask(now, now, None), "to"),
        (ask(now, now - day, None), "to"),
        (ask(now - day, now, Some(now - day - day)), "as_of"),
        (ask(now - day, now, Some(now + day)), "as_of"),
        (ask(now + day, now + day + day, None), "from"),
        (ask(DateTime::<Utc>::MIN_UTC, now, None), "from"),
        (ask(now - day, DateTime::<Utc>::MAX_UTC, None), "to"),
    ] {
        match asked {
            Err(Error::Invalid(fields)) => {
                let place = crate::error::Place::Parameter(name.to_owned());
                assert_eq!(fields[0].place, place);
            }
            other => panic!("{other:?}"),
        }
    }
    let question = ask(now - day, now + day, None).unwrap();
    assert_eq!(question.as_of, now);
}

#[test]
fn months_are_named_in_both_languages() {
    let month = month_name(2019, 11);
    assert_eq!(
        (month.code.as_str(), month.name.vi.as_str()),
        ("2019-11", "Tháng 11/2019")
    );
    assert_eq!(month.name.en, "November 2019");
    assert_eq!(month_name(2020, 1).code, "2020-01");
}
