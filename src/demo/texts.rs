//! What the people of the demo write, in Vietnamese. General enough to fit every sample question; no answer states a rule
//! that somebody could take for legal advice.
use super::samples::Question;

const REPLIES: [&str; 3] = [
    "Trung tâm đã nhận được câu hỏi của Quý cơ quan và đang nghiên cứu, sẽ trả lời trong thời hạn đã thông báo.",
    "Câu hỏi đã được giao cho cán bộ chuyên môn. Trung tâm đang rà soát quy định liên quan và sẽ sớm có trả lời.",
    "Trung tâm đã tiếp nhận và đang phối hợp với đơn vị chuyên môn để trả lời Quý cơ quan.",
];

const ASKED_BACK: [&str; 3] = [
    "Để có cơ sở trả lời, đề nghị Quý cơ quan cho biết thêm hiện trạng hệ thống (phiên bản phần mềm, đơn vị vận hành) và gửi kèm văn bản liên quan.",
    "Đề nghị Quý cơ quan nêu rõ phạm vi áp dụng (cấp tỉnh, cấp huyện hay cấp xã) và thời điểm dự kiến triển khai.",
    "Đề nghị Quý cơ quan cung cấp đầu mối kỹ thuật và mô tả cụ thể các bước đã thực hiện.",
];

const GIVEN: [&str; 3] = [
    "Đơn vị xin gửi bổ sung: hệ thống đang vận hành tại trung tâm dữ liệu của tỉnh, phiên bản cập nhật quý gần nhất; văn bản liên quan đã gửi qua trục liên thông.",
    "Đơn vị xin làm rõ: áp dụng cho cả ba cấp, dự kiến triển khai từ quý tới.",
    "Đơn vị xin gửi đầu mối kỹ thuật và mô tả các bước đã thực hiện như Trung tâm đề nghị.",
];

const ANSWERS: [&str; 3] = [
    "Đề nghị Quý cơ quan thực hiện theo quy định hiện hành và hướng dẫn đã công bố; đối với nội dung có tính đặc thù, xây dựng phương án, lấy ý kiến các đơn vị liên quan trước khi triển khai.",
    "Đề nghị Quý cơ quan rà soát hiện trạng, lập kế hoạch thực hiện theo lộ trình, bảo đảm an toàn thông tin và khả năng kết nối; Trung tâm sẵn sàng hỗ trợ kỹ thuật trong quá trình triển khai.",
    "Nội dung này đã có hướng dẫn chung. Đề nghị Quý cơ quan đối chiếu với điều kiện thực tế, cử đầu mối phối hợp; các bước thực hiện được nêu trong tài liệu hướng dẫn của Trung tâm.",
];

const REOPENED: &str =
    "Nội dung trả lời chưa nêu rõ trách nhiệm của đơn vị cấp huyện, đề nghị Trung tâm làm rõ thêm.";
const ANSWERED_AGAIN: &str = "Trung tâm xin làm rõ thêm: đơn vị cấp huyện thực hiện theo phân công của tỉnh, không phải lập hồ sơ riêng; các nội dung khác giữ như đã trả lời.";
const NOTE: &str = "Vượt thẩm quyền của nhóm, đã trao đổi với lãnh đạo Tổ công tác; chuẩn bị phiếu trình.";
const PORTAL: &str = "Cổng Dịch vụ công quốc gia (https://dichvucong.gov.vn)";

/// One of the variants, the same for the same question.
fn variant<'a>(texts: &[&'a str; 3], hand: usize) -> &'a str {
    texts.get(hand % texts.len()).copied().unwrap_or_default()
}

pub fn reply(hand: usize) -> &'static str {
    variant(&REPLIES, hand)
}

pub fn asked_back(hand: usize) -> &'static str {
    variant(&ASKED_BACK, hand)
}

pub fn given(hand: usize) -> &'static str {
    variant(&GIVEN, hand)
}

pub fn answer(question: &Question, hand: usize, again: bool) -> String {
    if again {
        return ANSWERED_AGAIN.to_owned();
    }
    let body = variant(&ANSWERS, hand);
    format!(
        "Về câu hỏi \"{}\", Trung tâm có ý kiến như sau.\n\n{body}",
        question.subject
    )
}

pub fn referral(question: &Question, agency: &str) -> String {
    format!(
        "Nội dung \"{}\" thuộc thẩm quyền của {agency}. Trung tâm đã chuyển câu hỏi và đề nghị {agency} trả lời trực tiếp Quý cơ quan.",
        question.subject
    )
}

pub fn raised(question: &Question) -> String {
    format!(
        "Nội dung \"{}\" chưa được quy định thống nhất. Trung tâm đã báo cáo Tổ công tác để cho ý kiến chỉ đạo và sẽ thông báo kết quả đến Quý cơ quan.",
        question.subject
    )
}

pub fn note() -> &'static str {
    NOTE
}

pub fn content() -> &'static str {
    "Đơn vị đã nhận được trả lời, không còn vướng mắc."
}

pub fn reopened() -> &'static str {
    REOPENED
}

/// Which agency is competent for a topic, where it is not the Task Force.
pub fn competent_agency(topic: &str) -> &'static str {
    match topic {
        "CHUKYSO" => "Ban Cơ yếu Chính phủ",
        "TSLCD" => "Cục Bưu điện Trung ương",
        "DINHDANH" | "CSDLQG" => "Bộ Công an",
        "KINHPHI" => "Bộ Tài chính",
        "NHANLUC" => "Bộ Nội vụ",
        "THECHE" => "Bộ Tư pháp",
        "DVCTT" | "MOTCUA" | "CDVCQG" | "TRUCVB" | "QLVB" | "BAOCAO" => "Văn phòng Chính phủ",
        _ => "Bộ Thông tin và Truyền thông",
    }
}

pub fn transferred() -> &'static str {
    "Nội dung chủ yếu là hướng dẫn áp dụng quy định, chuyển nhóm chính sách, thể chế trả lời."
}

pub fn decline() -> String {
    format!(
        "Trung tâm chân thành cảm ơn Quý cơ quan. Trung tâm chỉ giải đáp câu hỏi của cơ quan nhà nước về Chính phủ điện tử, không tra cứu hồ sơ của từng công dân. Đề nghị hướng dẫn công dân tra cứu, gửi phản ánh tại {PORTAL} hoặc liên hệ Bộ phận Một cửa nơi nộp hồ sơ. Đề nghị không gửi kèm giấy tờ và thông tin cá nhân của công dân."
    )
}

pub fn cancelled() -> String {
    format!("Ngoài phạm vi của Trung tâm: hồ sơ của cá nhân công dân. Đã hướng dẫn tra cứu tại {PORTAL}.")
}
