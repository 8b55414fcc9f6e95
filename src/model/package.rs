//! Model packages: loading and checking one from a folder or from inside the library, and finding the one that a stream
//! names.
//!
//! In: a folder, or a name and hash. Out: a [`Package`] whose every file has the length and checksum that its manifest
//! says, held in memory, so that nothing changes between the check and the use.

mod contract;

use super::manifest::{MAX_MANIFEST_BYTES, Manifest, is_plain_name};
use super::places::own_folders;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::fork_lock::{ForkLock, ForkOnce};
use crate::options::Options;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders to search for packages, separated as in `PATH`; each is a package or holds packages.
pub const MODEL_PATH: &str = "FIELDPRESS_MODEL_PATH";

/// Bytes of a package's hash that a stream stores.
pub const STREAM_HASH_BYTES: usize = 8;

// Names and contents of the files of models/default, `static FILES: &[(&str, &[u8])]`, written by build.rs.
include!(concat!(env!("OUT_DIR"), "/default_package.rs"));

/// A file's content: a part of this library, or read from a folder and shared.
#[derive(Clone, Debug)]
pub enum FileBytes {
    /// Compiled in.
    Static(&'static [u8]),
    /// Read from a folder.
    Shared(Arc<[u8]>),
}

impl std::ops::Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// A checked package.
#[derive(Debug)]
pub struct Package {
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
    hash: [u8; 32],
    files: BTreeMap<String, FileBytes>,
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bad(message: String) -> Error {
    Error::new(ErrorKind::Model, message)
}

/// Reads a file of at most `limit` bytes.
fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let cannot = |error: std::io::Error| bad(format!("cannot read {}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > limit {
        return Err(bad(format!("{} is longer than the {limit} bytes expected", path.display())));
    }
    Ok(bytes)
}

/// The bytes of a folder's manifest.
fn read_manifest(folder: &Path) -> Result<Vec<u8>> {
    read_limited(&folder.join("manifest.json"), MAX_MANIFEST_BYTES as u64)
        .map_err(|error| error.context(format!("model package {}", folder.display())))
}

impl Package {
    /// Loads and checks the package in `folder`.
    ///
    /// # Errors
    /// `Model` that names the file that is missing, or not as the manifest says; `Unsupported` for another format.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let manifest = read_manifest(folder)?;
        Self::new(&manifest, |name, bytes| {
            read_limited(&folder.join(name), bytes).map(|bytes| FileBytes::Shared(bytes.into()))
        })
        .map_err(|error| error.context(format!("model package {}", folder.display())))
    }

    /// The package compiled into the library.
    ///
    /// # Errors
    /// `Model` where the library was built without one.
    pub fn builtin() -> Result<Arc<Self>> {
        static PACKAGE: ForkOnce<Result<Arc<Package>>> = ForkOnce::new();
        let load =
            || Self::from_files(FILES).map(Arc::new).map_err(|error| error.context("the compiled-in model package"));
        PACKAGE.get_or_init(load)?.clone()
    }

    /// The hash of the package compiled into the library, without checking its files.
    pub fn builtin_hash() -> Option<[u8; 32]> {
        FILES.iter().find(|(name, _)| *name == "manifest.json").map(|(_, bytes)| sha256(bytes))
    }

    /// The hash of the package in `folder`, without reading its other files.
    ///
    /// # Errors
    /// `Model` where there is no manifest.
    pub fn folder_hash(folder: &Path) -> Result<[u8; 32]> {
        read_manifest(folder).map(|manifest| sha256(&manifest))
    }

    fn from_files(files: &[(&str, &'static [u8])]) -> Result<Self> {
        let get = |name: &str| files.iter().find(|(key, _)| *key == name).map(|(_, bytes)| *bytes);
        let manifest = get("manifest.json").ok_or_else(|| bad("this build has none".into()))?;
        Self::new(manifest, |name, _| get(name).map(FileBytes::Static).ok_or_else(|| bad(format!("{name} is missing"))))
    }

    /// Checks a manifest, then every file that it lists; `read(name, length)` gives a file of at most that length.
    fn new(bytes: &[u8], mut read: impl FnMut(&str, u64) -> Result<FileBytes>) -> Result<Self> {
        let hash = sha256(bytes);
        let manifest = Manifest::parse(bytes)?;
        let mut files = BTreeMap::new();
        for (name, entry) in &manifest.files {
            let bytes = read(name, entry.bytes)?;
            if !cfg!(fuzzing) && bytes.len() as u64 != entry.bytes {
                return Err(bad(format!("{name} has {} bytes; its manifest says {}", bytes.len(), entry.bytes)));
            }
            let sum = hex(&sha256(&bytes));
            if !cfg!(fuzzing) && sum != entry.sha256 {
                return Err(bad(format!("{name} has SHA-256 {sum}; its manifest says {}", entry.sha256)));
            }
            files.insert(name.clone(), bytes);
        }
        // Those of the library itself are checked by its tests, and each again when it is loaded.
        if files.values().any(|file| matches!(file, FileBytes::Shared(_))) {
            contract::check(&manifest, |name| {
                let file = files.get(name).ok_or_else(|| bad(format!("{name} is missing")))?;
                Ok(&**file)
            })?;
        }
        Ok(Self { manifest, manifest_bytes: bytes.to_vec(), hash, files })
    }

    /// The package as one string of bytes, as archives carry it: manifest and files, each after its name.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let files = self.files.iter().map(|(name, bytes)| (name.as_str(), &**bytes));
        for (name, bytes) in std::iter::once(("manifest.json", &*self.manifest_bytes)).chain(files) {
            for part in [name.as_bytes(), bytes] {
                out.varint(part.len() as u64);
                out.bytes.extend_from_slice(part);
            }
        }
        out.bytes
    }

    /// Takes apart and checks what [`Package::to_bytes`] made.
    ///
    /// # Errors
    /// `Corrupt`; as [`Package::from_folder`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let mut files = BTreeMap::new();
        while reader.remaining() > 0 {
            let mut part = || {
                let length = reader.length()?;
                reader.bytes(length)
            };
            let (name, content) = (part()?, part()?);
            files.insert(name, content);
        }
        let get = |name: &str| files.get(name.as_bytes()).copied();
        let manifest = get("manifest.json").ok_or_else(|| bad("the embedded package has no manifest".into()))?;
        Self::new(manifest, |name, _| {
            get(name).map(|bytes| FileBytes::Shared(bytes.into())).ok_or_else(|| bad(format!("{name} is missing")))
        })
        .map_err(|error| error.context("the embedded model package"))
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest's bytes, which names the whole package.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The content of a file that the manifest refers to.
    ///
    /// # Errors
    /// `Internal` for any other name.
    pub fn file(&self, name: &str) -> Result<&FileBytes> {
        self.files.get(name).ok_or_else(|| Error::internal(format!("no file {name} in the package")))
    }
}

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Inside the library.
    Builtin,
    /// In a folder.
    Folder(PathBuf),
    /// In an archive that was opened; named by its hash.
    Embedded([u8; 32]),
}

/// Packages of archives that were opened.
static EMBEDDED: ForkLock<Vec<Arc<Package>>> = ForkLock::new(Vec::new());

/// Lets streams find a package that an archive carries, for those who trust such packages.
///
/// # Errors
/// `Runtime` in a child that was forked meanwhile.
pub(crate) fn register(package: Package) -> Result<()> {
    let mut packages = EMBEDDED.lock()?;
    if packages.iter().all(|known| known.hash != package.hash) {
        packages.push(Arc::new(package));
    }
    Ok(())
}

fn embedded() -> Result<Vec<Arc<Package>>> {
    Ok(EMBEDDED.lock()?.clone())
}

impl Source {
    /// Of the package that options mean: a folder's, or the one compiled in.
    pub(crate) fn of(options: &Options) -> Self {
        options.model.clone().map_or(Self::Builtin, Self::Folder)
    }

    /// Loads and checks it.
    ///
    /// # Errors
    /// As [`Package::from_folder`].
    pub fn load(&self) -> Result<Arc<Package>> {
        match self {
            Self::Builtin => Package::builtin(),
            Self::Folder(folder) => Package::from_folder(folder).map(Arc::new),
            Self::Embedded(hash) => embedded()?
                .into_iter()
                .find(|package| package.hash == *hash)
                .ok_or_else(|| Error::internal("the embedded package was not registered")),
        }
    }

    /// Its hash, from the manifest alone.
    ///
    /// # Errors
    /// `Model` where there is no manifest.
    pub fn hash(&self) -> Result<[u8; 32]> {
        match self {
            Self::Builtin => Package::builtin_hash().ok_or_else(|| {
                bad("no model package is compiled into this build; name one by the option model=PATH".into())
            }),
            Self::Folder(folder) => Package::folder_hash(folder),
            Self::Embedded(hash) => Ok(*hash),
        }
    }
}

/// Folders that [`find`] looks into: those of [`MODEL_PATH`], then those of this installation.
fn search_path() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os(MODEL_PATH).map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    folders.retain(|folder| !folder.as_os_str().is_empty());
    for own in own_folders() {
        folders.extend(["models", "fieldpress/models", "../share/fieldpress/models"].map(|part| own.join(part)));
    }
    folders
}

/// Finds the package whose hash begins with `hash`: the one that `preferred` names, the compiled-in one, or one on the
/// search path (a folder itself, or in it `<name>` or `<name>-<first 8 digits of the hash>`).
///
/// # Errors
/// `Model` that gives the name, the hash and every place looked at.
pub fn find(name: &str, hash: &[u8; STREAM_HASH_BYTES], preferred: Option<&Path>) -> Result<(Source, [u8; 32])> {
    find_in(name, hash, preferred, &search_path(), &[])
}

/// As [`find`], for who has these options: also among packages of archives where those are trusted.
pub(crate) fn find_for(name: &str, hash: &[u8; STREAM_HASH_BYTES], options: &Options) -> Result<(Source, [u8; 32])> {
    let embedded = if options.trust_embedded_model { embedded()? } else { Vec::new() };
    find_in(name, hash, options.model.as_deref(), &search_path(), &embedded)
}

/// Whether a package is installed here: compiled in, named by the options, or on the search path.
pub(crate) fn is_installed(name: &str, hash: &[u8; 32], options: &Options) -> bool {
    let short = std::array::from_fn(|k| hash[k]);
    find(name, &short, options.model.as_deref()).is_ok_and(|(_, found)| found == *hash)
}

fn find_in(
    name: &str,
    hash: &[u8; STREAM_HASH_BYTES],
    preferred: Option<&Path>,
    path: &[PathBuf],
    embedded: &[Arc<Package>],
) -> Result<(Source, [u8; 32])> {
    if !is_plain_name(name) {
        return Err(Error::corrupt(format!("the stream's model name {name:?} is not a plain name")));
    }
    let short = hex(&hash[..4]);
    let mut sources: Vec<Source> = preferred.map(|folder| Source::Folder(folder.into())).into_iter().collect();
    sources.push(Source::Builtin);
    for folder in path {
        let folders = [folder.clone(), folder.join(name), folder.join(format!("{name}-{short}"))];
        sources.extend(folders.map(Source::Folder));
    }
    sources.extend(embedded.iter().map(|package| Source::Embedded(package.hash)));
    let mut others = Vec::new();
    for source in sources {
        let Ok(found) = source.hash() else { continue };
        if found.starts_with(hash) {
            return Ok((source, found));
        }
        let place = match &source {
            Source::Builtin => "compiled in".into(),
            Source::Folder(folder) => folder.display().to_string(),
            Source::Embedded(_) => "in an archive".into(),
        };
        others.push(format!("{place} ({})", hex(&found[..STREAM_HASH_BYTES])));
    }
    let list = |items: Vec<String>| if items.is_empty() { "none".into() } else { items.join(", ") };
    Err(bad(format!(
        "the stream needs model '{name}' with hash {}, which was not found; packages found with another hash: {}; \
         folders searched: {}; name the package's folder by the option model=PATH, or its parent folder in {MODEL_PATH}",
        hex(hash),
        list(others),
        list(path.iter().map(|folder| folder.display().to_string()).collect()),
    )))
}

#[cfg(test)]
mod tests;
