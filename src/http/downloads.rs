//! `/attachments/{id}/content`: files out, whole or a part of them.
//!
//! What goes out may not be taken for a page: its type is the one found in its bytes, it is always to be saved, and it runs
//! nothing.
use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::header::{self, ETAG, HeaderMap, IF_RANGE, RANGE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::TryStreamExt;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::answer;
use super::extract::Call;
use crate::attachments::sniff::FileType;
use crate::attachments::{self, Attachment};
use crate::error::{Error, Result};
use crate::store::Db;

pub async fn download_attachment(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| attachments::get(conn, &desk, &principal, &id);
    let file = call.app.store.read(work).await?;
    match answer::unchanged(&tag(&file), call.if_none_match.as_deref()) {
        Some(unchanged) => answer::send(unchanged),
        None => send(&call, &file, request.headers()).await,
    }
}

/// Names the bytes, which never change.
fn tag(file: &Attachment) -> String {
    format!("\"{}\"", file.sha256)
}

async fn send(call: &Call, file: &Attachment, asked: &HeaderMap) -> Result<HttpResponse> {
    let size = u64::try_from(file.bytes).unwrap_or_default();
    let (mut response, part) = match asked_part(asked, &tag(file), size) {
        Part::Whole => (HttpResponse::Ok(), None),
        Part::Range(part) => (HttpResponse::PartialContent(), Some(part)),
        Part::Unsatisfiable => return Err(Error::RangeNotSatisfiable { size }),
    };
    headers(&mut response, file);
    if let Some(part) = &part {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        response.insert_header(("Content-Range", range));
    }
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    let (uid, content) = (file.uid, call.app.vault.read(file.uid, size, part).await?);
    // Status and length are gone by then: all that can be done is to break off and say so here.
    let content = content.inspect_err(
        move |cause| tracing::error!(attachment = %uid, %cause, "a file could not be sent whole"),
    );
    Ok(response.body(SizedStream::new(length, content)))
}

/// What stands on every download, so that a browser takes it for nothing but a file.
fn headers(response: &mut HttpResponseBuilder, file: &Attachment) {
    let media_type = FileType::of_media_type(&file.media_type).map(FileType::served_as);
    response
        .content_type(media_type.unwrap_or("application/octet-stream"))
        .insert_header(("Content-Disposition", disposition(&file.name)))
        .insert_header(("Content-Security-Policy", "sandbox; default-src 'none'"))
        .insert_header(("Cache-Control", "private"))
        .insert_header(("Accept-Ranges", "bytes"))
        // Compressed on the way it would be other bytes than those of the tag and the length. `context` takes it off.
        .insert_header(("Content-Encoding", "identity"))
        .insert_header((ETAG, tag(file)));
}

/// `attr-char` of RFC 8187, section 3.2.1: what may stand as it is. actix-web's `ExtendedValue` leaves `=` and `@` too.
const ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// RFC 6266 with the name as RFC 8187 writes it; every byte that is no `attr-char` is encoded, so that no name can end
/// the header or its parameter. Before it, for programs that do not know that form (curl does not), the name in ASCII
/// (section 4.3 and appendix D).
fn disposition(name: &str) -> String {
    let (plain, encoded) = (plain_name(name), utf8_percent_encode(name, ATTR_CHAR));
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

/// The name without marks; for what has no letter in ASCII, and what readers of such a name read differently, a line.
fn plain_name(name: &str) -> String {
    let letters = name.nfd().filter(|letter| !is_combining_mark(*letter));
    let plain = letters.map(|letter| match letter {
        'đ' => 'd',
        'Đ' => 'D',
        '"' | '\\' | '%' | '/' => '_',
        ' '..='~' => letter,
        _ => '_',
    });
    plain.collect()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Range(Range<u64>),
    Unsatisfiable,
}

/// RFC 9110, section 14.2: one range of bytes. Several, and what cannot be read, are answered with the whole.
pub(super) fn asked_part(headers: &HeaderMap, tag: &str, size: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A range of another version is none of this one (section 13.1.5).
    let is_other = headers.contains_key(IF_RANGE) && text(IF_RANGE) != Some(tag);
    let Some(range) = text(RANGE).filter(|_| !is_other) else {
        return Part::Whole;
    };
    // The header's own type passes over what it cannot read between commas, and would take the rest for one range.
    let only = match range.parse() {
        Ok(header::Range::Bytes(ranges)) if !range.contains(',') => ranges.into_iter().next(),
        _ => None,
    };
    match only.map(|range| range.to_satisfiable_range(size)) {
        Some(Some((first, last))) => Part::Range(first..last.saturating_add(1)),
        Some(None) => Part::Unsatisfiable,
        None => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_name_cannot_leave_its_parameter() {
        assert_eq!(
            disposition("Công văn \"1\".pdf"),
            "attachment; filename=\"Cong van _1_.pdf\"; filename*=UTF-8''C%C3%B4ng%20v%C4%83n%20%221%22.pdf"
        );
        assert_eq!(
            disposition("a;b\r\nX: y"),
            "attachment; filename=\"a;b__X: y\"; filename*=UTF-8''a%3Bb%0D%0AX%3A%20y"
        );
        assert_eq!(plain_name("Đường %41\\文.txt"), "Duong _41__.txt");
    }

    #[test]
    fn one_range_is_served_and_everything_else_is_the_whole() {
        for (range, part) in [
            ("bytes=0-9", Part::Range(0..10)),
            ("bytes=90-", Part::Range(90..100)),
            ("bytes=90-1000", Part::Range(90..100)),
            ("bytes=-10", Part::Range(90..100)),
            ("bytes=-1000", Part::Range(0..100)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-1", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=x-", Part::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range));
            assert_eq!(asked_part(&headers, "\"t\"", 100), part, "{range}");
            headers.insert(IF_RANGE, HeaderValue::from_static("\"other\""));
            assert_eq!(asked_part(&headers, "\"t\"", 100), Part::Whole);
        }
    }
}
