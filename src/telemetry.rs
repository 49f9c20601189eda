//! OpenTelemetry: one span for each request, sent to a collector as OTLP over HTTP where one is set. A thread of its own
//! sends in batches; while the collector is away spans are dropped, never requests. A span says what a log line says:
//! method, route, status, ids; nothing of a caller's.
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor};

use crate::config;

/// How long spans are gathered.
const GATHERED_FOR: Duration = Duration::from_secs(1);

/// A request that was answered.
#[derive(Debug)]
pub struct Answered<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_id: Option<[u8; 8]>,
    pub sampled: bool,
    pub state: Option<&'a str>,
    pub method: &'static str,
    pub route: &'a str,
    pub status: u16,
    pub request_id: &'a str,
    pub principal_kind: Option<&'static str>,
    pub ended_at: SystemTime,
    pub took: Duration,
}

#[derive(Debug)]
pub struct Telemetry {
    processor: BatchSpanProcessor,
    /// How long a collector may take to accept a batch.
    patience: Duration,
}

impl Telemetry {
    /// `None` where no collector is set.
    pub fn start(settings: &config::Telemetry, patience: Duration) -> anyhow::Result<Option<Telemetry>> {
        let Some(endpoint) = &settings.otlp_endpoint else {
            return Ok(None);
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Carrier::new(patience))
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .with_timeout(patience)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_scheduled_delay(GATHERED_FOR)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder_empty()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        processor.set_resource(&resource);
        Ok(Some(Telemetry { processor, patience }))
    }

    pub fn record(&self, answered: &Answered<'_>) {
        if answered.sampled {
            self.processor.on_end(span(answered));
        }
    }

    /// Send what was gathered; blocks.
    pub fn finish(&self) {
        if let Err(cause) = self.processor.shutdown_with_timeout(self.patience) {
            tracing::warn!(%cause, "the last spans were not sent");
        }
    }
}

fn span(answered: &Answered<'_>) -> SpanData {
    let state = answered.state.and_then(|state| state.parse::<TraceState>().ok());
    let mut attributes = vec![
        KeyValue::new("http.request.method", answered.method),
        KeyValue::new("http.route", answered.route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(answered.status)),
        KeyValue::new("giaidap.request_id", answered.request_id.to_owned()),
    ];
    attributes.extend(
        answered
            .principal_kind
            .map(|kind| KeyValue::new("giaidap.principal.kind", kind)),
    );
    SpanData {
        span_context: SpanContext::new(
            TraceId::from_bytes(answered.trace_id),
            SpanId::from_bytes(answered.span_id),
            TraceFlags::SAMPLED,
            false,
            state.unwrap_or_default(),
        ),
        parent_span_id: answered.parent_id.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: answered.parent_id.is_some(),
        span_kind: SpanKind::Server,
        name: format!("{} {}", answered.method, answered.route).into(),
        start_time: answered
            .ended_at
            .checked_sub(answered.took)
            .unwrap_or(answered.ended_at),
        end_time: answered.ended_at,
        attributes,
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        // What the caller did wrong is no error of the server's (semantic conventions for HTTP spans).
        status: match answered.status {
            500.. => Status::error(""),
            _ => Status::Unset,
        },
        instrumentation_scope: InstrumentationScope::builder("giaidap").build(),
    }
}

/// The HTTP client of the house under the exporter. Called on the exporter's own thread, where blocking harms nobody.
#[derive(Debug)]
struct Carrier(ureq::Agent);

impl Carrier {
    fn new(patience: Duration) -> Carrier {
        let settings = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(patience));
        Carrier(settings.build().into())
    }

    fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let answer = self.0.run(Request::from_parts(head, body.as_ref()))?;
        let (head, mut body) = answer.into_parts();
        Ok(Response::from_parts(head, Bytes::from(body.read_to_vec()?)))
    }
}

impl HttpClient for Carrier {
    fn send_bytes<'life, 'carried>(
        &'life self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'carried>>
    where
        'life: 'carried,
        Self: 'carried,
    {
        Box::pin(std::future::ready(self.carry(request)))
    }
}
