//! The one table from error to code, status and title. `openapi.yaml` lists the same codes.
use actix_web::http::StatusCode;

use crate::error::{Error, SignOnRefusal};

/// What a failure tells the caller.
pub(super) struct Kind {
    pub code: &'static str,
    pub status: StatusCode,
    pub title_vi: &'static str,
    pub title_en: &'static str,
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

pub(super) fn kind_of(error: &Error) -> Kind {
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

/// Who somebody is, is known; they may not come in.
fn is_forbidden(refusal: SignOnRefusal) -> bool {
    matches!(
        refusal,
        SignOnRefusal::Denied | SignOnRefusal::UnknownPerson | SignOnRefusal::NoRole
    )
}
