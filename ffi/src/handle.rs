//! What stands behind every opaque pointer: the value, and who is using it.
//!
//! Calls that take `const T *` share the value, calls that take `T *` have it to themselves. The header tells the caller to
//! keep to that; here it is checked, so that a program that does not gets `MAILWIRE_ERR_MISUSE` and not a data race.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::failure::Failure;
use crate::guard;

/// A type that C knows by pointer alone.
pub(crate) trait Object: Sized {
    /// What is behind the pointer. Handles move between threads, and calls share them.
    type Value: Send + Sync;
    /// What the header calls a parameter of this type.
    const NAME: &'static str;
    /// Whether it belongs to the process that made it: sockets, threads.
    const BOUND_TO_PROCESS: bool = false;

    fn new(handle: Handle<Self::Value>) -> Self;
    fn handle(&self) -> &Handle<Self::Value>;
}

/// Names the value behind a type that C knows by pointer.
macro_rules! object {
    ($object:ident, $value:ty, $name:literal $(, bound_to_process = $bound:literal)?) => {
        impl $crate::handle::Object for $object {
            type Value = $value;
            const NAME: &'static str = $name;
            $(const BOUND_TO_PROCESS: bool = $bound;)?

            fn new(handle: $crate::handle::Handle<$value>) -> Self {
                Self(handle)
            }

            fn handle(&self) -> &$crate::handle::Handle<$value> {
                &self.0
            }
        }
    };
}
pub(crate) use object;

/// One call has the value to itself.
const EXCLUSIVE: u32 = 1 << 31;
/// It was freed while calls were running: the last of them drops it.
const FREED: u32 = 1 << 30;

/// A value and who is using it.
pub(crate) struct Handle<T> {
    /// The number of calls that share the value, and the two bits above.
    users: AtomicU32,
    /// A panic passed through a call that had it: what it holds cannot be trusted any more.
    poisoned: AtomicBool,
    process: u32,
    value: UnsafeCell<T>,
}

/// Puts a value behind a pointer for C. Undone by [`free`].
pub(crate) fn to_c<O: Object>(value: O::Value) -> *mut O {
    Box::into_raw(Box::new(O::new(Handle {
        users: AtomicU32::new(0),
        poisoned: AtomicBool::new(false),
        process: std::process::id(),
        value: UnsafeCell::new(value),
    })))
}

/// Drops what [`to_c`] made; NULL is left alone. While calls run on it in other threads, the last of them drops it.
///
/// # Safety
/// `pointer` is NULL or comes from [`to_c`] and was not freed yet.
pub(crate) unsafe fn free<O: Object>(pointer: *mut O) {
    let Some(object) = NonNull::new(pointer) else {
        return;
    };
    // SAFETY: as the caller promises.
    let before = unsafe { object.as_ref() }
        .handle()
        .users
        .fetch_or(FREED, Ordering::AcqRel);
    if before == 0 {
        // SAFETY: nobody uses it, and whoever comes now finds FREED.
        unsafe { discard(object) };
    }
}

/// Shares the value with other calls.
///
/// # Safety
/// `pointer` is NULL or comes from [`to_c`] and is not freed while `'a` lasts, but by [`free`].
pub(crate) unsafe fn shared<'a, O: Object>(pointer: *const O) -> Result<Shared<'a, O>, Failure> {
    let object = NonNull::new(pointer.cast_mut()).ok_or(Failure::Null(O::NAME))?;
    // SAFETY: as the caller promises.
    let handle = unsafe { object.as_ref() }.handle();
    let taken = handle
        .users
        .fetch_update(Ordering::Acquire, Ordering::Relaxed, |users| {
            (users & (EXCLUSIVE | FREED) == 0).then_some(users + 1)
        });
    taken.map_err(|_| Failure::InUse(O::NAME))?;
    let shared = Shared {
        object,
        lifetime: PhantomData,
    };
    check(handle, O::NAME, O::BOUND_TO_PROCESS)?;
    Ok(shared)
}

/// Takes the value for one call alone.
///
/// # Safety
/// As for [`shared`].
pub(crate) unsafe fn exclusive<'a, O: Object>(
    pointer: *mut O,
) -> Result<Exclusive<'a, O>, Failure> {
    let object = NonNull::new(pointer).ok_or(Failure::Null(O::NAME))?;
    // SAFETY: as the caller promises.
    let handle = unsafe { object.as_ref() }.handle();
    handle
        .users
        .compare_exchange(0, EXCLUSIVE, Ordering::Acquire, Ordering::Relaxed)
        .map_err(|_| Failure::InUse(O::NAME))?;
    let exclusive = Exclusive {
        object,
        lifetime: PhantomData,
    };
    check(handle, O::NAME, O::BOUND_TO_PROCESS)?;
    Ok(exclusive)
}

fn check<T>(handle: &Handle<T>, name: &'static str, bound: bool) -> Result<(), Failure> {
    if bound && handle.process != std::process::id() {
        return Err(Failure::Forked(name));
    }
    if handle.poisoned.load(Ordering::Relaxed) {
        return Err(Failure::Poisoned(name));
    }
    Ok(())
}

/// A value that other calls may share.
pub(crate) struct Shared<'a, O: Object> {
    object: NonNull<O>,
    lifetime: PhantomData<&'a O>,
}

impl<'a, O: Object> Shared<'a, O> {
    /// The value for as long as the object lives, for what is lent to C until the next call that changes it.
    pub(crate) fn lend(&self) -> &'a O::Value {
        // SAFETY: what is lent is handed to C as a pointer, and the header says when it ends; until this guard goes, nobody
        // has the value alone.
        unsafe { &*self.object.as_ref().handle().value.get() }
    }
}

impl<O: Object> Deref for Shared<'_, O> {
    type Target = O::Value;

    fn deref(&self) -> &O::Value {
        self.lend()
    }
}

impl<O: Object> Drop for Shared<'_, O> {
    fn drop(&mut self) {
        release(self.object, 1);
    }
}

/// A value that one call has for itself.
pub(crate) struct Exclusive<'a, O: Object> {
    object: NonNull<O>,
    lifetime: PhantomData<&'a O>,
}

impl<O: Object> Deref for Exclusive<'_, O> {
    type Target = O::Value;

    fn deref(&self) -> &O::Value {
        // SAFETY: EXCLUSIVE is set, so no other guard exists.
        unsafe { &*self.object.as_ref().handle().value.get() }
    }
}

impl<O: Object> DerefMut for Exclusive<'_, O> {
    fn deref_mut(&mut self) -> &mut O::Value {
        // SAFETY: EXCLUSIVE is set, so no other guard exists, and `self` is borrowed mutably.
        unsafe { &mut *self.object.as_ref().handle().value.get() }
    }
}

impl<O: Object> Drop for Exclusive<'_, O> {
    fn drop(&mut self) {
        release(self.object, EXCLUSIVE);
    }
}

fn release<O: Object>(object: NonNull<O>, share: u32) {
    // SAFETY: the guard that calls this is still counted, so the object has not been dropped.
    let handle = unsafe { object.as_ref() }.handle();
    if std::thread::panicking() {
        handle.poisoned.store(true, Ordering::Relaxed);
    }
    let before = handle.users.fetch_sub(share, Ordering::AcqRel);
    if before == FREED | share {
        // SAFETY: it was freed meanwhile, and this was the last call that used it.
        unsafe { discard(object) };
    }
}

/// # Safety
/// Nobody else uses the object, now or later.
unsafe fn discard<O: Object>(object: NonNull<O>) {
    // SAFETY: the object was made by `to_c`, which boxed it.
    guard::quietly(|| drop(unsafe { Box::from_raw(object.as_ptr()) }));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    struct Thing(Handle<Counted>);
    object!(Thing, Counted, "thing");

    /// Counts how often it was dropped.
    struct Counted(&'static AtomicUsize);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn thing() -> (*mut Thing, &'static AtomicUsize) {
        let drops: &'static AtomicUsize = Box::leak(Box::default());
        (to_c(Counted(drops)), drops)
    }

    #[test]
    fn sharers_share_and_one_alone_is_alone() {
        let (pointer, drops) = thing();
        // SAFETY: the pointer is fresh, and freed at the end only.
        unsafe {
            let one = shared::<Thing>(pointer).ok().unwrap();
            let two = shared::<Thing>(pointer).ok().unwrap();
            assert!(matches!(exclusive(pointer), Err(Failure::InUse("thing"))));
            drop((one, two));
            let alone = exclusive(pointer).ok().unwrap();
            assert!(matches!(shared(pointer), Err(Failure::InUse("thing"))));
            drop(alone);
            free(pointer);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_is_freed_during_a_call_is_dropped_after_it() {
        let (pointer, drops) = thing();
        // SAFETY: the pointer is fresh; it is used after `free` only through the guard that was there before.
        unsafe {
            let during = shared::<Thing>(pointer).ok().unwrap();
            free(pointer);
            assert_eq!(drops.load(Ordering::Relaxed), 0);
            drop(during);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_panic_poisons_what_it_passes() {
        let (pointer, drops) = thing();
        // SAFETY: the pointer is fresh, and freed at the end only.
        unsafe {
            let panicked = guard::catch(|| {
                let _alone = exclusive::<Thing>(pointer);
                panic!("halfway");
            });
            assert!(panicked.is_err());
            assert!(matches!(shared(pointer), Err(Failure::Poisoned("thing"))));
            assert!(matches!(
                exclusive(pointer),
                Err(Failure::Poisoned("thing"))
            ));
            free(pointer);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn null_is_refused_and_freed() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert!(matches!(
                shared::<Thing>(std::ptr::null()),
                Err(Failure::Null("thing"))
            ));
            free::<Thing>(std::ptr::null_mut());
        }
    }
}
