//! Where mails go: a folder, or a server with SMTP (RFC 5321) and the kind of encryption that its scheme says.
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::{ConfigError, invalid};

/// How mails leave the house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailTransport {
    /// `.eml` files in a folder: the embedded default.
    Folder(PathBuf),
    Smtp {
        security: SmtpSecurity,
        host: String,
        port: u16,
        credentials: Option<(String, String)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    None,
    /// Connect in the clear, then insist on STARTTLS; a server that does not offer it gets no mail.
    StartTls,
    Tls,
}

impl MailTransport {
    /// `folder`, or `SCHEME://[USER:PASSWORD@]HOST[:PORT]` with the login percent-encoded (RFC 3986).
    pub(super) fn parse(text: &str, storage: &Path) -> Result<MailTransport, ConfigError> {
        if text == "folder" {
            return Ok(MailTransport::Folder(storage.join("mails")));
        }
        let bad = |reason: &str| invalid("mail_transport", reason.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            bad("want `folder`, smtp://HOST:PORT, smtp+starttls://HOST:PORT or smtps://HOST:PORT")
        })?;
        let (security, default_port) = match scheme {
            "smtp" => (SmtpSecurity::None, 25),
            "smtp+starttls" => (SmtpSecurity::StartTls, 587),
            "smtps" => (SmtpSecurity::Tls, 465),
            _ => return Err(bad("unknown scheme; want smtp, smtp+starttls or smtps")),
        };
        let rest = rest.trim_end_matches('/');
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let credentials = match login {
            None => None,
            Some(login) => {
                let (user, password) = login
                    .split_once(':')
                    .ok_or_else(|| bad("want USER:PASSWORD before the @"))?;
                Some((decode(user), decode(password)))
            }
        };
        if credentials.is_some() && security == SmtpSecurity::None {
            return Err(bad("a password needs smtp+starttls or smtps"));
        }
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => {
                let port = port
                    .parse()
                    .ok()
                    .ok_or_else(|| bad("the port is not a number up to 65535"))?;
                (host, port)
            }
            None => (address, default_port),
        };
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        Ok(MailTransport::Smtp {
            security,
            host: host.to_owned(),
            port,
            credentials,
        })
    }

    /// For people: secrets masked.
    pub(super) fn masked(&self) -> String {
        match self {
            MailTransport::Folder(folder) => format!("folder ({})", folder.display()),
            MailTransport::Smtp {
                security,
                host,
                port,
                credentials,
            } => {
                let login = if credentials.is_some() { "***:***@" } else { "" };
                format!("{}://{login}{host}:{port}", security.scheme())
            }
        }
    }
}

impl SmtpSecurity {
    fn scheme(self) -> &'static str {
        match self {
            SmtpSecurity::None => "smtp",
            SmtpSecurity::StartTls => "smtp+starttls",
            SmtpSecurity::Tls => "smtps",
        }
    }
}

/// A sequence that is no UTF-8 stands for U+FFFD.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
