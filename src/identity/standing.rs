//! Whether who was let in may still write, and as what. A request may take its time to come in whole: what was decided
//! when it began is decided anew inside each write transaction, of a batch at once. One whose credential was ended
//! meanwhile, or whose person or program was deactivated or may not come from there any more, writes nothing; whoever
//! has another role, other queues or another reach by now may do what these allow.
//!
//! It costs one statement: that tells the version of the person or program, and only where that is not the remembered
//! one the rest is read anew. A credential that ran out by itself meanwhile still counts: the request was begun in its
//! life.
use std::borrow::Cow;
use std::collections::HashMap;

use super::access::{Action, permit};
use super::{Client, Principal, Staff, db};
use crate::error::{Error, Result};
use crate::store::Db;

/// Of those who were asked about: whose credential stands, and the version of whom it belongs to.
pub struct Standing {
    credentials: HashMap<i64, i64>,
    /// Those for whom another party answers.
    people: HashMap<i64, i64>,
}

impl Standing {
    pub fn of<'a>(conn: &mut Db, principals: impl Iterator<Item = &'a Principal>) -> Result<Standing> {
        let (mut credentials, mut people) = (Vec::new(), Vec::new());
        for principal in principals {
            match principal {
                Principal::Client { client } => credentials.push(client.credential_id),
                Principal::Staff { staff } => match staff.credential_id {
                    Some(id) => credentials.push(id),
                    None => people.push(staff.user_id),
                },
                Principal::System => {}
            }
        }
        Ok(Standing {
            credentials: db::list_standing_credentials(conn, &distinct(credentials))?,
            people: db::list_active_people(conn, &distinct(people))?,
        })
    }

    /// Refuse whoever may not do this any more. The reach of a program is not looked at: what is filed is its own
    /// organisation's.
    pub fn admit(&self, conn: &mut Db, principal: &Principal, action: Action) -> Result<()> {
        let present = self.renew(conn, principal)?;
        permit(&present, action)
    }

    fn renew<'p>(&self, conn: &mut Db, principal: &'p Principal) -> Result<Cow<'p, Principal>> {
        let (present, remembered) = match principal {
            Principal::System => return Ok(Cow::Borrowed(principal)),
            Principal::Client { client } => (self.credentials.get(&client.credential_id), client.version),
            Principal::Staff { staff } => (self.version_of(staff), staff.version),
        };
        match present {
            None => Err(Error::Unauthenticated),
            Some(version) if *version == remembered => Ok(Cow::Borrowed(principal)),
            Some(_) => read_anew(conn, principal).map(Cow::Owned),
        }
    }

    fn version_of(&self, staff: &Staff) -> Option<&i64> {
        match staff.credential_id {
            Some(id) => self.credentials.get(&id),
            None => self.people.get(&staff.user_id),
        }
    }
}

fn distinct(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn read_anew(conn: &mut Db, principal: &Principal) -> Result<Principal> {
    match principal {
        Principal::Client { client } => super::program_with(conn, client.credential_id, client.here),
        Principal::Staff { staff } => match staff.credential_id {
            Some(id) => super::person_with(conn, id),
            None => super::person_as(conn, staff.user_id, staff.role, staff.scopes.clone()),
        },
        Principal::System => Ok(Principal::System),
    }
}

/// Who asks, as they are now; refuses whoever was ended since they were let in.
pub fn renew<'p>(conn: &mut Db, principal: &'p Principal) -> Result<Cow<'p, Principal>> {
    let standing = Standing::of(conn, std::iter::once(principal))?;
    let present = standing.renew(conn, principal)?;
    match &*present {
        Principal::Client { client } => Ok(with_reach(conn, client)?.map_or(present, Cow::Owned)),
        _ => Ok(present),
    }
}

/// The same, where they may still do this to anything at all.
pub fn admit<'p>(conn: &mut Db, principal: &'p Principal, action: Action) -> Result<Cow<'p, Principal>> {
    let present = renew(conn, principal)?;
    permit(&present, action)?;
    Ok(present)
}

/// A program whose organisation's units or predecessors are others by now: no version of its own tells that.
fn with_reach(conn: &mut Db, client: &Client) -> Result<Option<Principal>> {
    let reach = client.present_reach(conn)?;
    Ok((reach != client.reach).then(|| Principal::Client {
        client: Client {
            reach,
            ..client.clone()
        },
    }))
}
