//! The compressors that are compared, behind one interface: each with one parameter that its error follows.

mod fieldpress;
mod sperr;
mod sz3;
mod zfp;

pub use fieldpress::Fieldpress;
pub use sperr::{Sperr, SperrMode};
pub use sz3::{Sz3, Sz3Algorithm};
pub use zfp::Zfp;

use crate::reference::Reference;
use crate::sample::Sample;
use anyhow::Result;
use std::borrow::Cow;
use std::path::Path;

/// How a method's parameter is found for a target NRMSE.
pub enum Search {
    /// The method takes the target itself and keeps to it; searched only where it stays further below than the
    /// tolerance.
    Direct,
    /// The error grows with the parameter: bisected, starting here.
    Bisect {
        /// A first guess.
        start: f64,
    },
}

/// One compressor in one mode.
pub trait Method<T: Sample> {
    /// The compressor, as results call it; several modes may share it, and the best one counts.
    fn codec(&self) -> &'static str;

    /// The mode, as results call it.
    fn mode(&self) -> &'static str;

    /// How to find the parameter for `target`.
    fn search(&self, field: &Reference<'_, T>, target: f64) -> Search;

    /// What is handed to [`Method::compress`]; not timed.
    fn prepare<'a>(&self, field: &'a Reference<'_, T>, parameter: f64) -> Cow<'a, [T]>;

    /// Compresses prepared values.
    fn compress(&self, field: &Reference<'_, T>, values: &[T], parameter: f64) -> Result<Vec<u8>>;

    /// Decompresses into `out`, which has the field's length.
    fn decompress(&self, field: &Reference<'_, T>, stream: &[u8], out: &mut [T]) -> Result<()>;

    /// Undoes [`Method::prepare`] on a reconstruction; not timed.
    fn restore(&self, _out: &mut [T], _parameter: f64) {}

    /// Share of the stream's chunks that used the foundation model.
    fn fm_share(&self, _stream: &[u8]) -> Option<f64> {
        None
    }
}

/// Names of all compressors, in the order of results; the last one runs only where a package is named.
pub const CODECS: [&str; 8] = [
    "SZ3",
    "ZFP",
    "SPERR",
    Fieldpress::FAST,
    Fieldpress::NO_MODEL,
    Fieldpress::NORMAL,
    Fieldpress::HIGH,
    Fieldpress::TUNED,
];

/// Every mode of the compressor `codec`; `tuned` is the package of [`Fieldpress::TUNED`].
pub fn methods<T: Sample>(codec: &str, tuned: Option<&Path>) -> Vec<Box<dyn Method<T>>> {
    match codec {
        "SZ3" => {
            Sz3Algorithm::ALL.into_iter().map(|algorithm| Box::new(Sz3(algorithm)) as Box<dyn Method<T>>).collect()
        }
        "ZFP" => vec![Box::new(Zfp)],
        "SPERR" => SperrMode::ALL.into_iter().map(|mode| Box::new(Sperr(mode)) as Box<dyn Method<T>>).collect(),
        name => {
            Fieldpress::named(name, tuned).into_iter().map(|method| Box::new(method) as Box<dyn Method<T>>).collect()
        }
    }
}

/// `dims` as at most `most` axes, the leading ones merged, without axes of size 1.
fn merged_dims(dims: &[usize], most: usize) -> Vec<usize> {
    let mut dims: Vec<usize> = dims.iter().copied().filter(|&n| n > 1).collect();
    while dims.len() > most {
        let first = dims.remove(0);
        dims[0] *= first;
    }
    if dims.is_empty() {
        dims.push(1);
    }
    dims
}
