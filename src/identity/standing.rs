//! Whether who was let in may still write. A request may take its time to come in whole: one whose credential was ended
//! meanwhile, or whose person or program was deactivated, writes nothing any more. Asked inside each write transaction,
//! once for a batch. A credential that ran out by itself meanwhile still counts: the request was begun in its life.
use super::{Principal, Staff, db};
use crate::error::{Error, Result};
use crate::store::Db;

/// Whom of those who were asked about nothing has ended.
pub struct Standing {
    credentials: Vec<i64>,
    people: Vec<i64>,
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

    pub fn check(&self, principal: &Principal) -> Result<()> {
        let stands = match principal {
            Principal::Client { client } => self.credentials.contains(&client.credential_id),
            Principal::Staff { staff } => self.has(staff),
            Principal::System => true,
        };
        if stands {
            Ok(())
        } else {
            Err(Error::Unauthenticated)
        }
    }

    fn has(&self, staff: &Staff) -> bool {
        match staff.credential_id {
            Some(id) => self.credentials.contains(&id),
            None => self.people.contains(&staff.user_id),
        }
    }
}

fn distinct(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Refuse whoever was ended since they were let in.
pub fn require(conn: &mut Db, principal: &Principal) -> Result<()> {
    Standing::of(conn, std::iter::once(principal))?.check(principal)
}
