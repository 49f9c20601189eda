//! The report as CSV: the columns of the contract (openapi.yaml, `report_sla`), a null as an empty field, the total last.
use std::fmt::Display;

use super::{SlaFigures, SlaReport, TargetFigures};
use crate::error::{Error, Result};
use crate::tickets::view::Reference;

const OF_GROUP: [&str; 5] = [
    "group_code",
    "group_name_vi",
    "group_name_en",
    "filed",
    "answered",
];
/// A further one is added at the end, so that columns keep their places.
const TARGETS: [&str; 3] = ["first_response", "resolution", "next_response"];
const OF_TARGET: [&str; 8] = [
    "met",
    "breached",
    "open",
    "stopped",
    "compliance",
    "p50_business_seconds",
    "p90_business_seconds",
    "mean_business_seconds",
];

impl SlaReport {
    /// UTF-8, a header line, RFC 4180 quoting.
    pub fn to_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = TARGETS
            .iter()
            .flat_map(|target| OF_TARGET.map(|column| format!("{target}_{column}")));
        let header = OF_GROUP.iter().map(|column| (*column).to_owned()).chain(columns);
        writer.write_record(header).map_err(unwritten)?;
        for row in &self.rows {
            writer
                .write_record(record(&row.group, &row.figures))
                .map_err(unwritten)?;
        }
        let total = Reference::new("total", "Tổng", "Total");
        writer
            .write_record(record(&total, &self.total))
            .map_err(unwritten)?;
        let bytes = writer.into_inner().map_err(unwritten)?;
        String::from_utf8(bytes).map_err(unwritten)
    }
}

fn unwritten(cause: impl Display) -> Error {
    Error::internal("a report cannot be written as CSV", cause)
}

fn record(group: &Reference, figures: &SlaFigures) -> Vec<String> {
    let mut fields = vec![
        group.code.clone(),
        group.name.vi.clone(),
        group.name.en.clone(),
        figures.filed.to_string(),
        figures.answered.to_string(),
    ];
    fields.extend(target(&figures.first_response));
    fields.extend(target(&figures.resolution));
    fields.extend(target(&figures.next_response));
    fields
}

fn target(figures: &TargetFigures) -> [String; 8] {
    [
        figures.met.to_string(),
        figures.breached.to_string(),
        figures.open.to_string(),
        figures.stopped.to_string(),
        optional(figures.compliance),
        optional(figures.p50_business_seconds),
        optional(figures.p90_business_seconds),
        optional(figures.mean_business_seconds),
    ]
}

fn optional(value: Option<impl Display>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
