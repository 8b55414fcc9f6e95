//! Hostile model packages, as an archive carries them: any bytes give an error or a package whose graphs are understood
//! to the last byte, and whose work is known. Nothing is run.
//!
//! The first byte says what the rest is: a whole package, or a graph for one of four kinds of package.
#![no_main]

use fieldpress::model::Package;
use libfuzzer_sys::fuzz_target;

/// Parts of a manifest whose graph is `g`.
const PARTS: [&str; 4] = [
    r#""interpolator":{"graph":"g","align":16,"max_tile":256}"#,
    r#""enhancer":{"graph":"g","align":32,"max_tile":256,"frames":5}"#,
    r#""enhancer_fine":{"graph":"g","align":1,"max_tile":2048,"frames":1}"#,
    r#""latents":{"encoder":"g","hyper_encoder":"g","hyper_decoder":"g","decoder":"g","tables":"g","align":64,
       "max_tile":256,"frames":8,"y_channels":8,"y_downsample":16,"z_channels":4,"z_downsample":64,"gains":[1.0]}"#,
];

fn put(out: &mut Vec<u8>, part: &[u8]) {
    let mut length = part.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(part);
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let Some(part) = PARTS.get(usize::from(*kind)) else {
        let _ = Package::from_bytes(rest);
        return;
    };
    let entry = format!(r#""g":{{"bytes":{},"sha256":"{}"}}"#, rest.len(), "0".repeat(64));
    let manifest = format!(r#"{{"format":1,"name":"fuzz",{part},"files":{{{entry}}}}}"#);
    let mut package = Vec::with_capacity(rest.len() + manifest.len() + 32);
    for part in [&b"manifest.json"[..], manifest.as_bytes(), b"g", rest] {
        put(&mut package, part);
    }
    let _ = Package::from_bytes(&package);
});
