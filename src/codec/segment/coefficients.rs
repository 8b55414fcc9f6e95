//! The byte string of a segment's quantiser indices, window by window, in both directions: one adaptive code of all
//! windows, or one of the flags of blocks and then tokens and raw bits, each window's by itself.

use super::state::SegmentState;
use crate::bytes::{Reader, Writer};
use crate::entropy::{AnyReader, Decoder, Encoder, TokenWriter};
use crate::error::{Error, Result};
use crate::predict::CodedWindow;
use crate::residual::kernels::Kernel;
use crate::residual::tabled::Coders;
use crate::stream::IndexCoder;

/// Bytes that tables have to come to before anything is decided by the sizes of both codes.
const ENOUGH: usize = 4096;
/// Bits of a value from which on the adaptive code is not made beside that by tables: it takes too long.
const COSTLY: f64 = 0.15;
/// The adaptive code goes on alone where it takes less than this share of the other's bytes.
const WORTH: f64 = 0.97;

/// Writes indices, by tables where that is asked for: small segments by either, whichever is smaller.
#[derive(Debug, Default)]
pub(super) struct CoefficientWriter {
    adaptive: Option<Encoder>,
    tables: Option<TableWriter>,
}

/// The parts of a string by tables.
#[derive(Debug, Default)]
struct TableWriter {
    flags: Encoder,
    tokens: TokenWriter,
    windows: Writer,
    values: usize,
}

impl TableWriter {
    fn len(&self) -> usize {
        self.flags.len() + self.windows.bytes.len()
    }
}

impl CoefficientWriter {
    pub(super) fn new(coder: IndexCoder) -> Self {
        let new = || Encoder::new(Vec::new());
        let tables = (coder == IndexCoder::Tables).then(|| TableWriter { flags: new(), ..Default::default() });
        Self { adaptive: Some(new()), tables }
    }

    /// Writes a window's indices.
    pub(super) fn write<R: Kernel>(
        &mut self,
        state: &mut SegmentState<'_, R>,
        coded: &mut CodedWindow<R>,
    ) -> Result<()> {
        if let Some(TableWriter { flags, tokens, windows, values }) = &mut self.tables {
            state.code_by_tables(Coders { flags, tokens }, coded)?;
            tokens.finish(windows);
            *values += coded.indices.len();
        }
        let sizes = self.tables.as_ref().map(|tables| (tables.len(), tables.values));
        if let Some((bytes, values)) = sizes
            && bytes >= ENOUGH
            && 8.0 * bytes as f64 >= COSTLY * values as f64
        {
            self.adaptive = None;
        }
        if let Some(adaptive) = &mut self.adaptive {
            state.code(adaptive, coded)?;
            match sizes {
                Some((bytes, _)) if bytes < ENOUGH => {}
                Some((bytes, _)) if (adaptive.len() as f64) < WORTH * bytes as f64 => self.tables = None,
                Some(_) => self.adaptive = None,
                None => {}
            }
        }
        Ok(())
    }

    /// The string, and which coder's it is where tables were asked for.
    pub(super) fn finish(self, coder: IndexCoder) -> (Vec<u8>, IndexCoder) {
        let adaptive = self.adaptive.map(Encoder::finish);
        let tables = self.tables.map(|TableWriter { flags, windows, .. }| {
            let flags = flags.finish();
            let mut out = Writer::default();
            out.varint(flags.len() as u64);
            out.bytes.extend_from_slice(&flags);
            out.bytes.extend_from_slice(&windows.bytes);
            out.bytes
        });
        let alone = if coder == IndexCoder::Tables { IndexCoder::Counters } else { coder };
        match (adaptive, tables) {
            (Some(adaptive), Some(tables)) if adaptive.len() > tables.len() => (tables, IndexCoder::Tables),
            (None, Some(tables)) => (tables, IndexCoder::Tables),
            (adaptive, _) => (adaptive.unwrap_or_default(), alone),
        }
    }
}

/// Reads indices.
pub(super) enum CoefficientReader<'a> {
    Adaptive(Decoder<'a>),
    Tables { flags: Decoder<'a>, windows: Reader<'a> },
}

impl<'a> CoefficientReader<'a> {
    /// # Errors
    /// `Corrupt`.
    pub(super) fn new(bytes: &'a [u8], coder: IndexCoder) -> Result<Self> {
        if coder != IndexCoder::Tables {
            return Ok(Self::Adaptive(Decoder::new(bytes)));
        }
        let mut windows = Reader::new(bytes);
        let length = windows.length()?;
        Ok(Self::Tables { flags: Decoder::new(windows.bytes(length)?), windows })
    }

    /// Reads a window's indices.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn read<R: Kernel>(
        &mut self,
        state: &mut SegmentState<'_, R>,
        coded: &mut CodedWindow<R>,
    ) -> Result<()> {
        let exhausted = match self {
            Self::Adaptive(coefficients) => {
                state.code(coefficients, coded)?;
                coefficients.exhausted()
            }
            Self::Tables { flags, windows } => {
                match AnyReader::new(windows)? {
                    AnyReader::One(mut tokens) => {
                        state.code_by_tables(Coders { flags, tokens: &mut tokens }, coded)?;
                        tokens.finish()?;
                    }
                    AnyReader::Strip(mut tokens) => {
                        state.code_by_tables(Coders { flags, tokens: &mut tokens }, coded)?;
                        tokens.finish()?;
                    }
                }
                flags.exhausted()
            }
        };
        if exhausted {
            return Err(Error::corrupt("a segment's coefficients end early"));
        }
        Ok(())
    }

    /// Checks that nothing is left after the last window.
    ///
    /// # Errors
    /// `Corrupt` where bytes remain.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Adaptive(coefficients) => coefficients.finish(),
            Self::Tables { flags, windows } => {
                if windows.remaining() > 0 {
                    let left = windows.remaining();
                    return Err(Error::corrupt(format!("{left} bytes follow the last window's indices")));
                }
                flags.finish()
            }
        }
    }
}
