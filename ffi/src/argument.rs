//! What comes in through pointers, checked: texts, buffers, and places for results.

use std::ffi::{CStr, c_char, c_void};
use std::time::Duration;

use crate::failure::Failure;

/// A text that the caller lends for the call, not looked at yet.
pub(crate) struct TextIn<'a> {
    name: &'static str,
    text: Option<&'a CStr>,
}

impl<'a> TextIn<'a> {
    /// # Safety
    /// `pointer` is NULL or a NUL-terminated text that stays as it is for `'a`.
    pub(crate) unsafe fn new(name: &'static str, pointer: *const c_char) -> Self {
        let text = (!pointer.is_null()).then(|| {
            // SAFETY: not NULL, and else as the caller promises.
            unsafe { CStr::from_ptr(pointer) }
        });
        Self { name, text }
    }

    /// The text. NULL and what is not UTF-8 are refused.
    pub(crate) fn required(&self) -> Result<&'a str, Failure> {
        self.optional()?.ok_or(Failure::Null(self.name))
    }

    /// The text, or `None` for NULL.
    pub(crate) fn optional(&self) -> Result<Option<&'a str>, Failure> {
        self.text
            .map(|text| {
                text.to_str()
                    .map_err(|_| Failure::Argument(self.name, "is not UTF-8"))
            })
            .transpose()
    }
}

/// Octets that the caller lends for the call.
pub(crate) struct BytesIn<'a>(Result<&'a [u8], Failure>);

impl<'a> BytesIn<'a> {
    /// # Safety
    /// `pointer` is NULL or points to `length` octets that stay as they are for `'a`.
    pub(crate) unsafe fn new(name: &'static str, pointer: *const c_void, length: usize) -> Self {
        // A slice must not be made from NULL, not even an empty one.
        Self(if length == 0 {
            Ok(&[])
        } else if pointer.is_null() {
            Err(Failure::Null(name))
        } else if isize::try_from(length).is_err() {
            Err(Failure::Argument(name, "is longer than memory can be"))
        } else {
            // SAFETY: not NULL, a possible length, and else as the caller promises.
            Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
        })
    }

    pub(crate) fn required(self) -> Result<&'a [u8], Failure> {
        self.0
    }
}

/// Several texts that the caller lends for the call.
pub(crate) struct TextsIn<'a> {
    name: &'static str,
    pointers: Option<&'a [*const c_char]>,
}

impl<'a> TextsIn<'a> {
    /// # Safety
    /// `pointer` is NULL or points to `count` pointers, each NULL or a NUL-terminated text; all stay as they are for `'a`.
    pub(crate) unsafe fn new(
        name: &'static str,
        pointer: *const *const c_char,
        count: usize,
    ) -> Self {
        let possible = isize::try_from(count.saturating_mul(size_of::<*const c_char>())).is_ok();
        let pointers = if count == 0 {
            Some([].as_slice())
        } else if pointer.is_null() || !possible {
            None
        } else {
            // SAFETY: not NULL, a possible length, and else as the caller promises.
            Some(unsafe { std::slice::from_raw_parts(pointer, count) })
        };
        Self { name, pointers }
    }

    /// The texts. NULL and what is not UTF-8 are refused.
    pub(crate) fn required(&self) -> Result<Vec<&'a str>, Failure> {
        let pointers = self.pointers.ok_or(Failure::Null(self.name))?;
        pointers
            .iter()
            .map(|&pointer| {
                // SAFETY: as the caller of `new` promised.
                unsafe { TextIn::new(self.name, pointer) }.required()
            })
            .collect()
    }
}

/// A place for a result, which holds nothing until the call has one.
pub(crate) struct Out<T: Copy> {
    name: &'static str,
    pointer: *mut T,
}

impl<T: Copy> Out<T> {
    /// Writes `nothing` at once, so that the caller may clean up whatever happens.
    ///
    /// # Safety
    /// `pointer` is NULL or a place for a `T` that is the call's alone while it runs.
    pub(crate) unsafe fn new(name: &'static str, pointer: *mut T, nothing: T) -> Self {
        let out = Self { name, pointer };
        out.write(nothing);
        out
    }

    /// Fails if the caller gave no place.
    pub(crate) fn required(&self) -> Result<&Self, Failure> {
        if self.pointer.is_null() {
            Err(Failure::Null(self.name))
        } else {
            Ok(self)
        }
    }

    /// Whether the caller gave a place.
    pub(crate) fn is_given(&self) -> bool {
        !self.pointer.is_null()
    }

    /// Writes the result, if the caller gave a place.
    pub(crate) fn write(&self, value: T) {
        if !self.pointer.is_null() {
            // SAFETY: as the caller of `new` promised.
            unsafe { self.pointer.write(value) };
        }
    }
}

/// A time in milliseconds: `None` for -1, no limit.
pub(crate) fn milliseconds(name: &'static str, value: i64) -> Result<Option<Duration>, Failure> {
    match u64::try_from(value) {
        Ok(value) => Ok(Some(Duration::from_millis(value))),
        Err(_) if value == crate::MAILWIRE_NO_TIMEOUT => Ok(None),
        Err(_) => Err(Failure::Argument(
            name,
            "is negative, and not MAILWIRE_NO_TIMEOUT",
        )),
    }
}

/// A time in milliseconds that must have an end.
pub(crate) fn limit(name: &'static str, value: i64) -> Result<Duration, Failure> {
    u64::try_from(value)
        .map(Duration::from_millis)
        .map_err(|_| Failure::Argument(name, "is negative, and this time must have an end"))
}
