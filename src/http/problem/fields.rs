//! What is wrong with a field: its code for programs, and a text for a person in both languages.
use super::expectations::in_vietnamese;
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::error::FieldCode;
use crate::language::Language;
use crate::sla::SpecRule;

pub(super) fn code_of(code: &FieldCode) -> &'static str {
    match code {
        FieldCode::Required => "required",
        FieldCode::UnknownField => "unknown_field",
        FieldCode::WrongType { .. } => "wrong_type",
        FieldCode::TooShort { .. } => "too_short",
        FieldCode::TooLong { .. } => "too_long",
        FieldCode::ControlCharacter => "control_character",
        FieldCode::InvalidFormat { .. } => "invalid_format",
        FieldCode::UnknownCode => "unknown_code",
        FieldCode::OutOfRange { .. } => "out_of_range",
        FieldCode::Duplicate => "duplicate",
        FieldCode::NotAllowed => "not_allowed",
        FieldCode::InvalidCursor => "invalid_cursor",
        FieldCode::Domain { code, .. } | FieldCode::Clash { code, .. } => code.as_str(),
    }
}

/// What is wrong with a field, for a person.
pub fn field_detail(code: &FieldCode, language: Language) -> String {
    let say = |vi: String, en: String| language.choose(vi, en);
    match code {
        FieldCode::Required => say("Bắt buộc phải có.".into(), "This is required.".into()),
        FieldCode::UnknownField => say("Trường này không có.".into(), "There is no such field.".into()),
        FieldCode::WrongType { expected } => say(
            format!("Sai kiểu; cần: {}.", in_vietnamese(expected)),
            format!("Wrong type; expected {expected}."),
        ),
        FieldCode::TooShort { min } => say(
            format!("Quá ngắn; ít nhất {min}."),
            format!("Too short; at least {min}."),
        ),
        FieldCode::TooLong { max } => say(
            format!("Quá dài; nhiều nhất {max}."),
            format!("Too long; at most {max}."),
        ),
        FieldCode::ControlCharacter => say(
            "Có ký tự điều khiển hoặc mã không phải ký tự.".into(),
            "It holds a control character or a noncharacter.".into(),
        ),
        FieldCode::InvalidFormat { expected } => say(
            format!("Sai định dạng; cần: {}.", in_vietnamese(expected)),
            format!("Wrong format; expected {expected}."),
        ),
        FieldCode::UnknownCode => say("Không có mã này.".into(), "There is nothing by this code.".into()),
        FieldCode::OutOfRange { expected } => say(
            format!("Ngoài phạm vi; cần: {}.", in_vietnamese(expected)),
            format!("Out of range; expected {expected}."),
        ),
        FieldCode::Duplicate => say("Bị trùng.".into(), "It stands there twice or is taken.".into()),
        FieldCode::NotAllowed => say("Không được dùng ở đây.".into(), "It is not allowed here.".into()),
        FieldCode::InvalidCursor => say(
            "Con trỏ trang không hợp lệ hoặc thuộc về câu hỏi khác; hãy bắt đầu lại từ trang đầu.".into(),
            "The cursor is not valid or belongs to another question; start again from the first page.".into(),
        ),
        FieldCode::Domain { code, text } => say(rule_vi(*code).to_owned(), text.clone()),
        FieldCode::Clash { code, text, with } => {
            let vi = rule_vi(*code).trim_end_matches('.');
            say(format!("{vi}: {with}."), format!("{text}: {with}"))
        }
    }
}

/// What the domain refuses, in Vietnamese; in English its checks say it themselves, where some add with what it clashes. The
/// pointer says where.
fn rule_vi(rule: BrokenRule) -> &'static str {
    match rule {
        BrokenRule::Spec(rule) => spec_rule_vi(rule),
        BrokenRule::House(rule) => house_rule_vi(rule),
    }
}

fn spec_rule_vi(rule: SpecRule) -> &'static str {
    use SpecRule as R;
    match rule {
        R::UnknownTimeZone => "Không phải tên múi giờ IANA, ví dụ Asia/Ho_Chi_Minh.",
        R::NoPattern => "Lịch phải có ít nhất một mẫu tuần làm việc.",
        R::NoWorkingTime => "Mẫu tuần mới nhất không có giờ làm việc nào, nên không thể tính thời hạn.",
        R::DuplicateValidFrom => "Đã có mẫu tuần khác bắt đầu từ ngày này.",
        R::DuplicateDate => "Đã có ngoại lệ khác cho ngày này.",
        R::BadDate => "Ngày phải có dạng YYYY-MM-DD, trong các năm từ 1900 đến 2199.",
        R::BadTime => {
            "Giờ phải có dạng HH:MM hoặc HH:MM:SS; giờ mở từ 00:00 đến 23:59:59, giờ đóng từ 00:00 đến 24:00."
        }
        R::EmptyInterval => {
            "Giờ mở và giờ đóng trùng nhau; cả ngày là 00:00 đến 24:00, ngày nghỉ là danh sách trống."
        }
        R::OverlappingIntervals => "Khoảng giờ này chồng lên khoảng khác trong cùng ngày.",
        R::TooManyIntervals => "Quá nhiều khoảng giờ trong một ngày.",
        R::ZeroAmount => "Thời hạn phải lớn hơn 0; nếu không có thời hạn thì bỏ mục này.",
        R::AmountTooLarge => "Thời hạn quá dài.",
        R::BadPercent => "Tỷ lệ phải từ 1 đến 99.",
        R::BadCloseAfter => "Số ngày làm việc trước khi kết thúc nằm ngoài phạm vi cho phép.",
        R::NoTarget => "Cần ít nhất một thời hạn cho một mức ưu tiên.",
        R::EmptyCondition => "Danh sách điều kiện trống; nếu không có điều kiện thì bỏ mục này.",
        R::TooManyValues => "Quá nhiều giá trị trong một điều kiện.",
        R::BadValue => "Giá trị phải có từ 1 đến 100 ký tự.",
        R::DuplicateValue => "Giá trị này đã có trong danh sách.",
        R::NeverRuns => "Đồng hồ tạm dừng ở mọi trạng thái thì không bao giờ chạy.",
        R::MissingTarget => "Chính sách không có loại thời hạn này.",
        R::PercentOnBreach => "Quá hạn luôn ở mức 100%, không ghi tỷ lệ.",
        R::UnknownPercent => "Tỷ lệ này không có trong warn_at_percent.",
        R::NoWarning => "Chính sách không có mức cảnh báo nào.",
        R::EmptyEscalation => "Bước nâng cấp này không báo cho ai và không thay đổi gì.",
        R::DuplicateEscalation => "Đã có bước nâng cấp khác ở cùng thời điểm; hãy gộp vào một bước.",
        R::TooOften => "Khoảng cách giữa hai lần báo phải ít nhất một ngày làm việc (480 phút).",
    }
}

fn house_rule_vi(rule: HouseRule) -> &'static str {
    use HouseRule as R;
    match rule {
        R::TooLittleWorkingTime => "Trong mười năm lịch không có đủ giờ làm việc cho thời hạn này.",
        // Rules of imported files, where the pointer names the line.
        R::BadEncoding => "Tệp phải được mã hóa UTF-8.",
        R::BadLine => "Không đọc được dòng này.",
        R::NotIcalendar => "Tệp iCalendar phải bắt đầu bằng BEGIN:VCALENDAR.",
        R::BadEvent => "Sự kiện thiếu ngày, lặp thuộc tính hoặc kết thúc trước khi bắt đầu.",
        R::TimedEvent => "Chỉ nhận sự kiện cả ngày; sự kiện này có giờ.",
        R::UnsupportedRecurrence => "Chỉ nhận lặp lại hằng năm (FREQ=YEARLY) vào một ngày.",
        R::TooManyEvents => "Tệp có quá nhiều sự kiện.",
        R::TooManyDays => "Quá nhiều ngày.",
        R::ConflictingDay => "Ngày này đã có ở dòng khác với nội dung khác.",
        R::BadIntervals => {
            "Giờ làm việc phải có dạng 08:00-12:00,13:30-17:30 hoặc off, và phù hợp với loại ngày."
        }
        R::UnknownValue => "Giá trị này không có trong danh sách cho phép.",
        R::UnknownColumn => "Tên cột không có trong danh sách hoặc bị lặp.",
        R::MissingColumn => "Thiếu dòng tiêu đề hoặc cột `date`.",
        R::TextTooLong => "Văn bản quá dài.",
        R::ControlCharacter => "Không được có ký tự điều khiển.",
        R::ImpossibleChange => {
            "Không thể xảy ra ở thời điểm này: trạng thái của câu hỏi khi đó không cho phép."
        }
        R::PrecedenceTaken => "Thứ tự ưu tiên này đã thuộc về chính sách khác.",
        R::DefaultHasConditions => "Chính sách mặc định nhận mọi câu hỏi nên không có điều kiện.",
        R::MatchesNothing => "Sẽ có chính sách không bao giờ nhận được câu hỏi nào.",
        R::EscalationCycle => "Các bước nâng cấp chuyển câu hỏi vòng về hàng đợi cũ.",
        R::OverlappingPeriod => "Cơ quan đã có thỏa thuận khác trong thời gian này.",
        R::BadPeriod => "Ngày cuối phải không sớm hơn ngày đầu và không muộn hơn ngày cuối hiện tại.",
        // Rules of custom fields.
        R::UnknownChoice => "Không có lựa chọn này.",
        R::PatternMismatch => "Không đúng mẫu được yêu cầu.",
        R::NotForType => "Loại trường này không có thuộc tính này.",
        R::BadRange => "Giá trị lớn nhất nhỏ hơn giá trị nhỏ nhất.",
        R::BadPattern => {
            "Không phải biểu thức chính quy mà mọi chương trình hiểu như nhau; chỉ dùng phần chung nêu trong docs/CUSTOM-FIELDS.md."
        }
        R::NoChoices => "Trường lựa chọn phải có ít nhất một lựa chọn.",
        R::TicketsFiled => {
            "Cơ quan đã gửi câu hỏi trong thời gian này; thời hạn của chúng không đổi ngược về trước."
        }
        // Rules of passwords and of the codes of a second factor.
        R::OwnName => "Mật khẩu chỉ gồm tên hoặc địa chỉ của chính người dùng.",
        R::CommonPassword => "Đây là một trong những mật khẩu mà người khác thử đầu tiên.",
        R::WrongSecret => "Không đúng.",
        // Rules of organisations.
        R::BadCode => {
            "Mã gồm 1 đến 40 chữ cái không dấu, chữ số và `-`, chia nhóm bằng một dấu chấm, mỗi nhóm bắt đầu và kết thúc bằng chữ hoặc số; không phải UUID, `import` hay `export.csv`."
        }
        R::ParentCycle => "Cơ quan sẽ trở thành một bộ phận của chính mình.",
        R::SuccessionCycle => "Chuỗi cơ quan kế thừa sẽ quay về chính cơ quan này.",
        R::SuccessionWithoutEnd => {
            "Cơ quan đã có cơ quan kế thừa thì phải có ngày cuối; muốn bỏ thì bỏ cả hai cùng lúc."
        }
        R::SuccessorNotAlive => "Cơ quan kế thừa không tồn tại vào ngày liền sau ngày cuối.",
        R::BeforePredecessor => "Một cơ quan tiền thân kết thúc đúng ngày này hoặc muộn hơn.",
        R::EndsBeforeItBegins => "Ngày cuối sớm hơn ngày đầu.",
        R::EmptyName => "Thiếu tên tiếng Việt.",
        R::DuplicateCode => "Mã này đã có ở dòng khác.",
        R::UnknownOrganisation => "Không có cơ quan nào mang mã này.",
        R::MissingHeader => "Thiếu dòng tiêu đề hoặc một cột bắt buộc.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_code_of_its_own_and_a_vietnamese_text() {
        let spec = SpecRule::ALL.iter().copied().map(BrokenRule::Spec);
        let house = HouseRule::ALL.iter().copied().map(BrokenRule::House);
        let mut codes = std::collections::BTreeSet::new();
        for rule in spec.chain(house) {
            assert!(codes.insert(rule.as_str()), "{rule:?}");
            let text = rule_vi(rule);
            assert!(!text.is_ascii() && text.ends_with('.'), "{rule:?}: {text}");
        }
    }
}
