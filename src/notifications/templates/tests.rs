use super::*;
use chrono_tz::Asia::Ho_Chi_Minh;
use unicode_normalization::is_nfc;

fn templates() -> Templates {
    Templates::new(Ho_Chi_Minh).unwrap()
}

fn data() -> MailData {
    MailData {
        ticket_number: "GD-2019-000123".to_owned(),
        subject: "Đường truyền số liệu chuyên dùng".to_owned(),
        organisation: "UBND tỉnh Thừa Thiên Huế".to_owned(),
        due_at: Some("2019-11-22T09:30:00Z".parse().unwrap()),
        agent_name: Some("Nguyễn Thị Đào".to_owned()),
        link: "https://giaidap.example.vn/t/abc?k=1&v=2".to_owned(),
        owner: None,
    }
}

fn every_mail(data: &MailData) -> Vec<(MailKind, Language, RenderedMail)> {
    let templates = templates();
    let pairs = MailKind::ALL
        .iter()
        .flat_map(|kind| Language::ALL.map(|language| (*kind, language)));
    pairs
        .map(|(kind, language)| (kind, language, templates.render(kind, language, data).unwrap()))
        .collect()
}

#[test]
fn every_mail_names_the_question_and_leaves_no_placeholder() {
    let mut undated = data();
    undated.due_at = None;
    undated.agent_name = None;
    for data in [data(), undated] {
        for (kind, language, mail) in every_mail(&data) {
            let which = format!("{language} {kind}: {mail:#?}");
            assert!(mail.subject.starts_with("[GD-2019-000123] "), "{which}");
            assert!(mail.text.contains("GD-2019-000123"), "{which}");
            assert!(mail.html.contains("GD-2019-000123"), "{which}");
            assert!(mail.text.contains(&data.link), "{which}");
            assert!(
                mail.text.ends_with(&format!("\n\n{}\n", default_owner(language))),
                "{which}"
            );
            assert!(
                mail.html.contains(&format!("<html lang=\"{language}\">")),
                "{which}"
            );
            assert!(
                is_nfc(&mail.subject) && is_nfc(&mail.text) && is_nfc(&mail.html),
                "{which}"
            );
            for text in [&mail.subject, &mail.text, &mail.html] {
                for rest in ["{", "}", "none", "undefined", "  ", " .", " ,", " ;", "..", "\r"] {
                    assert!(!text.contains(rest), "{rest:?} in {which}");
                }
            }
            // What was stopped has no date to come.
            let dated = data.due_at.is_some() && kind != MailKind::Cancelled;
            assert_eq!(
                mail.text.contains("22/11/2019"),
                dated && language == Language::Vi
            );
            assert_eq!(
                mail.text.contains("22 Nov 2019, 16:30 (GMT+7)"),
                dated && language == Language::En
            );
        }
    }
}

#[test]
fn the_received_mail_reads_as_agreed() {
    let mail = templates()
        .render(MailKind::Received, Language::Vi, &data())
        .unwrap();
    assert_eq!(
        mail.subject,
        "[GD-2019-000123] Xác nhận đã tiếp nhận câu hỏi: Đường truyền số liệu chuyên dùng"
    );
    assert_eq!(
        mail.text,
        "Kính gửi: UBND tỉnh Thừa Thiên Huế,\n\n\
         Trung tâm giải đáp về Chính phủ điện tử xác nhận đã tiếp nhận câu hỏi của Quý cơ quan với nội dung \
         \"Đường truyền số liệu chuyên dùng\", mã số GD-2019-000123.\n\n\
         Thời hạn trả lời dự kiến: 16:30, 22/11/2019. Trường hợp cần thêm thời gian hoặc cần làm rõ thông tin, \
         Trung tâm sẽ thông báo trước thời hạn nêu trên.\n\n\
         Quý cơ quan có thể theo dõi tình trạng xử lý tại: https://giaidap.example.vn/t/abc?k=1&v=2. \
         Để bổ sung thông tin hoặc trao đổi thêm, đề nghị Quý cơ quan gửi qua hệ thống đã dùng để hỏi, ghi rõ mã số \
         GD-2019-000123.\n\n\
         Trân trọng./.\n\n\
         Trung tâm giải đáp về Chính phủ điện tử\n"
    );
}

#[test]
fn a_reopened_question_without_an_agent_says_that_it_waits() {
    let mut data = data();
    data.agent_name = None;
    let mail = templates()
        .render(MailKind::Reopened, Language::Vi, &data)
        .unwrap();
    assert!(
        mail.text.contains("đã được mở lại và chờ phân công xử lý."),
        "{}",
        mail.text
    );
}

#[test]
fn the_owner_is_a_setting() {
    let mut data = data();
    data.owner = Some("Cục Chuyển đổi số quốc gia".to_owned());
    for (_, _, mail) in every_mail(&data) {
        assert!(mail.text.ends_with("\n\nCục Chuyển đổi số quốc gia\n"));
        assert!(!mail.text.contains("Trung tâm giải đáp") && !mail.text.contains("Answer Centre"));
    }
}

#[test]
fn line_breaks_in_data_cannot_leave_their_line() {
    let mut hostile = data();
    hostile.subject = "a\r\nBcc: all@example.vn\n\n\u{0}\u{b}b\u{2028}c\u{202E}d".to_owned();
    hostile.organisation = "UBND\r\n\r\nX".to_owned();
    hostile.agent_name = Some("Lan\nCc: x".to_owned());
    hostile.link = "https://x.vn/\r\n\r\nevil".to_owned();
    hostile.ticket_number = "GD-1\r\nX: y".to_owned();
    for (_, _, mail) in every_mail(&hostile) {
        assert!(!mail.subject.chars().any(char::is_control), "{:?}", mail.subject);
        assert!(mail.subject.starts_with("[GD-1 X: y] "));
        assert!(!mail.text.contains("\nBcc") && !mail.text.contains("\nCc") && !mail.text.contains("\nX"));
        assert!(!mail.text.contains('\u{202E}'));
    }
}

#[test]
fn markup_and_template_syntax_in_data_stay_what_they_were() {
    let mut hostile = data();
    hostile.subject = "<script>alert('x')</script> & {{ owner }} {% if %}".to_owned();
    hostile.organisation = "\" onclick=\"x".to_owned();
    for (kind, _, mail) in every_mail(&hostile) {
        assert!(
            !mail.html.contains("<script") && !mail.html.contains("\" onclick"),
            "{}",
            mail.html
        );
        if kind == MailKind::Received {
            assert!(
                mail.text
                    .contains("<script>alert('x')</script> & {{ owner }} {% if %}")
            );
            assert!(mail.html.contains("&lt;script&gt;"));
        }
    }
}

#[test]
fn only_web_links_become_anchors_and_nothing_remote_is_loaded() {
    for (_, _, mail) in every_mail(&data()) {
        assert_eq!(mail.html.matches("<a href=").count(), 1, "{}", mail.html);
        assert!(mail.html.contains("k=1&amp;v=2"), "{}", mail.html);
        for remote in ["<img", "src=", "url(", "<link", "<script", "@import"] {
            assert!(!mail.html.contains(remote));
        }
    }
    let mut hostile = data();
    hostile.link = "javascript:alert(1)".to_owned();
    for (_, _, mail) in every_mail(&hostile) {
        assert!(!mail.html.contains("<a "));
    }
}

#[test]
fn decomposed_input_leaves_composed() {
    let mut decomposed = data();
    decomposed.subject = "Đường điện tử".nfd().collect();
    assert!(!is_nfc(&decomposed.subject));
    for (_, _, mail) in every_mail(&decomposed) {
        assert!(is_nfc(&mail.subject) && is_nfc(&mail.text) && is_nfc(&mail.html));
    }
    let mail = templates()
        .render(MailKind::Closed, Language::Vi, &decomposed)
        .unwrap();
    assert!(mail.subject.ends_with("Đường điện tử"));
}

#[test]
fn a_long_subject_is_cut_in_the_subject_line_only() {
    let mut long = data();
    long.subject = "đường ".repeat(60).trim_end().to_owned();
    let mail = templates().render(MailKind::Closed, Language::En, &long).unwrap();
    let shown = mail
        .subject
        .strip_prefix("[GD-2019-000123] Question closed: ")
        .unwrap();
    assert!(shown.chars().count() <= 120 && shown.ends_with('…'), "{shown}");
    assert!(mail.text.contains(&long.subject));
}

#[test]
fn a_cut_keeps_letters_and_their_marks_together() {
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abcd", 3), "ab…");
    // x has no composed form with a dot below: the mark stands alone and must not be parted from it.
    assert_eq!(cut("abx\u{323}cd", 4), "ab…");
    assert_eq!(cut("", 0), "");
}

#[test]
fn deadlines_are_written_for_the_reader() {
    let due_at = "2019-11-01T20:05:00Z".parse().unwrap();
    assert_eq!(
        format_due_at(due_at, Ho_Chi_Minh, Language::Vi),
        "03:05, 02/11/2019"
    );
    assert_eq!(
        format_due_at(due_at, Ho_Chi_Minh, Language::En),
        "2 Nov 2019, 03:05 (GMT+7)"
    );
    let end_of_day = "2019-11-01T17:00:00Z".parse().unwrap();
    assert_eq!(
        format_due_at(end_of_day, Ho_Chi_Minh, Language::Vi),
        "24:00, 01/11/2019"
    );
    assert_eq!(
        format_due_at(end_of_day, Ho_Chi_Minh, Language::En),
        "1 Nov 2019, 24:00 (GMT+7)"
    );
    assert_eq!(offset_label(0), "GMT");
    assert_eq!(offset_label(-12_600), "GMT-3:30");
}

#[test]
fn stored_mail_data_survives_and_tolerates_missing_options() {
    let stored = serde_json::to_string(&data()).unwrap();
    assert_eq!(serde_json::from_str::<MailData>(&stored).unwrap(), data());
    let least = r#"{"ticket_number":"GD-1","subject":"s","organisation":"o","link":"https://x.vn"}"#;
    assert_eq!(serde_json::from_str::<MailData>(least).unwrap().due_at, None);
    for kind in MailKind::ALL {
        assert_eq!(MailKind::parse(kind.as_str()), Some(*kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    assert_eq!(MailKind::parse("Received"), None);
}
