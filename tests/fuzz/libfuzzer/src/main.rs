//! libFuzzer's main program for one target, which the variable `FUZZ_TARGET` names. `tests/fuzz/fuzz.py` builds and runs it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mailwire_fuzz::Target;

static TARGET: LazyLock<Option<Target>> =
    LazyLock::new(|| Target::named(&std::env::var("FUZZ_TARGET").ok()?));

fuzz_target!(|input: &[u8]| {
    match *TARGET {
        Some(target) => (target.run)(input),
        None => panic!("FUZZ_TARGET names no target"),
    }
});
