//! W3C Trace Context: a request belongs to the caller's trace where the caller names one that is well-formed, else to a
//! new one. What is malformed is as if it were not there (Trace Context, section 3.2.2.5).
use actix_web::http::header::HeaderMap;

/// The longest `tracestate` that is passed on (section 3.3.1.5 asks for at least 512).
const LONGEST_STATE: usize = 512;

/// Where a request stands in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: [u8; 16],
    /// Names what this process does for the request.
    pub span_id: [u8; 8],
    /// Names what the caller did.
    pub parent_id: Option<[u8; 8]>,
    pub sampled: bool,
    /// What other tracing systems wrote down, untouched.
    pub state: Option<String>,
}

impl Trace {
    /// `sampled`: whether a trace that begins here is recorded.
    pub fn of(headers: &HeaderMap, sampled: bool) -> Trace {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // Two of them are none: nobody knows which is true.
        let only = headers.get_all("traceparent").count() == 1;
        let named = text("traceparent").filter(|_| only).and_then(parse);
        let (fresh_trace, span_id) = random_ids();
        match named {
            Some((trace_id, parent_id, flags)) => Trace {
                trace_id,
                span_id,
                parent_id: Some(parent_id),
                sampled: flags & 1 == 1,
                state: text("tracestate")
                    .filter(|state| is_state(state))
                    .map(str::to_owned),
            },
            None => Trace {
                trace_id: fresh_trace,
                span_id,
                parent_id: None,
                sampled,
                state: None,
            },
        }
    }

    pub fn trace_id_text(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.trace_id)
    }

    /// As a header, for whoever comes next.
    pub fn traceparent(&self) -> String {
        let span_id = data_encoding::HEXLOWER.encode(&self.span_id);
        format!(
            "00-{}-{span_id}-{:02x}",
            self.trace_id_text(),
            u8::from(self.sampled)
        )
    }
}

/// Trace, parent and flags. A version that is not known yet is read as far as it is like this one (section 3.2.4).
pub fn parse(text: &str) -> Option<([u8; 16], [u8; 8], u8)> {
    let bytes = text.as_bytes();
    let hex = |from: usize, to: usize| {
        let digits = bytes.get(from..to)?;
        data_encoding::HEXLOWER.decode(digits).ok()
    };
    let version = hex(0, 2)?;
    let is_separated = [2, 35, 52].iter().all(|at| bytes.get(*at) == Some(&b'-'));
    let is_long_enough = match version.first()? {
        0 => bytes.len() == 55,
        0xff => false,
        _ => bytes.len() == 55 || bytes.get(55) == Some(&b'-'),
    };
    let trace_id: [u8; 16] = hex(3, 35)?.try_into().ok()?;
    let parent_id: [u8; 8] = hex(36, 52)?.try_into().ok()?;
    let flags = *hex(53, 55)?.first()?;
    let is_named = trace_id != [0; 16] && parent_id != [0; 8];
    (is_separated && is_long_enough && is_named).then_some((trace_id, parent_id, flags))
}

fn is_state(text: &str) -> bool {
    text.len() <= LONGEST_STATE
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && text.contains('=')
}

/// Ids of all zeros are none (section 3.2.2.3), so where there are no random numbers any other will do.
fn random_ids() -> ([u8; 16], [u8; 8]) {
    let (mut trace_id, mut span_id) = ([1; 16], [1; 8]);
    if getrandom::fill(&mut trace_id).is_err() || trace_id == [0; 16] {
        trace_id = [1; 16];
    }
    if getrandom::fill(&mut span_id).is_err() || span_id == [0; 8] {
        span_id = [1; 8];
    }
    (trace_id, span_id)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn trace(values: &[(&'static str, &str)]) -> Trace {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        Trace::of(&headers, false)
    }

    #[test]
    fn a_well_formed_parent_is_followed() {
        let later = format!("01{}-more", &GOOD[2..]);
        for text in [GOOD, &later] {
            let found = trace(&[("traceparent", text), ("tracestate", "a=1,b@c=2")]);
            assert_eq!(found.trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(
                found.parent_id,
                Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7])
            );
            assert_eq!(found.state.as_deref(), Some("a=1,b@c=2"));
            assert!(found.sampled && found.traceparent().ends_with("-01"));
            assert_ne!(Some(found.span_id), found.parent_id);
            assert!(parse(&found.traceparent()).is_some());
        }
    }

    #[test]
    fn what_is_malformed_begins_a_new_trace() {
        let shouted = GOOD.to_uppercase();
        let longer = format!("{GOOD}-x");
        let unknown = format!("01{}x", &GOOD[2..]);
        let forbidden = format!("ff{}", &GOOD[2..]);
        for text in [
            "",
            "00",
            "x",
            &GOOD[..54],
            &shouted,
            &longer,
            &unknown,
            &forbidden,
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            let found = trace(&[("traceparent", text), ("tracestate", "a=1")]);
            assert_eq!(
                (found.parent_id, found.state.clone(), found.sampled),
                (None, None, false),
                "{text}"
            );
            assert!(parse(&found.traceparent()).is_some());
        }
        let twice = trace(&[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(twice.parent_id, None);
        let long = "a=".repeat(300);
        let state = trace(&[("traceparent", GOOD), ("tracestate", &long)]);
        assert_eq!(state.state, None);
    }
}
