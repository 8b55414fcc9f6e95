use super::*;
#[cfg(feature = "onnx")]
use crate::model::testing::runtime;

fn one_thread() -> Options {
    Options { threads: Some(1), device: Device::Cpu, ..Options::default() }
}

#[test]
fn snapping_rounds_to_the_grid() {
    assert_eq!([0.3, 0.375, 0.625, -0.3, 7.0].map(|value| snap(value, 0.25)), [0.25, 0.5, 0.5, -0.25, 7.0]);
    assert_eq!(snap(0.2, 0.0625), 0.1875);
}

#[test]
fn the_key_tells_models_apart() {
    let options = [
        one_thread(),
        Options { threads: Some(2), ..one_thread() },
        Options { device: Device::Auto, ..one_thread() },
        Options { device: Device::Cuda(None), ..one_thread() },
        Options { device: Device::Cuda(Some(0)), ..one_thread() },
    ];
    let keys: std::collections::HashSet<Key> = options.iter().map(|options| key([0; 32], options)).collect();
    assert_eq!(keys.len(), options.len());
}

#[test]
fn a_missing_package_is_an_error_that_names_it() {
    let options = Options { model: Some("no/such/package".into()), ..one_thread() };
    let error = Model::open(&options).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.message().contains("no/such/package"), "{error}");
}

#[cfg(not(feature = "onnx"))]
#[test]
fn a_build_without_onnx_says_so() {
    let error = Model::open(&one_thread()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Runtime);
    assert!(error.message().contains("built without ONNX Runtime"), "{error}");
    assert!(matches!(status(), RuntimeStatus::NotBuilt));
}

#[cfg(feature = "onnx")]
#[test]
fn models_are_loaded_once() {
    runtime();
    let first = Model::open(&one_thread()).unwrap();
    assert!(Arc::ptr_eq(&first, &Model::open(&one_thread()).unwrap()));
    assert!(!Arc::ptr_eq(&first, &Model::open(&Options { threads: Some(2), ..one_thread() }).unwrap()));
    let hash: [u8; STREAM_HASH_BYTES] = first.hash()[..STREAM_HASH_BYTES].try_into().unwrap();
    assert!(Arc::ptr_eq(&first, &Model::for_stream(first.name(), &hash, &one_thread()).unwrap()));
    assert_eq!((first.name(), first.device().as_str()), ("default", "cpu"));
    assert!(first.has_interpolator() && first.has_latents());
}

#[cfg(feature = "onnx")]
#[test]
fn every_graph_is_as_the_contract_says() {
    runtime();
    let model = Model::open(&one_thread()).unwrap();
    for kind in GraphKind::ALL {
        model.graph(kind).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
    model.tables().unwrap();
}

#[cfg(feature = "onnx")]
#[test]
fn a_graph_of_other_ports_is_refused() {
    runtime();
    let package = Package::builtin().unwrap();
    let part = package.manifest().latents.clone().unwrap();
    let bytes = package.file(&part.decoder).unwrap().clone();
    let setup = Setup { provider: Provider::Cpu, threads: 1, optimization: 3 };
    let open =
        |kind: GraphKind, part: &Latents| Graph::new("g.onnx", bytes.clone(), kind.latents_ports(part), setup, 1);
    open(GraphKind::Decoder, &part).unwrap();
    let wrong_name = open(GraphKind::Encoder, &part).err().unwrap();
    assert_eq!(wrong_name.kind(), ErrorKind::Model);
    assert!(wrong_name.message().contains("there is no 'x'"), "{wrong_name}");
    let more_channels = Latents { y_channels: part.y_channels + 1, ..part.clone() };
    let wrong_shape = open(GraphKind::Decoder, &more_channels).err().unwrap();
    assert!(wrong_shape.message().contains("has shape"), "{wrong_shape}");
    let garbage = Graph::new("g.onnx", FileBytes::Static(b"no graph"), (vec![], vec![]), setup, 1).err().unwrap();
    assert_eq!(garbage.kind(), ErrorKind::Model);

    // Shapes that the graph cannot take are errors, not crashes.
    let graph = open(GraphKind::Decoder, &part).unwrap();
    let values = vec![0.0; part.y_channels + 1];
    let feed = Feed { shape: &[1, part.y_channels + 1, 1, 1], values: &values };
    assert_eq!(graph.run(&[feed], &[&[1, part.frames, 16, 16]]).unwrap_err().kind(), ErrorKind::Runtime);
    let feed = Feed { shape: &[1, part.y_channels, 1, 1], values: &values[1..] };
    assert!(graph.run(&[feed], &[&[1, part.frames, 99, 16]]).unwrap_err().message().contains("expected"));
    graph.run(&[feed], &[&[1, part.frames, part.y_downsample, part.y_downsample]]).unwrap();
}

#[cfg(feature = "onnx")]
#[test]
fn cuda_that_cannot_be_had_is_a_clear_error() {
    runtime();
    match Model::open(&Options { device: Device::Cuda(Some(0)), ..one_thread() }) {
        Ok(model) => assert_eq!(model.device(), "cuda:0"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Runtime);
            assert!(error.message().contains("device=cuda"), "{error}");
        }
    }
    // `auto` works either way.
    Model::open(&Options { device: Device::Auto, ..one_thread() }).unwrap();
}

#[cfg(feature = "onnx")]
#[test]
fn a_perturbed_model_moves_values_by_less_than_the_grid() {
    runtime();
    // A number of threads that no other test asks for, so that no other test shares this model.
    let model = Model::open(&Options { threads: Some(37), ..one_thread() }).unwrap();
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
    let snapped = |model: &Model| {
        let mut values = values.clone();
        model.snap(&mut values, 1.0 / 256.0);
        values
    };
    let plain = snapped(&model);
    model.set_perturbation(0.999);
    let moved = snapped(&model);
    model.set_perturbation(0.0);
    assert_eq!(snapped(&model), plain);
    let largest = plain.iter().zip(&moved).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert_eq!(largest, 1.0 / 256.0);
}
