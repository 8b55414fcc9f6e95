"""The training loop shared by both parts: schedule, averaged weights, checkpoints, exact resume, log.

A batch is a function of `(seed, step)`, so a resumed run continues the same sequence of batches. The learning rate
falls by a cosine over the *budget*: a number of steps (deterministic) or of training minutes (for a machine with a
deadline).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm


def fast_bfloat16() -> bool:
    """Whether the processor computes in bfloat16 itself; not, where PyTorch is too old to say."""
    known = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16", False))


@dataclass(frozen=True)
class LoopConfig:
    folder: Path
    """Checkpoints and log; outside the source tree."""
    seed: int = 1
    batch: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-3
    schedule: Literal["cosine", "halving"] = "cosine"
    """Of the learning rate: down to near zero by a cosine, or halved after every sixth of the budget."""
    warm_up: int = 300
    clip: float = 1.0
    ema: float = 0.999
    steps: int | None = None
    """Budget in steps; exactly one of `steps` and `minutes` is given."""
    minutes: float | None = None
    """Budget in minutes of training time, over all resumes."""
    bfloat16: bool = field(default_factory=fast_bfloat16)
    """Layers in bfloat16: faster by half where the processor has it, slower by three times where it does not."""
    checkpoint_minutes: float = 3
    validate_every: int = 1000
    rescan_every: int = 500
    earlier: tuple[dict[str, Any], ...] = ()
    """Records of the runs whose weights this one starts from, for the package."""
    line: int = 0
    """Of the terminal, below the current one, for the progress bar: runs may go on side by side."""
    rates: tuple[tuple[str, float], ...] = ()
    """Factors on the learning rate of the parameters whose name contains a text; no weight decay on those."""


SAME = ("seed", "batch", "learning_rate", "weight_decay", "schedule", "warm_up", "clip", "ema")
"""What a resumed run must share with its checkpoint. The budget may grow."""
MOST_SKIPPED = 50
"""Steps in a row whose gradients are not finite, and which therefore change nothing, before a run gives up."""


class Run:
    """One training run; `loss(model, rng, size)` draws a batch and returns its mean loss and figures to log."""

    def __init__(self, config: LoopConfig, model: nn.Module) -> None:
        if (config.steps is None) == (config.minutes is None):
            raise ValueError("give the training budget as steps or as minutes, not both")
        self.config = config
        self.model = model
        for p in model.parameters():
            if p.ndim == 4:
                p.data = p.data.contiguous(memory_format=torch.channels_last)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, p in model.named_parameters():
            factor = next((f for text, f in config.rates if text in name), None)
            decay = config.weight_decay if factor is None and p.ndim > 1 else 0.0
            groups.setdefault((factor or 1.0, decay), []).append(p)
        self.optimizer = torch.optim.AdamW(
            [{"params": v, "factor": f, "weight_decay": d} for (f, d), v in groups.items()],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )
        self.step, self.seconds, self.core_seconds = 0, 0.0, 0.0
        self.history: list[dict[str, Any]] = []
        self.earlier = list(config.earlier)
        config.folder.mkdir(parents=True, exist_ok=True)
        self.path = config.folder / "checkpoint.pt"

    def progress(self) -> float:
        c = self.config
        return min(1.0, self.step / c.steps if c.steps else self.seconds / (60 * c.minutes))

    def learning_rate(self) -> float:
        c = self.config
        if c.schedule == "halving":
            left = 0.5 ** int(6 * self.progress())
        else:
            left = 0.003 + 0.997 * 0.5 * (1 + math.cos(math.pi * self.progress()))
        return c.learning_rate * left * min(1.0, (self.step + 1) / c.warm_up)

    def save(self) -> None:
        part = self.path.with_suffix(".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "core_seconds": self.core_seconds,
                "history": self.history,
                "config": {name: getattr(self.config, name) for name in SAME},
                "earlier": self.earlier,
            },
            part,
        )
        part.rename(self.path)

    def resume(self) -> bool:
        if not self.path.exists():
            return False
        state = torch.load(self.path, weights_only=True)
        for name, value in state.get("config", {}).items():
            if value != getattr(self.config, name):
                raise ValueError(
                    f"{self.path.parent} holds a run with {name.replace('_', ' ')} {value}, "
                    f"not {getattr(self.config, name)}: "
                    "name another folder, or go on as it began"
                )
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]
        self.core_seconds = state.get("core_seconds", 0.0)
        self.earlier = state.get("earlier", [])
        return True

    def averaged(self) -> dict[str, Tensor]:
        return self.average

    def train(
        self,
        loss: Callable[[nn.Module, np.random.Generator, int], tuple[Tensor, dict[str, float]]],
        validate: Callable[[nn.Module], dict[str, Any]] | None = None,
        rescan: Callable[[], None] | None = None,
    ) -> None:
        c = self.config
        figures: list[dict[str, float]] = []
        skipped = 0
        saved = time.monotonic()
        bar = tqdm(
            total=1.0, desc=c.folder.name, position=c.line, disable=None, bar_format="{l_bar}{bar}| {elapsed} {postfix}"
        )
        while self.progress() < 1:
            start, core = time.monotonic(), time.process_time()
            rng = np.random.default_rng([c.seed, self.step])
            torch.manual_seed(c.seed * 1_000_003 + self.step)
            rate = self.learning_rate()
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
            value, shown = loss(self.model, rng, c.batch)
            self.optimizer.zero_grad(set_to_none=True)
            value.backward()
            norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), c.clip))
            if math.isfinite(norm):
                self.optimizer.step()
                skipped = 0
            elif (skipped := skipped + 1) == MOST_SKIPPED:
                raise FloatingPointError(
                    f"{skipped} gradients in a row, to step {self.step + 1} of {c.folder}, were not finite"
                )
            self.step += 1
            ema = min(c.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                names = list(self.average)
                values = self.model.state_dict()
                torch._foreach_lerp_([self.average[n] for n in names], [values[n] for n in names], 1 - ema)
            figures.append({"loss": float(value.detach()), "norm": norm, **shown})
            self.seconds += time.monotonic() - start
            self.core_seconds += time.process_time() - core
            if self.step % 100 == 0:
                means = {k: round(float(np.mean([f[k] for f in figures])), 4) for k in figures[0]}
                minutes = {"minutes": round(self.seconds / 60, 2), "core_minutes": round(self.core_seconds / 60, 2)}
                self._log({"step": self.step, **minutes, "rate": round(rate, 7), **means})
                bar.set_postfix_str(f"step {self.step} loss {means['loss']:.3f}")
                bar.update(self.progress() - bar.n)
                figures = []
            if rescan and self.step % c.rescan_every == 0:
                rescan()
            if validate and (self.step % c.validate_every == 0 or self.progress() >= 1):
                start = time.monotonic()
                self._log({"step": self.step, "validation": self._validate(validate)})
                self.seconds += time.monotonic() - start
            if time.monotonic() - saved > 60 * c.checkpoint_minutes or self.progress() >= 1:
                self.save()
                saved = time.monotonic()
        bar.close()

    def _validate(self, validate: Callable[[nn.Module], dict[str, Any]]) -> dict[str, Any]:
        live = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        with torch.no_grad():
            result = validate(self.model)
        self.model.load_state_dict(live)
        self.model.train()
        return result

    def _log(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        with (self.config.folder / "log.jsonl").open("a") as f:
            f.write(json.dumps(row) + "\n")
