//! Queries behind the figures of a ticket's clocks.
use diesel::prelude::*;

use crate::agreements::Agreement;
use crate::error::Result;
use crate::store::schema::{agreements, users};
use crate::store::{Db, Uid};

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
