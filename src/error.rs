//! Errors: a kind that a program can act on and a sentence for the person who reads it.

use std::fmt;
use std::path::Path;

/// What went wrong, coarsely; the C ABI's status codes are these values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorKind {
    /// An argument or option that cannot be accepted.
    InvalidArgument = 1,
    /// Bytes that are not a sound stream (damaged, truncated, or not ours).
    Corrupt = 2,
    /// A stream or package of a version, or with a feature, that this build does not know.
    Unsupported = 3,
    /// A model package that is missing, damaged, or not the one that the stream names.
    Model = 4,
    /// ONNX Runtime or a device that is missing or failed.
    Runtime = 5,
    /// The caller's buffer is too small.
    BufferTooSmall = 6,
    /// The file system or the operating system refused.
    Io = 7,
    /// A bug in fieldpress: the check of its own output failed, or it panicked.
    Internal = 8,
}

impl ErrorKind {
    /// The kind of a status code.
    pub(crate) fn from_code(code: i32) -> Option<Self> {
        use ErrorKind::{BufferTooSmall, Corrupt, Internal, InvalidArgument, Io, Model, Runtime, Unsupported};
        let all = [InvalidArgument, Corrupt, Unsupported, Model, Runtime, BufferTooSmall, Io, Internal];
        all.into_iter().find(|&kind| kind as i32 == code)
    }
}

/// An error: its [`ErrorKind`] and a sentence that names what is wrong and what was expected.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// `Result` with fieldpress's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An argument or option that cannot be accepted.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    /// Bytes that are not a sound stream.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A failure inside fieldpress itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The kind, for a program.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence, for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// An error with the path of the file that it concerns before its sentence.
    pub(crate) fn at_path(path: &Path, error: impl Into<Self>) -> Self {
        error.into().context(path.display())
    }

    /// The same error with `what:` before its sentence, to say where it happened.
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, error.to_string())
    }
}
