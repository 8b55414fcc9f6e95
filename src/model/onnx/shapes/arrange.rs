//! Operators that arrange values anew: slices, joins, other axes; and those that shapes are computed with.

use super::super::Step;
use super::super::tensor::{Element, Known, SHORT, Values, count};
use super::{Outcome, axis, needed, needed_ints, size};

/// The place of each step along an axis, counted in elements.
fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for at in (1..dims.len()).rev() {
        strides[at - 1] = strides[at].saturating_mul(dims[at]);
    }
    strides
}

/// The indices of a place.
fn indices(place: usize, dims: &[usize]) -> Vec<usize> {
    strides(dims).iter().zip(dims).map(|(stride, dim)| place / stride % dim).collect()
}

pub(super) fn shape(input: &Known) -> Result<Known, String> {
    Ok(Known::ints(input.dims.iter().map(|&n| n as i64).collect()))
}

pub(super) fn constant_of_shape(step: &Step, inputs: &[Option<&Known>]) -> Result<Known, String> {
    let dims = needed_ints(inputs, 0)?.iter().map(|&n| size(n)).collect::<Result<Vec<_>, _>>()?;
    let (element, value) = match step.tensor("value") {
        None => (Element::F32, None),
        Some(value) if count(&value.dims)? == 1 => (value.element, value.values.as_ref()),
        Some(value) => return Err(format!("a value of shape {:?}", value.dims)),
    };
    let n = count(&dims)?;
    let mut out = Known::of(element, dims);
    if let (Some(Values::Ints(value)), true) = (value, n <= SHORT) {
        out.values = Some(Values::Ints(vec![value[0]; n]));
    }
    Ok(out)
}

pub(super) fn concat(step: &Step, inputs: &[Option<&Known>]) -> Result<Known, String> {
    let first = needed(inputs, 0)?;
    let along = axis(step.int("axis", 0), first.dims.len())?;
    let mut out = Known::of(first.element, first.dims.clone());
    out.dims[along] = 0;
    let mut values = Some(Vec::new());
    for at in 0..inputs.len() {
        let input = needed(inputs, at)?;
        let mut dims = input.dims.clone();
        if dims.len() == out.dims.len() {
            dims[along] = out.dims[along];
        }
        if dims != out.dims {
            return Err(format!("shapes {:?} and {:?} do not go together", first.dims, input.dims));
        }
        out.dims[along] = out.dims[along].checked_add(input.dims[along]).ok_or("an axis without end")?;
        values = values.zip(input.as_ints()).map(|(mut all, more)| {
            all.extend_from_slice(more);
            all
        });
    }
    let short = out.dims.len() == 1 && out.dims[0] <= SHORT;
    out.values = values.filter(|_| short).map(Values::Ints);
    Ok(out)
}

pub(super) fn depth_to_space(step: &Step, input: &Known) -> Result<Known, String> {
    let block = size(step.int("blocksize", 0))?;
    let cells = block.checked_mul(block).filter(|&cells| cells > 0).ok_or("a block of no points")?;
    match input.dims[..] {
        [batch, channels, rows, columns] if channels.is_multiple_of(cells) => {
            let sides = rows.checked_mul(block).zip(columns.checked_mul(block));
            let (rows, columns) = sides.ok_or("an axis without end")?;
            Ok(Known::of(input.element, vec![batch, channels / cells, rows, columns]))
        }
        _ => Err(format!("blocks of {block} from shape {:?}", input.dims)),
    }
}

pub(super) fn gather(step: &Step, input: &Known, wanted: &Known) -> Result<Known, String> {
    let along = axis(step.int("axis", 0), input.dims.len())?;
    let (before, after) = (&input.dims[..along], &input.dims[along + 1..]);
    let dims = [before, &wanted.dims, after].concat();
    let mut out = Known::of(input.element, dims);
    if let (Some(values), Some(wanted), 1) = (input.as_ints(), wanted.as_ints(), input.dims.len()) {
        let found = wanted.iter().map(|&at| Ok(values[axis(at, values.len())?])).collect::<Result<_, String>>();
        out.values = Some(Values::Ints(found?));
    }
    Ok(out)
}

pub(super) fn pad(step: &Step, inputs: &[Option<&Known>]) -> Result<Known, String> {
    let (input, pads) = (needed(inputs, 0)?, needed_ints(inputs, 1)?);
    if let Some(mode) = step.text("mode").filter(|mode| *mode != "constant") {
        return Err(format!("mode is {mode:?}; expected \"constant\""));
    }
    let n = input.dims.len();
    if pads.len() != 2 * n {
        return Err(format!("{} pads for {n} axes", pads.len()));
    }
    let padded = |at: usize| {
        let whole = i64::try_from(input.dims[at]).ok()?.checked_add(pads[at])?.checked_add(pads[at + n])?;
        usize::try_from(whole).ok()
    };
    let dims: Option<Vec<usize>> = (0..n).map(padded).collect();
    Ok(Known::of(input.element, dims.ok_or_else(|| format!("pads {pads:?} of shape {:?}", input.dims))?))
}

pub(super) fn reduce(step: &Step, input: &Known) -> Result<Known, String> {
    let mut dims = input.dims.clone();
    let axes = step.ints("axes").ok_or("expected axes")?;
    if step.int("keepdims", 1) != 1 {
        return Err("keepdims is not 1".into());
    }
    for &at in axes {
        dims[axis(at, input.dims.len())?] = 1;
    }
    Ok(Known::of(input.element, dims))
}

pub(super) fn reshape(step: &Step, inputs: &[Option<&Known>]) -> Result<Known, String> {
    let (input, wanted) = (needed(inputs, 0)?, needed_ints(inputs, 1)?);
    if step.int("allowzero", 0) != 0 {
        return Err("allowzero is not 0".into());
    }
    let n = count(&input.dims)?;
    let mut dims = Vec::with_capacity(wanted.len());
    for (at, &dim) in wanted.iter().enumerate() {
        dims.push(match dim {
            0 => *input.dims.get(at).ok_or("an axis that the input has not")?,
            -1 => 1,
            dim => size(dim)?,
        });
    }
    let known = count(&dims)?;
    match wanted.iter().filter(|&&dim| dim == -1).count() {
        0 => {}
        1 if known > 0 && n.is_multiple_of(known) => {
            let open = wanted.iter().position(|&dim| dim == -1).unwrap_or(0);
            dims[open] = n / known;
        }
        _ => return Err(format!("shape {wanted:?} from {:?}", input.dims)),
    }
    if count(&dims)? != n {
        return Err(format!("shape {wanted:?} from {:?}", input.dims));
    }
    Ok(input.rearranged(dims, |place| place))
}

pub(super) fn unsqueeze(inputs: &[Option<&Known>]) -> Result<Known, String> {
    let (input, axes) = (needed(inputs, 0)?, needed_ints(inputs, 1)?);
    let n = input.dims.len() + axes.len();
    let mut new = vec![false; n];
    for &at in axes {
        let at = axis(at, n)?;
        if std::mem::replace(&mut new[at], true) {
            return Err(format!("axes {axes:?}"));
        }
    }
    let mut old = input.dims.iter();
    let dims = new.iter().map(|&new| if new { 1 } else { old.next().copied().unwrap_or(1) }).collect();
    Ok(input.rearranged(dims, |place| place))
}

pub(super) fn transpose(step: &Step, input: &Known) -> Result<Known, String> {
    let n = input.dims.len();
    let order: Vec<usize> = match step.ints("perm") {
        None => (0..n).rev().collect(),
        Some(order) => order.iter().map(|&at| axis(at, n)).collect::<Result<_, _>>()?,
    };
    let mut seen = order.clone();
    seen.sort_unstable();
    if seen != (0..n).collect::<Vec<_>>() {
        return Err(format!("perm {order:?} of {n} axes"));
    }
    let dims: Vec<usize> = order.iter().map(|&at| input.dims[at]).collect();
    let (from, to) = (strides(&input.dims), dims.clone());
    Ok(input.rearranged(dims, |place| indices(place, &to).iter().zip(&order).map(|(i, &at)| i * from[at]).sum()))
}

/// Where a slice along an axis of `n` begins, how it steps, and how many there are.
fn cut(n: usize, start: i64, end: i64, step: i64) -> Result<(usize, i64, usize), String> {
    let n = i64::try_from(n).map_err(|_| "an axis without end")?;
    if n == 0 {
        return Ok((0, 1, 0));
    }
    let from_end = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
    let (start, end) = (from_end(start), from_end(end));
    let (start, length) = match step {
        1.. => {
            let start = start.clamp(0, n);
            (start, (end.clamp(0, n) - start).max(0) as u64)
        }
        0 => return Err("a slice that does not move".into()),
        _ => {
            let start = start.clamp(0, (n - 1).max(0));
            (start, (start - end.clamp(-1, n - 1)).max(0) as u64)
        }
    };
    let length = length.div_ceil(step.unsigned_abs());
    Ok((size(start)?, step, usize::try_from(length).map_err(|_| "an axis without end")?))
}

pub(super) fn slice(inputs: &[Option<&Known>]) -> Result<Known, String> {
    let (input, starts, ends) = (needed(inputs, 0)?, needed_ints(inputs, 1)?, needed_ints(inputs, 2)?);
    let n = starts.len();
    let optional = |at: usize, usual: Vec<i64>| match inputs.get(at).copied().flatten() {
        None => Ok(usual),
        Some(_) => needed_ints(inputs, at).map(<[i64]>::to_vec),
    };
    let (axes, steps) = (optional(3, (0..n as i64).collect())?, optional(4, vec![1; n])?);
    if ends.len() != n || axes.len() != n || steps.len() != n {
        return Err("starts, ends, axes and steps are not as many".into());
    }
    let mut cuts: Vec<(usize, i64, usize)> = input.dims.iter().map(|&n| (0, 1, n)).collect();
    let mut seen = vec![false; cuts.len()];
    for at in 0..n {
        let along = axis(axes[at], input.dims.len())?;
        if std::mem::replace(&mut seen[along], true) {
            return Err(format!("axes {axes:?}"));
        }
        cuts[along] = cut(input.dims[along], starts[at], ends[at], steps[at])?;
    }
    let dims: Vec<usize> = cuts.iter().map(|cut| cut.2).collect();
    let (from, to) = (strides(&input.dims), dims.clone());
    Ok(input.rearranged(dims, |place| {
        let along = indices(place, &to);
        let at = |axis: usize| (cuts[axis].0 as i64 + along[axis] as i64 * cuts[axis].1) as usize * from[axis];
        (0..to.len()).map(at).sum()
    }))
}

pub(super) fn split(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let input = needed(inputs, 0)?;
    let along = axis(step.int("axis", 0), input.dims.len())?;
    let (n, parts) = (input.dims[along], step.outputs.len());
    let sizes: Vec<usize> = match inputs.get(1).copied().flatten() {
        Some(_) => needed_ints(inputs, 1)?.iter().map(|&n| size(n)).collect::<Result<_, _>>()?,
        None if parts > 0 && n.is_multiple_of(parts) => vec![n / parts; parts],
        None => return Err(format!("{n} points in {parts} parts")),
    };
    if sizes.len() != parts || sizes.iter().try_fold(0usize, |all, &n| all.checked_add(n)) != Some(n) {
        return Err(format!("{n} points in parts {sizes:?}"));
    }
    let part = |size: usize| {
        let mut dims = input.dims.clone();
        dims[along] = size;
        Known::of(input.element, dims)
    };
    Ok(Outcome { outputs: sizes.into_iter().map(part).collect(), work: count(&input.dims)? as u64 })
}
