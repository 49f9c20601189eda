//! A connection that says exactly these bytes: what no well-behaved HTTP client would.
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::threads::PATIENCE;

pub struct Wire(TcpStream);

impl Wire {
    pub fn to(url: &str) -> Wire {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire(stream)
    }

    /// False where the other side has closed already.
    pub fn say(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// All that comes until the server closes, and after how long; `None` instead of the time where it never did.
    pub fn hear_out(&mut self) -> (String, Option<Duration>) {
        let begun = Instant::now();
        let (mut bytes, mut chunk) = (Vec::new(), [0; 16 << 10]);
        loop {
            match self.0.read(&mut chunk) {
                Ok(0) => break,
                Ok(got) => bytes.extend_from_slice(&chunk[..got]),
                Err(cause) if matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return (String::from_utf8_lossy(&bytes).into_owned(), None);
                }
                // Closed with something of ours unread.
                Err(_) => break,
            }
        }
        (
            String::from_utf8_lossy(&bytes).into_owned(),
            Some(begun.elapsed()),
        )
    }

    /// What comes up to and with this text.
    #[track_caller]
    pub fn hear_until(&mut self, end: &str) -> String {
        let (mut text, mut byte) = (Vec::new(), [0; 1]);
        while !text.ends_with(end.as_bytes()) {
            let got = self.0.read(&mut byte).unwrap();
            assert!(got > 0, "closed after {:?}", String::from_utf8_lossy(&text));
            text.push(byte[0]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Nothing more will be said.
    pub fn hush(&self) {
        let _ = self.0.shutdown(std::net::Shutdown::Write);
    }
}

/// Statuses of the answers in what was heard.
pub fn statuses(heard: &str) -> Vec<u16> {
    let mut found = Vec::new();
    for answer in heard.split("HTTP/1.").skip(1) {
        found.extend(
            answer
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse::<u16>().ok()),
        );
    }
    found
}
