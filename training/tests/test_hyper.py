"""The hyper-decoder's integers: exact, in range, the same from every export."""

import numpy as np
import pytest
import torch

from training.export import IntegerGraph, frequencies, integer_graph, run_onnx, tables
from training.models import hyper


@pytest.fixture(scope="module")
def decoder() -> hyper.HyperDecoder:
    torch.manual_seed(2)
    d = hyper.HyperDecoder(8, 24, hidden=16)
    with torch.no_grad():
        for conv in (*d.layers, d.mean, d.scale):
            conv.weight.mul_(3)
            conv.bias.add_(torch.randn_like(conv.bias))
    return d


def test_outputs_are_integers_in_range(decoder: hyper.HyperDecoder) -> None:
    z = torch.round(40 * torch.randn(2, 8, 2, 2))
    mean, scale = decoder(z.clamp(-127, 127))
    assert mean.shape == scale.shape == (2, 24, 8, 8)
    assert torch.equal(mean, mean.round()) and torch.equal(scale, scale.round())
    assert scale.min() >= 0 and scale.max() <= 63


def test_range_proof_bounds_the_worst_input(decoder: hyper.HyperDecoder) -> None:
    proof = decoder.range_proof()
    assert [p["layer"] for p in proof] == ["hidden0", "hidden1", "hidden2", "mean", "scale"]
    weight, bias = (t.detach() for t in decoder.layers[0].integers())
    worst = (weight.sign() * 127)[:, :, 0, 0]
    sums = (weight[:, :, 0, 0] * worst).sum(1).abs() + bias.abs()
    assert float(sums.max()) == proof[0]["largest_sum"]


def test_an_overflowing_layer_is_refused(decoder: hyper.HyperDecoder) -> None:
    wide = hyper.HyperDecoder(8, 24, hidden=600)
    with torch.no_grad():
        wide.layers[2].weight.fill_(1e3)
    with pytest.raises(ValueError, match="hidden2"):
        wide.range_proof()


def test_all_exports_agree_to_the_bit(decoder: hyper.HyperDecoder) -> None:
    z = np.random.default_rng(1).integers(-127, 128, (1, 8, 3, 4)).astype(np.float32)
    options = ({}, {"matrix": True, "dtype": torch.float64}, {"order": np.random.default_rng(2)})
    results = [run_onnx(integer_graph(decoder, 8, **o), {"z_hat": z}) for o in options]
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_permuted_graph_really_is_permuted(decoder: hyper.HyperDecoder) -> None:
    plain, permuted = IntegerGraph(decoder), IntegerGraph(decoder, order=np.random.default_rng(2))
    assert not torch.equal(plain.w2, permuted.w2)


def test_tables_are_valid() -> None:
    made = tables(hyper.FactorisedPrior(5))
    assert len(made["z"]) == 5 and len(made["y"]) == 64
    for row in made["z"] + made["y"]:
        cdf = np.array(row["cdf"])
        assert cdf[0] == 0 and cdf[-1] == 65536 and (np.diff(cdf) >= 1).all()


def test_frequencies_keep_rare_symbols() -> None:
    assert np.diff(frequencies(np.array([1 - 1e-9, 1e-9, 0.0]))).tolist() == [65534, 1, 1]
