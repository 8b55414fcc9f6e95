use super::super::onnx::tests::named;
use super::*;
use serde_json::json;

/// A folder of this test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fieldpress-test-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a package with an interpolator whose graph has these bytes; returns its hash.
    fn package(&self, folder: &str, name: &str, graph: &[u8]) -> [u8; 32] {
        let folder = self.0.join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("i.graph"), graph).unwrap();
        let manifest = json!({
            "format": 1, "name": name, "interpolator": { "graph": "i.graph", "align": 16, "max_tile": 64 },
            "files": { "i.graph": { "bytes": graph.len(), "sha256": hex(&sha256(graph)) } }
        });
        let manifest = manifest.to_string();
        std::fs::write(folder.join("manifest.json"), &manifest).unwrap();
        sha256(manifest.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn short(hash: &[u8; 32]) -> [u8; STREAM_HASH_BYTES] {
    hash[..STREAM_HASH_BYTES].try_into().unwrap()
}

#[test]
fn sha256_and_hex_are_right() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex(&sha256(b"")), empty);
}

#[test]
fn a_folder_is_loaded_and_checked() {
    let folder = Folder::new("load");
    let graph = named("graph");
    let hash = folder.package("p", "p", &graph);
    let path = folder.0.join("p");
    let package = Package::from_folder(&path).unwrap();
    assert_eq!((package.hash(), package.manifest().name.as_str()), (&hash, "p"));
    assert_eq!(&**package.file("i.graph").unwrap(), graph);
    assert_eq!(Package::folder_hash(&path).unwrap(), hash);

    // A graph that may not run, whatever its file is called.
    folder.package("wrong", "w", b"\x3a\x04\x2a\x02\x70\x01");
    let error = Package::from_folder(&folder.0.join("wrong")).unwrap_err();
    assert!(error.kind() == ErrorKind::Model && error.message().contains("i.graph: it "), "{error}");

    // One that is another one's.
    let other = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default/encoder.onnx")).unwrap();
    folder.package("other", "o", &other);
    let error = Package::from_folder(&folder.0.join("other")).unwrap_err();
    assert!(error.kind() == ErrorKind::Model && error.message().contains("not as the manifest says"), "{error}");

    let changed = [&graph[..graph.len() - 1], b"X"].concat();
    let longer = [&graph[..], b"s"].concat();
    for (bytes, expected) in [(&changed[..], "SHA-256"), (b"gra", "3 bytes"), (&longer, "longer")] {
        std::fs::write(path.join("i.graph"), bytes).unwrap();
        let error = Package::from_folder(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.message().contains(expected) && error.message().contains("i.graph"), "{error}");
    }
    std::fs::remove_file(path.join("i.graph")).unwrap();
    assert!(Package::from_folder(&path).unwrap_err().message().contains("cannot read"));
    assert!(Package::from_folder(&folder.0).unwrap_err().message().contains("manifest.json"));
}

#[test]
fn the_default_package_is_sound() {
    let package = Package::builtin().unwrap();
    assert_eq!(Some(*package.hash()), Package::builtin_hash());
    assert_eq!(package.manifest().name, "default");
    if let Some(part) = &package.manifest().latents {
        super::super::Tables::parse(package.file(&part.tables).unwrap(), part).unwrap();
    }
}

#[test]
fn a_stream_finds_its_model() {
    let folder = Folder::new("find");
    let path = [folder.0.join("absent"), folder.0.clone()];
    let first = folder.package("m", "m", &named("one"));
    assert_eq!(find_in("m", &short(&first), None, &path, &[]).unwrap(), (Source::Folder(folder.0.join("m")), first));

    // An older model of the same name lies beside it, under its hash; another only where the caller says.
    let kept = format!("m-{}", hex(&sha256(b"")[..4]));
    folder.package(&kept, "m", &named("two"));
    let second = Package::folder_hash(&folder.0.join(&kept)).unwrap();
    std::fs::rename(folder.0.join(&kept), folder.0.join(format!("m-{}", hex(&second[..4])))).unwrap();
    assert_eq!(find_in("m", &short(&second), None, &path, &[]).unwrap().1, second);
    let third = folder.package("elsewhere", "m", &named("three"));
    assert!(find_in("m", &short(&third), None, &path, &[]).is_err());
    let elsewhere = folder.0.join("elsewhere");
    assert_eq!(find_in("m", &short(&third), Some(&elsewhere), &path, &[]).unwrap().1, third);
    assert_eq!(find_in("m", &short(&third), None, &[elsewhere], &[]).unwrap().1, third);

    if let Some(builtin) = Package::builtin_hash() {
        assert_eq!(find_in("default", &short(&builtin), None, &[], &[]).unwrap(), (Source::Builtin, builtin));
    }
}

#[test]
fn a_model_that_is_not_found_is_named() {
    let folder = Folder::new("missing");
    let other = folder.package("m", "m", &named("one"));
    let error = find_in("m", &[0xab; STREAM_HASH_BYTES], None, std::slice::from_ref(&folder.0), &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    let place = folder.0.display().to_string();
    for part in ["'m'", &"ab".repeat(STREAM_HASH_BYTES), &hex(&other[..STREAM_HASH_BYTES]), &place, MODEL_PATH] {
        assert!(error.message().contains(part), "{part}: {error}");
    }
    for name in ["../m", "", "/etc", "a\nb"] {
        assert_eq!(find_in(name, &[0; STREAM_HASH_BYTES], None, &[], &[]).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
