//! The explanation as people read it, in Vietnamese and English: dates dd/MM/yyyy and 24 hours in the local time of the
//! calendar, durations as h:mm:ss, and the sums as equations at the end.
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::Held;
use super::explanation::{
    Ahead, ClockExplanation, Day, DayCount, ExceptionOut, Explanation, PieceOut, SegmentExplanation, Step,
};
use crate::deadline;
use crate::language::Language;
use crate::sla::calendar::Certainty;
use crate::sla::{Amount, DayKind, Skipped, TargetKind};
use crate::tickets::db::ClockState;

impl Explanation {
    pub fn to_text(&self, language: Language) -> String {
        let mut out = Writer {
            text: String::new(),
            language,
        };
        out.line(&self.number);
        for clock in &self.clocks {
            out.line("");
            out.clock(clock, self.as_of);
        }
        if self.clocks.is_empty() {
            let none = out.say("Không có đồng hồ nào như vậy.", "There is no such clock.");
            out.line(none);
        }
        out.text
    }
}

/// h:mm:ss, hours as many as there are.
pub fn duration(seconds: i64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn date(date: NaiveDate) -> String {
    date.format("%d/%m/%Y").to_string()
}

fn moment(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%d/%m/%Y %H:%M:%S").to_string()
}

/// The same of a deadline, which ends a day rather than beginning the next.
fn end(at: DateTime<Utc>, zone: Tz) -> String {
    let date = date(deadline::date(at, zone));
    format!("{date} {}", deadline::second(at, zone))
}

/// A time of a date; on the dates after it with `+1`, and 24:00 for its end.
fn time_on(at: DateTime<Utc>, day: NaiveDate, zone: Tz) -> String {
    let local = at.with_timezone(&zone).naive_local();
    let (days, time) = ((local.date() - day).num_days(), local.time());
    if days == 1 && time.num_seconds_from_midnight() == 0 {
        return "24:00".to_owned();
    }
    let clock = match time.second() {
        0 => time.format("%H:%M"),
        _ => time.format("%H:%M:%S"),
    };
    match days {
        1.. => format!("{clock} (+{days})"),
        _ => clock.to_string(),
    }
}

/// Text in one language, line by line.
struct Writer {
    text: String,
    language: Language,
}

impl Writer {
    fn say<T>(&self, vi: T, en: T) -> T {
        self.language.choose(vi, en)
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn clock(&mut self, clock: &ClockExplanation, as_of: DateTime<Utc>) {
        let zone = clock.zone;
        let heading = format!(
            "{}, {} {}: {}",
            self.target(clock.target),
            self.say("chu kỳ", "cycle"),
            clock.cycle,
            self.state(clock.state)
        );
        self.line(&heading);
        let rules = self.say(
            format!(
                "  Thời hạn {}, theo chính sách {} phiên bản {}, lịch {} phiên bản {} ({})",
                self.amount(clock.amount),
                clock.policy.code,
                clock.policy.version,
                clock.calendar.code,
                clock.calendar.version,
                clock.time_zone
            ),
            format!(
                "  Target {} by policy {} version {}, calendar {} version {} ({})",
                self.amount(clock.amount),
                clock.policy.code,
                clock.policy.version,
                clock.calendar.code,
                clock.calendar.version,
                clock.time_zone
            ),
        );
        self.line(&rules);
        let instants = [
            (
                self.say("Bắt đầu", "Started"),
                Some(moment(clock.started_at, zone)),
            ),
            (self.say("Tính đến", "As of"), Some(moment(as_of, zone))),
            (self.say("Đến hạn", "Due"), clock.due_at.map(|at| end(at, zone))),
            (
                self.say("Quá hạn từ", "Overdue since"),
                clock.breached_at.map(|at| end(at, zone)),
            ),
            (
                self.say("Đạt lúc", "Met"),
                clock.met_at.map(|at| moment(at, zone)),
            ),
            (
                self.say("Dừng lúc", "Stopped"),
                clock.stopped_at.map(|at| moment(at, zone)),
            ),
        ];
        for (label, at) in instants {
            if let Some(at) = at {
                self.line(&format!("  {label}: {at}"));
            }
        }
        for (position, segment) in clock.segments.iter().enumerate() {
            self.segment(position + 1, segment);
        }
        if let Some(count) = &clock.day_count {
            self.day_count(clock.amount, count, zone);
        }
        if let Some(ahead) = &clock.ahead {
            self.ahead(ahead, zone);
        }
        self.sums(clock);
    }

    fn segment(&mut self, number: usize, segment: &SegmentExplanation) {
        let zone = segment.zone;
        let kind = match segment.running {
            true => self.say("Tính giờ", "Running"),
            false => self.say("Tạm dừng", "Paused"),
        };
        let mut notes = vec![self.reason(&segment.reason).to_owned()];
        notes.extend(segment.held.as_ref().map(|held| self.held(held)));
        if segment.carried {
            notes.push(self.say("của chu kỳ trước", "of the cycle before").to_owned());
        }
        if segment.open {
            notes.push(self.say("đang tiếp diễn", "still lasting").to_owned());
        }
        let heading = format!(
            "  {number}. {kind} {} – {} ({}): {}",
            moment(segment.from, zone),
            moment(segment.to, zone),
            notes.join("; "),
            duration(segment.business_seconds)
        );
        self.line(&heading);
        self.days(&segment.days, zone);
    }

    fn held(&self, held: &Held) -> String {
        let nobody = self.say("chưa có người nhận", "taken by nobody");
        let agent = held.agent.as_ref().map_or(nobody, |agent| &agent.name);
        format!("{} {}, {agent}", self.say("hàng đợi", "queue"), held.queue)
    }

    fn days(&mut self, days: &[Day], zone: Tz) {
        for day in days {
            let line = self.day(day, zone);
            self.line(&line);
        }
    }

    /// "Thứ Hai 29/04/2019: nghỉ (Ngày nghỉ hoán đổi; Công văn …)".
    fn day(&self, day: &Day, zone: Tz) -> String {
        let mut line = format!("     {} {}: ", self.weekday(day.date), date(day.date));
        let counted: Vec<&PieceOut> = day
            .pieces
            .iter()
            .filter(|piece| piece.skipped.is_none())
            .collect();
        let is_off = day
            .pieces
            .iter()
            .all(|piece| piece.skipped == Some(Skipped::DayOff));
        let about = self.about(day.day, day.exception.as_ref());
        if is_off {
            let off = self.say("nghỉ", "off");
            return match about {
                Some(about) => format!("{line}{off} ({about})"),
                None => format!("{line}{off}"),
            };
        }
        if let Some(about) = about {
            line.push_str(&format!("{about}; "));
        }
        let span = |piece: &PieceOut| {
            format!(
                "{}–{}",
                time_on(piece.from, day.date, zone),
                time_on(piece.to, day.date, zone)
            )
        };
        match counted.is_empty() {
            true => line.push_str(self.say("không có giờ nào được tính", "nothing counted")),
            false => {
                let spans: Vec<String> = counted.iter().map(|piece| span(piece)).collect();
                let _ = write!(line, "{} = {}", spans.join(", "), duration(day.business_seconds));
            }
        }
        let skipped: Vec<String> = (day.pieces.iter())
            .filter_map(|piece| Some((piece, piece.skipped?)))
            .map(|(piece, why)| format!("{} {}", span(piece), self.skipped(why, piece, zone)))
            .collect();
        if !skipped.is_empty() {
            let label = self.say("không tính", "not counted");
            let _ = write!(line, "; {label}: {}", skipped.join(", "));
        }
        line
    }

    /// What makes a date other than an ordinary working day.
    fn about(&self, kind: DayKind, exception: Option<&ExceptionOut>) -> Option<String> {
        let word = match kind {
            DayKind::WorkingDay | DayKind::ClosedDay => None,
            DayKind::MakeUpDay => Some(self.say("ngày làm bù", "make-up working day")),
            DayKind::ChangedHours => Some(self.say("giờ làm việc thay đổi", "changed hours")),
            DayKind::Weekend => Some(self.say("cuối tuần", "weekend")),
            DayKind::WeekdayWithoutHours => {
                Some(self.say("ngày không có giờ làm việc", "no working hours on this weekday"))
            }
            DayKind::NoHoursDecided => {
                Some(self.say("lịch chưa có giờ làm việc", "before the calendar's first hours"))
            }
        };
        let mut parts: Vec<String> = word.into_iter().map(str::to_owned).collect();
        if let Some(exception) = exception {
            let name = exception.name.as_ref().and_then(|name| name.either());
            parts.extend(name.map(|name| self.say(name.vi, name.en)));
            parts.extend(exception.legal_basis.clone());
            parts.extend(match exception.certainty {
                Some(Certainty::Projected) => Some(self.say("dự kiến", "projected").to_owned()),
                Some(Certainty::Uncertain) => Some(self.say("chưa chắc chắn", "uncertain").to_owned()),
                Some(Certainty::Confirmed) | None => None,
            });
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn skipped(&self, why: Skipped, piece: &PieceOut, zone: Tz) -> &'static str {
        // A break that holds noon, or begins with it, is lunch.
        let begins = zone.from_utc_datetime(&piece.from.naive_utc()).hour();
        match why {
            Skipped::BeforeOpening => self.say("trước giờ làm việc", "before opening"),
            Skipped::AfterClosing => self.say("sau giờ làm việc", "after closing"),
            Skipped::Break if (11..=13).contains(&begins) => self.say("nghỉ trưa", "lunch"),
            Skipped::Break => self.say("nghỉ giữa ca", "break"),
            Skipped::DayOff => self.say("nghỉ", "off"),
        }
    }

    fn day_count(&mut self, amount: Amount, count: &DayCount, zone: Tz) {
        let heading = self.say(
            format!(
                "  Cách đếm {} (Điều 147–148 Bộ luật Dân sự 2015), không tính ngày bắt đầu {}:",
                self.amount(amount),
                date(count.starts_on)
            ),
            format!(
                "  How {} are counted (Civil Code 2015, articles 147–148), the day of the start {} left out:",
                self.amount(amount),
                date(count.starts_on)
            ),
        );
        self.line(&heading);
        for step in &count.days {
            let line = self.step(amount, step);
            self.line(&line);
        }
        let end = end(count.due_without_pauses, zone);
        let moved = duration(count.moved_business_seconds);
        let result = match count.moved_business_seconds {
            0 => self.say(format!("     Kết thúc: {end}"), format!("     Ends: {end}")),
            _ => self.say(
                format!("     Kết thúc: {end}, lùi thêm {moved} giờ làm việc do tạm dừng"),
                format!("     Ends: {end}, moved by {moved} of business time in pauses"),
            ),
        };
        self.line(&result);
    }

    fn step(&self, amount: Amount, step: &Step) -> String {
        let day = format!("{} {}", self.weekday(step.date), date(step.date));
        let about = self.about(step.day, step.exception.as_ref());
        let noted = about
            .as_ref()
            .map(|about| format!(" ({about})"))
            .unwrap_or_default();
        match (step.number, amount) {
            (Some(number), _) => format!("     {day}: {} {number}{noted}", self.say("ngày thứ", "day")),
            (None, Amount::CalendarDays(_)) if about.is_none() || step.day == DayKind::MakeUpDay => {
                let next = self.say("ngày làm việc tiếp theo", "the next working day");
                format!("     {day}: {next}{noted}")
            }
            (None, _) => format!("     {day}: {}{noted}", self.say("không đếm", "not counted")),
        }
    }

    fn ahead(&mut self, ahead: &Ahead, zone: Tz) {
        let (to, left) = (end(ahead.to, zone), duration(ahead.business_seconds));
        let heading = self.say(
            format!("  Từ nay đến hạn {to} còn {left} giờ làm việc:"),
            format!("  From now until it is due, {to}, there are {left} of business time:"),
        );
        self.line(&heading);
        self.days(&ahead.days, zone);
    }

    fn sums(&mut self, clock: &ClockExplanation) {
        let sums = &clock.sums;
        let (consumed, target) = (sums.consumed_business_seconds, sums.target_business_seconds);
        let mut lines = vec![equation(self.say("Đã dùng", "Consumed"), &sums.running, consumed)];
        if !sums.paused.is_empty() {
            let label = self.say("Tạm dừng", "Paused");
            lines.push(equation(label, &sums.paused, sums.paused_business_seconds));
        }
        // Days are dates: what a clock in days consumed by the hours of another calendar is no part of this difference.
        let remaining = sums.remaining_business_seconds;
        if target - consumed == remaining {
            let label = self.say("Còn lại", "Remaining");
            lines.push(format!(
                "  {label}: {} − {} = {}",
                duration(target),
                duration(consumed),
                duration(remaining)
            ));
        } else if sums.over_business_seconds > 0 {
            let label = self.say("Vượt thời hạn", "Over the target");
            lines.push(format!(
                "  {label}: {} − {} = {}",
                duration(consumed),
                duration(target),
                duration(sums.over_business_seconds)
            ));
        } else {
            let label = self.say("Còn lại", "Remaining");
            lines.push(format!("  {label}: {}", duration(remaining)));
        }
        for line in lines {
            self.line(&line);
        }
    }

    fn target(&self, target: TargetKind) -> &'static str {
        match target {
            TargetKind::FirstResponse => self.say("Phản hồi đầu tiên", "First response"),
            TargetKind::NextResponse => self.say("Phản hồi tiếp theo", "Next response"),
            TargetKind::Resolution => self.say("Giải quyết", "Resolution"),
        }
    }

    fn state(&self, state: ClockState) -> &'static str {
        match state {
            ClockState::Running => self.say("đang tính giờ", "running"),
            ClockState::Paused => self.say("đang tạm dừng", "paused"),
            ClockState::Met => self.say("đúng hạn", "met"),
            ClockState::Breached => self.say("quá hạn", "breached"),
            ClockState::Stopped => self.say("đã dừng, không kết luận", "stopped without a verdict"),
        }
    }

    fn amount(&self, amount: Amount) -> String {
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        match amount {
            Amount::BusinessMinutes(minutes) => {
                let time = duration(i64::from(minutes) * 60);
                self.say(format!("{time} giờ làm việc"), format!("{time} of business time"))
            }
            Amount::BusinessDays(days) => self.say(
                format!("{days} ngày làm việc"),
                format!("{days} business day{}", plural(days)),
            ),
            Amount::CalendarDays(days) => self.say(
                format!("{days} ngày"),
                format!("{days} calendar day{}", plural(days)),
            ),
        }
    }

    /// Reasons are codes of ours; one that a later version writes is shown as it is.
    fn reason<'a>(&self, reason: &'a str) -> &'a str {
        match reason {
            "filed" => self.say("câu hỏi được gửi", "filed"),
            "claimed" => self.say("nhận xử lý", "claimed"),
            "assigned" => self.say("được giao", "assigned"),
            "released" => self.say("trả lại hàng đợi", "released"),
            "transferred" => self.say("chuyển hàng đợi", "transferred"),
            "waiting" => self.say("chờ người hỏi bổ sung", "waiting for the asker"),
            "resumed" => self.say("tiếp tục", "resumed"),
            "requester_replied" => self.say("người hỏi trả lời", "the asker replied"),
            "reopened" => self.say("mở lại", "reopened"),
            "retargeted" => self.say("thay đổi quy định áp dụng", "other terms"),
            "escalated" => self.say("nâng cấp xử lý", "escalated"),
            "processing" => self.say("đang xử lý", "being worked on"),
            "paused" => self.say("tạm dừng", "paused"),
            other => other,
        }
    }

    fn weekday(&self, date: NaiveDate) -> &'static str {
        let (vi, en) = match date.weekday() {
            chrono::Weekday::Mon => ("Thứ Hai", "Monday"),
            chrono::Weekday::Tue => ("Thứ Ba", "Tuesday"),
            chrono::Weekday::Wed => ("Thứ Tư", "Wednesday"),
            chrono::Weekday::Thu => ("Thứ Năm", "Thursday"),
            chrono::Weekday::Fri => ("Thứ Sáu", "Friday"),
            chrono::Weekday::Sat => ("Thứ Bảy", "Saturday"),
            chrono::Weekday::Sun => ("Chủ Nhật", "Sunday"),
        };
        self.say(vi, en)
    }
}

fn equation(label: &str, terms: &[i64], sum: i64) -> String {
    let shown: Vec<String> = terms.iter().map(|term| duration(*term)).collect();
    match terms.len() {
        0 | 1 => format!("  {label}: {}", duration(sum)),
        _ => format!("  {label}: {} = {}", shown.join(" + "), duration(sum)),
    }
}
