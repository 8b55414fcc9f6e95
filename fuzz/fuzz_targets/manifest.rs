//! Hostile model manifests: parsing any bytes gives an error or a checked manifest.
#![no_main]

use fieldpress::model::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let _ = manifest.referenced();
    }
});
