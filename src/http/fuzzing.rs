//! Doors for `fuzz/` to every parser that takes bytes from outside; built for it (feature `fuzzing`) and for tests only.
//! Each must come back, whatever it is given, and what it accepts must mean the same when it is written and read again.
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RANGE};
use actix_web::test::TestRequest;
use chrono::Datelike;

use super::bulk::{self, BulkRequest};
use super::custom_fields::ReplaceCustomFields;
use super::downloads::{Part, asked_part};
use super::open311::form::{self, Fields};
use super::params::Params;
use super::policy_changes::PolicyIn;
use super::tickets::FileTicketIn;
use super::trace::{self, Trace};
use super::{address, answer, extract};
use crate::attachments::clean_name;
use crate::attachments::sniff::{FileType, sniff};
use crate::calendars::{csv, ical};
use crate::directory;
use crate::identity::clients::parse_network;
use crate::identity::oidc::keys::{ALGORITHMS, KeySet};
use crate::identity::oidc::verify;
use crate::identity::token::{self, Presented};
use crate::language::Language;
use crate::queues::fields::check_definitions;
use crate::store::Ts;
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
    ("file_type", file_type),
    ("byte_range", byte_range),
    ("bulk_request", bulk_request),
    ("custom_fields", custom_fields),
    ("network", network),
    ("signed_token", signed_token),
    ("key_set", key_set),
    ("open311_form", open311_form),
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
    if let Ok(written) = encode_cursor("fuzz", &text(bytes))
        && let Ok(at) = decode_cursor::<Ts>("fuzz", &written)
    {
        assert!((0..=9999).contains(&at.0.year()));
    }
    let key = (i64::try_from(bytes.len()).unwrap_or(0), text(bytes).to_owned());
    let Ok(written) = encode_cursor("fuzz", &key) else {
        return;
    };
    let read = decode_cursor::<(i64, String)>("fuzz", &written).ok();
    assert_eq!(read, Some(key).filter(|(_, text)| !text.contains('\0')));
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

/// The first line is the name, the rest the content.
fn file_type(bytes: &[u8]) {
    let name_ends = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (name, content) = bytes.split_at(name_ends);
    let name = clean_name(text(name));
    assert!(!name.is_empty() && !name.contains(['/', '\\', '\n', '\r', '\0']));
    assert_eq!(clean_name(&name), name);
    if let Ok(found) = sniff(content, &name, &FileType::ALL) {
        assert!(FileType::ALL.contains(&found));
    }
}

fn byte_range(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(RANGE, value);
    for size in [0, 1, 1000, u64::MAX] {
        if let Part::Range(part) = asked_part(&headers, "\"1\"", size) {
            assert!(part.start < part.end && part.end <= size);
        }
    }
}

fn bulk_request(bytes: &[u8]) {
    if let Ok(request) = extract::parse_json::<BulkRequest>(bytes) {
        let _ = bulk::check(&request, None);
    }
}

fn custom_fields(bytes: &[u8]) {
    if let Ok(given) = extract::parse_json::<ReplaceCustomFields>(bytes) {
        let _ = check_definitions(&given.into_fields());
    }
}

fn network(bytes: &[u8]) {
    if let Some(network) = parse_network(text(bytes)) {
        assert_eq!(parse_network(&network.to_string()), Some(network));
    }
}

fn signed_token(bytes: &[u8]) {
    let allowed: Vec<_> = ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect();
    let _ = verify::take_apart(text(bytes), &allowed);
}

fn key_set(bytes: &[u8]) {
    if let Some(keys) = serde_json::from_slice(bytes).ok().as_ref().and_then(KeySet::read) {
        for (_, algorithm) in ALGORITHMS {
            let _ = keys.find(None, algorithm);
        }
    }
}

fn open311_form(bytes: &[u8]) {
    let fields = Fields::read(bytes);
    let _ = form::misfits(&fields);
    if fields.check().is_ok() {
        let names: BTreeSet<&str> = fields.pairs().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), fields.pairs().len(), "a name stands once");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What the fuzzer begins with, whole and broken off anywhere, and with each byte turned: the cheapest of hostile inputs.
    #[test]
    fn every_parser_survives_its_own_examples_broken() {
        for (name, parse) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fuzz/corpus")
                .join(name);
            let examples: Vec<Vec<u8>> = std::fs::read_dir(&folder)
                .unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()))
                .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
                .collect();
            assert!(!examples.is_empty(), "{name} has no example");
            for mut example in examples {
                parse(&example);
                for at in (0..example.len()).step_by(1 + example.len() / 200) {
                    parse(&example[..at]);
                    for turned in [0x00, 0x20, 0x80, 0xFF] {
                        let kept = example[at];
                        example[at] = kept ^ turned ^ 0x15;
                        parse(&example);
                        example[at] = kept;
                    }
                }
            }
        }
    }
}
