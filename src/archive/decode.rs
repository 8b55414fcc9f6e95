//! Decoding a piece of a chunk, after the windows before it where it follows some.

use super::chain::{self, Link};
use super::index::{Chunk, describe};
use super::reader::{Reader, index_of};
use super::selection::{Piece, Target};
use crate::codec::{Request, inspect};
use crate::error::{Error, Result};
use crate::field::{DType, Element, FieldViewMut, Region};
use std::sync::Arc;

/// Last steps of windows kept in memory, for the windows that follow them.
const LINKS: usize = 64;

impl Reader {
    /// Decodes a piece of a chunk to where it belongs.
    pub(super) fn decode<T: Element>(
        &self,
        variable: usize,
        piece: &Piece<'_>,
        bytes: &[u8],
        target: &Target,
        out: &mut [T],
    ) -> Result<()> {
        let chunk = piece.chunk;
        check_stream(bytes, chunk, self.variable(variable)?.dtype)?;
        let windowed = chunk.steps.end - chunk.steps.start > 1;
        let inside = piece.region.start.iter().zip(&chunk.region.start).map(|(a, b)| a - b);
        let steps = (piece.steps.end - piece.steps.start) as usize;
        let mut request = Region { start: inside.collect(), count: piece.region.count.clone() };
        let mut strides = target.strides.clone();
        if windowed {
            request.start.insert(0, (piece.steps.start - chunk.steps.start) as usize);
            request.count.insert(0, steps);
            strides.insert(0, target.step_stride);
        }
        let offset = target.offset(&piece.region.start, piece.steps.start);
        let mut view = FieldViewMut::strided(&mut out[offset..], &request.count, &strides)?;
        let request = Request { region: Some(request), ..Default::default() };
        if chunk.depth == 0 {
            self.codec.decompress(bytes, &request, &mut view)?;
        } else {
            let link = self.link_before(variable, chunk)?;
            let dims = chain::frame_dims(&chunk.region.count);
            self.codec.decompress_after(bytes, &request, &link.before(&dims)?, &mut view)?;
        }
        Ok(())
    }

    /// The last step of the window that a chunk follows.
    fn link_before(&self, variable: usize, chunk: &Chunk) -> Result<Arc<Link>> {
        // Back to one that is known, or that follows none; then forward.
        let mut waiting = Vec::new();
        let mut link: Option<Arc<Link>> = None;
        let mut after = chunk.clone();
        while after.depth > 0 && link.is_none() {
            let lost = || Error::corrupt(format!("{}: the window before it is not there", describe(&after)));
            let step = after.steps.start.checked_sub(1).ok_or_else(lost)?;
            let body = self.body(&self.entry(step)?)?;
            let chunks = index_of(&body, variable).map_or(&[][..], |index| &index.chunks);
            let precedes = |before: &&Chunk| {
                before.steps.end == after.steps.start
                    && before.region == after.region
                    && before.depth.checked_add(1) == Some(after.depth)
            };
            let before = chunks.iter().find(precedes).ok_or_else(lost)?.clone();
            let key = (variable, before.steps.start, before.file, before.offset);
            link = self.links.lock()?.get(&key).map(Arc::clone);
            if link.is_none() {
                waiting.push((body, before.clone()));
            }
            after = before;
        }
        let dtype = self.variable(variable)?.dtype;
        for (body, chunk) in waiting.into_iter().rev() {
            let bytes = self.chunk_bytes(&body, &chunk)?;
            check_stream(&bytes, &chunk, dtype)?;
            let steps = (chunk.steps.end - chunk.steps.start) as usize;
            let frame = Link::decode(&self.codec, &bytes, dtype, steps, &chunk.region.count, link.as_deref())
                .map_err(|error| self.explained(error).context(describe(&chunk)))?;
            let new = Arc::new(Link { end: chunk.steps.end, depth: chunk.depth, drift: 0.0, frame });
            let mut links = self.links.lock()?;
            if links.len() >= LINKS {
                links.clear();
            }
            links.insert((variable, chunk.steps.start, chunk.file, chunk.offset), Arc::clone(&new));
            link = Some(new);
        }
        link.ok_or_else(|| Error::internal("a chunk that follows none was to be followed"))
    }
}

/// Checks that a stream has the type and shape of its chunk.
///
/// # Errors
/// `Corrupt`.
pub(super) fn check_stream(bytes: &[u8], chunk: &Chunk, dtype: DType) -> Result<()> {
    let info = inspect(bytes)?;
    let steps = (chunk.steps.end - chunk.steps.start) as usize;
    let dims = (steps > 1).then_some(steps).into_iter().chain(chunk.region.count.iter().copied());
    if info.dtype != dtype || !info.shape.dims().iter().copied().eq(dims) {
        return Err(Error::corrupt(format!(
            "the stream holds {} {}, which is not what the index says",
            info.shape,
            info.dtype.name()
        )));
    }
    Ok(())
}
