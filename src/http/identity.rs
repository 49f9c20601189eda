//! `/me`.
use actix_web::HttpResponse;
use ipnet::IpNet;
use serde::Serialize;

use super::extract::Call;
use super::wire::WireInstant;
use crate::directory;
use crate::error::{Error, Result};
use crate::identity::{Client, Principal, Role, Scope, Staff, clients, sign_in};
use crate::queues;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Me {
    Staff {
        id: Uid,
        name: String,
        role: Role,
        email: String,
        queues: Vec<Reference>,
        /// What the presented credential is limited to; null: all that the role may.
        scopes: Option<Vec<Scope>>,
        second_factor: bool,
    },
    Client {
        id: Uid,
        name: String,
        organisation: Reference,
        scopes: Vec<Scope>,
        /// Of the key that was presented.
        key_expires_at: Option<WireInstant>,
        networks: Vec<IpNet>,
        include_units: bool,
    },
}

pub async fn show_me(call: Call) -> Result<HttpResponse> {
    let principal = call.principal.clone();
    let work = move |conn: &mut Db| match &*principal {
        Principal::Staff { staff, .. } => show_staff(conn, staff),
        Principal::Client { client, .. } => show_client(conn, client),
        Principal::System => Err(Error::Unauthenticated),
    };
    Ok(HttpResponse::Ok().json(call.app.store.read(work).await?))
}

fn show_staff(conn: &mut Db, staff: &Staff) -> Result<Me> {
    let queues = queues::list_by_id(conn, &staff.queues)?;
    Ok(Me::Staff {
        id: staff.uid,
        name: staff.name.clone(),
        role: staff.role,
        email: staff.email.clone(),
        queues: queues
            .iter()
            .map(|queue| Reference::new(&queue.code, &queue.name_vi, &queue.name_en))
            .collect(),
        scopes: staff.scopes.clone(),
        second_factor: sign_in::has_second_factor(conn, staff.user_id)?,
    })
}

fn show_client(conn: &mut Db, client: &Client) -> Result<Me> {
    let found = directory::list_by_id(conn, &[client.organisation_id])?;
    let own = found
        .first()
        .ok_or_else(|| Error::internal("a key without its organisation", client.uid))?;
    let (program, key) = clients::get_own(conn, client)?;
    Ok(Me::Client {
        id: client.uid,
        name: client.name.clone(),
        organisation: Reference::new(&own.code, &own.name_vi, &own.name_en),
        scopes: client.scopes.clone(),
        key_expires_at: key.expires_at.map(Into::into),
        networks: clients::networks_of(&program)?,
        include_units: program.include_units,
    })
}
