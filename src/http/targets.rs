//! Targets by kind and priority on the wire, of policies and agreements.
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::wire::UniqueMembers;
use crate::sla::policy::Targets;
use crate::sla::{Amount, Priority, TargetKind};

/// As `sla` has them, but refusing what stands twice.
#[derive(Debug, Deserialize)]
pub struct TargetsIn(UniqueMembers<TargetKind, UniqueMembers<Priority, AmountIn>>);

impl From<TargetsIn> for Targets {
    fn from(given: TargetsIn) -> Self {
        let by_priority = |amounts: UniqueMembers<Priority, AmountIn>| {
            amounts
                .0
                .into_iter()
                .map(|(priority, amount)| (priority, amount.0))
                .collect()
        };
        given
            .0
            .0
            .into_iter()
            .map(|(kind, amounts)| (kind, by_priority(amounts)))
            .collect()
    }
}

/// One unit with its count.
#[derive(Debug, Clone, Copy)]
pub struct AmountIn(pub Amount);

impl<'de> Deserialize<'de> for AmountIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneUnit;

        impl<'de> Visitor<'de> for OneUnit {
            type Value = AmountIn;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("one of business_minutes, business_days, calendar_days")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<AmountIn, A::Error> {
                let mut amount = None;
                while let Some(unit) = given.next_key::<String>()? {
                    let make = match unit.as_str() {
                        "business_minutes" => Amount::BusinessMinutes,
                        "business_days" => Amount::BusinessDays,
                        "calendar_days" => Amount::CalendarDays,
                        _ => return Err(A::Error::custom(format_args!("unknown field `{unit}`"))),
                    };
                    if amount.is_some() {
                        return Err(A::Error::custom(format_args!("duplicate field `{unit}`")));
                    }
                    amount = Some(make(given.next_value()?));
                }
                amount
                    .map(AmountIn)
                    .ok_or_else(|| A::Error::invalid_length(0, &self))
            }
        }

        deserializer.deserialize_map(OneUnit)
    }
}
