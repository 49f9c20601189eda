//! On whose account the seconds of the resolution are: of each queue and agent, and of each queue against its own target.
use std::collections::BTreeMap;

use serde::Serialize;

use super::{Held, Loaded, LoadedTicket};
use crate::error::Result;
use crate::queues::targets;
use crate::sla::{Priority, TargetKind};
use crate::store::Db;

/// What a queue and an agent, or nobody, had of a clock. Seconds taken over from an earlier cycle are that cycle's.
#[derive(Debug, Serialize)]
pub struct HeldSeconds {
    #[serde(flatten)]
    pub held: Held,
    pub business_seconds: i64,
    pub paused_business_seconds: i64,
}

/// What a queue used of its own target, over all cycles of the resolution.
#[derive(Debug, Serialize)]
pub struct OperationalUse {
    pub queue: String,
    pub target_business_minutes: u32,
    pub used_business_seconds: i64,
    pub remaining_business_seconds: i64,
    pub breached: bool,
}

impl LoadedTicket {
    /// Each second of the clock's own history on one account, in the order in which the holders came.
    pub(super) fn held_by(&self, loaded: &Loaded) -> Vec<HeldSeconds> {
        let mut accounts: Vec<HeldSeconds> = Vec::new();
        for stretch in loaded.stretches.iter().filter(|stretch| !stretch.carried) {
            let Some(held) = self.held(stretch.holder) else {
                continue;
            };
            let seconds = stretch.business_seconds(self.now);
            let (running, paused) = match stretch.running {
                true => (seconds, 0),
                false => (0, seconds),
            };
            match accounts.iter_mut().find(|account| account.held == held) {
                Some(account) => {
                    account.business_seconds += running;
                    account.paused_business_seconds += paused;
                }
                None => accounts.push(HeldSeconds {
                    held,
                    business_seconds: running,
                    paused_business_seconds: paused,
                }),
            }
        }
        accounts
    }

    /// For the queues that held the ticket and have a target at its priority.
    pub(super) fn operational_uses(&self, conn: &mut Db) -> Result<Vec<OperationalUse>> {
        let mut used: BTreeMap<i64, i64> = BTreeMap::new();
        let resolutions = (self.clocks.iter()).filter(|clock| clock.target == TargetKind::Resolution);
        for stretch in resolutions.flat_map(|clock| &clock.stretches) {
            if stretch.running && !stretch.carried {
                *used.entry(stretch.holder.queue_id).or_default() += stretch.business_seconds(self.now);
            }
        }
        let priority = Priority::of_rank(self.ticket.priority);
        let mut uses = Vec::new();
        // A question was held by few queues.
        for (queue_id, used) in used {
            let target = targets::find(conn, queue_id)?;
            let minutes = target.and_then(|target| target.minutes(priority));
            let (Some(minutes), Some(queue)) = (minutes, self.queues.get(&queue_id)) else {
                continue;
            };
            let left = i64::from(minutes) * 60 - used;
            uses.push(OperationalUse {
                queue: queue.clone(),
                target_business_minutes: minutes,
                used_business_seconds: used,
                remaining_business_seconds: left.max(0),
                breached: left < 0,
            });
        }
        uses.sort_by(|one, other| one.queue.cmp(&other.queue));
        Ok(uses)
    }
}
