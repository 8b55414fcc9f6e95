"""Timing of graphs: inputs of the right size for every graph that a package has, and the table."""

from pathlib import Path

from training import speed

PACKAGES = Path(__file__).parents[2] / "models"


def test_every_graph_of_the_shipped_packages_runs() -> None:
    found = speed.timings([PACKAGES / "default", PACKAGES / "reference"], side=64, rounds=1)
    assert [t.graph for t in found if t.package == "default"] == list(speed.GRAPHS)
    assert [t.graph for t in found if t.package == "reference"] == [*speed.GRAPHS[len(speed.FRAMES) :]]
    assert all(t.milliseconds > 0 for t in found)
    assert {t.tile for t in found} == {"64²", "8 × 64²"}


def test_inputs_have_the_size_of_the_graph() -> None:
    shapes = {
        g.name: g.inputs[g.session.get_inputs()[0].name].shape[2:] for g in speed.graphs(PACKAGES / "default", 128)
    }
    assert shapes["enhancer"] == shapes["enhancer_fine"] == shapes["encoder"] == (128, 128)
    assert shapes["decoder"] == shapes["hyper_encoder"] == (8, 8) and shapes["hyper_decoder"] == (2, 2)


def test_the_table_compares_autoencoders() -> None:
    times = [
        ("a", "encoder", 2.0),
        ("a", "decoder", 3.0),
        ("b", "encoder", 10.0),
        ("b", "decoder", 20.0),
        ("a", "enhancer", 9.0),
    ]
    text = speed.report([speed.Timing(package, graph, "64²", ms) for package, graph, ms in times])
    assert "| `b` | decoder | 64² | 20.0 |" in text and "Encoder and decoder of `b` over those of `a`: 6.0." in text
