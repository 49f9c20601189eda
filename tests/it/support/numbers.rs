//! Numbers of tickets that were filed by the system's clock, so perhaps while the year changes.

/// Numbers in their order: each year begins with 1 and leaves none out.
#[track_caller]
pub fn assert_gapless<'a>(numbers: impl IntoIterator<Item = &'a str>) {
    let mut last: Option<(&str, usize)> = None;
    for number in numbers {
        let year = &number[3..7];
        let next = match last {
            Some((same, place)) if same == year => place + 1,
            _ => 1,
        };
        assert_eq!(number, format!("GD-{year}-{next:06}"));
        last = Some((year, next));
    }
}
