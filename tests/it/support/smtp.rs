//! A real SMTP server on loopback that plays the world's mail servers, well-behaved or not, per recipient.
//!
//! It speaks the part of RFC 5321 that a client meets: EHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP, QUIT, with
//! pipelining. It is strict where a fault of ours would harm elsewhere: lines end in CRLF, commands come in order,
//! messages are UTF-8. It offers no TLS and no login. Waiting is bounded by one deadline and panics past it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::mail::ReceivedMail;
use super::threads::PATIENCE;

/// What the server does with a recipient; the default is to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    Accept,
    /// 451 to RCPT: try again later.
    Defer,
    /// 550 to RCPT: never.
    Refuse,
    /// No answer to RCPT until the recipient is told to behave otherwise.
    Hang,
    /// Closes the connection after the end of DATA without an answer, so that the client cannot know whether the
    /// mail arrived: it did when `stored`.
    Drop {
        stored: bool,
    },
}

/// The running server; it stops when dropped.
pub struct SmtpSink {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    behaviours: HashMap<String, Behaviour>,
    received: Vec<ReceivedMail>,
    hanging: Vec<String>,
    connections: Vec<TcpStream>,
    stopping: bool,
}

impl SmtpSink {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        let acceptor = thread::spawn(move || accept(&listener, &accepting));
        Self {
            port,
            shared,
            acceptor: Some(acceptor),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on, for the recipient's address without regard to case.
    pub fn behave(&self, recipient: &str, behaviour: Behaviour) {
        self.shared
            .lock()
            .behaviours
            .insert(recipient.to_ascii_lowercase(), behaviour);
        self.shared.changed.notify_all();
    }

    /// All mail so far, in the order of arrival.
    pub fn received(&self) -> Vec<ReceivedMail> {
        self.shared.lock().received.clone()
    }

    /// Waits until at least `count` mails have arrived and returns all there are.
    pub fn wait_for(&self, count: usize) -> Vec<ReceivedMail> {
        self.wait_until(&format!("{count} mails"), |state| state.received.len() >= count)
            .received
            .clone()
    }

    /// Waits until a client hangs on this recipient.
    pub fn wait_until_hanging(&self, recipient: &str) {
        let recipient = recipient.to_ascii_lowercase();
        drop(self.wait_until(&format!("a client of {recipient}"), |state| {
            state.hanging.contains(&recipient)
        }));
    }

    fn wait_until(&self, what: &str, reached: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.shared.lock();
        while !reached(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let mails: Vec<_> = state
                    .received
                    .iter()
                    .map(|mail| (&mail.to, &mail.subject))
                    .collect();
                let report = format!("waited {PATIENCE:?} for {what}; so far: {mails:?}");
                drop(state);
                panic!("{report}");
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        state
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        for connection in &state.connections {
            connection.shutdown(Shutdown::Both).ok();
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the acceptor, which sees that it is over.
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok();
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do with this recipient; does not return while it hangs.
    fn behaviour(&self, recipient: &str) -> Behaviour {
        let recipient = recipient.to_ascii_lowercase();
        let mut state = self.lock();
        let mut hung = false;
        loop {
            let behaviour = state
                .behaviours
                .get(&recipient)
                .copied()
                .unwrap_or(Behaviour::Accept);
            if behaviour != Behaviour::Hang || state.stopping {
                if let Some(place) = state
                    .hanging
                    .iter()
                    .position(|waiting| hung && *waiting == recipient)
                {
                    state.hanging.swap_remove(place);
                }
                return behaviour;
            }
            if !hung {
                state.hanging.push(recipient.clone());
                self.changed.notify_all();
                hung = true;
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        let Ok(connection) = connection else { return };
        let mut state = shared.lock();
        if state.stopping {
            return;
        }
        state.connections.push(connection.try_clone().unwrap());
        drop(state);
        let shared = Arc::clone(shared);
        // A client that goes away mid-sentence is its own affair: the tests see what arrived.
        thread::spawn(move || Session::new(connection, &shared).and_then(Session::serve).ok());
    }
}

/// One connection; closed when the value is dropped.
struct Session<'a> {
    lines: BufReader<TcpStream>,
    replies: TcpStream,
    shared: &'a Shared,
    greeted: bool,
    transaction: Option<Transaction>,
}

/// From MAIL to the end of DATA.
#[derive(Default)]
struct Transaction {
    from: String,
    to: Vec<String>,
    drop_stored: Option<bool>,
}

#[derive(PartialEq, Eq)]
enum Next {
    Continue,
    Close,
}

impl<'a> Session<'a> {
    fn new(connection: TcpStream, shared: &'a Shared) -> io::Result<Self> {
        let replies = connection.try_clone()?;
        Ok(Self {
            lines: BufReader::new(connection),
            replies,
            shared,
            greeted: false,
            transaction: None,
        })
    }

    fn serve(mut self) -> io::Result<()> {
        self.reply("220 sink.test ESMTP")?;
        while let Some(line) = self.line()? {
            let next = match command(&line) {
                Some((verb, argument)) => self.obey(&verb, argument)?,
                None => self.reply("500 5.5.2 a line ends in CRLF and is ASCII or UTF-8")?,
            };
            if next == Next::Close {
                break;
            }
        }
        Ok(())
    }

    fn obey(&mut self, verb: &str, argument: &str) -> io::Result<Next> {
        match verb {
            "EHLO" | "HELO" => {
                self.greeted = true;
                self.transaction = None;
                let extensions = "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8";
                self.reply(if verb == "EHLO" {
                    extensions
                } else {
                    "250 sink.test"
                })
            }
            "MAIL" => self.mail(argument),
            "RCPT" => self.recipient(argument),
            "DATA" => self.data(),
            "RSET" => {
                self.transaction = None;
                self.reply("250 2.0.0 forgotten")
            }
            "NOOP" => self.reply("250 2.0.0 nothing done"),
            "QUIT" => self.reply("221 2.0.0 bye").map(|_| Next::Close),
            _ => self.reply("502 5.5.1 unknown command"),
        }
    }

    fn mail(&mut self, argument: &str) -> io::Result<Next> {
        if !self.greeted || self.transaction.is_some() {
            return self.reply("503 5.5.1 MAIL comes once, after EHLO");
        }
        let Some(from) = path(argument, "FROM:") else {
            return self.reply("501 5.5.4 MAIL FROM:<address>");
        };
        self.transaction = Some(Transaction {
            from,
            ..Transaction::default()
        });
        self.reply("250 2.1.0 sender noted")
    }

    fn recipient(&mut self, argument: &str) -> io::Result<Next> {
        let shared = self.shared;
        let Some(transaction) = &mut self.transaction else {
            return self.reply("503 5.5.1 MAIL comes first");
        };
        let Some(to) = path(argument, "TO:").filter(|to| !to.is_empty()) else {
            return self.reply("501 5.5.4 RCPT TO:<address>");
        };
        match shared.behaviour(&to) {
            Behaviour::Defer => return self.reply("451 4.2.1 mailbox busy, try again later"),
            Behaviour::Refuse => return self.reply("550 5.1.1 no such mailbox"),
            Behaviour::Hang => return Ok(Next::Close), // the server is stopping
            Behaviour::Drop { stored } => transaction.drop_stored = Some(stored),
            Behaviour::Accept => {}
        }
        transaction.to.push(to);
        self.reply("250 2.1.5 recipient noted")
    }

    fn data(&mut self) -> io::Result<Next> {
        let Some(transaction) = self.transaction.take_if(|transaction| !transaction.to.is_empty()) else {
            return self.reply("503 5.5.1 RCPT comes first");
        };
        self.reply("354 end with a line that is a dot")?;
        let mut bytes = Vec::new();
        loop {
            // A client that stops here has not handed over its mail.
            let Some(line) = self.line()? else {
                return Ok(Next::Close);
            };
            if line == b".\r\n" {
                break;
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        let Ok(data) = String::from_utf8(bytes) else {
            return self.reply("554 5.6.0 not UTF-8");
        };
        // RFC 5321, section 2.3.8; bare line feeds are what mail smuggling is made of.
        if data.replace("\r\n", "").contains(['\r', '\n']) {
            return self.reply("554 5.6.0 a bare line break");
        }
        if transaction.drop_stored != Some(false) {
            let mail = ReceivedMail::read(transaction.from, transaction.to, data);
            self.shared.lock().received.push(mail);
            self.shared.changed.notify_all();
        }
        if transaction.drop_stored.is_some() {
            Ok(Next::Close)
        } else {
            self.reply("250 2.0.0 stored")
        }
    }

    /// The next line with its end; nothing when the client has closed.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.lines.read_until(b'\n', &mut line)?;
        Ok((!line.is_empty()).then_some(line))
    }

    fn reply(&mut self, reply: &str) -> io::Result<Next> {
        self.replies.write_all(format!("{reply}\r\n").as_bytes())?;
        Ok(Next::Continue)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Closing alone would not do: the server keeps a handle to stop with.
        self.replies.shutdown(Shutdown::Both).ok();
    }
}

/// The verb in capitals, and what follows it.
fn command(line: &[u8]) -> Option<(String, &str)> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    Some((verb.to_ascii_uppercase(), argument))
}

/// The address in `FROM:<address> PARAMETERS`.
fn path(argument: &str, keyword: &str) -> Option<String> {
    let (head, rest) = argument.split_at_checked(keyword.len())?;
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    head.eq_ignore_ascii_case(keyword).then(|| address.to_owned())
}
