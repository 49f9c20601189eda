//! What the SLA clock costs: `due` and `elapsed` over the years 2019 to 2021 on Vietnamese office hours, their flatness
//! from a day to ten years, and the compilation that the first question pays for.
use std::hint::black_box;

use chrono::{DateTime, Duration, Utc};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use giaidap::sla::{Amount, CalendarSpec, Clock, Instant, Timeline};

const DAY: i64 = 86_400;

fn office_hours() -> CalendarSpec {
    let day = serde_json::json!([["08:00", "12:00"], ["13:30", "17:30"]]);
    let off = [
        "2019-01-01",
        "2019-02-04",
        "2019-02-05",
        "2019-02-06",
        "2019-02-07",
        "2019-02-08",
        "2019-04-15",
        "2019-04-29",
        "2019-04-30",
        "2019-05-01",
        "2019-09-02",
        "2020-01-01",
        "2020-01-23",
        "2020-01-24",
        "2020-01-27",
        "2020-01-28",
        "2020-01-29",
        "2020-04-02",
        "2020-04-30",
        "2020-05-01",
        "2020-09-02",
        "2021-01-01",
        "2021-02-10",
        "2021-02-11",
        "2021-02-12",
        "2021-02-15",
        "2021-02-16",
        "2021-04-21",
        "2021-04-30",
        "2021-05-03",
        "2021-09-02",
        "2021-09-03",
    ];
    let mut exceptions: Vec<serde_json::Value> = off
        .iter()
        .map(|date| serde_json::json!({"date": date, "intervals": []}))
        .collect();
    exceptions.push(serde_json::json!({"date": "2019-05-04", "intervals": day}));
    let calendar = serde_json::json!({
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{"valid_from": "2015-01-01",
            "weekly": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day}}],
        "exceptions": exceptions,
    });
    serde_json::from_value(calendar).unwrap_or_else(|error| panic!("the calendar of the bench: {error}"))
}

fn timeline(spec: &CalendarSpec) -> Timeline {
    Timeline::new(
        spec.check()
            .unwrap_or_else(|problems| panic!("the calendar of the bench: {problems:?}")),
    )
}

fn instant(second: i64) -> Instant {
    DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default()
}

/// Instants spread over the three years by a fixed linear congruence, so that the branch predictor does not learn one
/// search path by heart.
fn instants_of_2019_to_2021() -> Vec<Instant> {
    let mut state: u64 = 20_191_022;
    (0..4_096)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            instant(1_546_300_800 + i64::from(u32::try_from(state >> 33).unwrap_or(0)) % (3 * 365 * DAY))
        })
        .collect()
}

fn questions(criterion: &mut Criterion) {
    let line = timeline(&office_hours());
    let instants = instants_of_2019_to_2021();
    let mut pairs = instants.iter().zip(instants.iter().skip(1)).cycle();
    let mut next = || pairs.next().unwrap_or_else(|| unreachable!("cycles"));

    let mut group = criterion.benchmark_group("2019-2021");
    group.bench_function("elapsed", |bencher| {
        bencher.iter(|| {
            let (one, other) = next();
            line.elapsed(black_box(*one.min(other)), black_box(*one.max(other)))
        });
    });
    group.bench_function("due in 0 to 240 hours", |bencher| {
        let mut hours = 0;
        bencher.iter(|| {
            hours = (hours + 7) % 241;
            line.due(black_box(*next().0), black_box(hours * 3_600))
        });
    });
    group.bench_function("end of the fifth business day", |bencher| {
        bencher.iter(|| line.end_of_business_day_after(black_box(*next().0), 5));
    });
    group.bench_function("figures of a clock paused twice", |bencher| {
        let start = instant(1_574_388_000);
        let mut clock = Clock::start(Amount::BusinessMinutes(960), start);
        for hours in [2, 26] {
            let paused = clock.pause(start + Duration::hours(hours));
            let resumed = clock.resume(start + Duration::hours(hours + 5));
            assert_eq!((paused, resumed), (Ok(()), Ok(())));
        }
        bencher.iter(|| clock.figures(&line, black_box(start + Duration::days(3))));
    });
    group.finish();
}

fn flatness(criterion: &mut Criterion) {
    let line = timeline(&office_hours());
    let starts = instants_of_2019_to_2021();
    let mut group = criterion.benchmark_group("by length");
    for (name, days) in [
        ("1 day", 1),
        ("1 month", 30),
        ("1 year", 365),
        ("3 years", 1_096),
        ("10 years", 3_650),
    ] {
        let mut start = starts.iter().cycle();
        let mut next = || *start.next().unwrap_or_else(|| unreachable!("cycles"));
        group.bench_function(BenchmarkId::new("elapsed", name), |bencher| {
            bencher.iter(|| {
                let from = next();
                line.elapsed(black_box(from), black_box(from + Duration::seconds(days * DAY)))
            });
        });
        // 8 of 24 hours on 5 of 7 days, a little less so that ten years suffice.
        let business_seconds = days * DAY * 23 / 100;
        group.bench_function(BenchmarkId::new("due", name), |bencher| {
            bencher.iter(|| line.due(black_box(next()), black_box(business_seconds)));
        });
    }
    group.finish();
}

fn compilation(criterion: &mut Criterion) {
    let spec = office_hours();
    let mut group = criterion.benchmark_group("compile");
    group.bench_function("check a calendar", |bencher| {
        bencher.iter(|| black_box(&spec).check())
    });
    group.bench_function("first question: a window of twenty years", |bencher| {
        bencher.iter_with_large_drop(|| {
            let line = timeline(&spec);
            let due = line.due(instant(1_574_388_000), 14_400);
            (line, due)
        });
    });
    group.finish();
}

criterion_group!(benches, questions, flatness, compilation);
criterion_main!(benches);
