//! Hostile streams: inspecting and decoding any bytes gives an error or a field, within time and memory that follow
//! from the bytes and the declared shape.
#![no_main]

use fieldpress::{Codec, DType, FieldViewMut, Options, Region, Request, Scale, StreamInfo, inspect};
use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

/// Fields with more elements are only inspected: the caller, not the library, allocates a field, after having seen its
/// shape. A constant field of any size is a legitimate stream of a few bytes.
const MOST_ELEMENTS: usize = 1 << 14;

/// Decodes what `request` names into a buffer of its size.
fn decode(codec: &Codec, stream: &[u8], info: &StreamInfo, request: &Request) {
    let Ok(shape) = request.output_shape(info) else { return };
    match info.dtype {
        DType::F32 => {
            let mut out = vec![0f32; shape.len()];
            let mut view = FieldViewMut::new(&mut out, shape.dims()).expect("the buffer has the shape's length");
            let _ = codec.decompress(stream, request, &mut view);
        }
        DType::F64 => {
            let mut out = vec![0f64; shape.len()];
            let mut view = FieldViewMut::new(&mut out, shape.dims()).expect("the buffer has the shape's length");
            let _ = codec.decompress(stream, request, &mut view);
        }
    }
}

fuzz_target!(|stream: &[u8]| {
    static CODEC: OnceLock<Codec> = OnceLock::new();
    let codec = CODEC.get_or_init(|| Codec::new(Options::default().with_threads(1)).expect("defaults"));

    let Ok(info) = inspect(stream) else { return };
    if info.shape.len() > MOST_ELEMENTS {
        return;
    }
    let middle = Region {
        start: info.shape.dims().iter().map(|n| n / 3).collect(),
        count: info.shape.dims().iter().map(|n| n.div_ceil(3)).collect(),
    };
    // One of them a run, as the input's last byte says: three runs find more than one that does all three.
    let request = match stream.last().map(|byte| byte % 4) {
        Some(0) => Request { scale: Scale::Half, region: None },
        Some(1) => Request { scale: Scale::Full, region: Some(middle) },
        _ => Request::default(),
    };
    decode(codec, stream, &info, &request);
});
