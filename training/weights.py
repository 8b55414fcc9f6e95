"""Weights without the rest of a run: from a package's graph, or kept as one small half-precision file in the tree.

A run folder is large and does not outlive its machine. What a later run starts from is the averaged weights alone, with
a fresh optimiser and schedule.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from training.models.reference import Reference, ReferenceConfig


def of_graph(graph: Path) -> dict[str, Tensor]:
    """State dict of the model that a package graph was exported from (initialisers keep their PyTorch names)."""
    loaded = onnx.load(str(graph)).graph
    out = {t.name: torch.from_numpy(numpy_helper.to_array(t).astype("float32")) for t in loaded.initializer}
    # f16 weights reach their name through a Cast.
    for node in loaded.node:
        if node.op_type == "Cast" and node.input[0] in out:
            out[node.output[0]] = out[node.input[0]]
    return out


def of_reference(package: Path, config: ReferenceConfig) -> dict[str, Tensor]:
    """State dict of the paper's architecture from its package: the integer hyper-decoder back to master weights,
    exactly, and the prior from the entropy tables."""
    model = Reference(config)
    for part in ("encoder", "decoder", "hyper_encoder"):
        module, found = getattr(model, part), of_graph(package / f"{part}.onnx")
        module.load_state_dict({name: found[name] for name in module.state_dict()})
    integers = of_graph(package / "hyper_decoder.onnx")
    prior = json.loads((package / "tables.json").read_text())["z"][: len(model.prior.mean)]
    with torch.no_grad():
        for index, conv in enumerate(model.hyper_decoder.convs):
            conv.set_integers(integers[f"w{index}"], integers[f"b{index}"])
        for channel, row in enumerate(prior):
            mass = np.diff(row["cdf"])[:-1]
            values = row["min"] + np.arange(len(mass))
            mean = np.average(values, weights=mass)
            deviation = np.sqrt(np.average((values - mean) ** 2, weights=mass))
            model.prior.mean[channel] = mean
            # Of a logistic distribution: its scale times π / √3.
            model.prior.log_scale[channel] = np.log(deviation * np.sqrt(3) / np.pi)
    return model.state_dict()


def keep(run: Path, out: Path) -> None:
    """Writes the averaged weights of a run's checkpoint in half precision."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    part = out.with_suffix(".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({name: value.half() for name, value in state["average"].items()}, part)
    part.rename(out)


def start(source: Path, part: str = "interpolator") -> dict[str, Tensor]:
    """Weights to start from: of a file that [`keep`] wrote, or of a part of a package that is one graph."""
    if source.is_dir():
        return of_graph(source / f"{part}.onnx")
    return {name: value.float() for name, value in torch.load(source, weights_only=True).items()}


def history(source: Path, part: str = "interpolator") -> tuple[dict[str, Any], ...]:
    """Records of the runs behind the weights that [`start`] gives, the oldest first; none are known of a file."""
    if not source.is_dir():
        return ()
    record = json.loads((source / "manifest.json").read_text())["training"].get("parts", {}).get(part)
    if record is None:
        return ()
    return (*record.get("earlier", []), {name: value for name, value in record.items() if name != "earlier"})
