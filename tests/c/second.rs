// A second static library made by rustc, for two_libraries.c: it panics and catches that, as libmailwire.a does inside.
use std::panic;

/// Whether a panic was caught.
#[no_mangle]
pub extern "C" fn second_catches() -> bool {
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(|| panic!("on purpose")).is_err()
}
