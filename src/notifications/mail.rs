//! Building a mail and handing it over: to an SMTP server, or as an `.eml` file into a folder.
//!
//! A delivery may be sent twice when a process dies between the hand-over and the note of it. Therefore everything in
//! the message comes from the delivery (id, instant, Message-ID, MIME boundary) and nothing from the system: the
//! second message is the first, byte for byte, and the folder keeps one file. Data cannot add a header or a line.
//! An error says whether trying again makes sense, and carries neither a password nor a person's address.
//! Both transports block: call them off the async threads.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Datelike, Utc};
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, SmtpTransport, Transport};
use uuid::Uuid;

use super::templates::{RenderedMail, cut, single_line};
use crate::config::SmtpSecurity;
use crate::language::Language;

/// Connections kept open to the server at most. Mail is sent by few workers; more would only annoy the server.
const POOLED_CONNECTIONS: u32 = 4;
const ERROR_CHARACTERS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub address: String,
    pub name: Option<String>,
}

/// One mail to one recipient, ready to be sent now or again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    pub delivery_id: Uuid,
    /// `Name <address>` or the bare address, as the operator set it; see [`is_mailbox`].
    pub from: String,
    pub reply_to: Option<String>,
    pub to: Recipient,
    /// `<…@…>`, the same for every attempt.
    pub message_id: String,
    /// Message-ID under which the mails of a question are threaded. The root itself carries no reference.
    pub thread_root: Option<String>,
    pub sent_at: DateTime<Utc>,
    pub rendered: RenderedMail,
    pub language: Language,
}

/// Why a mail was not handed over. `permanent`: another attempt of the same mail would fail the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    pub permanent: bool,
    pub message: String,
}

impl SendError {
    fn permanent(message: impl Into<String>) -> Self {
        Self {
            permanent: true,
            message: message.into(),
        }
    }

    fn transient(message: impl Into<String>) -> Self {
        Self {
            permanent: false,
            message: message.into(),
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub tls: SmtpSecurity,
    pub username: Option<String>,
    pub password: Option<String>,
    /// For connecting and for each answer of the server.
    pub timeout: Duration,
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SmtpSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("timeout", &self.timeout)
            .finish()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("SMTP: a user name needs a password and the reverse")]
    HalfCredentials,
    #[error("SMTP: a password is not sent to another machine without TLS; choose starttls or tls")]
    PasswordInTheClear,
    #[error("SMTP: TLS cannot be set up for this host name")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("mail folder {path} cannot be used: {source}")]
    Folder { path: PathBuf, source: io::Error },
}

/// The way out of the house.
#[derive(Clone)]
pub struct Mailer(Route);

#[derive(Clone)]
enum Route {
    Smtp(SmtpTransport),
    Folder(PathBuf),
}

impl Mailer {
    /// Opens no connection yet: a mail server that is down must not keep the answer centre from starting.
    pub fn smtp(settings: &SmtpSettings) -> Result<Self, MailerError> {
        let tls_parameters = || TlsParameters::new(settings.host.clone()).map_err(MailerError::Tls);
        let tls = match settings.tls {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::StartTls => Tls::Required(tls_parameters()?),
            SmtpSecurity::Tls => Tls::Wrapper(tls_parameters()?),
        };
        let mut builder = SmtpTransport::builder_dangerous(&settings.host)
            .port(settings.port)
            .tls(tls)
            .timeout(Some(settings.timeout))
            .pool_config(PoolConfig::new().max_size(POOLED_CONNECTIONS));
        match (&settings.username, &settings.password) {
            (None, None) => {}
            (Some(_), Some(_)) if settings.tls == SmtpSecurity::None && !is_loopback(&settings.host) => {
                return Err(MailerError::PasswordInTheClear);
            }
            (Some(username), Some(password)) => {
                builder = builder.credentials(Credentials::new(username.clone(), password.clone()));
            }
            _ => return Err(MailerError::HalfCredentials),
        }
        Ok(Self(Route::Smtp(builder.build())))
    }

    /// Creates the folder where it is missing.
    pub fn folder(path: impl Into<PathBuf>) -> Result<Self, MailerError> {
        let path = path.into();
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(Self(Route::Folder(path))),
            Err(source) => Err(MailerError::Folder { path, source }),
        }
    }

    /// Hands the mail over. A transient error may come after the server has taken the mail (its answer was lost):
    /// the repeat then has the same Message-ID, by which mail stores recognise it.
    pub fn send(&self, mail: &OutgoingMail) -> Result<(), SendError> {
        let message = build(mail)?;
        match &self.0 {
            Route::Smtp(transport) => transport
                .send(&message)
                .map(drop)
                .map_err(|error| smtp_failure(&error)),
            Route::Folder(folder) => {
                let file_name = format!("{}.eml", mail.delivery_id);
                write_whole_file(folder, &file_name, &message.formatted())
                    .map_err(|error| SendError::transient(format!("mail folder: {error}")))
            }
        }
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SMTP transport holds the password.
        match &self.0 {
            Route::Smtp(_) => formatter.write_str("Mailer(smtp)"),
            Route::Folder(folder) => write!(formatter, "Mailer(folder {})", folder.display()),
        }
    }
}

/// Whether a sender setting can be used, so that a wrong one is refused at start and not mail by mail.
pub fn is_mailbox(text: &str) -> bool {
    text.parse::<Mailbox>()
        .is_ok_and(|mailbox| mailbox.email.to_string().is_ascii())
}

/// The name under which a file appears is complete or absent: written aside, on the disk, then renamed.
fn write_whole_file(folder: &Path, file_name: &str, content: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{file_name}.unfinished"));
    let mut file = File::create(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(file_name))?;
    // The rename itself lives in the folder and survives a power cut only when that is on the disk too.
    File::open(folder)?.sync_all()
}

fn build(mail: &OutgoingMail) -> Result<Message, SendError> {
    // The sender is a setting: with it repaired the mail goes out, so the mail must not die of it.
    let from = mailbox(&mail.from).ok_or_else(|| SendError::transient("the sender setting is no address"))?;
    let to = recipient(&mail.to)?;
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.email.clone()])
        .map_err(|error| SendError::permanent(error.to_string()))?;

    let mut builder = Message::builder()
        .envelope(envelope)
        .date(header_date(mail.sent_at)?)
        .from(from)
        .to(to)
        .subject(header_text(&mail.rendered.subject))
        .message_id(Some(message_id(&mail.message_id)?));
    if let Some(reply_to) = &mail.reply_to {
        let reply_to = mailbox(reply_to);
        builder = builder
            .reply_to(reply_to.ok_or_else(|| SendError::transient("the reply-to setting is no address"))?);
    }
    if let Some(root) = mail.thread_root.as_ref().filter(|root| **root != mail.message_id) {
        let root = message_id(root)?;
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    let message = builder
        // RFC 3834, section 5: keeps vacation responders from answering.
        .raw_header(ascii_header("Auto-Submitted", "auto-generated"))
        .raw_header(ascii_header("Content-Language", mail.language.as_str()))
        .multipart(
            MultiPart::alternative()
                // lettre's own boundary is random; a repeat must be the same message.
                .boundary(format!("giaidap-{}", mail.delivery_id.simple()))
                .singlepart(part(ContentType::TEXT_PLAIN, &mail.rendered.text)?)
                .singlepart(part(ContentType::TEXT_HTML, &mail.rendered.html)?),
        );
    message.map_err(|error| SendError::permanent(error.to_string()))
}

/// Quoted-printable always: lettre would choose base64 for much of Vietnamese, which spam filters distrust and nobody
/// can read in a file.
fn part(content_type: ContentType, text: &str) -> Result<SinglePart, SendError> {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(text.to_owned(), encoding)
        .map_err(|_unencodable| SendError::permanent("the text cannot be encoded"))?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

fn mailbox(text: &str) -> Option<Mailbox> {
    let parsed: Mailbox = text.parse().ok()?;
    is_mailbox(text).then(|| Mailbox::new(parsed.name.as_deref().and_then(display_name), parsed.email))
}

fn recipient(to: &Recipient) -> Result<Mailbox, SendError> {
    let address: Option<Address> = to.address.trim().parse().ok();
    // An address outside ASCII needs SMTPUTF8 on every hop; official addresses are ASCII.
    let address = address
        .filter(|address| address.to_string().is_ascii())
        .ok_or_else(|| SendError::permanent("the recipient's address is not valid"))?;
    Ok(Mailbox::new(to.name.as_deref().and_then(display_name), address))
}

fn display_name(name: &str) -> Option<String> {
    Some(header_text(name)).filter(|name| !name.is_empty())
}

/// One line, and no ready-made encoded word (RFC 2047): lettre passes ASCII through as it is, and the reader's mail
/// program would decode `=?utf-8?…?=` into whatever the writer hid in it.
fn header_text(text: &str) -> String {
    single_line(text).replace("=?", "= ?")
}

fn message_id(id: &str) -> Result<String, SendError> {
    let inside = id
        .strip_prefix('<')
        .and_then(|id| id.strip_suffix('>'))
        .unwrap_or_default();
    let allowed =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'(' | b')' | b',' | b'"');
    let two_halves = inside
        .split_once('@')
        .is_some_and(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains('@'));
    if two_halves && inside.bytes().all(allowed) && id.len() <= 250 {
        Ok(id.to_owned())
    } else {
        Err(SendError::permanent("the message id is not valid"))
    }
}

/// The header's library panics outside of 1970 to 9999.
fn header_date(sent_at: DateTime<Utc>) -> Result<SystemTime, SendError> {
    if (1970..=9999).contains(&sent_at.year()) {
        Ok(sent_at.into())
    } else {
        Err(SendError::permanent("the date of the mail is out of range"))
    }
}

fn ascii_header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn smtp_failure(error: &lettre::transport::smtp::Error) -> SendError {
    let code = error.status().map(u16::from);
    // Refused credentials or a demand for TLS concern every mail and are repaired in the settings (RFC 4954, section 6).
    let concerns_our_settings = matches!(code, Some(530 | 534 | 535 | 538));
    SendError {
        permanent: error.is_permanent() && !concerns_our_settings,
        message: format!("SMTP: {}", without_addresses(&error.to_string())),
    }
}

fn without_addresses(text: &str) -> String {
    let hide = |word| {
        if str::contains(word, '@') {
            "<address>"
        } else {
            word
        }
    };
    let line = single_line(text);
    cut(
        &line.split(' ').map(hide).collect::<Vec<_>>().join(" "),
        ERROR_CHARACTERS,
    )
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
