//! ONNX Runtime: found and loaded while the program runs, once per process.
//!
//! Linking needs no ONNX Runtime, and its absence is no failure of the library: [`status`] says what was found, and
//! [`environment`] gives an error with every place looked at.

use super::places::own_folders;
use super::setup::RuntimeStatus;
use crate::error::{Error, ErrorKind, Result};
use crate::fork_lock::ForkOnce;
use ort::environment::Environment;
use ort::logging::LogLevel;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file or folder of ONNX Runtime's shared library, for fieldpress alone; comes before [`DYLIB_PATH`].
pub const OWN_PATH: &str = "FIELDPRESS_ONNXRUNTIME";
/// The same, as other programs read it too.
pub const DYLIB_PATH: &str = "ORT_DYLIB_PATH";

struct Loaded {
    environment: Environment,
    path: PathBuf,
}

/// The environment that sessions are made in; loads ONNX Runtime at the first call.
///
/// # Errors
/// `Runtime` where it is missing or does not load; the same error at every later call.
pub(super) fn environment() -> Result<&'static Environment> {
    loaded().map(|loaded| &loaded.environment)
}

/// Where ONNX Runtime was loaded from, for messages; empty before that.
pub(super) fn location() -> String {
    loaded().map(|loaded| loaded.path.display().to_string()).unwrap_or_default()
}

/// Whether ONNX Runtime is there; loads it at the first call.
pub fn status() -> RuntimeStatus {
    match loaded() {
        Ok(loaded) => RuntimeStatus::Loaded { path: loaded.path.clone(), build: ort::info().to_owned() },
        Err(error) => RuntimeStatus::Missing(error.message().to_owned()),
    }
}

fn loaded() -> Result<&'static Loaded> {
    static LOADED: ForkOnce<Result<Loaded>> = ForkOnce::new();
    LOADED.get_or_init(load)?.as_ref().map_err(Clone::clone)
}

fn load() -> Result<Loaded> {
    let _span = tracing::info_span!("load_onnxruntime").entered();
    let named = [OWN_PATH, DYLIB_PATH].into_iter().find_map(|variable| {
        std::env::var_os(variable).filter(|value| !value.is_empty()).map(|value| (variable, PathBuf::from(value)))
    });
    let candidates = match &named {
        Some((_, path)) if path.is_dir() => libraries_in(path),
        Some((_, path)) => vec![path.clone()],
        None => {
            let mut found: Vec<PathBuf> = own_folders()
                .iter()
                .flat_map(|folder| [folder.clone(), folder.join("lib"), folder.join("../lib")])
                .flat_map(|folder| libraries_in(&folder))
                .collect();
            found.extend([library_name(), format!("{}.1", library_name())].map(PathBuf::from));
            found
        }
    };

    let mut failures = Vec::new();
    for path in candidates {
        match try_load(&path) {
            Ok(environment) => {
                tracing::info!(path = %path.display(), "loaded ONNX Runtime");
                return Ok(Loaded { environment, path });
            }
            Err(message) => failures.push(message),
        }
    }
    let looked = match named {
        Some((variable, path)) => format!("{variable} names {}", path.display()),
        None => {
            let folders: Vec<String> = own_folders().iter().map(|folder| folder.display().to_string()).collect();
            format!(
                "looked for {} in {} (and their lib folders), then by the system's loader, as neither \
                 {OWN_PATH} nor {DYLIB_PATH} is set",
                library_name(),
                folders.join(", ")
            )
        }
    };
    let why = if failures.is_empty() { "no such library there".into() } else { failures.join("; ") };
    Err(Error::new(
        ErrorKind::Runtime,
        format!(
            "ONNX Runtime could not be loaded: {looked}: {why}; set {OWN_PATH} to the file or folder of its \
             shared library"
        ),
    ))
}

/// Loads one library and makes the environment; ort panics on a library that is not ONNX Runtime after all.
fn try_load(path: &Path) -> std::result::Result<Environment, String> {
    let attempt = || -> std::result::Result<Environment, String> {
        let builder = ort::init_from(path).map_err(|error| reason(&error))?;
        let environment = builder
            .with_name("fieldpress")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| error.to_string())?;
        environment.set_log_level(LogLevel::Warning);
        Ok(environment)
    };
    std::panic::catch_unwind(attempt).unwrap_or_else(|_| Err(format!("{} is not a sound ONNX Runtime", path.display())))
}

/// Why a library did not load: the loader's own words, which lie below ort's.
fn reason(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, path } => match std::error::Error::source(error) {
            Some(source) => source.to_string(), // names the file
            None => format!("{}: {error}", path.display()),
        },
        other => other.to_string(),
    }
}

/// ONNX Runtime's own messages, through tracing, so that it never writes to a simulation's output.
fn log(level: LogLevel, category: &str, _id: &str, location: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => {
            tracing::trace!(target: "fieldpress::onnxruntime", category, location, "{message}")
        }
        LogLevel::Warning => tracing::debug!(target: "fieldpress::onnxruntime", category, location, "{message}"),
        LogLevel::Error | LogLevel::Fatal => {
            tracing::warn!(target: "fieldpress::onnxruntime", category, location, "{message}")
        }
    }
}

fn library_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

/// ONNX Runtime's libraries in a folder: the plain name first, then versioned ones (`libonnxruntime.so.1.31.1`), newest
/// first.
fn libraries_in(folder: &Path) -> Vec<PathBuf> {
    let plain = library_name();
    let versioned = format!("{plain}.");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    names.retain(|name| *name == plain || name.starts_with(&versioned));
    let numbers = |name: &str| name.split('.').map(|part| part.parse().unwrap_or(0u32)).collect::<Vec<_>>();
    names.sort_by_key(|name| (*name != plain, std::cmp::Reverse(numbers(name))));
    names.into_iter().map(|name| folder.join(name)).collect()
}
