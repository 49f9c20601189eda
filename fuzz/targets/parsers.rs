//! One program for all targets: `GIAIDAP_FUZZ_TARGET` names the parser, as one link of the whole product is slow enough.
#![no_main]
use std::sync::OnceLock;

use giaidap::http::fuzzing::TARGETS;
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let named = std::env::var("GIAIDAP_FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        let target = TARGETS.iter().find(|(name, _)| *name == named);
        let (_, target) = target.unwrap_or_else(|| panic!("`{named}` is none of {names:?}"));
        TARGET.get_or_init(|| *target);
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);
