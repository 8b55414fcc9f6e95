//! Operators that move a window over a field: convolutions, pooling, and changes of resolution.

use super::super::Step;
use super::super::tensor::{Known, Values, count};
use super::{Outcome, needed, needed_ints, product, size};

/// The sides of a window and how it moves, along each spatial axis.
struct Window {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    /// Before and after.
    pads: Vec<(usize, usize)>,
}

impl Window {
    /// Of an operator over `axes` axes; `kernel`: where it has weights, their sides.
    fn of(step: &Step, axes: usize, kernel: Option<&[usize]>) -> Result<Self, String> {
        let list = |name: &str, n: usize, usual: usize| -> Result<Vec<usize>, String> {
            let Some(values) = step.ints(name) else { return Ok(vec![usual; n]) };
            if values.len() != n {
                return Err(format!("{name} has {} numbers; expected {n}", values.len()));
            }
            values.iter().map(|&value| size(value)).collect()
        };
        let given = list("kernel_shape", axes, 0)?;
        let kernel = match kernel {
            Some(sides) if step.ints("kernel_shape").is_none() || sides == given => sides.to_vec(),
            Some(sides) => return Err(format!("kernel_shape is {given:?}, and the weights have {sides:?}")),
            None => given,
        };
        let (strides, dilations) = (list("strides", axes, 1)?, list("dilations", axes, 1)?);
        let pads = list("pads", 2 * axes, 0)?;
        let pads: Vec<(usize, usize)> = (0..axes).map(|axis| (pads[axis], pads[axis + axes])).collect();
        if kernel.contains(&0) || strides.contains(&0) || dilations.contains(&0) {
            return Err("a window of no size, or one that does not move".into());
        }
        // Sums of these and a tensor's axis are then numbers of this machine.
        let far = kernel.iter().chain(&strides).chain(&dilations).chain(pads.iter().flat_map(|(a, b)| [a, b]));
        if far.copied().max().unwrap_or(0) > 1 << 16 {
            return Err("a window that reaches over more than 65536 points".into());
        }
        Ok(Self { kernel, strides, dilations, pads })
    }

    /// What a side covers.
    fn reach(&self, axis: usize) -> usize {
        self.dilations[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Where it fits along an axis of `n` points.
    fn places(&self, axis: usize, n: usize) -> Result<usize, String> {
        let (before, after) = self.pads[axis];
        let room = n.checked_add(before + after).and_then(|n| n.checked_sub(self.reach(axis)));
        Ok(room.ok_or_else(|| format!("a window of {} points on {n}", self.reach(axis)))? / self.strides[axis] + 1)
    }
}

/// Batch, channels and spatial axes of a field.
fn parts(input: &Known) -> Result<(usize, usize, &[usize]), String> {
    match &input.dims[..] {
        [batch, channels, space @ ..] if !space.is_empty() => Ok((*batch, *channels, space)),
        dims => Err(format!("shape {dims:?}; expected batch, channels and space")),
    }
}

fn group(step: &Step) -> Result<usize, String> {
    size(step.int("group", 1)).ok().filter(|&group| group > 0).ok_or_else(|| "a group of no channels".into())
}

pub(super) fn convolution(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let (input, weights) = (needed(inputs, 0)?, needed(inputs, 1)?);
    let ((batch, channels, space), (out, per_group, kernel)) = (parts(input)?, parts(weights)?);
    let group = group(step)?;
    if kernel.len() != space.len() || per_group.checked_mul(group) != Some(channels) || !out.is_multiple_of(group) {
        return Err(format!("weights {:?} in {group} groups for {:?}", weights.dims, input.dims));
    }
    let window = Window::of(step, space.len(), Some(kernel))?;
    let mut dims = vec![batch, out];
    for (axis, &n) in space.iter().enumerate() {
        dims.push(window.places(axis, n)?);
    }
    let each = product(kernel.iter().copied().chain([per_group]));
    let work = product(dims.iter().copied()).saturating_mul(each.max(1));
    Ok(Outcome { outputs: vec![Known::of(input.element, dims)], work })
}

pub(super) fn transposed(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let (input, weights) = (needed(inputs, 0)?, needed(inputs, 1)?);
    let ((batch, channels, space), (from, per_group, kernel)) = (parts(input)?, parts(weights)?);
    let group = group(step)?;
    if kernel.len() != space.len() || from != channels || !channels.is_multiple_of(group) {
        return Err(format!("weights {:?} in {group} groups for {:?}", weights.dims, input.dims));
    }
    let window = Window::of(step, space.len(), Some(kernel))?;
    let out = per_group.checked_mul(group).ok_or("too many channels")?;
    let mut dims = vec![batch, out];
    for (axis, &n) in space.iter().enumerate() {
        let (before, after) = window.pads[axis];
        let whole = n.checked_sub(1).and_then(|n| n.checked_mul(window.strides[axis]));
        let whole = whole.and_then(|n| n.checked_add(window.reach(axis))?.checked_sub(before + after));
        dims.push(whole.ok_or_else(|| format!("an axis of {n} points in reverse"))?);
    }
    // Padding makes the output smaller, and leaves the work as it is.
    let each = product(kernel.iter().copied().chain([per_group]));
    let work = product(input.dims.iter().copied()).saturating_mul(each.max(1)).max(count(&dims)? as u64);
    Ok(Outcome { outputs: vec![Known::of(input.element, dims)], work })
}

pub(super) fn pooling(step: &Step, input: &Known) -> Result<Outcome, String> {
    let (batch, channels, space) = parts(input)?;
    if step.int("ceil_mode", 0) != 0 {
        return Err("ceil_mode is not 0".into());
    }
    let window = Window::of(step, space.len(), None)?;
    let mut dims = vec![batch, channels];
    for (axis, &n) in space.iter().enumerate() {
        dims.push(window.places(axis, n)?);
    }
    let work = product(dims.iter().chain(&window.kernel).copied());
    Ok(Outcome { outputs: vec![Known::of(input.element, dims)], work })
}

pub(super) fn resize(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let input = needed(inputs, 0)?;
    let modes = [
        ("mode", &["linear", "nearest"][..]),
        ("coordinate_transformation_mode", &["asymmetric", "half_pixel"]),
        ("nearest_mode", &["floor", "round_prefer_floor"]),
    ];
    for (name, allowed) in modes {
        if let Some(given) = step.text(name).filter(|given| !allowed.contains(given)) {
            return Err(format!("{name} is {given:?}; expected one of {allowed:?}"));
        }
    }
    let empty = |at: usize| inputs.get(at).copied().flatten().is_none_or(|input| input.dims == [0]);
    let dims: Vec<usize> = match (empty(2), empty(3)) {
        (false, true) => match &needed(inputs, 2)?.values {
            Some(Values::Reals(scales)) if scales.len() == input.dims.len() => input
                .dims
                .iter()
                .zip(scales)
                .map(|(&n, &scale)| {
                    // In f32, as the runtime computes it; a NaN is in no range.
                    if !(1.0 / 65536.0..=65536.0).contains(&scale) {
                        return Err(format!("a scale of {scale}"));
                    }
                    size((n as f32 * scale) as i64)
                })
                .collect::<Result<_, _>>()?,
            _ => return Err("scales that are not known, or not one for each axis".into()),
        },
        (true, false) => needed_ints(inputs, 3)?.iter().map(|&n| size(n)).collect::<Result<_, _>>()?,
        _ => return Err("expected either scales or sizes".into()),
    };
    if dims.len() != input.dims.len() || !empty(1) {
        return Err("expected a scale or size for each axis, and no region".into());
    }
    // Each point is made of two along each axis.
    let work = product(dims.iter().copied()).saturating_mul(1 << dims.len());
    Ok(Outcome { outputs: vec![Known::of(input.element, dims)], work })
}
