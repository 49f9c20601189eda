//! Queries over the versions of a calendar and what used them.
use diesel::prelude::*;

use super::{RecountRow, Usage, VersionRecord};
use crate::error::{Error, Resource, Result};
use crate::store::schema::{
    calendar_versions, clock_segments, clocks, recounts, sla_policies, sla_policy_versions,
};
use crate::store::{Db, Ts};

type VersionColumns = (
    calendar_versions::id,
    calendar_versions::version,
    calendar_versions::definition,
    calendar_versions::author,
    calendar_versions::reason,
    calendar_versions::created_at,
);
const VERSION_COLUMNS: VersionColumns = (
    calendar_versions::id,
    calendar_versions::version,
    calendar_versions::definition,
    calendar_versions::author,
    calendar_versions::reason,
    calendar_versions::created_at,
);

/// Newest first.
pub fn list_versions(
    conn: &mut Db,
    calendar_id: i64,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<VersionRecord>> {
    Ok(calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .filter(calendar_versions::version.lt(before.unwrap_or(i64::MAX)))
        .order(calendar_versions::version.desc())
        .limit(limit)
        .select(VERSION_COLUMNS)
        .load(conn)?)
}

pub fn get_version(conn: &mut Db, calendar_id: i64, version: i64) -> Result<VersionRecord> {
    calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .filter(calendar_versions::version.eq(version))
        .select(VERSION_COLUMNS)
        .first(conn)
        .optional()?
        .ok_or(Error::NotFound(Resource::CalendarVersion))
}

/// What names a version of the calendar; `in_force` says whether policies count by it.
pub fn count_usage(conn: &mut Db, calendar_id: i64, version_id: i64, in_force: bool) -> Result<Usage> {
    let of_version = clocks::table.filter(clocks::calendar_version_id.eq(version_id));
    let open_clocks = of_version.filter(clocks::stopped_at.is_null()).count();
    let stopped_clocks = of_version.filter(clocks::stopped_at.is_not_null()).count();
    let segments = clock_segments::table
        .filter(clock_segments::calendar_version_id.eq(version_id))
        .count();
    Ok(Usage {
        open_clocks: open_clocks.get_result(conn)?,
        stopped_clocks: stopped_clocks.get_result(conn)?,
        segments: segments.get_result(conn)?,
        policies: match in_force {
            true => list_policy_codes(conn, calendar_id)?,
            false => Vec::new(),
        },
    })
}

/// Policies that count by the calendar and are not retired.
fn list_policy_codes(conn: &mut Db, calendar_id: i64) -> Result<Vec<String>> {
    let newer = diesel::alias!(sla_policy_versions as newer);
    let is_replaced = newer
        .filter(
            newer
                .field(sla_policy_versions::policy_id)
                .eq(sla_policy_versions::policy_id),
        )
        .filter(
            newer
                .field(sla_policy_versions::version)
                .gt(sla_policy_versions::version),
        );
    Ok(sla_policies::table
        .inner_join(sla_policy_versions::table)
        .filter(sla_policy_versions::calendar_id.eq(calendar_id))
        .filter(sla_policies::retired_at.is_null())
        .filter(diesel::dsl::not(diesel::dsl::exists(is_replaced)))
        .order(sla_policies::code)
        .select(sla_policies::code)
        .load(conn)?)
}

pub fn find_recount(conn: &mut Db, version_id: i64) -> Result<Option<RecountRow>> {
    type Columns = (i64, i64, i64, i64, Option<Ts>);
    let found: Option<Columns> = recounts::table
        .filter(recounts::calendar_version_id.eq(version_id))
        .select((
            recounts::clocks,
            recounts::moved_earlier,
            recounts::moved_later,
            recounts::verdicts_changed,
            recounts::finished_at,
        ))
        .first(conn)
        .optional()?;
    Ok(found.map(
        |(clocks, moved_earlier, moved_later, verdicts_changed, finished_at)| RecountRow {
            clocks,
            moved_earlier,
            moved_later,
            verdicts_changed,
            finished_at: finished_at.map(|at| at.0),
        },
    ))
}
