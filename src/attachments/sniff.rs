//! What a file is, found in its bytes. The name decides nothing: it may only agree with what was found.
//!
//! Refuses what runs (programs, scripts, macros in Office files), what browsers run (HTML, SVG), what is none of the
//! known types, and content that its name contradicts. Texts must be UTF-8 from the first byte to the last.
use serde::{Serialize, Serializer};

/// The first bytes that are looked at. Office files name their parts within them.
pub const HEAD_BYTES: usize = 64 << 10;

/// A type that may be taken: its usual ending, further endings, its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileType {
    pub ending: &'static str,
    also: &'static [&'static str],
    pub media_type: &'static str,
    content: Content,
}

/// What the first bytes of a file show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// As the signature says, by `infer`'s media type.
    Signature,
    /// The old Office container; which program wrote it stands far behind, so the name chooses among the three.
    Compound,
    /// A ZIP whose parts lie in this folder (ECMA-376, part 2).
    Ooxml(&'static str),
    /// A ZIP whose first part says so (OpenDocument 1.3, part 2, section 3.3).
    OpenDocument,
    Zip,
    Text,
    Xml,
    /// A text that begins with header fields (RFC 5322).
    Mail,
}

const fn known(
    ending: &'static str,
    also: &'static [&'static str],
    media_type: &'static str,
    content: Content,
) -> FileType {
    FileType {
        ending,
        also,
        media_type,
        content,
    }
}

impl FileType {
    pub const ALL: [FileType; 19] = [
        known("pdf", &[], "application/pdf", Content::Signature),
        known("png", &[], "image/png", Content::Signature),
        known("jpeg", &["jpg", "jpe"], "image/jpeg", Content::Signature),
        known("gif", &[], "image/gif", Content::Signature),
        known("webp", &[], "image/webp", Content::Signature),
        known("doc", &["dot"], "application/msword", Content::Compound),
        known("xls", &["xlt"], "application/vnd.ms-excel", Content::Compound),
        known(
            "ppt",
            &["pps"],
            "application/vnd.ms-powerpoint",
            Content::Compound,
        ),
        known(
            "docx",
            &["dotx"],
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Content::Ooxml("word/"),
        ),
        known(
            "xlsx",
            &["xltx"],
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Content::Ooxml("xl/"),
        ),
        known(
            "pptx",
            &["ppsx"],
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Content::Ooxml("ppt/"),
        ),
        known(
            "odt",
            &[],
            "application/vnd.oasis.opendocument.text",
            Content::OpenDocument,
        ),
        known(
            "ods",
            &[],
            "application/vnd.oasis.opendocument.spreadsheet",
            Content::OpenDocument,
        ),
        known(
            "odp",
            &[],
            "application/vnd.oasis.opendocument.presentation",
            Content::OpenDocument,
        ),
        known("zip", &[], "application/zip", Content::Zip),
        known("txt", &["log"], "text/plain", Content::Text),
        known("csv", &[], "text/csv", Content::Text),
        known("xml", &["edxml"], "application/xml", Content::Xml),
        known("eml", &[], "message/rfc822", Content::Mail),
    ];

    /// By a name's ending in lower case.
    pub fn of_ending(ending: &str) -> Option<FileType> {
        FileType::ALL
            .into_iter()
            .find(|known| known.ending == ending || known.also.contains(&ending))
    }

    pub fn of_media_type(media_type: &str) -> Option<FileType> {
        FileType::ALL
            .into_iter()
            .find(|known| known.media_type == media_type)
    }

    /// Must every byte of it be text?
    pub fn is_text(self) -> bool {
        matches!(self.content, Content::Text | Content::Xml | Content::Mail)
    }

    /// `Content-Type` of a download. XML goes out as plain text: no browser may take a style sheet or a script from it.
    pub fn served_as(self) -> &'static str {
        match self.content {
            Content::Xml => "text/plain; charset=utf-8",
            Content::Text if self.ending == "csv" => "text/csv; charset=utf-8",
            Content::Text => "text/plain; charset=utf-8",
            _ => self.media_type,
        }
    }
}

impl Serialize for FileType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.ending)
    }
}

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// None of the types that are taken here.
    NotTaken,
    /// It can run, or a browser would run it.
    Runs,
    /// Its name says another type than its content.
    Contradiction,
    /// A text that is not UTF-8, or has control characters.
    NotText,
}

/// The type of a file that begins like this and is called this, if it is one of `taken`.
pub fn sniff(head: &[u8], name: &str, taken: &[FileType]) -> Result<FileType, Refusal> {
    let ending = match name.rsplit_once('.') {
        Some((_, ending)) if !ending.is_empty() => Some(ending.to_lowercase()),
        _ => None,
    };
    let said = ending.as_deref().map(FileType::of_ending);
    let found = find(head, said.flatten())?;
    match said {
        Some(said) if said != Some(found) => Err(match said {
            Some(_) => Refusal::Contradiction,
            None => Refusal::NotTaken,
        }),
        _ if taken.contains(&found) => Ok(found),
        _ => Err(Refusal::NotTaken),
    }
}

fn find(head: &[u8], said: Option<FileType>) -> Result<FileType, Refusal> {
    // `infer` wants a whole header; the beginning of one is enough to refuse.
    if infer::is_app(head) || head.starts_with(b"\x7fELF") {
        return Err(Refusal::Runs);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return find_in_zip(head, said);
    }
    if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return said
            .filter(|said| said.content == Content::Compound)
            .ok_or(match said {
                Some(_) => Refusal::Contradiction,
                None => Refusal::NotTaken,
            });
    }
    if let Some(found) = infer::get(head).and_then(|found| FileType::of_media_type(found.mime_type()))
        && found.content == Content::Signature
    {
        return Ok(found);
    }
    find_text(head, said)
}

/// By the names of the parts that begin within the head.
fn find_in_zip(head: &[u8], said: Option<FileType>) -> Result<FileType, Refusal> {
    let parts = zip_parts(head);
    let has = |name: &str| parts.iter().any(|part| part.starts_with(name.as_bytes()));
    let ends = |name: &str| parts.iter().any(|part| part.ends_with(name.as_bytes()));
    if has("META-INF/MANIFEST.MF") || has("AndroidManifest.xml") || ends("vbaProject.bin") {
        return Err(Refusal::Runs);
    }
    if parts.first().is_some_and(|first| *first == b"mimetype") {
        let text = String::from_utf8_lossy(head.get(..200.min(head.len())).unwrap_or_default());
        let open = FileType::ALL
            .into_iter()
            .filter(|known| known.content == Content::OpenDocument);
        // The longer ones (`…text-template`) are other types.
        return open
            .into_iter()
            .find(|known| text.contains(&format!("mimetype{}PK", known.media_type)))
            .ok_or(Refusal::NotTaken);
    }
    let is_office = has("[Content_Types].xml") || has("_rels/");
    let office = FileType::ALL.into_iter().filter_map(|known| match known.content {
        Content::Ooxml(folder) => Some((known, folder)),
        _ => None,
    });
    let zip = FileType::of_ending("zip").ok_or(Refusal::NotTaken)?;
    // An Office file that is called `.zip` is a ZIP as well.
    if !is_office || said == Some(zip) {
        return Ok(zip);
    }
    let mut office = office.filter(|(_, folder)| has(folder));
    match (office.next(), said) {
        (Some((found, _)), _) => Ok(found),
        // Its parts lie behind a large first one: the name may say which program it is of.
        (None, Some(said)) if matches!(said.content, Content::Ooxml(_)) => Ok(said),
        _ => Ok(zip),
    }
}

/// Names in the local headers (APPNOTE 4.3.7) that begin within these bytes.
fn zip_parts(head: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = head;
    while let Some(at) = rest.windows(4).position(|window| window == b"PK\x03\x04") {
        let header = rest.get(at..).unwrap_or_default();
        let length = match (header.get(26), header.get(27)) {
            (Some(low), Some(high)) => usize::from(u16::from_le_bytes([*low, *high])),
            _ => break,
        };
        parts.extend(header.get(30..30 + length));
        rest = header.get(4..).unwrap_or_default();
    }
    parts
}

/// What a browser or a shell would run, at the beginning of a text.
const ACTIVE_BEGINNINGS: [&str; 11] = [
    "#!",
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<script",
    "<svg",
    "<iframe",
    "<?php",
    "<%",
    "<!--",
];
/// The same anywhere in XML, whose beginning says little.
const ACTIVE_XML: [&str; 6] = [
    "<svg",
    "<html",
    "<script",
    "<?xml-stylesheet",
    "www.w3.org/1999/xhtml",
    "www.w3.org/2000/svg",
];

fn find_text(head: &[u8], said: Option<FileType>) -> Result<FileType, Refusal> {
    let mut check = TextCheck::default();
    check.push(head).map_err(|not_text| match said {
        Some(said) if said.is_text() => not_text,
        Some(_) => Refusal::Contradiction,
        None => Refusal::NotTaken,
    })?;
    let text = String::from_utf8_lossy(head).to_lowercase();
    let beginning = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let named = |ending: &str| said.filter(|said| said.ending == ending);
    if let Some(mail) = named("eml") {
        return if looks_like_mail(beginning) {
            Ok(mail)
        } else {
            Err(Refusal::Contradiction)
        };
    }
    if ACTIVE_BEGINNINGS
        .iter()
        .any(|active| beginning.starts_with(active))
    {
        return Err(Refusal::Runs);
    }
    let is_xml = beginning.starts_with("<?xml");
    if is_xml || (beginning.starts_with('<') && named("xml").is_some()) {
        if ACTIVE_XML.iter().any(|active| text.contains(active)) {
            return Err(Refusal::Runs);
        }
        return FileType::of_ending("xml").ok_or(Refusal::NotTaken);
    }
    match said {
        Some(said) if said.content == Content::Text => Ok(said),
        Some(_) => Err(Refusal::Contradiction),
        None => FileType::of_ending("txt").ok_or(Refusal::NotTaken),
    }
}

fn looks_like_mail(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first
        .split_once(':')
        .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// Checks piece by piece that bytes are UTF-8 without control characters.
#[derive(Default)]
pub struct TextCheck {
    /// The beginning of a character that the next piece goes on with.
    carried: Vec<u8>,
}

impl TextCheck {
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let joined;
        let bytes = if self.carried.is_empty() {
            piece
        } else {
            joined = [self.carried.as_slice(), piece].concat();
            joined.as_slice()
        };
        let (text, rest) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, Vec::new()),
            Err(cause) if cause.error_len().is_none() => {
                let (whole, rest) = bytes.split_at(cause.valid_up_to());
                let text = std::str::from_utf8(whole).ok().ok_or(Refusal::NotText)?;
                (text, rest.to_vec())
            }
            Err(_) => return Err(Refusal::NotText),
        };
        let is_forbidden =
            |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}');
        if text.chars().any(is_forbidden) {
            return Err(Refusal::NotText);
        }
        self.carried = rest;
        Ok(())
    }

    /// Does the text end where a character ends?
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.carried.is_empty() {
            true => Ok(()),
            false => Err(Refusal::NotText),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, content: &str) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend([0; 22]);
        bytes.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(name.as_bytes());
        bytes.extend(content.as_bytes());
        bytes
    }

    fn zip(parts: &[(&str, &str)]) -> Vec<u8> {
        parts
            .iter()
            .flat_map(|(name, content)| part(name, content))
            .collect()
    }

    #[test]
    fn what_a_file_is_stands_in_its_bytes_and_its_name_agrees() {
        let docx = zip(&[("[Content_Types].xml", "<Types/>"), ("word/document.xml", "…")]);
        let odt = zip(&[
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            ("content.xml", ""),
        ]);
        let plain = zip(&[("a.txt", "x")]);
        let ole = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and so on".to_vec();
        for (bytes, name, expected) in [
            (b"%PDF-1.7\n...".to_vec(), "a.pdf", Ok("pdf")),
            (b"%PDF-1.7\n...".to_vec(), "no ending", Ok("pdf")),
            (b"%PDF-1.7\n...".to_vec(), "a.docx", Err(Refusal::Contradiction)),
            (b"\x89PNG\r\n\x1a\n....".to_vec(), "A.PNG", Ok("png")),
            (b"\xFF\xD8\xFF\xE0..".to_vec(), "a.jpg", Ok("jpeg")),
            (b"MZ\x90\x00\x03".to_vec(), "a.pdf", Err(Refusal::Runs)),
            (b"\x7fELF\x02\x01\x01".to_vec(), "a", Err(Refusal::Runs)),
            (docx.clone(), "a.docx", Ok("docx")),
            (docx.clone(), "a.zip", Ok("zip")),
            (docx, "a.xlsx", Err(Refusal::Contradiction)),
            (odt, "a.odt", Ok("odt")),
            (plain.clone(), "a.zip", Ok("zip")),
            (plain, "a.docx", Err(Refusal::Contradiction)),
            (zip(&[("META-INF/MANIFEST.MF", "")]), "a.zip", Err(Refusal::Runs)),
            (
                zip(&[("[Content_Types].xml", ""), ("word/vbaProject.bin", "")]),
                "a.docx",
                Err(Refusal::Runs),
            ),
            (ole.clone(), "a.xls", Ok("xls")),
            (ole.clone(), "a.pdf", Err(Refusal::Contradiction)),
            (ole, "a.msi", Err(Refusal::NotTaken)),
            ("Xin chào".into(), "a.txt", Ok("txt")),
            ("a,b\n1,2\n".into(), "a.csv", Ok("csv")),
            (
                "\u{feff}<?xml version=\"1.0\"?><edXML/>".into(),
                "a.xml",
                Ok("xml"),
            ),
            (
                "<?xml version=\"1.0\"?><svg/>".into(),
                "a.xml",
                Err(Refusal::Runs),
            ),
            (
                "<?xml version=\"1.0\"?><x/>".into(),
                "a.txt",
                Err(Refusal::Contradiction),
            ),
            ("From: a@b\nSubject: x\n\n<html>".into(), "a.eml", Ok("eml")),
            (" \n<!DOCTYPE HTML><p>".into(), "a.txt", Err(Refusal::Runs)),
            ("<SVG onload=x>".into(), "a", Err(Refusal::Runs)),
            ("#!/bin/sh\n".into(), "a.txt", Err(Refusal::Runs)),
            ("alert(1)".into(), "a.js", Err(Refusal::NotTaken)),
            ("hello".into(), "a.pdf.exe", Err(Refusal::NotTaken)),
            ("hello".into(), "a.png", Err(Refusal::Contradiction)),
            (b"a\x00b".to_vec(), "a.txt", Err(Refusal::NotText)),
            (b"\xff\xfea\x00".to_vec(), "a.csv", Err(Refusal::NotText)),
        ] {
            let found = sniff(&bytes, name, &FileType::ALL).map(|found| found.ending);
            assert_eq!(found, expected, "{name} {:?}", String::from_utf8_lossy(&bytes));
        }
        let only_pdf = [FileType::of_ending("pdf").unwrap()];
        assert_eq!(sniff(b"hello", "a.txt", &only_pdf), Err(Refusal::NotTaken));
    }

    #[test]
    fn a_text_is_checked_across_pieces() {
        let mut check = TextCheck::default();
        for byte in "Tiếng Việt".bytes() {
            check.push(&[byte]).unwrap();
        }
        check.finish().unwrap();
        check.push(b"\xe1\xba").unwrap();
        assert_eq!(check.finish(), Err(Refusal::NotText));
        assert_eq!(TextCheck::default().push(b"\xff"), Err(Refusal::NotText));
    }
}
