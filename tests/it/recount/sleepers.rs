//! A worker that sleeps changes when notices go out, never what comes of it: the same random life of tickets under rules
//! that change, once with the worker by every half hour and once only in the end.
use serde_json::{Value, json};

use super::patch;
use crate::support::TestApp;
use crate::support::desk::{events, path_of, policy};
use crate::support::policies::file_tagged;

/// Small and repeatable; the figures of a linear congruence (Knuth, MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

fn terms(chance: &mut Chance) -> Value {
    let mut terms = policy("restless", 10, json!({ "tag": ["restless"] }));
    let amount = |chance: &mut Chance| match chance.below(4) {
        0 => json!({ "business_days": 1 + chance.below(3) }),
        _ => json!({ "business_minutes": 60 * (1 + chance.below(20)) }),
    };
    let (normal, high, urgent) = (amount(chance), amount(chance), amount(chance));
    terms["targets"] = json!({
        "first_response": { "normal": { "business_minutes": 30 + chance.below(300) } },
        "resolution": { "normal": normal, "high": high, "urgent": urgent },
    });
    terms["pauses"] = json!({ "waiting": ["resolution"] });
    terms["pauses"][chance.one_of(&["waiting", "queued"])] = json!(["resolution"]);
    terms["warn_at_percent"] = json!([chance.one_of(&[10, 25, 50]), 90]);
    terms["escalations"] = json!([
        { "target": "resolution", "on": "warning", "raise_priority": true },
        { "target": "resolution", "on": "breach", "transfer": "standing", "notify": ["supervisors"] },
    ]);
    terms["status_update"] = json!({ "every": { "calendar_days": 1 } });
    terms["calendar"] = json!(chance.one_of(&["vn-government", "vn-government", "always"]));
    terms["applies_to_open"] = json!(true);
    terms
}

/// What everybody can see of the tickets in the end.
fn lived(seed: u64, is_prompt: bool) -> Vec<(Value, Vec<Value>)> {
    let mut chance = Chance(seed);
    let app = TestApp::start();
    let (hue, lan, sup, admin) = (
        app.organisation("H57"),
        app.agent("lan", &["technology"]),
        app.supervisor(),
        app.admin(),
    );
    app.at("2019-11-25T08:00:00+07:00");
    let day = json!([["00:00", "24:00"]]);
    let week: Value = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        .iter()
        .map(|name| ((*name).to_owned(), day.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    admin
        .post(
            "/api/v1/calendars",
            &json!({ "code": "always", "time_zone": "Asia/Ho_Chi_Minh",
                "patterns": [{ "valid_from": "2019-01-01", "weekly": week }] }),
        )
        .expect(201);
    let mut first = terms(&mut chance);
    first.as_object_mut().unwrap().remove("applies_to_open");
    admin.post("/api/v1/sla-policies", &first).expect(201);
    let paths: Vec<String> = (0..3)
        .map(|_| path_of(&file_tagged(&hue, &["restless"])))
        .collect();
    let (mut policies, mut calendars) = (1, 1);
    for half_hour in 0..150 {
        app.app
            .clock
            .set(app.app.clock.now() + chrono::TimeDelta::minutes(30));
        let path = &paths[half_hour % paths.len()];
        match chance.below(24) {
            0 => {
                let mut body = terms(&mut chance);
                body.as_object_mut().unwrap().remove("code");
                let tag = format!("\"{policies}\"");
                admin
                    .with("If-Match", &tag)
                    .put("/api/v1/sla-policies/restless", &body)
                    .expect(200);
                policies += 1;
            }
            1 => {
                let date = format!("2019-11-{:02}", 25 + chance.below(5));
                let hours = chance.one_of(&["[]", r#"[["13:30","17:30"]]"#, r#"[["07:00","19:00"]]"#]);
                let hours: Value = serde_json::from_str(hours).unwrap();
                let body =
                    json!({ "reason": "Thử", "set_exceptions": [{ "date": date, "intervals": hours }] });
                calendars += i64::from(patch(&admin, calendars, &body).status == 200);
            }
            2 => drop(lan.post(&format!("{path}/claim"), &json!({}))),
            3 => drop(lan.post(&format!("{path}/wait"), &json!({ "message": "?" }))),
            4 => drop(hue.post(&format!("{path}/messages"), &json!({ "body": "!" }))),
            5 => drop(sup.patch(
                path,
                &json!({ "priority": chance.one_of(&["normal", "high", "urgent"]) }),
            )),
            _ => {}
        }
        if is_prompt {
            app.settle();
        }
    }
    app.settle();
    paths
        .iter()
        .map(|path| {
            let ticket = sup.get(path).expect(200).body;
            let seen = json!([
                ticket["state"],
                ticket["priority"],
                ticket["queue"]["code"],
                ticket["clocks"]
            ]);
            let told = events(&sup, path)
                .into_iter()
                .map(|event| json!([event["kind"], event["at"], event["data"]]))
                // What was said has an identity of its own each time.
                .filter(|event| event[2].get("message_id").is_none() && event[2].get("assignee").is_none())
                .collect();
            (seen, told)
        })
        .collect()
}

#[test]
fn nobody_can_tell_whether_the_worker_slept_while_the_rules_changed() {
    let mut kinds = std::collections::BTreeSet::new();
    for seed in [1, 2, 3, 11] {
        let (prompt, late) = (lived(seed, true), lived(seed, false));
        for ((seen, told), (seen_late, told_late)) in prompt.iter().zip(&late) {
            // What is noticed at once may be written down in another order; each carries its own instant.
            let by_instant = |told: &[Value]| {
                let mut told = told.to_vec();
                told.sort_by_cached_key(ToString::to_string);
                told
            };
            for (one, other) in by_instant(told).iter().zip(&by_instant(told_late)) {
                assert_eq!(one, other, "seed {seed}");
            }
            assert_eq!(told.len(), told_late.len(), "seed {seed}");
            assert_eq!(seen, seen_late, "seed {seed}");
            kinds.extend(told.iter().map(|event| event[0].as_str().unwrap().to_owned()));
        }
    }
    for kind in [
        "due_moved",
        "clock_warning",
        "clock_breached",
        "ticket_escalated",
        "status_updated",
    ] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
}
