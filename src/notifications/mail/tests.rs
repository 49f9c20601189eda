//! Mails are read back as a mail program would; the server is a scripted one on loopback.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

fn mail() -> OutgoingMail {
    OutgoingMail {
        delivery_id: Uuid::from_u128(7),
        from: "Trung tâm giải đáp về Chính phủ điện tử <giaidap@example.vn>".to_owned(),
        reply_to: Some("traloi@example.vn".to_owned()),
        to: Recipient {
            address: "lan@hue.example.vn".to_owned(),
            name: Some("Nguyễn Thị Đào, Sở TT&TT".to_owned()),
        },
        message_id: "<00000000-0000-0000-0000-000000000007@example.vn>".to_owned(),
        thread_root: Some("<ticket-1@example.vn>".to_owned()),
        sent_at: "2019-11-22T09:30:00Z".parse().unwrap(),
        rendered: RenderedMail {
            subject: "[GD-2019-000123] Đường truyền số liệu chuyên dùng của các cơ quan Đảng và Nhà nước"
                .to_owned(),
            text: "Kính gửi: Đào,\n\nNội dung.\n.\nHết\n".to_owned(),
            html: "<html lang=\"vi\"><p>Kính gửi</p></html>".to_owned(),
        },
        language: Language::Vi,
    }
}

fn built(mail: &OutgoingMail) -> String {
    String::from_utf8(build(mail).unwrap().formatted()).unwrap()
}

fn headers(message: &str) -> Vec<(String, String)> {
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    unfolded
        .split("\r\n")
        .map(|line| {
            line.split_once(": ")
                .unwrap_or_else(|| panic!("no header: {line:?}"))
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn header(message: &str, name: &str) -> Option<String> {
    headers(message)
        .into_iter()
        .find(|(found, _)| found == name)
        .map(|(_, value)| value)
}

#[test]
fn a_mail_carries_the_headers_that_thread_and_mark_it() {
    let message = built(&mail());
    let value = |name| header(&message, name).unwrap_or_else(|| panic!("{name} in {message}"));
    assert_eq!(value("Date"), "Fri, 22 Nov 2019 09:30:00 +0000");
    assert_eq!(
        value("Message-ID"),
        "<00000000-0000-0000-0000-000000000007@example.vn>"
    );
    assert_eq!(value("In-Reply-To"), "<ticket-1@example.vn>");
    assert_eq!(value("References"), "<ticket-1@example.vn>");
    assert_eq!(value("Reply-To"), "traloi@example.vn");
    assert_eq!(value("Auto-Submitted"), "auto-generated");
    assert_eq!(value("Content-Language"), "vi");
    assert_eq!(value("MIME-Version"), "1.0");
    assert!(value("Content-Type").starts_with("multipart/alternative;"));
    assert!(value("To").ends_with(" <lan@hue.example.vn>"));
    assert!(value("From").ends_with(" <giaidap@example.vn>"));
    assert!(
        value("Subject").starts_with("[GD-2019-000123] =?utf-8?b?"),
        "the token stays readable"
    );
    assert_eq!(
        message
            .matches("Content-Transfer-Encoding: quoted-printable")
            .count(),
        2
    );
    assert!(message.contains("Content-Type: text/plain; charset=utf-8"));
    assert!(message.contains("Content-Type: text/html; charset=utf-8"));
    assert!(message.is_ascii() && message.split("\r\n").all(|line| line.len() <= 998));
    let (_, body) = message.split_once("\r\n\r\n").unwrap();
    assert!(body.split("\r\n").all(|line| line.len() <= 78), "{message}");
}

#[test]
fn the_root_of_a_thread_refers_to_nothing() {
    let mut root = mail();
    root.thread_root = Some(root.message_id.clone());
    let message = built(&root);
    assert_eq!(header(&message, "References"), None);
    assert_eq!(header(&message, "In-Reply-To"), None);
}

#[test]
fn the_same_delivery_is_the_same_message() {
    assert_eq!(built(&mail()), built(&mail()));
}

#[test]
fn data_cannot_add_a_header() {
    let mut hostile = mail();
    hostile.rendered.subject =
        "[GD-1] a\r\nBcc: all@example.vn\r\n\r\nbody\u{0} =?utf-8?q?=0D=0AX:y?=".to_owned();
    hostile.to.name = Some("Lan\" <x@example.vn>\r\nBcc: b@example.vn\n, =?utf-8?b?QUJD?=".to_owned());
    let message = built(&hostile);
    let mut names: Vec<String> = headers(&message).into_iter().map(|(name, _)| name).collect();
    names.sort();
    let plain = built(&mail());
    let mut expected: Vec<String> = headers(&plain).into_iter().map(|(name, _)| name).collect();
    expected.sort();
    assert_eq!(names, expected);
    assert!(
        !message.contains("=?utf-8?q?=0D") && !message.contains("=?utf-8?b?QUJD?="),
        "{message}"
    );
    assert_eq!(build(&hostile).unwrap().envelope().to().len(), 1);
}

#[test]
fn hostile_addresses_and_ids_are_refused() {
    for address in [
        "",
        "lan",
        "lan@",
        "@x.vn",
        "a b@x.vn",
        "lan@x.vn\r\nRCPT TO:<b@x.vn>",
        "lan@x.vn>",
        "đào@x.vn",
        "a@x.vn, b@x.vn",
    ] {
        let mut bad = mail();
        bad.to.address = address.to_owned();
        let error = build(&bad).unwrap_err();
        assert!(error.permanent, "{address:?}");
        assert!(address.is_empty() || !error.message.contains(address));
    }
    for id in ["", "x@y", "<x>", "<x@y>\r\nBcc: z", "<x y@z>", "<@y>", "<x@y@z>"] {
        let mut bad = mail();
        bad.message_id = id.to_owned();
        assert!(build(&bad).unwrap_err().permanent, "{id:?}");
        let mut bad = mail();
        bad.thread_root = Some(id.to_owned());
        assert!(build(&bad).unwrap_err().permanent, "{id:?}");
    }
    let mut bad = mail();
    bad.sent_at = DateTime::<Utc>::MIN_UTC;
    assert!(build(&bad).unwrap_err().permanent);
}

#[test]
fn a_wrong_sender_setting_does_not_kill_the_mail() {
    let mut bad = mail();
    bad.from = "nobody".to_owned();
    assert!(!build(&bad).unwrap_err().permanent);
    assert!(
        is_mailbox(&mail().from) && is_mailbox("a@b.vn") && !is_mailbox("nobody") && !is_mailbox("đ@b.vn")
    );
}

#[test]
fn names_with_every_kind_of_character_can_be_sent() {
    for name in [
        "Lan",
        "Lan Anh",
        "O\"Brien \\ Co",
        "Sở TT&TT (Huế), <phòng 1>",
        "名前",
        "a@b",
        "",
        "  ",
        ".",
        "=?x?=",
    ] {
        let mut named = mail();
        named.to.name = Some(name.to_owned());
        assert!(
            header(&built(&named), "To")
                .unwrap()
                .contains("lan@hue.example.vn"),
            "{name:?}"
        );
        named.from = format!("\"{}\" <giaidap@example.vn>", name.replace(['"', '\\'], ""));
        if is_mailbox(&named.from) {
            assert!(
                header(&built(&named), "From")
                    .unwrap()
                    .contains("giaidap@example.vn"),
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_repeat_into_the_folder_overwrites_the_same_file_and_leaves_no_half_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mails");
    let mailer = Mailer::folder(&path).unwrap();
    // What a crash in the middle of the first attempt leaves behind.
    fs::write(
        path.join(format!(".{}.eml.unfinished", mail().delivery_id)),
        "Subject: hal",
    )
    .unwrap();
    mailer.send(&mail()).unwrap();
    mailer.send(&mail()).unwrap();
    let names: Vec<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, [format!("{}.eml", mail().delivery_id)]);
    assert_eq!(fs::read_to_string(path.join(&names[0])).unwrap(), built(&mail()));
}

#[test]
fn an_unusable_folder_is_told_at_start_and_a_lost_one_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        Mailer::folder(file.join("mails")),
        Err(MailerError::Folder { .. })
    ));
    let mailer = Mailer::folder(folder.path().join("mails")).unwrap();
    fs::remove_dir_all(folder.path().join("mails")).unwrap();
    assert!(!mailer.send(&mail()).unwrap_err().permanent);
}

/// What the scripted server does with a recipient.
#[derive(Clone, Copy)]
enum Script {
    Accept,
    AnswerRecipient(&'static str),
    RefuseLogin,
    Hang,
    Drop,
}

struct SmtpServer {
    port: u16,
    connections: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<String>>>,
}

impl SmtpServer {
    fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            received: Arc::default(),
        };
        let (connections, received) = (server.connections.clone(), server.received.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let received = received.clone();
                std::thread::spawn(move || converse(&stream.unwrap(), script, &received));
            }
        });
        server
    }

    fn settings(&self) -> SmtpSettings {
        SmtpSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: SmtpSecurity::None,
            username: None,
            password: None,
            timeout: Duration::from_secs(30),
        }
    }

    fn send(&self) -> Result<(), SendError> {
        Mailer::smtp(&self.settings()).unwrap().send(&mail())
    }
}

fn converse(stream: &TcpStream, script: Script, received: &Mutex<Vec<String>>) {
    let mut writer = stream;
    let mut lines = BufReader::new(stream).lines();
    let mut say = |answer: &str| writer.write_all(format!("{answer}\r\n").as_bytes());
    let _ = say("220 test");
    while let Some(Ok(line)) = lines.next() {
        let verb = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let answer = match (verb.as_str(), script) {
            ("EHLO", _) => "250-test\r\n250 AUTH PLAIN LOGIN",
            ("AUTH", Script::RefuseLogin) => "535 5.7.8 wrong password",
            ("RCPT", Script::AnswerRecipient(answer)) => answer,
            ("RCPT", Script::Drop) => return,
            ("RCPT", Script::Hang) => continue,
            ("DATA", _) => {
                let _ = say("354 go on");
                let mut message = String::new();
                for line in lines
                    .by_ref()
                    .map_while(Result::ok)
                    .take_while(|line| line != ".")
                {
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                    message.push_str("\r\n");
                }
                received.lock().unwrap().push(message);
                "250 taken"
            }
            ("QUIT", _) => "221 bye",
            _ => "250 ok",
        };
        let _ = say(answer);
    }
}

#[test]
fn a_mail_arrives_at_the_server_as_it_was_built_and_connections_are_reused() {
    let server = SmtpServer::start(Script::Accept);
    let mailer = Mailer::smtp(&server.settings()).unwrap();
    mailer.send(&mail()).unwrap();
    mailer.send(&mail()).unwrap();
    let received = server.received.lock().unwrap();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].trim_end(), built(&mail()).trim_end());
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_refusal_is_permanent_and_keeps_the_address_to_itself() {
    let server = SmtpServer::start(Script::AnswerRecipient(
        "550 5.1.1 <lan@hue.example.vn>: user unknown",
    ));
    let error = server.send().unwrap_err();
    assert!(error.permanent);
    assert!(
        error.message.contains("550") && error.message.contains("user unknown"),
        "{error}"
    );
    assert!(!error.message.contains("lan@"), "{error}");
}

#[test]
fn a_deferral_a_hang_a_dropped_line_and_a_closed_port_are_transient() {
    for script in [Script::AnswerRecipient("451 4.7.1 greylisted"), Script::Drop] {
        let error = SmtpServer::start(script).send().unwrap_err();
        assert!(!error.permanent, "{error}");
    }
    let impatient = SmtpSettings {
        timeout: Duration::from_millis(200),
        ..SmtpServer::start(Script::Hang).settings()
    };
    assert!(
        !Mailer::smtp(&impatient)
            .unwrap()
            .send(&mail())
            .unwrap_err()
            .permanent
    );
    let settings = SmtpSettings {
        // Where nobody listens.
        port: 1,
        ..SmtpServer::start(Script::Accept).settings()
    };
    assert!(
        !Mailer::smtp(&settings)
            .unwrap()
            .send(&mail())
            .unwrap_err()
            .permanent
    );
}

#[test]
fn a_refused_login_is_repaired_in_the_settings_and_shows_no_password() {
    let server = SmtpServer::start(Script::RefuseLogin);
    let settings = SmtpSettings {
        username: Some("centre".to_owned()),
        password: Some("correct horse".to_owned()),
        ..server.settings()
    };
    let mailer = Mailer::smtp(&settings).unwrap();
    let error = mailer.send(&mail()).unwrap_err();
    assert!(!error.permanent && error.message.contains("535"), "{error}");
    for shown in [
        format!("{settings:?}"),
        format!("{mailer:?}"),
        format!("{error:?}"),
    ] {
        assert!(!shown.contains("horse"), "{shown}");
    }
}

#[test]
fn a_server_without_starttls_gets_no_mail_when_tls_is_demanded() {
    let server = SmtpServer::start(Script::Accept);
    let settings = SmtpSettings {
        tls: SmtpSecurity::StartTls,
        ..server.settings()
    };
    let error = Mailer::smtp(&settings).unwrap().send(&mail()).unwrap_err();
    assert!(!error.permanent);
    assert!(server.received.lock().unwrap().is_empty());
}

#[test]
fn a_password_leaves_the_machine_only_over_tls() {
    let remote = SmtpSettings {
        host: "mail.example.vn".to_owned(),
        username: Some("centre".to_owned()),
        password: Some("secret".to_owned()),
        ..SmtpServer::start(Script::Accept).settings()
    };
    assert!(matches!(
        Mailer::smtp(&remote),
        Err(MailerError::PasswordInTheClear)
    ));
    for tls in [SmtpSecurity::StartTls, SmtpSecurity::Tls] {
        assert!(
            Mailer::smtp(&SmtpSettings {
                tls,
                ..remote.clone()
            })
            .is_ok()
        );
    }
    let half = SmtpSettings {
        password: None,
        ..remote
    };
    assert!(matches!(Mailer::smtp(&half), Err(MailerError::HalfCredentials)));
}
