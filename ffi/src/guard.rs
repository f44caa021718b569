//! The panic boundary: no panic leaves the library, and none is printed to the program's standard error.
//!
//! Every exported function runs its work through [`catch`]. A panic becomes a text with its place in the source, which
//! the caller gets as `MAILWIRE_ERR_INTERNAL`.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    /// How many guards this thread is inside of.
    static GUARDS: Cell<usize> = const { Cell::new(0) };
    /// What the panic that is under way said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work`; a panic in it is returned as a text.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install_hook();
    // A thread that is ending has no thread-locals any more. It may still call; a panic in it then has no text.
    let _ = GUARDS.try_with(|guards| guards.set(guards.get() + 1));
    // What a panic leaves half done is behind a handle, which is poisoned as the panic passes its guard.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let _ = GUARDS.try_with(|guards| guards.set(guards.get() - 1));
    result.map_err(|payload| {
        // A payload's own destructor may panic: it is left alone.
        std::mem::forget(payload);
        PANIC
            .try_with(RefCell::take)
            .unwrap_or_else(|_| "a panic in a thread that was ending".to_owned())
    })
}

/// Runs `work`, which has no way to report a failure; a panic in it is swallowed.
pub(crate) fn quietly(work: impl FnOnce()) {
    drop(catch(work));
}

/// Makes panics in our own code silent, and leaves all others to the hook that was there before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !keep_quiet(info) {
                previous(info);
            }
        }));
    });
}

fn keep_quiet(info: &PanicHookInfo<'_>) -> bool {
    let guarded = GUARDS.try_with(Cell::get).unwrap_or(1) > 0;
    if guarded {
        let payload = info.payload();
        let said = payload
            .downcast_ref::<&str>()
            .copied()
            .or(payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        let text = match info.location() {
            Some(place) => format!("{said} (at {}:{})", place.file(), place.line()),
            None => said.to_owned(),
        };
        let _ = PANIC.try_with(|panic| panic.replace(text));
    }
    // The library's own threads are named after it, and those that run a connection catch what happens there.
    guarded
        || std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("mailwire-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_text_with_its_place() {
        let text = catch(|| panic!("{} went wrong", "this")).unwrap_err();
        assert!(text.starts_with("this went wrong (at "), "{text}");
        assert!(text.contains("guard.rs:"), "{text}");
        assert_eq!(catch(|| 7), Ok(7));
        let nested = catch(|| catch(|| panic!("inner")).unwrap_err()).unwrap();
        assert!(nested.starts_with("inner (at "), "{nested}");
    }
}
