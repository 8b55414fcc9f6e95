"""Writes a model package (docs/model-package.md) from training checkpoints: ONNX graphs, entropy tables, manifest.

Float weights are stored as f16 and cast on load; the PyTorch model is rounded the same way first, so that every graph
is checked against PyTorch within float rounding. The hyper-decoder holds integers in f32 and must agree to the bit.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import logging
import math
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from training.corpus.build import KINDS
from training.models import hyper
from training.models.autoencoder import Autoencoder, AutoencoderConfig
from training.models.enhancer import EnhancerConfig, FineEnhancerConfig, enhancer
from training.models.interpolator import Interpolator, InterpolatorConfig
from training.models.reference import Reference, ReferenceConfig

OPSET = 17
PRECISION = 16
HALF_THRESHOLD = 64
"""Initialisers with more elements than this are stored as f16."""
MAX_BYTES = 8_000_000
OPERATORS = frozenset(
    [
        "Abs", "Add", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose",
        "DepthToSpace", "Div", "Erf", "Floor", "Gather", "Gemm", "Log", "MatMul", "MaxPool", "Mul", "Pad",
        "ReduceMean", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Split", "Sqrt", "Sub",
        "Transpose", "Unsqueeze",
    ]
)
"""What the library runs (docs/model-package.md); it refuses a graph with any other operator."""
TOLERANCE = 2e-3
"""Largest PyTorch–ONNX difference allowed, relative to the output's RMS."""


@dataclass(frozen=True)
class ExportConfig:
    out: Path
    interpolator: Path | None
    """Run folders, with a checkpoint in each."""
    latents: Path | None
    hyper_variants: Path | None = None
    seed: int = 1
    reference: Path | None = None
    """Run folder of the paper's architecture, whose latents take the place of ours."""
    enhancer: Path | None = None
    """Run folder of the enhancer."""
    enhancer_fine: Path | None = None
    """Run folder of the larger enhancer."""
    base: Path | None = None
    """Package whose parts are taken over as they are, where no run is named."""
    base_parts: tuple[str, ...] = ("interpolator", "latents", "enhancer", "enhancer_fine")
    """Of these."""
    untrained: bool = False
    """Whether a folder without a checkpoint exports fresh weights, for tests, in place of an error."""


def checkpoint(config: ExportConfig, folder: Path) -> dict[str, Any] | None:
    """The last state of a run; `None` where there is none and `config` has fresh weights exported."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        if config.untrained:
            return None
        raise FileNotFoundError(
            f"{path} is not there: {folder} is not the folder of a run, or of one without a checkpoint yet"
        )
    return torch.load(path, weights_only=True)


def load(config: ExportConfig, model: nn.Module, folder: Path) -> dict[str, Any]:
    """Averaged weights of a run, its step and hours, and the records of the runs that it started from."""
    state = checkpoint(config, folder)
    if state is None:
        return {"steps": 0, "hours": 0.0}
    model.load_state_dict(state["average"])
    hours = {"hours": round(state["seconds"] / 3600, 3), "core_hours": round(state.get("core_seconds", 0.0) / 3600, 3)}
    earlier = {"earlier": state["earlier"]} if state.get("earlier") else {}
    return {"steps": state["step"], **hours, **earlier}


def round_weights(model: nn.Module, exact: frozenset[str] = frozenset()) -> None:
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.numel() > HALF_THRESHOLD and name not in exact:
                p.copy_(p.half().float())


def to_onnx(model: nn.Module, inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    axes = {n: {0: "N", 2: "H", 3: "W"} if t.ndim == 4 else {0: "N"} for n, t in inputs.items()}
    axes |= {n: {0: "N", 2: f"{n}_H", 3: f"{n}_W"} for n in outputs}
    buffer = io.BytesIO()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_axes=axes,
        )
    logging.disable(logging.NOTSET)
    graph = onnx.load_model_from_string(buffer.getvalue())
    graph.doc_string = ""
    for node in graph.graph.node:
        node.doc_string = ""
    drop_identities(graph.graph)
    return graph


def drop_identities(graph: onnx.GraphProto) -> None:
    """Takes out nodes that hand on a tensor under another name, which the library does not run. The exporter makes them
    of equal weights, and each weight has a tensor of its own again: those who read the package ask for weights by name.
    An Identity stays that would join an input or an initialiser to an output.
    """
    weights = {tensor.name: tensor for tensor in graph.initializer}
    inputs, outputs = {value.name for value in graph.input}, {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        source, target = node.input[0], node.output[0]
        if target in outputs and (source in inputs or source in weights):
            continue
        graph.node.remove(node)
        if source in weights:
            weights[target] = graph.initializer.add()
            weights[target].CopyFrom(weights[source])
            weights[target].name = target
            continue
        # An output keeps its name, so that of what makes it changes.
        old, new = (source, target) if target in outputs else (target, source)
        for other in graph.node:
            for names in (other.input, other.output):
                names[:] = [new if name == old else name for name in names]


def halve(model: onnx.ModelProto, exact: frozenset[str] = frozenset()) -> onnx.ModelProto:
    """Stores large f32 initialisers but `exact` ones as f16 with a Cast, which ONNX Runtime folds when it loads the
    graph.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size <= HALF_THRESHOLD or tensor.name in exact:
            continue
        name, stored = tensor.name, f"{tensor.name}_f16"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def check_operators(name: str, model: onnx.ModelProto) -> None:
    others = sorted({node.op_type for node in model.graph.node} - OPERATORS)
    if others:
        raise ValueError(f"{name}: the library runs no {', '.join(others)}; write the layer with other operators")


def run_onnx(data: bytes, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def check(name: str, data: bytes, model: nn.Module, inputs: dict[str, Tensor]) -> None:
    """The graph must agree with PyTorch on other sizes than it was traced with."""
    with torch.no_grad():
        expected = model(*inputs.values())
    expected = expected if isinstance(expected, tuple) else (expected,)
    for want, got in zip(expected, run_onnx(data, {k: v.numpy() for k, v in inputs.items()}), strict=True):
        reference = want.numpy()
        error = float(np.abs(reference - got).max())
        allowed = TOLERANCE * (float(np.sqrt(np.mean(reference**2))) + 1e-3)
        # Not the other way round: a NaN is no agreement.
        if reference.shape != got.shape or not error <= allowed:
            raise ValueError(
                f"{name}: ONNX differs from PyTorch by {error:.2e} (allowed {allowed:.2e}), shape {got.shape}"
            )


def write(
    out: Path,
    name: str,
    model: nn.Module,
    example: dict[str, Tensor],
    test: dict[str, Tensor],
    outputs: list[str],
    exact: frozenset[str] = frozenset(),
) -> None:
    graph = halve(to_onnx(model, example, outputs), exact)
    onnx.checker.check_model(graph)
    check_operators(name, graph)
    data = graph.SerializeToString()
    check(name, data, model, test)
    (out / name).write_bytes(data)


class IntegerGraph(nn.Module):
    """The hyper-decoder as exported: integer weights, 3×3 as shifted copies and a 1×1 product.

    A plain 3×3 convolution may run as Winograd on some device, whose transforms are not exact in integers; a 1×1
    cannot. `matrix` writes the products as MatMul, for arithmetic in which a runtime has no convolution (f64).
    """

    def __init__(
        self,
        decoder: hyper.HyperDecoder,
        order: np.random.Generator | None = None,
        matrix: bool = False,
        dtype: torch.dtype = torch.float32,
        slices: int = 1,
    ) -> None:
        super().__init__()
        self.matrix, self.dtype, self.slices = matrix, dtype, slices
        self.convs = decoder.convs
        self.weights, self.biases = [], []
        for conv in self.convs:
            weight, bias = (t.detach() for t in conv.integers())
            out, inputs, k, _ = weight.shape
            self.weights.append(weight.permute(0, 2, 3, 1).reshape(out, k * k * inputs, 1, 1))
            self.biases.append(bias)
        if order is not None:
            self._permute(order)
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            self.register_buffer(f"w{i}", w.to(dtype).contiguous())
            self.register_buffer(f"b{i}", b.to(dtype).contiguous())

    def _permute(self, rng: np.random.Generator) -> None:
        """Reorders the hidden channels (before any depth-to-space) and the inputs that read them alike."""
        hidden = self.convs[2].weight.shape[1]
        for i in range(3):
            order = torch.from_numpy(rng.permutation(hidden))
            group = 4 if i < 2 else 1
            rows = (order[:, None] * group + torch.arange(group)).flatten()
            self.weights[i], self.biases[i] = self.weights[i][rows], self.biases[i][rows]
            for j in [i + 1] if i < 2 else [3, 4]:
                taps = self.weights[j].shape[1] // hidden
                columns = (torch.arange(taps)[:, None] * hidden + order).flatten()
                self.weights[j] = self.weights[j][:, columns]

    def layer(self, i: int, x: Tensor) -> Tensor:
        conv = self.convs[i]
        weight, bias = getattr(self, f"w{i}"), getattr(self, f"b{i}")
        if conv.kernel == 3:
            p = F.pad(x, (1, 1, 1, 1))
            ends = (-2, -1, None)
            x = torch.cat([p[:, :, y : ends[y], z : ends[z]] for y in range(3) for z in range(3)], dim=1)
        if self.matrix:
            rows = torch.matmul(x.permute(0, 2, 3, 1), weight[:, :, 0, 0].T.contiguous()) + bias
            total = rows.permute(0, 3, 1, 2)
        else:
            total = F.conv2d(x, weight, bias)
        return torch.floor(total * 2.0**-conv.shift).clamp(conv.low, conv.high)

    def slice(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        x = z_hat.to(self.dtype)
        x = F.pixel_shuffle(self.layer(0, x), 2)
        x = F.pixel_shuffle(self.layer(1, x), 2)
        x = self.layer(2, x)
        return self.layer(3, x).float(), self.layer(4, x).float()

    def forward(self, z_hat: Tensor) -> tuple[Tensor, Tensor]:
        if self.slices == 1:
            return self.slice(z_hat)
        n = self.weights[0].shape[1]
        found = [self.slice(z_hat[:, i * n : (i + 1) * n]) for i in range(self.slices)]
        return torch.cat([m for m, _ in found], dim=1), torch.cat([s for _, s in found], dim=1)


def integer_graph(decoder: hyper.HyperDecoder, channels: int, slices: int = 1, **options: Any) -> bytes:
    """Serialised hyper-decoder, checked to the bit against the training arithmetic; it may serve several slices
    alike.
    """
    model = IntegerGraph(decoder, slices=slices, **options).eval()
    graph = to_onnx(model, {"z_hat": torch.zeros(1, channels, 2, 3)}, ["mean", "scale_index"])
    onnx.checker.check_model(graph)
    check_operators("hyper-decoder", graph)
    data = graph.SerializeToString()
    z = torch.from_numpy(
        np.random.default_rng(5).integers(-hyper.Z_LIMIT, hyper.Z_LIMIT + 1, (2, channels, 3, 2))
    ).float()
    for test in (z, torch.round(z / 25)):
        with torch.no_grad():
            parts = [decoder(part) for part in test.chunk(slices, dim=1)]
        expected = (torch.cat([p[i] for p in parts], dim=1) for i in range(2))
        for want, got in zip(expected, run_onnx(data, {"z_hat": test.numpy()}), strict=True):
            if not np.array_equal(want.numpy(), got):
                raise ValueError("hyper-decoder: ONNX and PyTorch differ; integer arithmetic must agree to the bit")
    return data


def frequencies(probabilities: np.ndarray) -> list[int]:
    """Integer cumulative table: every frequency at least 1, total 2^PRECISION."""
    total = 1 << PRECISION
    f = np.maximum(1, np.floor(probabilities / probabilities.sum() * total)).astype(int)
    while f.sum() != total:
        difference = total - int(f.sum())
        largest = int(np.argmax(f))
        f[largest] += difference if difference > 0 else -min(-difference, int(f[largest]) - 1)
    return [0, *np.cumsum(f).tolist()]


def table(low: int, high: int, cdf: Any) -> dict[str, Any]:
    """Row for the values `low..high` and the escape, from a continuous distribution function."""
    edges = np.array([cdf(v - 0.5) for v in range(low, high + 2)])
    inside = np.maximum(np.diff(edges), 0)
    escape = max(1 - float(inside.sum()), 2.0**-PRECISION)
    return {"min": low, "cdf": frequencies(np.append(inside, escape))}


def tables(prior: hyper.FactorisedPrior, slices: int = 1) -> dict[str, Any]:
    rows_z: list[dict[str, Any]] = []
    for mean, log_scale in zip(prior.mean.tolist(), prior.log_scale.clamp(-3, 4).tolist(), strict=True):
        scale = math.exp(log_scale)
        reach = 9 * scale + 1
        low, high = max(-hyper.Z_LIMIT, math.floor(mean - reach)), min(hyper.Z_LIMIT, math.ceil(mean + reach))
        low, high = min(low, hyper.Z_LIMIT - 1), max(high, -hyper.Z_LIMIT + 1)
        rows_z.append(
            table(low, high, lambda v, m=mean, s=scale: 1 / (1 + math.exp(-max(-60.0, min(60.0, (v - m) / s)))))
        )
    rows_y = []
    for sigma in hyper.scale_table():
        reach = max(1, math.ceil(3.9 * sigma))
        rows_y.append(table(-reach, reach, lambda v, s=sigma: 0.5 * math.erfc(-v / s / math.sqrt(2))))
    return {"precision": PRECISION, "z": rows_z * slices, "y": rows_y}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


class One(nn.Module):
    """One head of the decoder, with only the part of the body it needs."""

    def __init__(self, decoder: nn.Module, head: str) -> None:
        super().__init__()
        self.decoder, self.head = decoder, head

    def forward(self, y_hat: Tensor) -> Tensor:
        d = self.decoder
        middle = d.middle(torch.relu(d.grow1(d.coarse(torch.relu(d.enter(y_hat))))))
        if self.head == "quarter":
            return d.linear_quarter(y_hat) + d.to_quarter(middle)
        fine = d.fine(torch.relu(d.grow0(middle)))
        return d.linear_half(y_hat) + d.to_half(fine) if self.head == "half" else d.linear(y_hat) + d.to_full(fine)


def export_interpolator(config: ExportConfig, run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    torch.manual_seed(config.seed)
    model = Interpolator(InterpolatorConfig())
    record = load(config, model, run)
    round_weights(model)
    generator = torch.Generator().manual_seed(3)
    example = {"planes": torch.randn(1, 6, 64, 64, generator=generator), "cond": torch.zeros(1, 4)}
    test = {
        "planes": torch.randn(2, 6, 64, 128, generator=generator),
        "cond": torch.tensor([[-1.0, -2, 1, 0], [-3, 1, 1, 1]]),
    }
    write(config.out, "interpolator.onnx", model, example, test, ["correction"])
    c = model.config
    return {"graph": "interpolator.onnx", "align": c.align, "max_tile": 256, "parameters": count(model)}, record


def shapes(channels: int, cell: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random tensors of a 64² tile and of two 128×192 tiles at `1/cell`: to trace a graph with, and to check it."""
    return (
        torch.randn(1, channels, 64 // cell, 64 // cell, generator=generator),
        torch.randn(2, channels, 128 // cell, 192 // cell, generator=generator),
    )


def export_latents(config: ExportConfig, run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    torch.manual_seed(config.seed)
    model = Autoencoder(AutoencoderConfig()).eval()
    record = load(config, model, run)
    for part in (model.encoder, model.decoder, model.hyper_encoder):
        round_weights(part)
    c, g = model.config, torch.Generator().manual_seed(4)
    x, y = shapes(c.frames, 1, g), shapes(c.y_channels, 16, g)
    write(config.out, "encoder.onnx", model.encoder, {"x": x[0]}, {"x": x[1]}, ["y"])
    write(config.out, "hyper_encoder.onnx", model.hyper_encoder, {"y_g": y[0]}, {"y_g": 9 * y[1]}, ["z"])
    for head, name in (("full", "decoder"), ("half", "decoder_half"), ("quarter", "decoder_quarter")):
        write(config.out, f"{name}.onnx", One(model.decoder, head), {"y_hat": y[0]}, {"y_hat": y[1]}, ["x_hat"])
    decoder = model.hyper_decoder
    (config.out / "hyper_decoder.onnx").write_bytes(integer_graph(decoder, c.z_channels))
    if config.hyper_variants:
        config.hyper_variants.mkdir(parents=True, exist_ok=True)
        variants = {
            "hyper_decoder_f64": {"matrix": True, "dtype": torch.float64},
            "hyper_decoder_permuted": {"order": np.random.default_rng(6)},
        }
        for name, options in variants.items():
            (config.hyper_variants / f"{name}.onnx").write_bytes(integer_graph(decoder, c.z_channels, **options))
    (config.out / "tables.json").write_text(json.dumps(tables(model.prior), separators=(",", ":")))
    section = {
        **{
            k: f"{k}.onnx"
            for k in ("encoder", "hyper_encoder", "hyper_decoder", "decoder", "decoder_half", "decoder_quarter")
        },
        "tables": "tables.json",
        "align": 64,
        "max_tile": 256,
        "frames": c.frames,
        "y_channels": c.y_channels,
        "y_downsample": 16,
        "y_time": 1,
        "z_channels": c.z_channels,
        "z_downsample": 64,
        "gains": list(c.gains),
        "parameters": count(model.encoder, model.decoder, model.hyper_encoder, model.hyper_decoder),
        "range_proof": decoder.range_proof(),
    }
    return section, record


def export_reference(config: ExportConfig, run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    torch.manual_seed(config.seed)
    state = checkpoint(config, run)
    c = ReferenceConfig(super_resolution=state is None or "decoder.enlarge.shallow.0.weight" in state["average"])
    model = Reference(c).eval()
    record = load(config, model, run)
    for part in (model.encoder, model.decoder, model.hyper_encoder):
        round_weights(part)
    channels, g = c.slices * c.y_channels, torch.Generator().manual_seed(4)
    x, y = shapes(c.frames, 1, g), shapes(channels, 16, g)
    write(config.out, "encoder.onnx", model.encoder, {"x": x[0]}, {"x": x[1]}, ["y"])
    write(config.out, "hyper_encoder.onnx", model.hyper_encoder, {"y_g": y[0]}, {"y_g": y[1]}, ["z"])
    write(config.out, "decoder.onnx", model.decoder, {"y_hat": y[0]}, {"y_hat": y[1]}, ["x_hat"])
    (config.out / "hyper_decoder.onnx").write_bytes(integer_graph(model.hyper_decoder, channels, c.slices))
    (config.out / "tables.json").write_text(json.dumps(tables(model.prior, c.slices), separators=(",", ":")))
    section = {
        **{k: f"{k}.onnx" for k in ("encoder", "hyper_encoder", "hyper_decoder", "decoder")},
        "tables": "tables.json",
        "align": 64,
        "max_tile": 256,
        "frames": c.frames,
        "y_channels": channels,
        "y_downsample": 16,
        "y_time": c.slices,
        "z_channels": channels,
        "z_downsample": 64,
        "gains": [1.0],
        "parameters": count(model),
        "range_proof": model.hyper_decoder.range_proof(),
    }
    return section, record


def export_enhancer(
    config: ExportConfig, run: Path, name: str, model_config: EnhancerConfig
) -> tuple[dict[str, Any], dict[str, Any]]:
    torch.manual_seed(config.seed)
    model = enhancer(model_config)
    record = load(config, model, run)
    model.settle()
    # What is rounded sums to zero no longer.
    exact = frozenset(f"{layer}.weight" for layer, module in model.named_modules() if module in model.stems())
    round_weights(model, exact)
    c, generator = model.config, torch.Generator().manual_seed(5)
    example = {"frames": torch.randn(1, c.frames, 64, 64, generator=generator), "cond": torch.zeros(1, 1)}
    test = {"frames": 9 * torch.randn(2, c.frames, 64, 128, generator=generator), "cond": torch.tensor([[1.0], [5.0]])}
    write(config.out, f"{name}.onnx", model, example, test, ["correction"], exact)
    section = {
        "graph": f"{name}.onnx",
        "align": c.align,
        "max_tile": 256,
        "frames": c.frames,
        "parameters": count(model),
    }
    return section, record


def take_over(config: ExportConfig, package: Path, part: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Copies a part of a package; gives its section and its record."""
    base = json.loads((package / "manifest.json").read_text())
    section = base[part]
    for name in sorted(set(base["files"]) & {v for v in section.values() if isinstance(v, str)}):
        shutil.copyfile(package / name, config.out / name)
    return section, base["training"].get("parts", {}).get(part, {"steps": 0, "hours": 0.0})


def export(config: ExportConfig) -> dict[str, Any]:
    """Writes the whole package and returns its manifest; a reader of the folder meets whole files only."""
    torch.set_num_threads(1)
    config.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.out.parent, prefix=".export-") as scratch:
        staging = Path(scratch) / config.out.name
        staging.mkdir()
        manifest = build(replace(config, out=staging))
        made = {*manifest["files"], "manifest.json"}
        for old in config.out.glob("*.onnx"):
            if old.name not in made:
                old.unlink()
        for name in sorted(made, key="manifest.json".__eq__):
            (staging / name).rename(config.out / name)
    return manifest


def predictor(base: Path, out: Path) -> Path:
    """A package of the interpolator of `base` alone, for streams that it predicted and nothing enhanced."""
    export(ExportConfig(out, None, None, base=base, base_parts=("interpolator",)))
    return out


def build(config: ExportConfig) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": 1,
        "name": config.out.name,
        "architecture": "",
        "created": datetime.date.today().isoformat(),
    }
    parts, records = [], {}
    if config.interpolator:
        manifest["interpolator"], records["interpolator"] = export_interpolator(config, config.interpolator)
        parts.append(f"interpolator: stride-4 stem, U-Net {asdict(InterpolatorConfig())['widths']}, gated linear head")
    if config.latents:
        manifest["latents"], records["latents"] = export_latents(config, config.latents)
        parts.append(
            f"latents: learned block transform with ConvNeXt-like path {asdict(AutoencoderConfig())['widths']}, "
            "integer hyperprior"
        )
    if config.reference:
        manifest["latents"], records["reference"] = export_reference(config, config.reference)
        parts.append("latents: the architecture of the paper, C = 16, integer hyperprior")
    if config.enhancer:
        manifest["enhancer"], records["enhancer"] = export_enhancer(
            config, config.enhancer, "enhancer", EnhancerConfig()
        )
        parts.append(
            f"enhancer: five frames, stride-4 stem, U-Net {asdict(EnhancerConfig())['widths']}, gated linear head"
        )
    if config.enhancer_fine:
        name = "enhancer_fine"
        manifest[name], records[name] = export_enhancer(config, config.enhancer_fine, name, FineEnhancerConfig())
        parts.append(f"{name}: the same with more blocks and a stride-2 stem of its own")
    if config.base:
        there = json.loads((config.base / "manifest.json").read_text())
        for part in config.base_parts:
            if part in there and part not in manifest:
                manifest[part], records[part] = take_over(config, config.base, part)
                parts.append(f"{part}: that of an earlier package")
    manifest["architecture"] = "; ".join(parts)
    manifest["training"] = {
        "seed": config.seed,
        "corpus": list(KINDS),
        "hours": round(sum(r["hours"] for r in records.values()), 3),
        "steps": sum(r["steps"] for r in records.values()),
        "parts": records,
        "record": "training/records",
    }
    files = sorted(p for p in config.out.iterdir() if p.name != "manifest.json" and p.suffix in (".onnx", ".json"))
    manifest["files"] = {
        p.name: {"bytes": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()} for p in files
    }
    total = sum(p.stat().st_size for p in files)
    if total > MAX_BYTES:
        raise ValueError(f"package of {total} bytes; at most {MAX_BYTES} are allowed")
    (config.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
