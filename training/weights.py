"""Weights without the rest of a run: from a package's graph, or kept as one small half-precision file in the tree.

A run folder is large and does not outlive its machine. What a later run starts from is the averaged weights alone, with a
fresh optimiser and schedule.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from training.models import hyper
from training.models.reference import Reference


def of_graph(graph: Path) -> dict[str, Tensor]:
    """State dict of the model that a package graph was exported from (initialisers keep their PyTorch names)."""
    loaded = onnx.load(str(graph)).graph
    out = {t.name: torch.from_numpy(numpy_helper.to_array(t).astype("float32")) for t in loaded.initializer}
    # f16 weights reach their name through a Cast, equal weights (all zero, say) share one tensor through an Identity.
    for node in loaded.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in out:
            out[node.output[0]] = out[node.input[0]]
    return out


def of_reference(package: Path, model: Reference) -> dict[str, Tensor]:
    """State dict of the paper's architecture from its package: the integer hyper-decoder back to master weights, exactly, and
    the prior from the entropy tables."""
    out = model.state_dict()
    for part in ("encoder", "decoder", "hyper_encoder"):
        found = of_graph(package / f"{part}.onnx")
        out |= {f"{part}.{name}": value for name, value in found.items() if f"{part}.{name}" in out}
    integers, decoder = of_graph(package / "hyper_decoder.onnx"), model.hyper_decoder
    for index, conv in enumerate([*decoder.layers, decoder.mean, decoder.scale]):
        rows, inputs, k, _ = conv.weight.shape
        name = next(name for name, module in model.named_modules() if module is conv)
        weight = integers[f"w{index}"].reshape(rows, k, k, inputs).permute(0, 3, 1, 2)
        out[f"{name}.weight"] = weight / hyper.MASTER_SCALE
        out[f"{name}.bias"] = integers[f"b{index}"] / (hyper.BIAS_SCALE * 2.0**conv.shift)
    prior = json.loads((package / "tables.json").read_text())["z"][: len(out["prior.mean"])]
    for channel, row in enumerate(prior):
        mass = np.diff(row["cdf"])[:-1]
        values = row["min"] + np.arange(len(mass))
        mean = np.average(values, weights=mass)
        deviation = np.sqrt(np.average((values - mean) ** 2, weights=mass))
        out["prior.mean"][channel] = mean
        # Of a logistic distribution: its scale times π / √3.
        out["prior.log_scale"][channel] = np.log(deviation * np.sqrt(3) / np.pi)
    return out


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
