//! RFC 9457 problems: the one table from error to status, type and text, in the caller's language.
//!
//! `Error` answers with a draft that carries itself; `context` renders the draft, because only there the language and
//! the request id are known. So every failure leaves in the same form, the framework's own included.
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::attachments::sniff::Refusal;
use crate::error::{Conflict, Error, FieldCode, FieldError, Place, Resource, SignOnRefusal};
use crate::language::Language;

/// What a failure tells the caller.
struct Kind {
    code: &'static str,
    status: StatusCode,
    title_vi: &'static str,
    title_en: &'static str,
}

const fn kind(
    code: &'static str,
    status: StatusCode,
    title_vi: &'static str,
    title_en: &'static str,
) -> Kind {
    Kind {
        code,
        status,
        title_vi,
        title_en,
    }
}

/// The table. `openapi.yaml` lists the same codes.
fn kind_of(error: &Error) -> Kind {
    use StatusCode as S;
    match error {
        Error::Malformed { .. } => kind(
            "malformed-request",
            S::BAD_REQUEST,
            "Yêu cầu sai định dạng",
            "Malformed request",
        ),
        Error::Unauthenticated => kind(
            "unauthenticated",
            S::UNAUTHORIZED,
            "Chưa xác thực",
            "Not authenticated",
        ),
        Error::LoginFailed => kind(
            "login-failed",
            S::UNAUTHORIZED,
            "Đăng nhập không thành công",
            "Login failed",
        ),
        Error::SecondFactorRequired => kind(
            "second-factor-required",
            S::UNAUTHORIZED,
            "Cần mã xác thực thứ hai",
            "Second factor required",
        ),
        Error::TooManyAttempts { .. } => kind(
            "too-many-attempts",
            S::TOO_MANY_REQUESTS,
            "Quá nhiều lần thử",
            "Too many attempts",
        ),
        Error::Forbidden => kind("forbidden", S::FORBIDDEN, "Không được phép", "Not permitted"),
        Error::SignOn(refusal) if is_forbidden(*refusal) => kind(
            "sign-on-forbidden",
            S::FORBIDDEN,
            "Không được phép đăng nhập",
            "Login not permitted",
        ),
        Error::SignOn(_) => kind(
            "sign-on-failed",
            S::UNAUTHORIZED,
            "Đăng nhập không thành công",
            "Login failed",
        ),
        Error::NotFound(_) => kind("not-found", S::NOT_FOUND, "Không tìm thấy", "Not found"),
        Error::MethodNotAllowed { .. } => kind(
            "method-not-allowed",
            S::METHOD_NOT_ALLOWED,
            "Phương thức không được hỗ trợ",
            "Method not allowed",
        ),
        Error::Conflict(_) => kind("conflict", S::CONFLICT, "Xung đột dữ liệu", "Conflict"),
        Error::WrongTransition { .. } => kind(
            "wrong-transition",
            S::CONFLICT,
            "Thao tác không phù hợp trạng thái",
            "Wrong transition",
        ),
        Error::RolledBack => kind(
            "rolled-back",
            S::FAILED_DEPENDENCY,
            "Không được thực hiện",
            "Not carried out",
        ),
        Error::InProgress => kind(
            "request-in-progress",
            S::CONFLICT,
            "Yêu cầu đang được xử lý",
            "Request in progress",
        ),
        Error::PreconditionFailed => kind(
            "precondition-failed",
            S::PRECONDITION_FAILED,
            "Dữ liệu đã thay đổi",
            "Precondition failed",
        ),
        Error::PreconditionRequired => kind(
            "precondition-required",
            S::PRECONDITION_REQUIRED,
            "Thiếu If-Match",
            "Precondition required",
        ),
        Error::BodyTooLarge { .. } => kind(
            "body-too-large",
            S::PAYLOAD_TOO_LARGE,
            "Nội dung quá lớn",
            "Body too large",
        ),
        Error::HeadTooLarge { .. } => kind(
            "head-too-large",
            S::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "Tiêu đề yêu cầu quá lớn",
            "Request head too large",
        ),
        Error::AddressTooLong { .. } => kind(
            "address-too-long",
            S::URI_TOO_LONG,
            "Địa chỉ quá dài",
            "Address too long",
        ),
        Error::TooManyRequests { .. } => kind(
            "too-many-requests",
            S::TOO_MANY_REQUESTS,
            "Quá nhiều yêu cầu",
            "Too many requests",
        ),
        Error::UnsupportedMediaType { .. } => kind(
            "unsupported-media-type",
            S::UNSUPPORTED_MEDIA_TYPE,
            "Kiểu nội dung không được hỗ trợ",
            "Unsupported media type",
        ),
        Error::AttachmentType(_) => kind(
            "attachment-type",
            S::UNSUPPORTED_MEDIA_TYPE,
            "Loại tệp không được nhận",
            "File type not taken",
        ),
        Error::RangeNotSatisfiable { .. } => kind(
            "range-not-satisfiable",
            S::RANGE_NOT_SATISFIABLE,
            "Không có đoạn này",
            "Range not satisfiable",
        ),
        Error::ContentMissing => kind(
            "content-missing",
            S::GONE,
            "Nội dung tệp không còn",
            "Content missing",
        ),
        Error::Invalid(_) => kind(
            "invalid-input",
            S::UNPROCESSABLE_ENTITY,
            "Dữ liệu không hợp lệ",
            "Invalid input",
        ),
        Error::IdempotencyKeyReused => kind(
            "idempotency-key-reused",
            S::UNPROCESSABLE_ENTITY,
            "Khóa chống lặp đã dùng cho yêu cầu khác",
            "Idempotency key reused",
        ),
        Error::OutcomeUnknown { .. } => kind(
            "outcome-unknown",
            S::SERVICE_UNAVAILABLE,
            "Không rõ kết quả",
            "Outcome unknown",
        ),
        Error::Unavailable { .. } | Error::TransactionLost { .. } => kind(
            "unavailable",
            S::SERVICE_UNAVAILABLE,
            "Tạm thời không phục vụ được",
            "Service unavailable",
        ),
        Error::Internal { .. } | Error::NothingToCommit => kind(
            "internal",
            S::INTERNAL_SERVER_ERROR,
            "Lỗi nội bộ",
            "Internal error",
        ),
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<WireFieldError>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_operations: Option<&'a [&'static str]>,
}

#[derive(Serialize)]
struct WireFieldError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    code: &'static str,
    detail: String,
}

/// The body of a problem.
pub fn render(error: &Error, language: Language, request_id: &str) -> String {
    let kind = kind_of(error);
    let problem = Problem {
        r#type: format!("urn:giaidap:problem:{}", kind.code),
        title: language.choose(kind.title_vi, kind.title_en),
        status: kind.status.as_u16(),
        detail: detail(error, language),
        request_id,
        errors: match error {
            Error::Invalid(fields) => Some(fields.iter().map(|field| wire_field(field, language)).collect()),
            _ => None,
        },
        possible_operations: match error {
            Error::WrongTransition { possible, .. } => Some(possible),
            _ => None,
        },
    };
    serde_json::to_string(&problem).unwrap_or_default()
}

/// The status, and what is wrong in words, one text for each field, for other forms than problem+json.
pub fn describe(error: &Error, language: Language) -> (StatusCode, Vec<String>) {
    let texts = match error {
        Error::Invalid(fields) => fields
            .iter()
            .map(|field| {
                let place = match &field.place {
                    Place::Pointer(name) | Place::Parameter(name) => name,
                };
                format!("{place}: {}", field_detail(&field.code, language))
            })
            .collect(),
        _ => vec![detail(error, language)],
    };
    (kind_of(error).status, texts)
}

/// In how many seconds the same request may do better, where it may.
pub fn retry_after(error: &Error) -> Option<u64> {
    match error {
        Error::TooManyAttempts { retry_after } => Some(*retry_after),
        Error::TooManyRequests { retry_after_seconds } => Some(*retry_after_seconds),
        Error::InProgress => Some(1),
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::TransactionLost { .. } => Some(2),
        _ => None,
    }
}

fn wire_field(field: &FieldError, language: Language) -> WireFieldError {
    let (pointer, parameter) = match &field.place {
        Place::Pointer(pointer) => (Some(pointer.clone()), None),
        Place::Parameter(name) => (None, Some(name.clone())),
    };
    WireFieldError {
        pointer,
        parameter,
        code: code_of(&field.code),
        detail: field_detail(&field.code, language),
    }
}

fn code_of(code: &FieldCode) -> &'static str {
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
        FieldCode::Domain { code, .. } | FieldCode::Clash { code, .. } => code,
    }
}

/// What is wrong with a field, for a person.
pub fn field_detail(code: &FieldCode, language: Language) -> String {
    let say = |vi: String, en: String| language.choose(vi, en);
    match code {
        FieldCode::Required => say("Bắt buộc phải có.".into(), "This is required.".into()),
        FieldCode::UnknownField => say("Trường này không có.".into(), "There is no such field.".into()),
        FieldCode::WrongType { expected } => say(
            format!("Sai kiểu; cần: {expected}."),
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
            format!("Sai định dạng; cần: {expected}."),
            format!("Wrong format; expected {expected}."),
        ),
        FieldCode::UnknownCode => say("Không có mã này.".into(), "There is nothing by this code.".into()),
        FieldCode::OutOfRange { expected } => say(
            format!("Ngoài phạm vi; cần: {expected}."),
            format!("Out of range; expected {expected}."),
        ),
        FieldCode::Duplicate => say("Bị trùng.".into(), "It stands there twice or is taken.".into()),
        FieldCode::NotAllowed => say("Không được dùng ở đây.".into(), "It is not allowed here.".into()),
        FieldCode::InvalidCursor => say(
            "Con trỏ trang không hợp lệ hoặc thuộc về câu hỏi khác; hãy bắt đầu lại từ trang đầu.".into(),
            "The cursor is not valid or belongs to another question; start again from the first page.".into(),
        ),
        FieldCode::Domain { code, text } => match domain_text_vi(code) {
            Some(vi) => language.choose(vi.to_owned(), text.clone()),
            None => text.clone(),
        },
        FieldCode::Clash { code, text, with } => {
            let vi = domain_text_vi(code).unwrap_or(text).trim_end_matches('.');
            say(format!("{vi}: {with}."), format!("{text}: {with}"))
        }
    }
}

/// What the checks of calendars and policies refuse, in Vietnamese; they say it themselves in English, where some add
/// with what it clashes. The pointer says where.
fn domain_text_vi(code: &str) -> Option<&'static str> {
    Some(match code {
        "unknown_time_zone" => "Không phải tên múi giờ IANA, ví dụ Asia/Ho_Chi_Minh.",
        "no_pattern" => "Lịch phải có ít nhất một mẫu tuần làm việc.",
        "no_working_time" => "Mẫu tuần mới nhất không có giờ làm việc nào, nên không thể tính thời hạn.",
        "too_little_working_time" => "Trong mười năm lịch không có đủ giờ làm việc cho thời hạn này.",
        "duplicate_valid_from" => "Đã có mẫu tuần khác bắt đầu từ ngày này.",
        "duplicate_date" => "Đã có ngoại lệ khác cho ngày này.",
        "bad_date" => "Ngày phải có dạng YYYY-MM-DD, trong các năm từ 1900 đến 2199.",
        "bad_time" => {
            "Giờ phải có dạng HH:MM hoặc HH:MM:SS; giờ mở từ 00:00 đến 23:59:59, giờ đóng từ 00:00 đến 24:00."
        }
        "empty_interval" => {
            "Giờ mở và giờ đóng trùng nhau; cả ngày là 00:00 đến 24:00, ngày nghỉ là danh sách trống."
        }
        "overlapping_intervals" => "Khoảng giờ này chồng lên khoảng khác trong cùng ngày.",
        "too_many_intervals" => "Quá nhiều khoảng giờ trong một ngày.",
        "zero_amount" => "Thời hạn phải lớn hơn 0; nếu không có thời hạn thì bỏ mục này.",
        "amount_too_large" => "Thời hạn quá dài.",
        // Of files; the pointer names the line.
        "bad_encoding" => "Tệp phải được mã hóa UTF-8.",
        "bad_line" => "Không đọc được dòng này.",
        "not_icalendar" => "Tệp iCalendar phải bắt đầu bằng BEGIN:VCALENDAR.",
        "bad_event" => "Sự kiện thiếu ngày, lặp thuộc tính hoặc kết thúc trước khi bắt đầu.",
        "timed_event" => "Chỉ nhận sự kiện cả ngày; sự kiện này có giờ.",
        "unsupported_recurrence" => "Chỉ nhận lặp lại hằng năm (FREQ=YEARLY) vào một ngày.",
        "too_many_events" => "Tệp có quá nhiều sự kiện.",
        "too_many_days" => "Quá nhiều ngày.",
        "conflicting_day" => "Ngày này đã có ở dòng khác với nội dung khác.",
        "bad_intervals" => {
            "Giờ làm việc phải có dạng 08:00-12:00,13:30-17:30 hoặc off, và phù hợp với loại ngày."
        }
        "unknown_value" => "Giá trị này không có trong danh sách cho phép.",
        "unknown_column" => "Tên cột không có trong danh sách hoặc bị lặp.",
        "missing_column" => "Thiếu dòng tiêu đề hoặc cột `date`.",
        "text_too_long" => "Văn bản quá dài.",
        "control_character" => "Không được có ký tự điều khiển.",
        "bad_percent" => "Tỷ lệ phải từ 1 đến 99.",
        "bad_close_after" => "Số ngày làm việc trước khi kết thúc nằm ngoài phạm vi cho phép.",
        "impossible_change" => {
            "Không thể xảy ra ở thời điểm này: trạng thái của câu hỏi khi đó không cho phép."
        }
        "no_target" => "Cần ít nhất một thời hạn cho một mức ưu tiên.",
        "empty_condition" => "Danh sách điều kiện trống; nếu không có điều kiện thì bỏ mục này.",
        "too_many_values" => "Quá nhiều giá trị trong một điều kiện.",
        "bad_value" => "Giá trị phải có từ 1 đến 100 ký tự.",
        "duplicate_value" => "Giá trị này đã có trong danh sách.",
        "never_runs" => "Đồng hồ tạm dừng ở mọi trạng thái thì không bao giờ chạy.",
        "missing_target" => "Chính sách không có loại thời hạn này.",
        "percent_on_breach" => "Quá hạn luôn ở mức 100%, không ghi tỷ lệ.",
        "unknown_percent" => "Tỷ lệ này không có trong warn_at_percent.",
        "no_warning" => "Chính sách không có mức cảnh báo nào.",
        "empty_escalation" => "Bước nâng cấp này không báo cho ai và không thay đổi gì.",
        "duplicate_escalation" => "Đã có bước nâng cấp khác ở cùng thời điểm; hãy gộp vào một bước.",
        "too_often" => "Khoảng cách giữa hai lần báo phải ít nhất một ngày làm việc (480 phút).",
        "precedence_taken" => "Thứ tự ưu tiên này đã thuộc về chính sách khác.",
        "default_has_conditions" => "Chính sách mặc định nhận mọi câu hỏi nên không có điều kiện.",
        "matches_nothing" => "Sẽ có chính sách không bao giờ nhận được câu hỏi nào.",
        "escalation_cycle" => "Các bước nâng cấp chuyển câu hỏi vòng về hàng đợi cũ.",
        "overlapping_period" => "Cơ quan đã có thỏa thuận khác trong thời gian này.",
        "bad_period" => "Ngày cuối phải không sớm hơn ngày đầu và không muộn hơn ngày cuối hiện tại.",
        // Of custom fields.
        "unknown_choice" => "Không có lựa chọn này.",
        "pattern_mismatch" => "Không đúng mẫu được yêu cầu.",
        "not_for_type" => "Loại trường này không có thuộc tính này.",
        "bad_range" => "Giá trị lớn nhất nhỏ hơn giá trị nhỏ nhất.",
        "bad_pattern" => "Không phải biểu thức chính quy hợp lệ.",
        "no_choices" => "Trường lựa chọn phải có ít nhất một lựa chọn.",
        "tickets_filed" => {
            "Cơ quan đã gửi câu hỏi trong thời gian này; thời hạn của chúng không đổi ngược về trước."
        }
        // Of passwords and codes.
        "own_name" => "Mật khẩu chỉ gồm tên hoặc địa chỉ của chính người dùng.",
        "common_password" => "Đây là một trong những mật khẩu mà người khác thử đầu tiên.",
        "wrong_secret" => "Không đúng.",
        _ => return None,
    })
}

fn detail(error: &Error, language: Language) -> String {
    match error {
        Error::Malformed { reason } => language.choose(
            format!("Không đọc được nội dung: {reason}."),
            format!("The body cannot be read: {reason}."),
        ),
        Error::WrongTransition {
            operation,
            state,
            possible,
        } => {
            let list = if possible.is_empty() {
                "-".to_owned()
            } else {
                possible.join(", ")
            };
            language.choose(
                format!("Không thể `{operation}` khi câu hỏi ở trạng thái `{state}`. Có thể: {list}."),
                format!("`{operation}` is not possible while the ticket is `{state}`. Possible: {list}."),
            )
        }
        Error::BodyTooLarge { limit } => language.choose(
            format!("Nội dung vượt quá {limit} byte."),
            format!("The body is larger than {limit} bytes."),
        ),
        Error::HeadTooLarge { limit } => language.choose(
            format!("Dòng yêu cầu và các tiêu đề vượt quá {limit} byte."),
            format!("The request line and headers are larger than {limit} bytes."),
        ),
        Error::AddressTooLong { limit } => language.choose(
            format!("Đường dẫn và truy vấn vượt quá {limit} byte."),
            format!("Path and query are longer than {limit} bytes."),
        ),
        Error::TooManyRequests { retry_after_seconds } => language.choose(
            format!("Đã vượt số yêu cầu cho phép mỗi phút; hãy thử lại sau {retry_after_seconds} giây."),
            format!("More requests than permitted in a minute; try again in {retry_after_seconds} s."),
        ),
        Error::UnsupportedMediaType { expected } => language.choose(
            format!("Nội dung phải là {expected}, mã hóa UTF-8."),
            format!("The body must be {expected} in UTF-8."),
        ),
        Error::MethodNotAllowed { allowed } => language.choose(
            format!("Chỉ hỗ trợ: {allowed}."),
            format!("Supported here: {allowed}."),
        ),
        Error::SignOn(refusal) => sign_on_detail(*refusal, language),
        other => plain_detail(other, language).to_owned(),
    }
}

/// Who somebody is, is known; they may not come in.
fn is_forbidden(refusal: SignOnRefusal) -> bool {
    matches!(
        refusal,
        SignOnRefusal::Denied | SignOnRefusal::UnknownPerson | SignOnRefusal::NoRole
    )
}

fn sign_on_detail(refusal: SignOnRefusal, language: Language) -> String {
    let (vi, en) = match refusal {
        SignOnRefusal::UnknownLogin => (
            "Lần đăng nhập này không có, đã hết hạn, đã dùng, hoặc bắt đầu ở trình duyệt khác; hãy đăng nhập lại.",
            "This login is unknown, over, used already, or was begun in another browser; begin again.",
        ),
        SignOnRefusal::Provider(error) => {
            return language.choose(
                format!("Hệ thống xác thực báo lỗi: {error}. Hãy đăng nhập lại."),
                format!("The identity provider says: {error}. Begin again."),
            );
        }
        SignOnRefusal::Denied => (
            "Hệ thống xác thực từ chối đăng nhập (access_denied).",
            "The identity provider refused the login (access_denied).",
        ),
        SignOnRefusal::Unproven => (
            "Không kiểm chứng được trả lời của hệ thống xác thực; hãy đăng nhập lại.",
            "What the identity provider answered could not be verified; begin again.",
        ),
        SignOnRefusal::UnknownPerson => (
            "Người này không có tài khoản đang hoạt động ở đây.",
            "This person has no active account here.",
        ),
        SignOnRefusal::NoRole => (
            "Hệ thống xác thực không cho người này vai trò nào ở đây.",
            "The identity provider gives this person no role here.",
        ),
    };
    language.choose(vi, en).to_owned()
}

fn plain_detail(error: &Error, language: Language) -> &'static str {
    let (vi, en) = match error {
        Error::Unauthenticated => (
            "Cần tiêu đề `Authorization: Bearer …` với khóa hoặc mã truy cập còn hiệu lực.",
            "Send `Authorization: Bearer …` with a valid key or token.",
        ),
        Error::LoginFailed => (
            "Địa chỉ, mật khẩu hoặc mã xác thực không đúng.",
            "The address, the password or the code is not right.",
        ),
        Error::SecondFactorRequired => (
            "Hãy gửi lại cùng mã của ứng dụng xác thực, hoặc một mã khôi phục, trong `code`.",
            "Send it again with the code of your authenticator program, or a recovery code, as `code`.",
        ),
        Error::TooManyAttempts { .. } => (
            "Đã có quá nhiều lần thử không đúng; hãy chờ hết thời gian trong Retry-After.",
            "Too many attempts failed; wait as long as Retry-After says.",
        ),
        Error::Forbidden => (
            "Tài khoản này không có quyền thực hiện.",
            "This account may not do that.",
        ),
        Error::NotFound(resource) => not_found_detail(*resource),
        Error::Conflict(conflict) => conflict_detail(*conflict),
        Error::AttachmentType(refusal) => refusal_detail(*refusal),
        Error::RangeNotSatisfiable { .. } => (
            "Đoạn được yêu cầu nằm ngoài tệp; xem Content-Range.",
            "The range that was asked for lies outside the file; see Content-Range.",
        ),
        Error::ContentMissing => (
            "Nội dung của tệp đính kèm này không còn trong kho; quản trị viên đã được báo.",
            "The content of this attachment is not in the store any more; the operators have been told.",
        ),
        Error::RolledBack => (
            "Một mục khác của yêu cầu không thực hiện được nên mục này cũng không được thực hiện; chưa có gì được ghi.",
            "Another item of the request failed, so this one was not carried out either; nothing was written.",
        ),
        Error::InProgress => (
            "Một yêu cầu với cùng khóa chống lặp đang được xử lý; hãy thử lại sau giây lát.",
            "A request with the same idempotency key is still running; try again in a moment.",
        ),
        Error::PreconditionFailed => (
            "Phiên bản trong If-Match không còn là phiên bản hiện tại; hãy đọc lại rồi thử lại.",
            "The version in If-Match is not the present one; read again, then repeat.",
        ),
        Error::PreconditionRequired => (
            "Hãy đọc dữ liệu, rồi gửi ETag của nó trong If-Match.",
            "Read it first, then send its ETag in If-Match.",
        ),
        Error::Invalid(_) => (
            "Một số trường không hợp lệ; xem `errors`.",
            "Some fields are not valid; see `errors`.",
        ),
        Error::IdempotencyKeyReused => (
            "Khóa này đã dùng cho một yêu cầu khác trong 24 giờ qua.",
            "This key was used for another request within the last 24 hours.",
        ),
        Error::OutcomeUnknown { .. } => (
            "Không rõ yêu cầu đã được thực hiện hay chưa; hãy gửi lại với cùng Idempotency-Key, hoặc đọc lại trước khi gửi.",
            "It is not known whether the request was carried out; repeat it with the same Idempotency-Key, or read first.",
        ),
        Error::Unavailable { .. } | Error::TransactionLost { .. } => (
            "Hệ thống đang bận hoặc đang khởi động lại; hãy thử lại sau giây lát. Chưa có gì được ghi.",
            "The service is busy or restarting; try again in a moment. Nothing was written.",
        ),
        _ => (
            "Đã xảy ra lỗi ngoài dự kiến; khi liên hệ, hãy nêu `request_id`.",
            "Something unexpected happened; quote the `request_id` when you report it.",
        ),
    };
    language.choose(vi, en)
}

fn refusal_detail(refusal: Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::NotTaken => (
            "Loại tệp này không được nhận ở đây.",
            "Files of this type are not taken here.",
        ),
        Refusal::Runs => (
            "Không nhận chương trình, mã lệnh, macro, HTML hoặc SVG.",
            "Programs, scripts, macros, HTML and SVG are not taken.",
        ),
        Refusal::Contradiction => (
            "Nội dung tệp không đúng với phần mở rộng của tên tệp.",
            "The content is not what the name says.",
        ),
        Refusal::NotText => (
            "Tệp văn bản phải mã hóa UTF-8 và không có ký tự điều khiển.",
            "A text must be UTF-8 and without control characters.",
        ),
    }
}

fn not_found_detail(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::Ticket => ("Không có câu hỏi này.", "There is no such ticket."),
        Resource::Organisation => ("Không có cơ quan này.", "There is no such organisation."),
        Resource::Topic => ("Không có chủ đề này.", "There is no such topic."),
        Resource::Queue => ("Không có hàng đợi này.", "There is no such queue."),
        Resource::Calendar => ("Không có lịch này.", "There is no such calendar."),
        Resource::CalendarVersion => (
            "Lịch không có phiên bản này.",
            "The calendar has no such version.",
        ),
        Resource::Policy => ("Không có chính sách này.", "There is no such policy."),
        Resource::PolicyVersion => (
            "Không có phiên bản này của chính sách.",
            "The policy has no such version.",
        ),
        Resource::Agreement => ("Không có thỏa thuận này.", "There is no such agreement."),
        Resource::OperationalTarget => (
            "Hàng đợi này chưa có thời hạn nội bộ.",
            "This queue has no operational target yet.",
        ),
        Resource::Delivery => ("Không có thư này.", "There is no such delivery."),
        Resource::Attachment => ("Không có tệp đính kèm này.", "There is no such attachment."),
        Resource::User => ("Không có người dùng này.", "There is no such user."),
        Resource::Client => ("Không có chương trình này.", "There is no such program."),
        Resource::Key => ("Chương trình không có khóa này.", "The program has no such key."),
        Resource::Requester => ("Không có người hỏi này.", "There is no such requester."),
        Resource::Session => ("Không có phiên đăng nhập này.", "There is no such session."),
        Resource::Token => ("Không có mã truy cập này.", "There is no such token."),
        Resource::Page => ("Không có trang này.", "There is no such page."),
    }
}

fn conflict_detail(conflict: Conflict) -> (&'static str, &'static str) {
    match conflict {
        Conflict::CodeTaken => ("Mã này đã được dùng.", "This code is taken."),
        Conflict::DeliveryNotRetryable => (
            "Thư này đã gửi hoặc đang được gửi.",
            "This delivery was sent already or is being carried just now.",
        ),
        Conflict::NoWorkingTime => (
            "Lịch không có giờ làm việc trong mười năm sau thời điểm bắt đầu.",
            "The calendar has no working time in the ten years after the start.",
        ),
        Conflict::NothingChanged => (
            "Thay đổi này không làm khác điều gì.",
            "The change leaves everything as it is.",
        ),
        Conflict::DefaultPolicy => (
            "Chính sách mặc định nhận mọi câu hỏi không thuộc chính sách nào khác nên không thể ngừng dùng.",
            "The default policy takes the questions that no other one does, so it cannot be retired.",
        ),
        Conflict::PolicyRetired => (
            "Chính sách này đã ngừng dùng nên không thể thay đổi.",
            "This policy is retired and cannot be changed any more.",
        ),
        Conflict::KeyEnded => (
            "Khóa này đã hết hiệu lực; hãy tạo khóa mới.",
            "This key has ended; make a new one.",
        ),
        Conflict::TooManyKeys => (
            "Chương trình đã có quá nhiều khóa còn hiệu lực; hãy thu hồi những khóa không dùng nữa.",
            "The program has too many keys in force; revoke those that are not used any more.",
        ),
        Conflict::TooManyTokens => (
            "Bạn đã có quá nhiều mã truy cập còn hiệu lực; hãy thu hồi những mã không dùng nữa.",
            "You have too many tokens in force; revoke those that are not used any more.",
        ),
        Conflict::HasSuccessor => (
            "Cơ quan này đã có cơ quan kế thừa khác; hãy gỡ bỏ trước.",
            "The organisation has another successor; take that back first.",
        ),
        Conflict::Anonymised => (
            "Thông tin của người này đã được xóa.",
            "This person's data were erased.",
        ),
        Conflict::NoPassword => (
            "Tài khoản này không có mật khẩu; quản trị viên có thể đặt mật khẩu.",
            "This account has no password; an administrator can set one.",
        ),
        Conflict::SecondFactorOn => (
            "Xác thực thứ hai đã được bật.",
            "The second factor is on already.",
        ),
        Conflict::SecondFactorOff => (
            "Xác thực thứ hai chưa được đăng ký.",
            "No second factor has been enrolled.",
        ),
        Conflict::SecondFactorDemanded => (
            "Vai trò này bắt buộc có xác thực thứ hai; quản trị viên có thể đặt lại.",
            "This role must have a second factor; an administrator can reset it.",
        ),
        Conflict::NotASession => (
            "Mã đã gửi không phải là phiên đăng nhập; mã truy cập cá nhân kết thúc tại /me/tokens.",
            "What was presented is no session; a personal token ends under /me/tokens.",
        ),
        Conflict::LastAdministrator => (
            "Phải còn ít nhất một quản trị viên đang hoạt động.",
            "At least one active administrator must be left.",
        ),
        Conflict::OwnAccount => (
            "Với tài khoản của chính mình, hãy dùng /me/password và /me/totp.",
            "For your own account use /me/password and /me/totp.",
        ),
        Conflict::AttachmentUsed => (
            "Tệp này đã thuộc về một câu hỏi nên không thể xóa riêng.",
            "This file is part of a ticket and goes only with it.",
        ),
        Conflict::TooManyAttachments => (
            "Câu hỏi này đã có đủ số tệp cho phép.",
            "This ticket has as many files as it may have.",
        ),
    }
}

impl Language {
    /// The one of two texts that is in this language.
    pub fn choose<T>(self, vi: T, en: T) -> T {
        match self {
            Language::Vi => vi,
            Language::En => en,
        }
    }
}

/// An error on its way out, until `context` renders it.
pub struct Draft(pub Error);

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        kind_of(self).status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        if let Some(seconds) = retry_after(self) {
            response.insert_header((RETRY_AFTER, seconds));
        }
        match self {
            _ if self.status_code() == StatusCode::UNAUTHORIZED => {
                response.insert_header((
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"giaidap\""),
                ));
            }
            Error::RangeNotSatisfiable { size } => {
                response.insert_header(("Content-Range", format!("bytes */{size}")));
            }
            Error::MethodNotAllowed { allowed } => {
                response.insert_header(("Allow", allowed.as_str()));
            }
            _ => {}
        }
        let mut response = response.finish();
        response.extensions_mut().insert(Draft(self.clone()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendars::field_errors;
    use crate::sla::{CalendarSpec, PolicySpec};

    fn details(error: &Error, language: Language) -> Vec<(String, String)> {
        let problem: serde_json::Value = serde_json::from_str(&render(error, language, "x")).unwrap();
        let errors = problem["errors"].as_array().unwrap();
        let text = |error: &serde_json::Value, name: &str| error[name].as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (text(error, "code"), text(error, "detail")))
            .collect()
    }

    #[test]
    fn what_a_calendar_or_policy_breaks_is_said_in_both_languages() {
        let day = serde_json::json!({ "sat": [["x", "25:00"], ["08:00", "08:00"], ["08:00", "12:00"], ["11:00", "13:00"]] });
        let many = serde_json::json!({ "mon": vec![["08:00", "09:00"]; 200] });
        let pattern = |from: &str, weekly| serde_json::json!({ "valid_from": from, "weekly": weekly });
        let off = |date: &str| serde_json::json!({ "date": date, "intervals": [] });
        let calendars = [
            serde_json::json!({ "time_zone": "x", "patterns": [], "exceptions": [off("x"), off("2019-01-01"), off("2019-01-01")] }),
            serde_json::json!({ "time_zone": "UTC", "exceptions": [], "patterns": [
                pattern("2019-01-01", day), pattern("2019-01-01", many), pattern("2020-01-01", serde_json::json!({})),
            ] }),
        ];
        let again = serde_json::json!({ "target": "next_response", "on": "breach", "percent": 7 });
        let policy = serde_json::json!({
            "targets": { "resolution": { "low": { "business_minutes": 0 }, "high": { "business_days": 4_000_000 } } },
            "warn_at_percent": [0], "close_after_business_days": 0, "reopen": "continue", "precedence": 1,
            "pauses": { "queued": ["resolution"], "assigned": ["resolution"], "waiting": ["resolution"] },
            "conditions": { "topic": [], "queue": vec!["x"; 201], "tag": ["x", "x", ""] },
            "escalations": [again, again, { "target": "resolution", "on": "warning", "percent": 8 }],
            "status_update": { "every": { "business_minutes": 1 } },
        });
        let silent = serde_json::json!({
            "targets": {}, "warn_at_percent": [], "close_after_business_days": 1, "pauses": {}, "reopen": "continue",
            "precedence": 1, "escalations": [{ "target": "resolution", "on": "warning" }],
        });
        let mut broken: Vec<_> = calendars
            .into_iter()
            .filter_map(|spec| {
                serde_json::from_value::<CalendarSpec>(spec)
                    .unwrap()
                    .check()
                    .err()
            })
            .collect();
        for policy in [policy, silent] {
            let spec: PolicySpec = serde_json::from_value(policy).unwrap();
            broken.extend(spec.check().err());
        }
        let mut codes = std::collections::BTreeSet::new();
        for problems in broken {
            let error = field_errors(problems);
            let (vi, en) = (details(&error, Language::Vi), details(&error, Language::En));
            for ((code, vi), (_, en)) in vi.into_iter().zip(en) {
                assert!(vi != en && !vi.is_ascii(), "{code}: {vi}");
                codes.insert(code);
            }
        }
        assert_eq!(codes.len(), 27, "{codes:?}");
    }
}
