//! `tables.json`: the integer frequency tables that the latents' entropy coder uses.
//!
//! In: the bytes of the file, from anyone. Out: [`Tables`] whose rows are proper distributions over at least two
//! symbols, so that coding with them can neither fail nor read beyond a row.

use super::manifest::Latents;
use crate::error::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Bits of a frequency: every row's cumulative frequencies end at `1 << PRECISION`.
pub const PRECISION: usize = 16;
/// Rows of `y`: zero-mean distributions of increasing scale.
pub const Y_ROWS: usize = 64;
/// The largest file, in bytes.
pub const MAX_TABLES_BYTES: usize = 8 << 20;
/// The most symbols of a row, the escape included.
const MAX_SYMBOLS: usize = 4096;
/// The largest magnitude of a row's first value.
const MAX_MIN: i32 = 1 << 16;

/// One distribution: symbol `i` means the value `min + i`, the last symbol is the escape.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Row {
    min: i32,
    /// Cumulative frequencies, strictly increasing from 0 to `1 << PRECISION`; one more than there are symbols.
    cdf: Vec<u32>,
}

/// Distributions of the hyper-latents (a row per channel) and of the latents (a row per scale index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    z: Vec<Row>,
    y: Vec<Row>,
}

fn bad(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Model, format!("tables.json: {message}"))
}

impl Row {
    /// A row from its first value and cumulative frequencies.
    ///
    /// # Errors
    /// `Model` where they are not a proper distribution.
    pub fn new(min: i32, cdf: Vec<u32>) -> Result<Self> {
        let row = Self { min, cdf };
        row.check()?;
        Ok(row)
    }

    fn check(&self) -> Result<()> {
        let symbols = self.cdf.len().saturating_sub(1);
        if !(2..=MAX_SYMBOLS).contains(&symbols) {
            return Err(bad(format!("a row has {symbols} symbols; expected 2 to {MAX_SYMBOLS}")));
        }
        if !(-MAX_MIN..=MAX_MIN).contains(&self.min) {
            return Err(bad(format!("a row's min is {}; expected {} to {MAX_MIN}", self.min, -MAX_MIN)));
        }
        if self.cdf[0] != 0 || self.cdf[symbols] != 1 << PRECISION {
            let (first, last) = (self.cdf[0], self.cdf[symbols]);
            return Err(bad(format!("a row's cdf runs from {first} to {last}; expected 0 to {}", 1 << PRECISION)));
        }
        if self.cdf.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(bad("a row's cdf does not increase at every symbol"));
        }
        Ok(())
    }

    /// The symbol that codes `value`: the value's own, or the escape.
    pub fn symbol(&self, value: i32) -> usize {
        let offset = i64::from(value) - i64::from(self.min);
        usize::try_from(offset).map_or(self.escape(), |symbol| symbol.min(self.escape()))
    }

    /// The value of a symbol that is not the escape.
    pub fn value(&self, symbol: usize) -> i32 {
        self.min + symbol as i32
    }

    /// The escape symbol.
    pub fn escape(&self) -> usize {
        self.cdf.len() - 2
    }

    /// Cumulative frequency before `symbol`, and its frequency.
    pub fn interval(&self, symbol: usize) -> (u32, u32) {
        (self.cdf[symbol], self.cdf[symbol + 1] - self.cdf[symbol])
    }

    /// The symbol in whose interval the cumulative frequency `quantile` (below `1 << PRECISION`) lies.
    pub fn find(&self, quantile: u32) -> usize {
        self.cdf.partition_point(|&start| start <= quantile).clamp(1, self.cdf.len() - 1) - 1
    }
}

impl Tables {
    /// Parses and checks the bytes of `tables.json`.
    ///
    /// # Errors
    /// `Model` where the file is not as the contract (`docs/model-package.md`) says.
    pub fn parse(bytes: &[u8], latents: &Latents) -> Result<Self> {
        #[derive(Deserialize)]
        struct File {
            precision: usize,
            z: Vec<Row>,
            y: Vec<Row>,
        }
        if bytes.len() > MAX_TABLES_BYTES {
            return Err(bad(format!("{} bytes long; expected at most {MAX_TABLES_BYTES}", bytes.len())));
        }
        let file: File = serde_json::from_slice(bytes).map_err(bad)?;
        if file.precision != PRECISION {
            return Err(bad(format!("precision is {}; expected {PRECISION}", file.precision)));
        }
        if file.z.len() != latents.z_channels || file.y.len() != Y_ROWS {
            return Err(bad(format!(
                "{} rows of z and {} of y; expected {} (z_channels) and {Y_ROWS}",
                file.z.len(),
                file.y.len(),
                latents.z_channels
            )));
        }
        for (name, rows) in [("z", &file.z), ("y", &file.y)] {
            for (index, row) in rows.iter().enumerate() {
                row.check().map_err(|error| error.context(format!("{name}[{index}]")))?;
            }
        }
        Ok(Self { z: file.z, y: file.y })
    }

    /// The hyper-latents' row of a channel below `z_channels`.
    pub fn z(&self, channel: usize) -> &Row {
        &self.z[channel]
    }

    /// The latents' row of a scale index below [`Y_ROWS`].
    pub fn y(&self, scale_index: usize) -> &Row {
        &self.y[scale_index]
    }
}

#[cfg(test)]
mod tests;
