//! Checking every byte that an archive's readers would meet.

use super::buffer::zeros;
use super::decode::check_stream;
use super::index::{Chunk, describe};
use super::reader::Reader;
use super::selection::Selection;
use crate::error::{Error, Result};
use crate::field::{DType, FieldViewMut};
use std::ops::Range;

/// Something in an archive that cannot be read.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The steps that it concerns.
    pub steps: Range<u64>,
    /// The variable; `None`: all of them.
    pub variable: Option<String>,
    /// The fault, and its place.
    pub error: Error,
}

/// Counts of checked parts, and the damage found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Steps of the archive.
    pub steps: u64,
    /// Chunks that were checked.
    pub chunks: u64,
    /// Bytes of their streams.
    pub stream_bytes: u64,
    /// Parts that cannot be read.
    pub damage: Vec<Damage>,
}

/// How far chunks are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyDepth {
    /// Checksums and headers.
    Checksums,
    /// Every chunk is decoded, too.
    Decode,
}

/// Checks the index, and every chunk as far as `depth` says.
///
/// # Errors
/// Only where nothing can be checked at all; damage is in the result.
pub fn verify(reader: &Reader, depth: VerifyDepth) -> Result<Verified> {
    let mut verified = Verified { steps: reader.steps(), ..Default::default() };
    if reader.newest_is_damaged() {
        verified.damage.push(Damage {
            steps: reader.steps()..reader.steps() + 1,
            variable: None,
            error: Error::corrupt("a newer commit, which the superblock names, cannot be read"),
        });
    }
    if reader.front_is_damaged() {
        verified.damage.push(Damage {
            steps: 0..reader.steps(),
            variable: None,
            error: Error::corrupt(
                "one of the two copies of the superblock is damaged; all steps are read by the other one, and the next \
                 commit writes it anew",
            ),
        });
    }
    for entry in reader.entries() {
        let steps = entry.first_step..entry.end();
        let body = match reader.body(entry) {
            Ok(body) => body,
            Err(error) => {
                verified.damage.push(Damage { steps, variable: None, error });
                continue;
            }
        };
        for index in &body.variables {
            let info = reader.variable(index.variable)?;
            for chunk in &index.chunks {
                verified.chunks += 1;
                verified.stream_bytes += chunk.bytes;
                let checked = reader.chunk_bytes(&body, chunk).and_then(|bytes| {
                    check_stream(&bytes, chunk, info.dtype).map_err(|error| error.context(describe(chunk)))?;
                    if depth == VerifyDepth::Decode {
                        decode_chunk(reader, index.variable, chunk, info.dtype)
                    } else {
                        Ok(())
                    }
                });
                if let Err(error) = checked {
                    let (steps, variable) = (chunk.steps.clone(), Some(info.name.clone()));
                    verified.damage.push(Damage { steps, variable, error });
                }
            }
        }
    }
    Ok(verified)
}

fn decode_chunk(reader: &Reader, variable: usize, chunk: &Chunk, dtype: DType) -> Result<()> {
    let selection = Selection { steps: chunk.steps.clone(), region: Some(chunk.region.clone()), missing: None };
    let shape = selection.output_shape(reader.variable(variable)?)?;
    match dtype {
        DType::F32 => {
            let mut out = zeros::<f32>(shape.len())?;
            reader.read(variable, &selection, &mut FieldViewMut::new(&mut out, shape.dims())?)
        }
        DType::F64 => {
            let mut out = zeros::<f64>(shape.len())?;
            reader.read(variable, &selection, &mut FieldViewMut::new(&mut out, shape.dims())?)
        }
    }
}
