//! A mail as it arrived, read back the way a mail program would: headers unfolded, encoded words and bodies decoded.
//! Reads what our own mailer may send (UTF-8 or ASCII, RFC 2045 to 2047); anything else is a test failure.

use data_encoding::BASE64;

/// A mail that the server took responsibility for.
#[derive(Clone, Debug)]
pub struct ReceivedMail {
    /// The reverse path of the envelope; empty for a notification that must not bounce.
    pub from: String,
    /// The recipients of the envelope that the server accepted.
    pub to: Vec<String>,
    /// The message itself, dot-unstuffed, with its CRLF line ends.
    pub data: String,
    /// In the order of the message, unfolded, not decoded.
    pub headers: Vec<(String, String)>,
    pub subject: String,
    /// The first `text/plain` part.
    pub text: String,
}

impl ReceivedMail {
    pub fn read(from: String, to: Vec<String>, data: String) -> Self {
        let (headers, body) = entity(&data);
        let subject = find(&headers, "Subject").map(decoded_words).unwrap_or_default();
        let text = part(&headers, body, "text/plain").unwrap_or_default();
        Self {
            from,
            to,
            headers,
            subject,
            text,
            data,
        }
    }

    /// The first header of this name, unfolded.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The first part of this media type, decoded.
    pub fn part(&self, media_type: &str) -> Option<String> {
        let (headers, body) = entity(&self.data);
        part(&headers, body, media_type)
    }
}

type Headers = Vec<(String, String)>;

fn find<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Splits a message or a part into its headers and its body (RFC 5322, section 2.1).
fn entity(data: &str) -> (Headers, &str) {
    let (head, body) = match data.strip_prefix("\r\n") {
        Some(body) => ("", body),
        None => data.split_once("\r\n\r\n").unwrap_or((data, "")),
    };
    let mut headers: Headers = Vec::new();
    for line in head.split("\r\n").filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            // Unfolding removes the line break only; the blank that follows it belongs to the value.
            headers
                .last_mut()
                .expect("a header before its continuation")
                .1
                .push_str(line);
        } else {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("not a header: {line:?}"));
            headers.push((name.to_owned(), value.trim_start().to_owned()));
        }
    }
    (headers, body)
}

/// The first part of this media type in the tree below, decoded to text.
fn part(headers: &Headers, body: &str, wanted: &str) -> Option<String> {
    let content_type = find(headers, "Content-Type").unwrap_or("text/plain; charset=us-ascii");
    let media_type = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if media_type.starts_with("multipart/") {
        let boundary = parameter(content_type, "boundary").expect("a multipart has a boundary");
        return parts(body, &boundary).into_iter().find_map(|inner| {
            let (headers, body) = entity(inner);
            part(&headers, body, wanted)
        });
    }
    if media_type != wanted {
        return None;
    }
    if let Some(charset) = parameter(content_type, "charset") {
        assert!(is_utf8_or_ascii(&charset), "a mail in {charset}");
    }
    let encoding = find(headers, "Content-Transfer-Encoding")
        .unwrap_or("7bit")
        .trim()
        .to_ascii_lowercase();
    Some(match encoding.as_str() {
        "base64" => text(from_base64(body)),
        "quoted-printable" => text(from_quoted_printable(body)),
        "7bit" | "8bit" => body.to_owned(),
        other => panic!("a mail encoded as {other}"),
    })
}

/// The bodies between the boundary lines (RFC 2046, section 5.1.1).
fn parts<'a>(body: &'a str, boundary: &str) -> Vec<&'a str> {
    let delimiter = format!("--{boundary}");
    // The line break before a boundary line belongs to the boundary.
    let sections = body
        .split(delimiter.as_str())
        .skip(1)
        .take_while(|section| !section.starts_with("--"));
    sections
        .map(|section| {
            let section = section.split_once("\r\n").map_or("", |(_, rest)| rest);
            section.strip_suffix("\r\n").unwrap_or(section)
        })
        .collect()
}

fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn is_utf8_or_ascii(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("mail text is UTF-8")
}

fn from_base64(body: &str) -> Vec<u8> {
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    BASE64.decode(packed.as_bytes()).expect("a base64 body")
}

fn from_quoted_printable(body: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A `=` at the end of a line is a soft line break.
    decode_escapes(&body.replace("=\r\n", ""), &mut bytes);
    bytes
}

/// `=3D` and its like.
fn decode_escapes(encoded: &str, bytes: &mut Vec<u8>) {
    let mut rest = encoded.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'=' && after.len() >= 2 {
            let digits = std::str::from_utf8(&after[..2]).expect("ASCII after =");
            bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits after ="));
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
}

/// Decodes the encoded words of a header (RFC 2047); blanks between two of them are not part of the text.
pub fn decoded_words(value: &str) -> String {
    let mut decoded = String::new();
    let mut rest = value;
    let mut after_encoded_word = false;
    while let Some(start) = rest.find("=?") {
        let Some((word, after)) = encoded_word(&rest[start..]) else {
            break;
        };
        let between = &rest[..start];
        if !(after_encoded_word && between.trim().is_empty()) {
            decoded.push_str(between);
        }
        decoded.push_str(&word);
        after_encoded_word = true;
        rest = after;
    }
    decoded + rest
}

/// Takes `=?charset?encoding?text?=` off the front.
fn encoded_word(value: &str) -> Option<(String, &str)> {
    let mut fields = value.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, tail) = (fields.next()?, fields.next()?, fields.next()?);
    let (encoded, after) = tail.split_once("?=")?;
    assert!(is_utf8_or_ascii(charset), "an encoded word in {charset}");
    let bytes = if encoding.eq_ignore_ascii_case("b") {
        from_base64(encoded)
    } else {
        let mut bytes = Vec::new();
        decode_escapes(&encoded.replace('_', " "), &mut bytes);
        bytes
    };
    Some((text(bytes), after))
}
