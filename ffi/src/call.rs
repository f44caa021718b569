//! The shape of every exported function: nothing panics out of it, its outputs are always set, its failure is told.

use crate::argument::Out;
use crate::error::{self, mailwire_error};
use crate::failure::Failure;
use crate::guard;
use crate::status::{MAILWIRE_OK, mailwire_status};

/// Where a caller wants the error to be put.
pub(crate) type ErrorOut = Out<*mut mailwire_error>;

impl ErrorOut {
    /// # Safety
    /// As for [`Out::new`].
    pub(crate) unsafe fn of(pointer: *mut *mut mailwire_error) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Self::new("err", pointer, std::ptr::null_mut()) }
    }
}

/// Runs the work of `function` and tells how it went, as a status and, where the caller wants one, as an error.
pub(crate) fn call(
    function: &'static str,
    err: &ErrorOut,
    work: impl FnOnce() -> Result<(), Failure>,
) -> mailwire_status {
    let failure = match guard::catch(work) {
        Ok(Ok(())) => return MAILWIRE_OK,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::Panic(panic),
    };
    let status = failure.status().number();
    if err.is_given() {
        let told = guard::catch(|| error::to_c(function, &failure));
        err.write(told.unwrap_or_else(|_| error::out_of_memory()));
    }
    // What the failure holds may have code of its own to run.
    guard::quietly(|| drop(failure));
    status
}

/// Runs the work of a function that only looks: where there is nothing to see, it sees `neutral`.
pub(crate) fn look<T>(neutral: T, work: impl FnOnce() -> Result<T, Failure>) -> T {
    match guard::catch(work) {
        Ok(Ok(seen)) => seen,
        Ok(Err(failure)) => {
            guard::quietly(|| drop(failure));
            neutral
        }
        Err(_) => neutral,
    }
}
