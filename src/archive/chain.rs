//! Windows of one box that follow each other in time: each is predicted from the last step decoded before it, until a
//! window that needs none before it comes again.

use super::buffer::Buffer;
use crate::codec::{Codec, ReferenceFrame, Request};
use crate::error::Result;
use crate::field::{Axes, DType, Region};
use std::collections::HashMap;

/// Windows of at least so many steps are taken as frames in time; shorter ones of fields with three axes or more leave
/// the frames along the field's own axis.
const FRAMES_IN_TIME: usize = 4;

/// The axes of a window of `steps` steps of a box with `ndim` axes that are frames, rows and columns, where the default
/// is not meant; `given`: what the caller said of one step.
pub(super) fn axes(steps: usize, ndim: usize, given: Option<Axes>) -> Option<Axes> {
    if steps == 1 {
        return given;
    }
    match given {
        Some(axes) if steps < FRAMES_IN_TIME || axes.planes.is_some() => {
            let planes = axes.planes.map(|planes| planes + 1);
            Some(Axes { frames: axes.frames + 1, planes, rows: axes.rows + 1, columns: axes.columns + 1 })
        }
        Some(Axes { rows, columns, .. }) => Some([0, rows + 1, columns + 1].into()),
        None if steps < FRAMES_IN_TIME => None,
        None if ndim > 2 => Some([0, ndim - 1, ndim].into()),
        None => None,
    }
}

/// Whether a window's steps are its frames, and planes, so that it may follow another.
pub(super) fn is_in_time(steps: usize, ndim: usize, axes: Option<Axes>) -> bool {
    match axes {
        _ if steps == 1 => false,
        Some(axes) => axes.frames == 0 && axes.planes.is_none(),
        None => ndim == 2,
    }
}

/// Whether a window's steps may be its frames or not, whichever its codec finds better: those of boxes of three axes or
/// more, which are volumes, where nobody says.
pub(super) fn is_open(steps: usize, ndim: usize, given: Option<Axes>) -> bool {
    given.is_none() && steps >= FRAMES_IN_TIME && ndim > 2
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
        type Given<'a> = Option<&'a [usize]>;
        let table: [(usize, usize, Given<'_>, Given<'_>, bool); 9] = [
            (1, 3, None, None, false),
            (8, 1, None, None, false),
            (8, 2, None, None, true),
            (2, 3, None, None, false),
            (8, 3, None, Some(&[0, 2, 3]), true),
            (8, 4, None, Some(&[0, 3, 4]), true),
            (8, 3, Some(&[1, 0, 2]), Some(&[0, 1, 3]), true),
            (2, 3, Some(&[1, 0, 2]), Some(&[2, 1, 3]), false),
            (8, 4, Some(&[0, 1, 2, 3]), Some(&[1, 2, 3, 4]), false),
        ];
        for (steps, ndim, given, wanted, in_time) in table {
            let [given, wanted] = [given, wanted].map(|list| list.and_then(Axes::of_list));
            let found = axes(steps, ndim, given);
            assert_eq!((found, is_in_time(steps, ndim, found)), (wanted, in_time), "{steps} {ndim}");
        }
    }
}
