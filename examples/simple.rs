//! The whole life cycle on a page: compress, inspect, decode all of it, a box, a reduced resolution, check the error,
//! and handle one that goes wrong:
//!
//!     cargo run --release --example simple

use fieldpress::{Bound, Codec, ErrorKind, Options, Region, Request, Result, Scale, inspect};
use ndarray::{Array3, s};

/// A wave that travels over a slope: 16 frames of 64 × 96 values, with a halo of one cell around each.
fn simulate() -> Array3<f32> {
    Array3::from_shape_fn((16, 66, 98), |(t, y, x)| (0.1 * (x as f32 - t as f32)).sin() + 0.01 * y as f32)
}

fn main() -> Result<()> {
    let array = simulate();
    let inner = array.slice(s![.., 1..65, 1..97]);
    let bound: Bound = "rel=1e-3".parse()?; // no error above a thousandth of the range
    let codec = Codec::new(Options::default().with_threads(1))?;

    // The bound has been checked on the decoded values when this returns.
    let (stream, report) = codec.compress_array(inner, bound)?;
    println!(
        "{} bytes became {}, largest error {:.1e}",
        report.input_bytes, report.stream_bytes, report.info.max_abs_error
    );

    // A stream says what it holds, without being decoded.
    let info = inspect(&stream)?;
    println!("a field of {} {}, range {:.3}, bound {}", info.shape, info.dtype, info.range, info.bound);

    // All of it, and what the bound promised.
    let (decoded, _) = codec.decompress_array(&stream, &Request::default())?;
    let decoded = decoded.into_f32()?;
    let error = inner.iter().zip(&decoded).map(|(a, b)| f64::from(a - b).abs()).fold(0.0, f64::max);
    assert!(error <= 1e-3 * info.range, "{error} is above the bound");

    // Frame 5's upper left corner: only what it needs is decoded.
    let corner = Region { start: vec![5, 0, 0], count: vec![1, 8, 8] };
    let (corner, _) = codec.decompress_array(&stream, &Request { region: Some(corner), ..Request::default() })?;
    assert_eq!(corner.into_f32()?, decoded.slice(s![5..6, 0..8, 0..8]).into_dyn());

    // A quarter of the points along rows and columns, for a look.
    let request = Request { scale: Scale::Quarter, ..Request::default() };
    let (small, _) = codec.decompress_array(&stream, &request)?;
    println!("at a quarter of the resolution: {:?}", small.shape());

    // A stream that lost its end is an error, never wrong values. The kind is for programs, the sentence for people.
    let error = codec.decompress_array(&stream[..stream.len() / 2], &Request::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    println!("half of the stream: {error}");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
