//! The report as plain text for a terminal, one block per target. Columns align because every Vietnamese letter is one
//! character, and one column wide, once it is composed (NFC).
use chrono::{DateTime, Utc};

use super::{SlaFigures, SlaReport, TargetFigures};
use crate::language::Language;
use crate::text::nfc;

/// Longer names end in `…`, so that a line fits a terminal of 120 columns.
const NAME_WIDTH: usize = 36;
/// The first columns are text and stand left; numbers stand right.
const TEXT_COLUMNS: usize = 2;

struct Words {
    title: &'static str,
    as_of: &'static str,
    group: [&'static str; TEXT_COLUMNS],
    numbers: [&'static str; 10],
    first_response: &'static str,
    resolution: &'static str,
    next_response: &'static str,
    total: &'static str,
    legend: &'static str,
    decimal_mark: char,
}

const VIETNAMESE: Words = Words {
    title: "Báo cáo SLA: câu hỏi tiếp nhận từ",
    as_of: "số liệu tính đến",
    group: ["Mã", "Tên"],
    numbers: [
        "Tiếp nhận",
        "Đã trả lời",
        "Đúng hạn",
        "Quá hạn",
        "Đang chạy",
        "Dừng",
        "Tỷ lệ",
        "p50",
        "p90",
        "TB",
    ],
    first_response: "Phản hồi lần đầu",
    resolution: "Giải quyết",
    next_response: "Phản hồi tiếp theo",
    total: "Tổng",
    legend: "Thời gian là giờ làm việc (giờ:phút:giây); tỷ lệ = đúng hạn / (đúng hạn + quá hạn); TB là trung bình.",
    decimal_mark: ',',
};

const ENGLISH: Words = Words {
    title: "SLA report: tickets filed from",
    as_of: "as of",
    group: ["Code", "Name"],
    numbers: [
        "Filed", "Answered", "Met", "Breached", "Open", "Stopped", "Kept", "p50", "p90", "Mean",
    ],
    first_response: "First response",
    resolution: "Resolution",
    next_response: "Next response",
    total: "Total",
    legend: "Times are business hours (h:mm:ss); kept = met / (met + breached).",
    decimal_mark: '.',
};

impl SlaReport {
    /// Ends with a line break.
    pub fn to_table(&self, language: Language) -> String {
        let words = match language {
            Language::Vi => &VIETNAMESE,
            Language::En => &ENGLISH,
        };
        let arrow = format!("{} – {}", self.local(self.from), self.local(self.to));
        let mut text = format!(
            "{} {arrow} ({} {})\n",
            words.title,
            words.as_of,
            self.local(self.as_of)
        );
        let mut targets: Vec<(&str, Pick)> = vec![
            (words.first_response, |figures| &figures.first_response),
            (words.resolution, |figures| &figures.resolution),
        ];
        let next = &self.total.next_response;
        if next.met + next.breached + next.open + next.stopped > 0 {
            targets.push((words.next_response, |figures| &figures.next_response));
        }
        for (title, target) in targets {
            text.push_str(&format!("\n{title}\n"));
            text.push_str(&align(&self.block(words, language, target)));
        }
        text.push_str(&format!("\n{}\n", words.legend));
        for warning in &self.warnings {
            let said = language.choose(&warning.text.vi, &warning.text.en);
            text.push_str(&format!("{said}\n"));
        }
        text
    }

    fn local(&self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.time_zone)
            .format("%d/%m/%Y %H:%M")
            .to_string()
    }

    fn block(&self, words: &Words, language: Language, target: Pick) -> Vec<Vec<String>> {
        let header = words.group.iter().chain(&words.numbers);
        let mut lines = vec![header.map(|word| (*word).to_owned()).collect::<Vec<_>>()];
        let total = (words.total.to_owned(), String::new(), &self.total);
        let groups = self.rows.iter().map(|row| {
            let name = match language {
                Language::Vi => &row.group.name.vi,
                Language::En => &row.group.name.en,
            };
            (nfc(&row.group.code), shortened(name), &row.figures)
        });
        for (code, name, figures) in groups.chain([total]) {
            let mut line = vec![
                code,
                name,
                figures.filed.to_string(),
                figures.answered.to_string(),
            ];
            line.extend(cells(target(figures), words.decimal_mark));
            lines.push(line);
        }
        lines
    }
}

type Pick = fn(&SlaFigures) -> &TargetFigures;

fn shortened(name: &str) -> String {
    let name = nfc(name);
    if name.chars().count() <= NAME_WIDTH {
        return name;
    }
    let head: String = name.chars().take(NAME_WIDTH - 1).collect();
    format!("{}…", head.trim_end())
}

fn cells(figures: &TargetFigures, decimal_mark: char) -> [String; 8] {
    let time = |seconds: Option<u64>| seconds.map_or_else(|| "–".to_owned(), hours);
    // Rounded down, so that 100 % is said only where nothing was breached.
    let tenths = (figures.met * 1000).checked_div(figures.met + figures.breached);
    let kept = tenths.map(|tenths| format!("{}{decimal_mark}{} %", tenths / 10, tenths % 10));
    let mean = figures.mean_business_seconds.map(|mean| format!("{mean:.0}"));
    [
        figures.met.to_string(),
        figures.breached.to_string(),
        figures.open.to_string(),
        figures.stopped.to_string(),
        kept.unwrap_or_else(|| "–".to_owned()),
        time(figures.p50_business_seconds),
        time(figures.p90_business_seconds),
        time(mean.and_then(|mean| mean.parse().ok())),
    ]
}

fn hours(seconds: u64) -> String {
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds % 3600 / 60,
        seconds % 60
    )
}

/// Pad each column to its widest cell; two spaces between columns, none at the end of a line.
fn align(lines: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(width_of).collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column < TEXT_COLUMNS {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}
