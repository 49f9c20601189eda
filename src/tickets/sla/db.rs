//! Queries behind the figures of a ticket's clocks.
use diesel::prelude::*;

use crate::agreements::Agreement;
use crate::error::Result;
use crate::store::schema::{agreements, clock_segments, operational_targets, users};
use crate::store::{Db, Json, Uid};
use crate::tickets::db::SegmentRow;

/// The closed segments of these clocks, each clock's in order.
pub fn list_segments_of(conn: &mut Db, clock_ids: &[i64]) -> Result<Vec<SegmentRow>> {
    Ok(clock_segments::table
        .filter(clock_segments::clock_id.eq_any(clock_ids.to_vec()))
        .order((clock_segments::clock_id, clock_segments::id))
        .select(SegmentRow::as_select())
        .load(conn)?)
}

/// People by their keys, also those who have left.
pub fn list_people(conn: &mut Db, ids: &[i64]) -> Result<Vec<(i64, Uid, String)>> {
    Ok(users::table
        .filter(users::id.eq_any(ids.to_vec()))
        .select((users::id, users::uid, users::name))
        .load(conn)?)
}

pub fn list_agreements(conn: &mut Db, ids: &[i64]) -> Result<Vec<Agreement>> {
    Ok(agreements::table
        .filter(agreements::id.eq_any(ids.to_vec()))
        .select(Agreement::as_select())
        .load(conn)?)
}

/// Minutes by priority that these queues should need at most.
pub fn list_operational_targets(conn: &mut Db, queue_ids: &[i64]) -> Result<Vec<(i64, Json)>> {
    Ok(operational_targets::table
        .filter(operational_targets::queue_id.eq_any(queue_ids.to_vec()))
        .select((
            operational_targets::queue_id,
            operational_targets::business_minutes,
        ))
        .load(conn)?)
}
