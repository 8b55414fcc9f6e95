//! `manifest.json` of a model package: what is in it, and the checks that it must pass before anything else is read.
//!
//! In: the bytes of a manifest, from anyone. Out: a [`Manifest`] whose every number lies within the limits below, so
//! that what follows may multiply and allocate by them; or an error that says which entry is wrong and what was
//! expected.

use crate::error::{Error, ErrorKind, Result};
use crate::residual::basis::MAX_WINDOW;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The format that this build reads.
pub const FORMAT: u32 = 1;
/// The largest manifest, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 1 << 20;
/// The largest single file of a package, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// The largest package, in bytes.
pub const MAX_PACKAGE_BYTES: u64 = 1 << 30;
/// The most files that a manifest may list.
pub const MAX_FILES: usize = 64;
/// The largest tile edge, in pixels.
pub const MAX_TILE: usize = 2048;
/// The longest package name, in bytes.
pub const MAX_NAME: usize = 64;

const MAX_ALIGN: usize = 256;
const MAX_FRAMES: usize = 64;
const MAX_CHANNELS: usize = 1024;
const MAX_GAINS: usize = 64;
/// Reduced output has at most this many pixels for one of its own.
const COARSEST_SCALE: usize = 4;
/// Gains beyond these would leave every symbol zero, or escape every symbol.
const GAIN_LIMITS: (f32, f32) = (1e-4, 1e4);

/// A checked manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// The manifest's format, 1.
    pub format: u32,
    /// The package's name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What the graphs are, for people.
    #[serde(default)]
    pub architecture: String,
    /// The interpolator, where the package has one.
    pub interpolator: Option<Interpolator>,
    /// The autoencoder's set, where the package has one.
    pub latents: Option<Latents>,
    /// The enhancer, where the package has one.
    pub enhancer: Option<Enhancer>,
    /// A larger one for where time matters less, where the package has one.
    pub enhancer_fine: Option<Enhancer>,
    /// Length and checksum of every file but the manifest.
    pub files: BTreeMap<String, FileEntry>,
}

/// The graph that gives the frame between two decoded frames.
#[derive(Clone, Debug, Deserialize)]
pub struct Interpolator {
    /// File name of the graph.
    pub graph: String,
    /// Spatial sizes are multiples of this many pixels.
    pub align: usize,
    /// The edge of the largest square tile, in pixels.
    pub max_tile: usize,
}

/// The graph that gives decoded frames a part of what the quantiser took.
#[derive(Clone, Debug, Deserialize)]
pub struct Enhancer {
    /// File name of the graph.
    pub graph: String,
    /// Spatial sizes are multiples of this many pixels.
    pub align: usize,
    /// The edge of the largest square tile, in pixels.
    pub max_tile: usize,
    /// Frames that it sees, the one to be corrected in the middle; odd.
    pub frames: usize,
}

/// The autoencoder with its hyperprior.
#[derive(Clone, Debug, Deserialize)]
pub struct Latents {
    /// `x` → `y`.
    pub encoder: String,
    /// gain · `y` → `z`.
    pub hyper_encoder: String,
    /// `z` → mean and scale of every element of `y`; integer-exact.
    pub hyper_decoder: String,
    /// `y` → `x`.
    pub decoder: String,
    /// `y` → `x` at half the points along rows and columns.
    pub decoder_half: Option<String>,
    /// `y` → `x` at a quarter of the points along rows and columns.
    pub decoder_quarter: Option<String>,
    /// File name of the entropy tables.
    pub tables: String,
    /// Spatial sizes are multiples of this many pixels.
    pub align: usize,
    /// The edge of the largest tile, in pixels.
    pub max_tile: usize,
    /// Frames of a window.
    pub frames: usize,
    /// Channels of `y`, time folded in.
    pub y_channels: usize,
    /// Pixels per element of `y` along rows and columns.
    pub y_downsample: usize,
    /// Channels of `z`.
    pub z_channels: usize,
    /// Pixels per element of `z` along rows and columns.
    pub z_downsample: usize,
    /// Factors on `y` before rounding, coarse to fine.
    pub gains: Vec<f32>,
}

/// Length and checksum of a file.
#[derive(Clone, Debug, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 as 64 hexadecimal digits.
    pub sha256: String,
}

fn bad(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Model, format!("manifest.json: {message}"))
}

fn within(what: &str, value: usize, lowest: usize, highest: usize) -> Result<()> {
    if (lowest..=highest).contains(&value) {
        return Ok(());
    }
    Err(bad(format!("{what} is {value}; expected {lowest} to {highest}")))
}

/// Whether `name` is a plain file or package name: no separators, no leading dot, nothing that a shell or a file system
/// treats specially.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl Manifest {
    /// Parses and checks the bytes of a manifest.
    ///
    /// # Errors
    /// `Unsupported` for a format of another version, `Model` for anything else that is not as the contract
    /// (`docs/model-package.md`) says.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(bad(format!("{} bytes long; expected at most {MAX_MANIFEST_BYTES}", bytes.len())));
        }
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(bad)?;
        if version.format != FORMAT {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "manifest.json: format {} is not known to this build, which reads format {FORMAT}",
                    version.format
                ),
            ));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(bad)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Names of the files that the parts refer to.
    pub fn referenced(&self) -> Vec<&str> {
        let tables = self.latents.iter().map(|part| part.tables.as_str());
        self.graphs().into_iter().chain(tables).collect()
    }

    /// Names of the files that are graphs.
    fn graphs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.interpolator.iter().map(|part| part.graph.as_str()).collect();
        if let Some(part) = &self.latents {
            names.extend([&part.encoder, &part.hyper_encoder, &part.hyper_decoder, &part.decoder].map(|s| s.as_str()));
            names.extend(part.decoder_half.as_deref());
            names.extend(part.decoder_quarter.as_deref());
        }
        names.extend(self.enhancers().map(|(_, part)| part.graph.as_str()));
        names
    }

    /// The enhancers that are there, and what their entries are called.
    fn enhancers(&self) -> impl Iterator<Item = (&'static str, &Enhancer)> {
        let both = [("enhancer", &self.enhancer), ("enhancer_fine", &self.enhancer_fine)];
        both.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)))
    }

    fn check(&self) -> Result<()> {
        if !is_plain_name(&self.name) {
            return Err(bad(format!("name {:?} is not a plain name of at most {MAX_NAME} characters", self.name)));
        }
        within("number of files", self.files.len(), 0, MAX_FILES)?;
        let mut total = 0u64;
        for (name, entry) in &self.files {
            if !is_plain_name(name) || name == "manifest.json" {
                return Err(bad(format!("files: {name:?} is not a plain file name")));
            }
            if entry.bytes > MAX_FILE_BYTES {
                return Err(bad(format!("files: {name} has {} bytes; expected at most {MAX_FILE_BYTES}", entry.bytes)));
            }
            if entry.sha256.len() != 64 || !entry.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(bad(format!("files: sha256 of {name} is not 64 lower-case hexadecimal digits")));
            }
            total += entry.bytes; // at most MAX_FILES × MAX_FILE_BYTES
        }
        if total > MAX_PACKAGE_BYTES {
            return Err(bad(format!("files: {total} bytes together; expected at most {MAX_PACKAGE_BYTES}")));
        }
        if self.interpolator.is_none() && self.latents.is_none() && self.enhancers().next().is_none() {
            return Err(bad(
                "none of 'interpolator', 'latents', 'enhancer' and 'enhancer_fine' is there; expected at least one",
            ));
        }
        if let Some(part) = &self.interpolator {
            part.check()?;
        }
        if let Some(part) = &self.latents {
            part.check()?;
        }
        for (name, part) in self.enhancers() {
            part.check(name)?;
        }
        match self.referenced().iter().find(|name| !self.files.contains_key(**name)) {
            Some(name) => Err(bad(format!("{name:?} is referred to but not listed in 'files'"))),
            None => Ok(()),
        }
    }
}

impl Interpolator {
    fn check(&self) -> Result<()> {
        within("interpolator.align", self.align, 1, MAX_ALIGN)?;
        within("interpolator.max_tile", self.max_tile, self.align, MAX_TILE)?;
        if !self.max_tile.is_multiple_of(self.align) {
            return Err(bad(format!("interpolator.max_tile {} is no multiple of align {}", self.max_tile, self.align)));
        }
        Ok(())
    }
}

impl Enhancer {
    fn check(&self, name: &str) -> Result<()> {
        within(&format!("{name}.align"), self.align, 1, MAX_ALIGN)?;
        within(&format!("{name}.max_tile"), self.max_tile, self.align, MAX_TILE)?;
        within(&format!("{name}.frames"), self.frames, 1, MAX_FRAMES)?;
        if !self.max_tile.is_multiple_of(self.align) {
            return Err(bad(format!("{name}.max_tile {} is no multiple of align {}", self.max_tile, self.align)));
        }
        if self.frames.is_multiple_of(2) {
            return Err(bad(format!("{name}.frames is {}; expected an odd number", self.frames)));
        }
        Ok(())
    }
}

impl Latents {
    fn check(&self) -> Result<()> {
        within("latents.align", self.align, 1, MAX_ALIGN)?;
        within("latents.max_tile", self.max_tile, self.align, MAX_TILE)?;
        within("latents.frames", self.frames, 1, MAX_WINDOW)?;
        within("latents.y_channels", self.y_channels, 1, MAX_CHANNELS)?;
        within("latents.z_channels", self.z_channels, 1, MAX_CHANNELS)?;
        within("latents.y_downsample", self.y_downsample, 1, self.align)?;
        within("latents.z_downsample", self.z_downsample, self.y_downsample, self.align)?;
        within("number of latents.gains", self.gains.len(), 1, MAX_GAINS)?;
        for (what, value, of) in [
            ("latents.max_tile", self.max_tile, self.align),
            ("latents.align", self.align, self.z_downsample),
            ("latents.align", self.align, COARSEST_SCALE),
            ("latents.z_downsample", self.z_downsample, self.y_downsample),
        ] {
            if !value.is_multiple_of(of) {
                return Err(bad(format!("{what} {value} is no multiple of {of}")));
            }
        }
        // A NaN is in no range.
        match self.gains.iter().find(|gain| !(GAIN_LIMITS.0..=GAIN_LIMITS.1).contains(*gain)) {
            Some(gain) => {
                Err(bad(format!("latents.gains holds {gain}; expected {} to {}", GAIN_LIMITS.0, GAIN_LIMITS.1)))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
