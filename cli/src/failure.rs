//! Failures, and the exit codes that scripts can rely on.

use fieldpress::{Error, ErrorKind};
use std::fmt;
use std::process::ExitCode;

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
