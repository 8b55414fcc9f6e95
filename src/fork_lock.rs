//! Locks that a child of `fork` never waits for in vain.
//!
//! A child has one thread, and a copy of the memory of all. A mutex that another thread of the parent held stays locked
//! in it for ever. These locks know which process holds them: the child gets an error in place of a wait without end.

use crate::error::{Error, ErrorKind, Result};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Pauses between looks at a lock that another thread of this process holds.
const PAUSES: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];

/// A mutex.
#[derive(Debug, Default)]
pub struct ForkLock<T> {
    /// The process in which a thread holds it; 0: none. `value` is locked by that thread alone, so that in a child it
    /// is free where this is 0.
    holder: AtomicU32,
    value: Mutex<T>,
}

/// The lock, until dropped.
pub struct ForkGuard<'a, T> {
    holder: &'a AtomicU32,
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
}

impl<T> ForkLock<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Self { holder: AtomicU32::new(0), value: Mutex::new(value) }
    }

    /// Waits for the lock. A panic of a thread that held it does not matter to others.
    ///
    /// # Errors
    /// `Runtime` in a child of a process in which another thread held it during the fork.
    pub fn lock(&self) -> Result<ForkGuard<'_, T>> {
        let own = std::process::id();
        let mut pause = PAUSES[0];
        while let Err(holder) = self.holder.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            if holder != own {
                return Err(Error::new(
                    ErrorKind::Runtime,
                    "this process was forked while another thread of its parent held what this call needs, and which \
                     nobody can give back here; fork before other threads work, or exec in the child",
                ));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSES[1]);
        }
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ForkGuard { holder: &self.holder, value: Some(value) })
    }
}

impl<T> Deref for ForkGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("held until dropped")
    }
}

impl<T> DerefMut for ForkGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("held until dropped")
    }
}

impl<T> Drop for ForkGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.holder.store(0, Ordering::Release);
    }
}

/// A value that is made once.
#[derive(Debug)]
pub(crate) struct ForkOnce<T> {
    making: ForkLock<()>,
    value: OnceLock<T>,
}

impl<T> ForkOnce<T> {
    pub(crate) const fn new() -> Self {
        Self { making: ForkLock::new(()), value: OnceLock::new() }
    }

    /// The value, made by `make` where there is none yet.
    ///
    /// # Errors
    /// As [`ForkLock::lock`].
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> Result<&T> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let _making = self.making.lock()?;
        Ok(self.value.get_or_init(make))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_turns() {
        let lock = ForkLock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        *lock.lock().unwrap() += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock().unwrap(), 4000);
        let once = ForkOnce::new();
        assert_eq!((once.get_or_init(|| 1).unwrap(), once.get_or_init(|| 2).unwrap()), (&1, &1));
    }

    #[test]
    fn what_another_process_held_is_an_error() {
        let lock = ForkLock::new(());
        // As a child finds it whose parent had another thread here.
        lock.holder.store(std::process::id() + 1, Ordering::Relaxed);
        let error = lock.lock().map(drop).unwrap_err();
        assert!(error.kind() == ErrorKind::Runtime && error.message().contains("forked"), "{error}");
        let once = ForkOnce { making: lock, value: OnceLock::new() };
        assert!(once.get_or_init(|| 1).is_err());
        once.value.set(3).unwrap();
        assert_eq!(once.get_or_init(|| 1).unwrap(), &3);
    }

    #[test]
    fn a_panic_gives_the_lock_back() {
        let lock = ForkLock::new(7);
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock.lock().unwrap();
            panic!("on purpose");
        }));
        assert!(held.is_err());
        assert_eq!(*lock.lock().unwrap(), 7);
    }
}
