//! The directory: what a second import changes, which successors it refuses, and what is kept of the persons who ask.
use giaidap::directory::{self, ImportError, Organisation};
use giaidap::error::Error;
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::{TestApp, file, question};

const HEADER: &str = "code,kind,name_vi,gso_code,egov_code,valid_from,valid_to,successor_code\n";

/// Import these lines; the refusal, if there is one, with nothing of the file left.
fn import(app: &TestApp, lines: &str) -> Result<usize, String> {
    let (text, now) = (format!("{HEADER}{lines}"), app.app.clock.now());
    let imported = app.app.store.write(move |conn| {
        directory::import_organisations(conn, text.as_bytes(), now).map_err(|error| match error {
            ImportError::Store(error) => error,
            refused => Error::Malformed {
                reason: refused.to_string(),
            },
        })
    });
    block_on(imported).map_err(|error| match error {
        Error::Malformed { reason } => reason,
        other => panic!("{other:?}"),
    })
}

fn organisation(app: &TestApp, code: &'static str) -> Organisation {
    app.read(move |conn| directory::get_organisation(conn, code))
}

#[test]
fn a_second_import_clears_what_the_file_no_longer_says() {
    let app = TestApp::start();
    import(
        &app,
        "X1,agency,Cục Một,12,E1,2019-01-01,2025-06-30,X2\nX2,agency,Cục Hai,,,,,\n",
    )
    .unwrap();
    let closed = organisation(&app, "X1");
    assert!(closed.valid_to.is_some() && closed.successor_id.is_some());
    // It was closed by mistake.
    import(&app, "X1,agency,Cục Một,,,,,\n").unwrap();
    let open = organisation(&app, "X1");
    assert_eq!(
        (
            open.gso_code,
            open.egov_code,
            open.valid_from,
            open.valid_to,
            open.successor_id
        ),
        (None, None, None, None, None)
    );
    assert_eq!((open.id, open.uid), (closed.id, closed.uid));
}

#[test]
fn nobody_succeeds_themselves_however_long_the_way() {
    let app = TestApp::start();
    let refused = import(&app, "X1,agency,Một,,,,,\nX2,agency,Hai,,,,,X2\n").unwrap_err();
    assert_eq!(refused, "line 3: `X2` cannot be its own successor");
    let refused = import(
        &app,
        "X1,agency,Một,,,,,X2\nX2,agency,Hai,,,,,X3\nX3,agency,Ba,,,,,X1\n",
    )
    .unwrap_err();
    assert_eq!(
        refused,
        "line 2: the successors of `X1` lead back to it through `X2`"
    );
    // Through lines of an earlier file; a chain that ends is none of this.
    import(
        &app,
        "X1,agency,Một,,,,,X2\nX2,agency,Hai,,,,,X3\nX3,agency,Ba,,,,,\n",
    )
    .unwrap();
    let refused = import(&app, "X4,agency,Bốn,,,,,X1\nX3,agency,Ba,,,,,X1\n").unwrap_err();
    assert_eq!(
        refused,
        "line 3: the successors of `X3` lead back to it through `X1`"
    );
    assert_eq!(organisation(&app, "X3").successor_id, None);
}

#[test]
fn what_a_later_question_leaves_out_of_a_known_person_stays() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ask = |person: Value| {
        let mut asked = question();
        asked["requester"] = person;
        hue.post("/api/v1/tickets", &asked).expect(201).body["requester"].clone()
    };
    let email = "hoa@hue.example";
    let full = ask(json!({
        "name": "Hòa", "email": email, "unit": "Sở TT&TT", "phone": "0234", "language": "en"
    }));
    assert_eq!(ask(json!({ "name": "Hòa", "email": email })), full);
    let moved = ask(json!({ "name": "Nguyễn Thị Hòa", "email": email, "unit": "Văn phòng" }));
    assert_eq!(
        (&moved["name"], &moved["unit"]),
        (&json!("Nguyễn Thị Hòa"), &json!("Văn phòng"))
    );
    assert_eq!(
        (&moved["phone"], &moved["language"]),
        (&json!("0234"), &json!("en"))
    );
    assert_eq!(
        ask(json!({ "name": "Nguyễn Thị Hòa", "email": email, "language": "vi" }))["language"],
        "vi"
    );
    assert_eq!(file(&hue)["requester"]["language"], "vi", "new and nothing said");
}
