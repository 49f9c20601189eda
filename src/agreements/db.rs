//! Queries over agreements.
use chrono::NaiveDate;
use diesel::prelude::*;

use crate::error::Result;
use crate::store::schema::agreements;
use crate::store::{Db, Json, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = agreements, treat_none_as_default_value = false)]
pub struct Agreement {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub organisation_id: i64,
    pub name_vi: String,
    pub name_en: String,
    pub legal_basis: Option<String>,
    pub targets: Json,
    pub valid_from: NaiveDate,
    pub valid_to: Option<NaiveDate>,
    pub author: String,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

/// All agreements of these organisations.
pub fn list_of(conn: &mut Db, organisation_ids: &[i64]) -> Result<Vec<Agreement>> {
    Ok(agreements::table
        .filter(agreements::organisation_id.eq_any(organisation_ids.to_vec()))
        .order((agreements::organisation_id, agreements::valid_from))
        .select(Agreement::as_select())
        .load(conn)?)
}
