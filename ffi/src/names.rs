//! Names of options and of statistics as C reads them: NUL-terminated, for as long as the program runs.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

/// Names once made for C.
pub(crate) type Names = OnceLock<Vec<CString>>;

pub(crate) static CLIENT: Names = OnceLock::new();
pub(crate) static SERVER: Names = OnceLock::new();
pub(crate) static STATISTICS: Names = OnceLock::new();

/// The name at `index`, or NULL behind the last one. `names` is always the same for the same `made`.
pub(crate) fn at<'a>(
    made: &'static Names,
    names: impl IntoIterator<Item = &'a str>,
    index: usize,
) -> *const c_char {
    made.get_or_init(|| {
        names
            .into_iter()
            .filter_map(|name| CString::new(name).ok())
            .collect()
    })
    .get(index)
    .map_or(std::ptr::null(), |name| name.as_ptr())
}
