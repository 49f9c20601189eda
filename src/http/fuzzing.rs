//! Doors for `fuzz/` to every parser that takes bytes from outside; built with the feature `fuzzing` only. Each must
//! come back, whatever it is given, and what it accepts must mean the same when it is written and read again.
use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::test::TestRequest;

use super::params::Params;
use super::policy_changes::PolicyIn;
use super::tickets::FileTicketIn;
use super::trace::{self, Trace};
use super::{address, answer, extract};
use crate::calendars::{csv, ical};
use crate::directory;
use crate::identity::token::{self, Presented};
use crate::language::Language;
use crate::store::page::{decode_cursor, encode_cursor};
use crate::text::{fold, like_pattern, nfc};

pub type Parser = fn(&[u8]);

/// By the name that `bin/fuzz` takes.
pub const TARGETS: &[(&str, Parser)] = &[
    ("token", presented_token),
    ("cursor", cursor),
    ("versions", versions),
    ("accept_language", accept_language),
    ("traceparent", traceparent),
    ("forwarded_for", forwarded_for),
    ("query", query),
    ("ticket", ticket),
    ("policy", policy),
    ("icalendar", icalendar),
    ("calendar_csv", calendar_csv),
    ("organisations_csv", organisations_csv),
    ("agency_code", agency_code),
    ("search_words", search_words),
];

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn presented_token(bytes: &[u8]) {
    let given = text(bytes);
    if let Some(presented) = Presented::parse(given) {
        assert!(!presented.matches(presented.lookup));
        assert_eq!(given.len(), 73);
    }
    assert!(token::bare_lookup(given).len() <= given.len());
}

fn cursor(bytes: &[u8]) {
    let _ = decode_cursor::<(i64, String)>("fuzz", text(bytes));
    let key = (i64::try_from(bytes.len()).unwrap_or(0), text(bytes).to_owned());
    let Ok(written) = encode_cursor("fuzz", &key) else {
        return;
    };
    assert_eq!(decode_cursor::<(i64, String)>("fuzz", &written).ok(), Some(key));
    assert!(decode_cursor::<(i64, String)>("another", &written).is_err());
}

fn versions(bytes: &[u8]) {
    let given = text(bytes);
    if let Ok(Some(versions)) = extract::versions_in(given) {
        assert!(
            versions
                .iter()
                .all(|version| given.contains(&version.abs().to_string()))
        );
    }
    let _ = answer::matches_etag(given, "\"7\"");
    assert!(answer::matches_etag("\"7\"", &answer::etag(7)));
}

fn accept_language(bytes: &[u8]) {
    let _ = Language::from_accept_language(text(bytes));
}

fn traceparent(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let mut lines = bytes.split(|byte| *byte == b'\n');
    for name in ["traceparent", "tracestate"] {
        if let Some(Ok(value)) = lines.next().map(HeaderValue::from_bytes) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let trace = Trace::of(&headers, false);
    let written = trace.traceparent();
    let read = trace::parse(&written);
    assert_eq!(
        read,
        Some((trace.trace_id, trace.span_id, u8::from(trace.sampled)))
    );
    assert!(trace.state.is_none() || trace.parent_id.is_some());
}

fn forwarded_for(bytes: &[u8]) {
    let named: Vec<&str> = text(bytes).lines().collect();
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let trusted = "10.0.0.0/8".parse().into_iter().collect::<Vec<_>>();
    assert_eq!(address::believed(peer, &named, &[]), peer, "nobody is trusted");
    let _ = address::believed(peer, &named, &trusted);
}

fn query(bytes: &[u8]) {
    let Ok(uri) = format!("/x?{}", text(bytes)).parse::<Uri>() else {
        return;
    };
    let request = TestRequest::default().uri(&uri.to_string()).to_http_request();
    let mut params = Params::read(&request, &["limit", "cursor", "q", "state", "from"]);
    let _ = params.text("q");
    let _ = params.list("state");
    let _ = params.parsed("from", "a number", |text| text.parse::<i64>().ok());
}

fn ticket(bytes: &[u8]) {
    let _ = super::json::parse_json::<FileTicketIn>(bytes);
}

fn policy(bytes: &[u8]) {
    if let Ok(given) = super::json::parse_json::<PolicyIn>(bytes)
        && let Ok(draft) = given.into_draft()
    {
        let _ = draft.spec.check();
    }
}

fn icalendar(bytes: &[u8]) {
    let _ = ical::read(bytes, &(2019..=2030));
}

fn calendar_csv(bytes: &[u8]) {
    let _ = csv::read(bytes);
}

fn organisations_csv(bytes: &[u8]) {
    let _ = directory::is_readable(bytes);
}

fn agency_code(bytes: &[u8]) {
    let once = directory::canonical_code(text(bytes));
    let groups = |code: &str| code.split('.').count();
    assert!(groups(&once) <= groups(text(bytes)));
}

fn search_words(bytes: &[u8]) {
    let given = text(bytes);
    let folded = fold(given);
    assert_eq!(fold(&folded), folded);
    assert_eq!(nfc(&nfc(given)), nfc(given));
    let _ = like_pattern(given);
}
