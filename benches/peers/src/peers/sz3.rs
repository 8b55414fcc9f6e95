//! SZ3: absolute error bound, each of its three general-purpose algorithms.

use super::{Method, Search, merged_dims};
use crate::reference::Reference;
use crate::sample::Sample;
use anyhow::Result;
use std::borrow::Cow;
use sz3::{CompressionAlgorithm, Config, DimensionedData, ErrorBound};

/// An algorithm of SZ3.
#[derive(Clone, Copy)]
pub enum Sz3Algorithm {
    /// Its default: interpolation, or Lorenzo where a sample says so.
    Default,
    /// Dynamic spline interpolation.
    Interpolation,
    /// Lorenzo and regression, block by block.
    LorenzoRegression,
}

impl Sz3Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Default, Self::Interpolation, Self::LorenzoRegression];
}

/// SZ3 with one algorithm.
pub struct Sz3(pub Sz3Algorithm);

fn shaped<'a, T: Sample>(values: &'a &'a [T], dims: &[usize]) -> Result<DimensionedData<T, &'a [T]>> {
    let builder = merged_dims(dims, 4).iter().try_fold(DimensionedData::<T, &[T]>::build(values), |b, &n| b.dim(n))?;
    Ok(builder.finish()?)
}

impl<T: Sample> Method<T> for Sz3 {
    fn codec(&self) -> &'static str {
        "SZ3"
    }

    fn mode(&self) -> &'static str {
        match self.0 {
            Sz3Algorithm::Default => "interpolation-lorenzo",
            Sz3Algorithm::Interpolation => "interpolation",
            Sz3Algorithm::LorenzoRegression => "lorenzo-regression",
        }
    }

    fn search(&self, field: &Reference<'_, T>, target: f64) -> Search {
        Search::Bisect { start: 2.0 * target * field.range }
    }

    fn prepare<'a>(&self, field: &'a Reference<'_, T>, _parameter: f64) -> Cow<'a, [T]> {
        Cow::Borrowed(&field.filled)
    }

    fn compress(&self, field: &Reference<'_, T>, values: &[T], parameter: f64) -> Result<Vec<u8>> {
        let algorithm = match self.0 {
            Sz3Algorithm::Default => CompressionAlgorithm::interpolation_lorenzo(),
            Sz3Algorithm::Interpolation => CompressionAlgorithm::interpolation(),
            Sz3Algorithm::LorenzoRegression => CompressionAlgorithm::lorenzo_regression(),
        };
        let config = Config::new(ErrorBound::Absolute(parameter)).compression_algorithm(algorithm);
        Ok(sz3::compress_with_config(&shaped(&values, &field.dims)?, &config)?)
    }

    fn decompress(&self, field: &Reference<'_, T>, stream: &[u8], out: &mut [T]) -> Result<()> {
        let mut out = out;
        let dims = merged_dims(&field.dims, 4);
        let builder = dims.iter().try_fold(DimensionedData::<T, &mut [T]>::build_mut(&mut out), |b, &n| b.dim(n))?;
        sz3::decompress_into_dimensioned(stream, &mut builder.finish()?)?;
        Ok(())
    }
}
