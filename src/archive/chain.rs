//! Windows of one box that follow each other in time: each is predicted from the last step decoded before it, until a
//! window that needs none before it comes again.

use super::buffer::Buffer;
use crate::codec::{Codec, ReferenceFrame, Request};
use crate::error::Result;
use crate::field::{DType, Region};
use std::collections::HashMap;

/// Windows of at least so many steps are taken as frames in time; shorter ones of fields with three axes or more leave
/// the frames along the field's own axis.
const FRAMES_IN_TIME: usize = 4;

/// The axes of a window of `steps` steps of a box with `ndim` axes that are frames, rows and columns, where the default
/// is not meant; `given`: what the caller said of one step.
pub(super) fn axes(steps: usize, ndim: usize, given: Option<[usize; 3]>) -> Option<[usize; 3]> {
    if steps == 1 {
        return given;
    }
    match given {
        Some([frames, rows, columns]) if steps < FRAMES_IN_TIME => Some([frames + 1, rows + 1, columns + 1]),
        Some([_, rows, columns]) => Some([0, rows + 1, columns + 1]),
        None if steps < FRAMES_IN_TIME => None,
        None if ndim > 2 => Some([0, ndim - 1, ndim]),
        None => None,
    }
}

/// Whether a window's steps are its frames, so that it may follow another.
pub(super) fn is_in_time(steps: usize, ndim: usize, given: Option<[usize; 3]>) -> bool {
    match axes(steps, ndim, given) {
        _ if steps == 1 => false,
        Some([frames, _, _]) => frames == 0,
        None => ndim == 2,
    }
}

/// The last step of a window as readers have it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// The step after it.
    pub(super) end: u64,
    /// Of the window.
    pub(super) depth: u32,
    /// [`crate::Report::drift`] of its stream.
    pub(super) drift: f64,
    pub(super) frame: Buffer,
}

impl Link {
    /// Decodes the last of `steps` steps of a window's stream, which follows `before` where it follows one.
    pub(super) fn decode(
        codec: &Codec,
        stream: &[u8],
        dtype: DType,
        steps: usize,
        count: &[usize],
        before: Option<&Self>,
    ) -> Result<Buffer> {
        let mut frame = Buffer::zeros(dtype, count.iter().product())?;
        let dims = frame_dims(count);
        let mut region = Region { start: vec![0; dims.len()], count: dims.clone() };
        region.start[0] = steps - 1;
        let request = Request { region: Some(region), ..Default::default() };
        let mut view = frame.view_mut(&dims)?;
        match before {
            None => codec.decompress(stream, &request, &mut view)?,
            Some(link) => codec.decompress_after(stream, &request, &link.before(&dims)?, &mut view)?,
        };
        Ok(frame)
    }

    /// For the codec, with the shape of a window of one step.
    pub(super) fn before(&self, dims: &[usize]) -> Result<ReferenceFrame<'_>> {
        Ok(ReferenceFrame { frame: self.frame.view(dims)?, drift: self.drift })
    }
}

/// The shape of a window of one step.
pub(super) fn frame_dims(count: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(count.iter().copied()).collect()
}

/// The key of a box in maps: its variable, start and count.
pub(super) type BoxKey = (usize, Vec<usize>, Vec<usize>);

/// The newest window of each box of each variable.
pub(super) type Chains = HashMap<BoxKey, Link>;

pub(super) fn key(variable: usize, region: &Region) -> BoxKey {
    (variable, region.start.clone(), region.count.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_time_have_their_steps_as_frames() {
        for (steps, ndim, given, wanted, in_time) in [
            (1, 3, None, None, false),
            (8, 1, None, None, false),
            (8, 2, None, None, true),
            (2, 3, None, None, false),
            (8, 3, None, Some([0, 2, 3]), true),
            (8, 4, None, Some([0, 3, 4]), true),
            (8, 3, Some([1, 0, 2]), Some([0, 1, 3]), true),
            (2, 3, Some([1, 0, 2]), Some([2, 1, 3]), false),
        ] {
            assert_eq!((axes(steps, ndim, given), is_in_time(steps, ndim, given)), (wanted, in_time), "{steps} {ndim}");
        }
    }
}
