//! The harness is what every other test trusts, so it is tested first.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use lettre::message::{MultiPart, header};
use lettre::{Message, SmtpTransport, Transport};

use crate::support::contract::Contract;
use crate::support::database::{Backend, TestDatabase, setting};
use crate::support::mail::decoded_words;
use crate::support::postgres;
use crate::support::smtp::{Behaviour, SmtpSink};

mod databases {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;

    fn run(url: &str, sql: &str) {
        match Backend::chosen() {
            Backend::Sqlite => SqliteConnection::establish(url)
                .unwrap()
                .batch_execute(sql)
                .unwrap(),
            Backend::Postgres => PgConnection::establish(url).unwrap().batch_execute(sql).unwrap(),
        }
    }

    fn with_a_note(url: &str) {
        if Backend::chosen() == Backend::Sqlite {
            run(url, "PRAGMA journal_mode = WAL");
        }
        run(
            url,
            "CREATE TABLE note (text TEXT PRIMARY KEY); INSERT INTO note VALUES ('câu hỏi')",
        );
    }

    #[test]
    fn each_test_gets_a_migrated_database_of_its_own() {
        let first = TestDatabase::from_template("notes", with_a_note);
        let second = TestDatabase::from_template("notes", with_a_note);
        run(&first.url, "INSERT INTO note VALUES ('only here')");
        // The primary key is free in the other one.
        run(&second.url, "INSERT INTO note VALUES ('only here')");
        assert_eq!(first.backend, Backend::chosen());
    }

    #[test]
    fn tests_that_arrive_together_share_one_template() {
        let migrated = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let database = TestDatabase::from_template("crowd", |url| {
                        migrated.fetch_add(1, Ordering::SeqCst);
                        with_a_note(url);
                    });
                    run(&database.url, "INSERT INTO note VALUES ('present')");
                });
            }
        });
        // None at all when an earlier run of the same build has left its template.
        assert!(migrated.load(Ordering::SeqCst) <= 1);
    }

    #[test]
    fn a_migration_that_fails_leaves_no_template() {
        let broken = || TestDatabase::from_template("broken", |_| panic!("on purpose"));
        assert!(thread::spawn(broken).join().is_err());
        let mended = TestDatabase::from_template("broken", with_a_note);
        run(&mended.url, "INSERT INTO note VALUES ('mended')");
        // So that the next run of this build breaks it anew.
        forget_template("broken");
    }

    fn forget_template(template: &str) {
        match Backend::chosen() {
            Backend::Sqlite => {
                for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap() {
                    let path = entry.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap();
                    if name.starts_with(&format!("template_{template}_")) {
                        std::fs::remove_file(path).unwrap();
                    }
                }
            }
            Backend::Postgres => {
                let mut admin = PgConnection::establish(&setting("TEST_POSTGRES_URL").unwrap()).unwrap();
                postgres::drop_templates(&mut admin, template);
            }
        }
    }

    #[test]
    fn a_dropped_database_is_gone_though_sessions_hold_it() {
        let database = TestDatabase::from_template("notes", with_a_note);
        match database.backend {
            Backend::Sqlite => {
                let file = database.url.strip_prefix("sqlite://").unwrap().to_owned();
                let _session = SqliteConnection::establish(&database.url).unwrap();
                drop(database);
                assert!(!std::path::Path::new(&file).exists());
            }
            Backend::Postgres => {
                let name = database.url.rsplit('/').next().unwrap().to_owned();
                let _session = PgConnection::establish(&database.url).unwrap();
                drop(database);
                let mut admin = PgConnection::establish(&setting("TEST_POSTGRES_URL").unwrap()).unwrap();
                assert!(!postgres::exists(&mut admin, &name));
            }
        }
    }

    #[test]
    #[should_panic(expected = "TEST_DATABASE must be sqlite or postgres")]
    fn an_unknown_backend_is_refused() {
        Backend::named(Some("mysql"));
    }

    #[test]
    fn a_database_url_keeps_the_cluster_and_its_parameters() {
        let url = |cluster| postgres::url_of(cluster, "t_1");
        assert_eq!(
            url("postgres://u:p@127.0.0.1:5/postgres?a=b"),
            "postgres://u:p@127.0.0.1:5/t_1?a=b"
        );
        assert_eq!(url("postgres://u@127.0.0.1:5"), "postgres://u@127.0.0.1:5/t_1");
    }
}

mod mail_server {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpStream;
    use std::thread;

    use super::*;

    const SUBJECT: &str = "Câu hỏi GD-2026-000123 của bạn đã được Tổ công tác tiếp nhận và chuyển xử lý";
    const TEXT: &str = "Kính gửi Quý cơ quan,\r\n.một dòng bắt đầu bằng dấu chấm\r\n..\r\n=20 là chữ\r\n";

    fn mail_to(recipient: &str) -> Message {
        Message::builder()
            .from("giaidap@example.vn".parse().unwrap())
            .to(recipient.parse().unwrap())
            .subject(SUBJECT)
            .multipart(MultiPart::alternative_plain_html(
                TEXT.to_owned(),
                "<p>Kính gửi</p>".to_owned(),
            ))
            .unwrap()
    }

    fn client(sink: &SmtpSink) -> SmtpTransport {
        SmtpTransport::builder_dangerous("127.0.0.1")
            .port(sink.port())
            .timeout(Some(Duration::from_secs(10)))
            .build()
    }

    #[test]
    fn a_mail_is_read_back_as_it_was_written() {
        let sink = SmtpSink::start();
        client(&sink).send(&mail_to("a@example.vn")).unwrap();
        let mails = sink.wait_for(1);
        let mail = &mails[0];
        assert_eq!(mail.from, "giaidap@example.vn");
        assert_eq!(mail.to, ["a@example.vn"]);
        assert_eq!(mail.subject, SUBJECT);
        assert_eq!(mail.text.trim_end(), TEXT.trim_end());
        assert_eq!(mail.part("text/html").unwrap().trim_end(), "<p>Kính gửi</p>");
        assert_eq!(mail.header("to"), Some("a@example.vn"));
        assert!(mail.data.starts_with(&mail.headers[0].0));
    }

    #[test]
    fn a_single_part_of_eight_bit_text_keeps_its_dots() {
        let sink = SmtpSink::start();
        let mail = Message::builder()
            .from("giaidap@example.vn".parse().unwrap())
            .to("a@example.vn".parse().unwrap())
            .header(header::ContentType::TEXT_PLAIN)
            .header(header::ContentTransferEncoding::EightBit)
            .body(TEXT.to_owned())
            .unwrap();
        client(&sink).send(&mail).unwrap();
        assert_eq!(sink.wait_for(1)[0].text.trim_end(), TEXT.trim_end());
    }

    #[test]
    fn recipients_are_deferred_and_refused_as_told() {
        let sink = SmtpSink::start();
        sink.behave("later@example.vn", Behaviour::Defer);
        sink.behave("never@example.vn", Behaviour::Refuse);
        let deferred = client(&sink).send(&mail_to("Later@example.vn")).unwrap_err();
        assert!(deferred.is_transient(), "{deferred}");
        let refused = client(&sink).send(&mail_to("never@example.vn")).unwrap_err();
        assert!(refused.is_permanent(), "{refused}");
        assert!(sink.received().is_empty());
        sink.behave("later@example.vn", Behaviour::Accept);
        client(&sink).send(&mail_to("later@example.vn")).unwrap();
        assert_eq!(sink.received().len(), 1);
    }

    #[test]
    fn a_hanging_recipient_waits_until_told_to_go_on() {
        let sink = SmtpSink::start();
        sink.behave("slow@example.vn", Behaviour::Hang);
        let transport = client(&sink);
        let sending = thread::spawn(move || transport.send(&mail_to("slow@example.vn")));
        sink.wait_until_hanging("slow@example.vn");
        assert!(sink.received().is_empty());
        // Others are not held up.
        client(&sink).send(&mail_to("quick@example.vn")).unwrap();
        sink.behave("slow@example.vn", Behaviour::Accept);
        sending.join().unwrap().unwrap();
        assert_eq!(sink.wait_for(2)[1].to, ["slow@example.vn"]);
    }

    #[test]
    fn a_dropped_connection_does_not_tell_whether_the_mail_arrived() {
        let sink = SmtpSink::start();
        for (stored, arrived) in [(false, 0), (true, 1)] {
            sink.behave("gone@example.vn", Behaviour::Drop { stored });
            let unknown = client(&sink).send(&mail_to("gone@example.vn")).unwrap_err();
            assert!(!unknown.is_permanent() && !unknown.is_transient(), "{unknown}");
            assert_eq!(sink.received().len(), arrived);
        }
    }

    #[test]
    fn a_stopped_server_closes_its_connections() {
        let sink = SmtpSink::start();
        sink.behave("slow@example.vn", Behaviour::Hang);
        let transport = client(&sink);
        let sending = thread::spawn(move || transport.send(&mail_to("slow@example.vn")));
        sink.wait_until_hanging("slow@example.vn");
        drop(sink);
        assert!(sending.join().unwrap().is_err());
    }

    /// Sends everything at once and reads the reply codes until the server closes.
    fn dialogue(sink: &SmtpSink, sent: &str) -> Vec<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", sink.port())).unwrap();
        connection.write_all(sent.as_bytes()).unwrap();
        let replies = BufReader::new(connection).lines().map(|line| line.unwrap());
        replies
            .filter(|line| line.as_bytes()[3] == b' ')
            .map(|line| line[..3].to_owned())
            .collect()
    }

    #[test]
    fn pipelined_commands_are_answered_in_order() {
        let sink = SmtpSink::start();
        let replies = dialogue(
            &sink,
            "EHLO me\r\nNOOP\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.vn>\r\nRSET\r\nmail from:<b@example.vn> BODY=8BITMIME\r\n\
             RCPT TO:<a@example.vn>\r\nRCPT TO:<c@example.vn>\r\nDATA\r\nSubject: x\r\n y\r\n\r\n..\r\n.\r\nQUIT\r\n",
        );
        let expected = [
            "220", "250", "250", "250", "250", "250", "250", "250", "250", "354", "250", "221",
        ];
        assert_eq!(replies, expected);
        let mails = sink.received();
        assert_eq!((mails.len(), mails[0].to.len()), (1, 2));
        assert_eq!(
            (mails[0].subject.as_str(), mails[0].text.as_str()),
            ("x y", ".\r\n")
        );
    }

    #[test]
    fn disorder_and_bare_line_breaks_are_refused() {
        let sink = SmtpSink::start();
        let replies = dialogue(
            &sink,
            "MAIL FROM:<a@example.vn>\r\nHELO me\r\nRCPT TO:<a@example.vn>\r\nDATA\r\nMAIL a@example.vn\r\nSTARTTLS\r\nNOOP\n\
             MAIL FROM:<a@example.vn>\r\nDATA\r\nRCPT TO:<>\r\nRCPT TO:<a@example.vn>\r\nDATA\r\nA: b\r\n\r\nc\n.\n\r\n.\r\nQUIT\r\n",
        );
        let expected = [
            "220", "503", "250", "503", "503", "501", "502", "500", "250", "503", "501", "250", "354", "554",
            "221",
        ];
        assert_eq!(replies, expected);
        assert!(sink.received().is_empty());
    }

    #[test]
    fn encoded_words_are_decoded() {
        assert_eq!(
            decoded_words("Re: =?UTF-8?Q?=C4=91=C6=A1n_=3D?= x"),
            "Re: đơn = x"
        );
        // The blank between two encoded words is not part of the text (RFC 2047, section 6.2).
        assert_eq!(decoded_words("=?utf-8?b?xJE=?= =?utf-8?b?xqFu?="), "đơn");
        assert_eq!(decoded_words("1 =? 2"), "1 =? 2");
    }
}

mod contracts {
    use super::*;

    const DOCUMENT: &str = r##"
openapi: 3.1.0
info: { title: inline, version: "1" }
servers: [{ url: /api/v1 }]
paths:
  /healthz:
    servers: [{ url: / }]
    get:
      operationId: get_health
      responses:
        "200": { description: well, content: { text/plain: {} } }
  /tickets/{id}:
    get:
      operationId: get_ticket
      responses:
        200:
          description: the ticket
          headers:
            ETag: { required: true, schema: { type: string, pattern: '^".+"$' } }
            Age: { schema: { type: integer } }
          content: { application/json: { schema: { $ref: "#/components/schemas/Ticket" } } }
        304: { description: not changed }
        default: { $ref: "#/components/responses/Problem" }
  /tickets/next:
    post:
      operationId: claim_next
      requestBody: { $ref: "#/components/requestBodies/Claim" }
      responses:
        204: { description: nothing waits }
  /tickets/{id}.ics:
    get:
      operationId: get_ticket_calendar
      responses:
        200: { description: "", content: { text/calendar: {} } }
components:
  requestBodies:
    Claim:
      required: true
      content: { application/json: { schema: { type: object, required: [queue], properties: { queue: { type: string } } } } }
  responses:
    Problem:
      description: a problem
      content: { application/problem+json: { schema: { $ref: "#/components/schemas/Problem" } } }
  schemas:
    Ticket:
      type: object
      additionalProperties: false
      required: [id, filed_at, assignee]
      properties:
        id: { type: string, format: uuid }
        filed_at: { type: string, format: date-time }
        assignee: { type: [object, "null"] }
        links: { type: array, items: { $ref: "#/components/schemas/Ticket" } }
    Problem:
      type: object
      required: [title]
      properties: { title: { type: string } }
"##;

    const TICKET: &str =
        r#""id": "0193a1e0-7e63-7c11-8d6c-0242ac120002", "filed_at": "2026-11-20T08:00:00+07:00""#;

    fn contract() -> Contract {
        Contract::parse(DOCUMENT).unwrap()
    }

    /// The verdict on a JSON answer to GET of a ticket.
    fn ticket_answer(status: u16, media_type: &str, body: &str) -> Result<(), String> {
        contract().check(
            "GET",
            "/api/v1/tickets/GD-2026-000123?expand=links",
            status,
            Some(media_type),
            body.as_bytes(),
        )
    }

    #[test]
    fn operations_are_listed_with_the_path_a_client_calls() {
        let operations = contract().operations();
        let listed = |method: &str, path: &str, id: &str| {
            assert!(
                operations.contains(&(method.to_owned(), path.to_owned(), id.to_owned())),
                "{operations:?}"
            );
        };
        assert_eq!(operations.len(), 4);
        listed("GET", "/healthz", "get_health");
        listed("GET", "/api/v1/tickets/{id}", "get_ticket");
        listed("POST", "/api/v1/tickets/next", "claim_next");
    }

    #[test]
    fn a_promised_answer_passes() {
        let body = format!(r#"{{{TICKET}, "assignee": null, "links": [{{{TICKET}, "assignee": {{}}}}]}}"#);
        ticket_answer(200, "application/json; charset=utf-8", &body).unwrap();
        ticket_answer(404, "application/problem+json", r#"{"title": "not found"}"#).unwrap();
        contract()
            .check("GET", "/healthz", 200, Some("text/plain"), b"ok")
            .unwrap();
        contract()
            .check("GET", "/api/v1/tickets/x", 304, None, b"")
            .unwrap();
        contract()
            .check("POST", "/api/v1/tickets/next", 204, None, b"")
            .unwrap();
        contract()
            .check(
                "GET",
                "/api/v1/tickets/x.ics",
                200,
                Some("text/calendar"),
                b"BEGIN",
            )
            .unwrap();
    }

    #[track_caller]
    fn fails(verdict: Result<(), String>, reason: &str) {
        let error = verdict.unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn an_answer_that_breaks_the_promise_fails() {
        let json = "application/json";
        let body = |more: &str| format!("{{{TICKET}{more}}}");
        fails(ticket_answer(200, json, &body("")), "assignee");
        fails(
            ticket_answer(200, json, &body(r#", "assignee": null, "secret": 1"#)),
            "secret",
        );
        fails(
            ticket_answer(200, json, &body(r#", "assignee": null"#).replace("+07:00", "")),
            "date-time",
        );
        fails(
            ticket_answer(
                200,
                json,
                &body(r#", "assignee": null"#).replace("0193a1e0", "GD"),
            ),
            "uuid",
        );
        fails(
            ticket_answer(200, json, &body(r#", "assignee": null, "links": [{}]"#)),
            "/links/0: \"id\" is a required property",
        );
        fails(ticket_answer(200, json, "{"), "not JSON");
        fails(
            ticket_answer(200, "text/html", "<p>"),
            "media type text/html not declared",
        );
        fails(ticket_answer(404, "application/problem+json", "{}"), "title");
    }

    #[test]
    fn what_is_not_declared_fails() {
        let contract = contract();
        let problem = Some("application/problem+json");
        fails(
            contract.check("GET", "/api/v1/users", 200, None, b""),
            "path not declared",
        );
        fails(
            contract.check("GET", "/tickets/1", 200, None, b""),
            "path not declared",
        );
        fails(
            contract.check("GET", "/api/v1/tickets/", 200, None, b""),
            "path not declared",
        );
        fails(
            contract.check("DELETE", "/api/v1/tickets/1", 200, None, b""),
            "operation not declared",
        );
        // The literal template wins, so GET is not that of a ticket named "next".
        fails(
            contract.check("GET", "/api/v1/tickets/next", 200, None, b""),
            "operation not declared",
        );
        fails(
            contract.check("POST", "/api/v1/tickets/next", 409, problem, b"{}"),
            "status not declared",
        );
        fails(
            contract.check("POST", "/api/v1/tickets/next", 204, None, b"{}"),
            "none is declared",
        );
        fails(
            contract.check("GET", "/api/v1/tickets/1", 200, None, b"{}"),
            "no Content-Type",
        );
    }

    #[test]
    fn requests_are_held_to_the_contract_too() {
        let contract = contract();
        let next = "/api/v1/tickets/next";
        let json = Some("application/json");
        contract
            .check_request("POST", next, json, br#"{"queue": "technology"}"#)
            .unwrap();
        contract.check_request("GET", "/healthz", None, b"").unwrap();
        fails(contract.check_request("POST", next, json, b"{}"), "queue");
        fails(contract.check_request("POST", next, None, b""), "no Content-Type");
        fails(
            contract.check_request("GET", "/healthz", json, b"{}"),
            "no body declared",
        );
    }

    #[test]
    fn a_request_is_held_as_the_server_reads_it() {
        let contract = contract();
        let claim = |media_type: &str| {
            contract.check_request(
                "POST",
                "/api/v1/tickets/next",
                Some(media_type),
                br#"{"queue": "e"}"#,
            )
        };
        claim("application/vnd.giaidap+json").unwrap();
        fails(claim("text/json"), "not declared");
    }

    #[test]
    fn the_headers_of_an_answer_are_part_of_the_promise() {
        let contract = contract();
        let answer = |headers: &[(&str, &str)]| {
            let headers: Vec<(String, String)> = headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            contract.check_headers("GET", "/api/v1/tickets/1", 200, &headers)
        };
        answer(&[
            ("etag", "\"3\""),
            ("age", "7"),
            ("date", "x"),
            ("vary", "accept-encoding, Origin"),
        ])
        .unwrap();
        fails(answer(&[("etag", "\"3\""), ("server", "x")]), "header server");
        fails(answer(&[("etag", "\"3\""), ("vary", "accept")]), "header vary");
        fails(answer(&[("age", "7")]), "no ETag");
        fails(answer(&[("etag", "3")]), "ETag");
        fails(answer(&[("etag", "\"3\""), ("age", "old")]), "no number");
        contract.check_headers("GET", "/healthz", 200, &[]).unwrap();
    }

    #[test]
    fn a_reference_to_nowhere_is_an_error_of_the_file() {
        let broken = DOCUMENT.replace("#/components/responses/Problem", "#/components/responses/Absent");
        let contract = Contract::parse(&broken).unwrap();
        fails(
            contract.check("GET", "/api/v1/tickets/1", 404, None, b""),
            "nothing at #",
        );
    }
}
