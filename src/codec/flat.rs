//! Streams of runs in C order: lossless ones, of [`LOSSLESS_CHUNK`] values each, and those of closed-loop prediction.

use super::decompress::Output;
use super::{lossless, predicted};
use crate::closed_loop::Runs;
use crate::error::{Error, Result};
use crate::field::{Element, MAX_DIMS, Region, Shape};
use crate::stream::{Content, LOSSLESS_CHUNK, Stream};

/// Calls `f(first index, offset of its element, count, stride)` for every run along the last axis of the C-order
/// indices `from..until` of an array.
pub(crate) fn for_each_run(
    shape: &Shape,
    strides: &[usize; MAX_DIMS],
    from: usize,
    until: usize,
    mut f: impl FnMut(usize, usize, usize, usize),
) {
    let dims = shape.dims();
    let last = dims.len() - 1;
    let mut index = from;
    while index < until {
        let column = index % dims[last];
        let mut rest = index / dims[last];
        let mut start = column * strides[last];
        for axis in (0..last).rev() {
            start += rest % dims[axis] * strides[axis];
            rest /= dims[axis];
        }
        let count = (dims[last] - column).min(until - index);
        f(index, start, count, strides[last]);
        index += count;
    }
}

/// Decodes the part of a stream of runs that lies in `region`, averaged over blocks of `factor` rows and columns (the
/// axes that `axes` names): over the points with data, or else as the first point. What marks points without is
/// `fill_value`, where the stream does not say it, and what is not finite.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn decompress<T: Element>(
    stream: &Stream<'_>,
    region: &Region,
    factor: usize,
    axes: [Option<usize>; 3],
    fill_value: Option<f64>,
    out: Output<'_, T>,
) -> Result<()> {
    let fill = fill_value.map(|value| T::from_f64(value).to_bits_u64());
    let is_data = |value: T| match &stream.header.content {
        Content::Predicted(specials) => specials.class_of(value.to_bits_u64()).is_none(),
        _ => value.to_f64().is_finite() && Some(value.to_bits_u64()) != fill,
    };
    let shape = &stream.header.shape;
    let total = shape.len();
    let strides = shape.contiguous_strides();
    let ndim = shape.ndim();
    let factors: Vec<usize> = (0..ndim).map(|axis| if axes[1..].contains(&Some(axis)) { factor } else { 1 }).collect();
    let scaled: Vec<(usize, usize)> = (0..ndim)
        .map(|axis| {
            let (first, f) = (region.start[axis], factors[axis]);
            (first / f, (first + region.count[axis]).div_ceil(f))
        })
        .collect();
    let runs = Runs::of(shape.dims());
    let predicted = matches!(stream.header.content, Content::Predicted(_));
    let count = if predicted { runs.len() } else { total.div_ceil(LOSSLESS_CHUNK) };
    let mut chunk = Vec::new();
    // Sums, counts and first points of the scaled points, kept only where points are averaged.
    let mut sums = std::collections::HashMap::<usize, (f64, usize, T)>::new();
    // C-order indices of the first and the last point wanted; chunks outside are not decoded. Averages reach to the ends of
    // their blocks.
    let (first, last) = (0..ndim).fold((0, 0), |(first, last), axis| {
        let (from, until) = (scaled[axis].0 * factors[axis], scaled[axis].1 * factors[axis]);
        (first + from * strides[axis], last + (until.min(shape.dims()[axis]) - 1) * strides[axis])
    });
    let raw = match stream.header.content {
        Content::Raw => Some(raw_section::<T>(stream, total)?),
        _ => None,
    };
    for k in 0..count {
        let (from, until) =
            if predicted { runs.range(k) } else { (k * LOSSLESS_CHUNK, total.min((k + 1) * LOSSLESS_CHUNK)) };
        if until <= first || from > last {
            continue;
        }
        chunk.resize(until - from, T::from_bits_u64(0));
        match (raw, &stream.header.content) {
            (Some(bytes), _) => copy_raw(&bytes[from * T::DTYPE.size()..], &mut chunk),
            (None, Content::Predicted(specials)) => {
                predicted::decode(stream.section(k)?, &runs.shape(k), specials, &mut chunk)?;
            }
            (None, _) => lossless::decode(stream.section(k)?, &mut chunk)?,
        }
        for_each_run(shape, &strides, from, until, |index, _, count, _| {
            'points: for i in index..index + count {
                let mut rest = i;
                let mut target = 0;
                for axis in (0..ndim).rev() {
                    let at = rest % shape.dims()[axis] / factors[axis];
                    rest /= shape.dims()[axis];
                    if at < scaled[axis].0 || at >= scaled[axis].1 {
                        continue 'points;
                    }
                    target += (at - scaled[axis].0) * out.strides[axis];
                }
                let value = chunk[i - from];
                if factor == 1 {
                    out.values[target] = value;
                } else {
                    let slot = sums.entry(target).or_insert((0.0, 0, value));
                    if is_data(value) {
                        slot.0 += value.to_f64();
                        slot.1 += 1;
                    }
                }
            }
        });
    }
    for (target, (sum, count, first)) in sums {
        out.values[target] = if count > 0 { T::from_f64(sum / count as f64) } else { first };
    }
    Ok(())
}

/// The bytes of a raw stream's only section, which must be as many as its values have.
fn raw_section<'a, T: Element>(stream: &Stream<'a>, total: usize) -> Result<&'a [u8]> {
    let bytes = stream.section(0)?;
    if bytes.len() != total * T::DTYPE.size() {
        let wanted = total * T::DTYPE.size();
        return Err(Error::corrupt(format!("a raw field of {wanted} bytes has a section of {}", bytes.len())));
    }
    Ok(bytes)
}

/// Values from their little-endian bits.
fn copy_raw<T: Element>(bytes: &[u8], out: &mut [T]) {
    for (slot, bits) in out.iter_mut().zip(bytes.chunks_exact(T::DTYPE.size())) {
        let mut wide = [0; 8];
        wide[..bits.len()].copy_from_slice(bits);
        *slot = T::from_bits_u64(u64::from_le_bytes(wide));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_every_index_in_order() {
        let shape = Shape::new(&[3, 4, 5]).unwrap();
        let strides = shape.contiguous_strides();
        let mut seen = Vec::new();
        for_each_run(&shape, &strides, 7, 43, |index, start, count, stride| {
            assert_eq!(index, start);
            seen.extend((0..count).map(|i| start + i * stride));
        });
        assert_eq!(seen, (7..43).collect::<Vec<_>>());
    }
}
