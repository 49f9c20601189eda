//! What the SLA clock costs: `due` and `elapsed` over the years 2019 to 2021 on the shipped calendar, their flatness
//! from a day to ten years, and the compilation that the first question pays for.
use std::hint::black_box;

use chrono::{DateTime, Duration, Utc};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use giaidap::sla::{Amount, CalendarSpec, Clock, Instant, Timeline};

const DAY: i64 = 86_400;

/// The shipped calendar, without what the store adds to it.
fn office_hours() -> CalendarSpec {
    let file = include_str!("../data/calendars/vn-government.json");
    let parsed = serde_json::from_str(file).and_then(|mut calendar: serde_json::Value| {
        if let Some(members) = calendar.as_object_mut() {
            members.retain(|name, _| !["code", "name"].contains(&name.as_str()));
        }
        serde_json::from_value(calendar)
    });
    parsed.unwrap_or_else(|error| panic!("the shipped calendar: {error}"))
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
