//! What went wrong, in words for a person, in both languages: one text for each kind of failure.
use crate::attachments::sniff::Refusal;
use crate::error::{Conflict, Error, Resource, SignOnRefusal};
use crate::language::Language;

pub(super) fn detail(error: &Error, language: Language) -> String {
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
        Conflict::KeyReplaced => (
            "Quản trị viên đã thay khóa này bằng khóa khác; hãy dùng khóa mới.",
            "An administrator has made a key in the place of this one; use that.",
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
