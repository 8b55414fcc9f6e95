use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A sound manifest with both parts.
fn sound() -> Value {
    let files = ["i.onnx", "e.onnx", "he.onnx", "hd.onnx", "d.onnx", "d2.onnx", "t.json"];
    let entry = json!({ "bytes": 10, "sha256": "ab".repeat(32) });
    let files: serde_json::Map<_, _> = files.map(|name| (name.to_string(), entry.clone())).into_iter().collect();
    json!({
        "format": 1, "name": "a-b_c.1", "architecture": "two graphs", "created": "2026-01-01", "files": files,
        "interpolator": { "graph": "i.onnx", "align": 16, "max_tile": 256, "parameters": 3 },
        "latents": {
            "encoder": "e.onnx", "hyper_encoder": "he.onnx", "hyper_decoder": "hd.onnx", "decoder": "d.onnx",
            "decoder_half": "d2.onnx", "tables": "t.json", "align": 64, "max_tile": 256, "frames": 8, "y_channels": 64,
            "y_downsample": 16, "y_time": 1, "z_channels": 32, "z_downsample": 64, "gains": [1.0, 2.5], "parameters": 7
        },
        "training": { "seed": 1, "corpus": ["any"], "record": { "nested": [1, 2] } }
    })
}

fn parse(value: &Value) -> Result<Manifest> {
    Manifest::parse(value.to_string().as_bytes())
}

#[test]
fn a_sound_manifest_is_read_whole() {
    let manifest = parse(&sound()).unwrap();
    assert_eq!((manifest.format, manifest.name.as_str()), (FORMAT, "a-b_c.1"));
    assert_eq!(manifest.interpolator.as_ref().unwrap().max_tile, 256);
    assert_eq!(manifest.latents.as_ref().unwrap().gains, [1.0, 2.5]);
    assert_eq!(manifest.referenced().len(), 7);
}

#[test]
fn each_part_is_optional_but_not_both() {
    for (part, kept) in [("interpolator", "latents"), ("latents", "interpolator")] {
        let mut value = sound();
        value.as_object_mut().unwrap().remove(part);
        parse(&value).unwrap();
        value.as_object_mut().unwrap().remove(kept);
        assert!(parse(&value).unwrap_err().message().contains("at least one"));
    }
}

#[test]
fn another_format_is_unsupported() {
    let mut value = sound();
    value["format"] = json!(2);
    value["interpolator"] = json!("of another shape");
    let error = parse(&value).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("format 2"), "{error}");
}

#[test]
fn each_wrong_entry_is_named() {
    let cases = [
        ("/name", json!("../x"), "name"),
        ("/name", json!("x".repeat(65)), "name"),
        ("/name", json!(""), "name"),
        ("/interpolator/align", json!(0), "interpolator.align"),
        ("/interpolator/align", json!(7), "no multiple"),
        ("/interpolator/max_tile", json!(1u64 << 40), "interpolator.max_tile"),
        ("/interpolator/max_tile", json!(-1), "invalid value"),
        ("/interpolator/graph", json!("other.onnx"), "not listed"),
        ("/latents/frames", json!(0), "latents.frames"),
        ("/latents/y_channels", json!(100_000), "latents.y_channels"),
        ("/latents/z_channels", json!(0), "latents.z_channels"),
        ("/latents/y_downsample", json!(24), "latents.z_downsample"),
        ("/latents/z_downsample", json!(8), "latents.z_downsample"),
        ("/latents/align", json!(96), "no multiple"),
        ("/latents/gains", json!([]), "gains"),
        ("/latents/gains", json!([0.0]), "gains"),
        ("/latents/gains", json!([-1.0]), "gains"),
        ("/latents/gains", json!([1e30]), "gains"),
        ("/latents/gains", json!(vec![1.0; 65]), "gains"),
        ("/files/i.onnx/bytes", json!(u64::MAX), "i.onnx"),
        ("/files/i.onnx/sha256", json!("AB".repeat(32)), "sha256"),
        ("/files/i.onnx/sha256", json!("ab"), "sha256"),
    ];
    for (at, value, expected) in cases {
        let mut manifest = sound();
        *manifest.pointer_mut(at).unwrap() = value.clone();
        let error = parse(&manifest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.message().contains(expected), "{at} = {value}: {error}");
    }
    for name in ["../i.onnx", "a/b", "a\\b", ".hidden", "", "manifest.json", "a\u{0}b"] {
        let mut manifest = sound();
        manifest["files"][name] = json!({ "bytes": 1, "sha256": "00".repeat(32) });
        assert!(parse(&manifest).is_err(), "{name:?}");
    }
}

#[test]
fn long_and_deep_manifests_are_refused() {
    assert!(Manifest::parse(&vec![b' '; MAX_MANIFEST_BYTES + 1]).is_err());
    assert!(Manifest::parse("[".repeat(500_000).as_bytes()).is_err());
    let mut value = sound();
    for index in 0..=MAX_FILES {
        value["files"][format!("f{index}")] = json!({ "bytes": 1, "sha256": "00".repeat(32) });
    }
    assert!(parse(&value).unwrap_err().message().contains("number of files"));
}

proptest! {
    #[test]
    fn any_bytes_give_a_manifest_or_an_error(bytes: Vec<u8>) {
        let _ = Manifest::parse(&bytes);
    }

    #[test]
    fn any_change_of_a_byte_gives_a_manifest_or_an_error(at: prop::sample::Index, byte: u8) {
        let mut bytes = sound().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(manifest) = Manifest::parse(&bytes) {
            let sound = |part: Latents| part.y_channels <= MAX_CHANNELS && part.align >= part.z_downsample;
            prop_assert!(manifest.latents.is_none_or(sound));
        }
    }
}
