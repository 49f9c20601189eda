//! Noticing: the warnings and breaches that have come true, each once, with their true instants.
use chrono::{DateTime, Utc};

use super::Clocks;
use super::rows::{Warnings, next_notice, rebuild};
use crate::error::Result;
use crate::sla::policy::{Moment, TargetKind};
use crate::store::Ts;
use crate::tickets::db::{self, ClockRow};
use crate::tx::Tx;

/// A warning or breach that fell due and is now known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub target: TargetKind,
    pub cycle: i32,
    pub moment: Moment,
    /// The threshold of a warning; 100 for a breach.
    pub percent: i16,
    /// When it became true.
    pub at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

impl Notice {
    pub fn is_breach(&self) -> bool {
        self.moment == Moment::Breach
    }
}

impl Clocks {
    /// When the next warning or breach is to be noticed.
    pub fn next_notice_at(&self) -> Option<DateTime<Utc>> {
        self.rows
            .iter()
            .filter_map(|row| row.next_notice_at)
            .min()
            .map(|at| at.0)
    }

    /// Write down the warnings and breaches that have come true by `at`, each once. Returns those that are new. What a
    /// notice sets off may change what comes next, so a caller goes from one `next_notice_at` to the other.
    pub fn settle_at(&mut self, tx: &mut Tx<'_>, at: DateTime<Utc>) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        let thresholds = &self.policy.spec.warn_at_percent;
        for row in &mut self.rows {
            if row.next_notice_at.is_none_or(|next| next.0 > at) {
                continue;
            }
            notice_warnings(tx, row, at, thresholds, &mut notices)?;
            if let Some(due) = row.note_breach(at) {
                notices.push(Notice {
                    target: row.target_kind()?,
                    cycle: row.cycle,
                    moment: Moment::Breach,
                    percent: 100,
                    at: due.0,
                    due_at: due.0,
                });
            }
            row.next_notice_at = next_notice(row);
            db::update_clock(tx.conn, row)?;
        }
        notices.sort_by_key(|notice| notice.at);
        Ok(notices)
    }
}

fn notice_warnings(
    tx: &mut Tx<'_>,
    row: &mut ClockRow,
    now: DateTime<Utc>,
    thresholds: &[u8],
    notices: &mut Vec<Notice>,
) -> Result<()> {
    if row.warn_at.is_none_or(|warn| warn.0 > now) {
        return Ok(());
    }
    let history = db::list_segments(tx.conn, row.id)?;
    let (clock, calendar) = rebuild(tx.conn, &tx.desk.rules, row, &history)?;
    let warnings = Warnings::of(&clock, &calendar.timeline, thresholds)?;
    for (percent, at) in warnings.come_true(row.warned_percent, now) {
        row.warned_percent = percent;
        row.warned_at = Some(at);
        notices.push(Notice {
            target: row.target_kind()?,
            cycle: row.cycle,
            moment: Moment::Warning,
            percent,
            at: at.0,
            due_at: row.due_at.unwrap_or(Ts(now)).0,
        });
    }
    row.warn_at = warnings.next_after(row.warned_percent);
    Ok(())
}
