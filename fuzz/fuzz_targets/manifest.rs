//! Hostile model manifests: parsing any bytes gives an error or a checked manifest.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fieldpress::model::fuzz_manifest(bytes));
