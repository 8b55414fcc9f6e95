//! Failures, and the exit codes that scripts can rely on.

use fieldpress::{Error, ErrorKind};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Exit codes; `--help` documents them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Writing failed, a model or device is missing, or a bug.
    Other = 1,
    /// A command line that cannot be accepted (clap exits so, too).
    Usage = 2,
    /// An input that cannot be read, or is not what was said.
    Input = 3,
    /// A bound that does not hold.
    Bound = 4,
}

/// Why the tool stops: an exit code and a sentence.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    pub fn other(message: impl Into<String>) -> Self {
        Self { exit: Exit::Other, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into() }
    }

    pub fn bound(message: impl Into<String>) -> Self {
        Self { exit: Exit::Bound, message: message.into() }
    }

    /// An input's failure, whatever its kind: what a file holds is not the command line's fault.
    pub fn reading(what: &str, error: impl fmt::Display) -> Self {
        Self::input(format!("{what}: {error}"))
    }

    pub fn writing(what: &str, error: impl fmt::Display) -> Self {
        Self::other(format!("{what}: {error}"))
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::InvalidArgument => Exit::Usage,
            ErrorKind::Corrupt | ErrorKind::Unsupported => Exit::Input,
            _ => Exit::Other,
        };
        Self { exit, message: error.message().to_owned() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What the last panic said, and where.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// The outcome of `work`, or what `failure` makes of a panic's words. Nothing is printed of it.
pub fn caught<T>(
    work: impl FnOnce() -> Result<T, Failure>,
    failure: impl FnOnce(&str) -> Failure,
) -> Result<T, Failure> {
    let others = panic::take_hook();
    panic::set_hook(Box::new(|info| *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(others);
    outcome.unwrap_or_else(|_| Err(failure(&PANIC.lock().unwrap_or_else(PoisonError::into_inner))))
}

/// A panic that nothing else explains.
pub fn own_fault(said: &str) -> Failure {
    Failure::other(format!("this is a fault of fieldpress itself, please report it: {said}"))
}
