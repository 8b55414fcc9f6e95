"""2-D turbulence: the vorticity equation, pseudo-spectral, forced at one scale or decaying.

    ∂w/∂t + u·∇w = (−1)^(p+1) ν ∇^(2p) w − μ w + f,    u = ∇⊥ ∇⁻² w

Time stepping is a third-order Runge–Kutta with integrating factor. After a spin-up of `spin_up` large-eddy turnovers
the *solver step* is fixed so that the RMS displacement in one step is `cfl_rms` grid cells; sequences are saved every
few steps. Neighbouring-frame averages are excellent at `every = 3`, and begin to fail at `every = 20`.

Seeds: training below 5000, validation and tuning 5000 to 8999, test from 9000.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.corpus.spectral import Array, Grid


@dataclass(frozen=True)
class TurbulenceConfig:
    """One simulation; `draw` makes the varied ones of the corpus, the defaults are the benchmark's."""

    size: int = 256
    forced: bool = True
    viscosity_power: int = 2
    """p of the dissipation ∇^(2p): 1 is Newtonian, 2 hyperviscous."""
    dissipation: float = 1.6
    """Damping rate of the highest kept wavenumber, in RMS vorticities."""
    forcing_wavenumber: float = 6.0
    friction: float = 0.05
    """μ, in RMS vorticities."""
    spin_up: float = 40.0
    """Spin-up time in units of 1/RMS vorticity."""
    cfl_rms: float = 0.12

    @staticmethod
    def draw(rng: np.random.Generator, size: int) -> TurbulenceConfig:
        forced = bool(rng.random() < 0.6)
        return TurbulenceConfig(
            size=size,
            forced=forced,
            viscosity_power=int(rng.integers(1, 3)),
            dissipation=float(np.exp(rng.uniform(np.log(0.8), np.log(5.0)))),
            forcing_wavenumber=float(rng.uniform(3, 10)),
            friction=float(rng.uniform(0.02, 0.08)) if forced else 0.0,
            spin_up=float(rng.uniform(15, 45)),
            cfl_rms=float(rng.uniform(0.1, 0.14)),
        )


class Turbulence:
    """State and stepping of one flow; vorticity is kept as a spectrum."""

    def __init__(self, config: TurbulenceConfig, rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.grid = grid = Grid(config.size)
        k = np.sqrt(grid.k2)
        shape = np.exp(-(((k - config.forcing_wavenumber) / 1.5) ** 2)) * grid.dealias * (k > 0)
        self.forcing_shape = shape.astype(np.float32)
        self.w_hat = grid.random_field(rng, shape)
        self.w_hat /= self.rms(grid.inverse(self.w_hat))
        self.forcing = self._new_forcing()
        self.linear = self._linear()
        self._spin_up()
        u, v = grid.velocity(self.w_hat)
        self.dt = config.cfl_rms * grid.dx / self.rms(np.stack([u, v])) / np.sqrt(2)
        self.linear = self._linear()

    @staticmethod
    def rms(x: Array) -> float:
        return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))

    def _new_forcing(self) -> Array:
        f = self.grid.random_field(self.rng, self.forcing_shape)
        return f / self.rms(self.grid.inverse(f))

    def _linear(self) -> Array:
        """Damping rate per mode; ν scales with the present RMS vorticity, so regimes keep their shape."""
        c, grid = self.config, self.grid
        w_rms = self.rms(grid.inverse(self.w_hat))
        k_max2 = (grid.size / 3) ** 2
        rate = c.dissipation * w_rms * (grid.k2 / k_max2) ** c.viscosity_power + c.friction
        return rate.astype(np.float32)

    def _tendency(self, w_hat: Array) -> Array:
        grid = self.grid
        u, v = grid.velocity(w_hat)
        w = grid.inverse(w_hat)
        out = -1j * (grid.kx * grid.forward(u * w) + grid.ky * grid.forward(v * w)) * grid.dealias
        if self.config.forced:
            out += 0.12 * self.forcing
        return out

    def step(self, dt: float) -> None:
        """Heun-type RK3 (Shu–Osher) in the frame that removes the linear damping."""
        decay = np.exp(-self.linear * dt)
        half = np.exp(-self.linear * dt / 2)
        w0 = self.w_hat
        w1 = (w0 + dt * self._tendency(w0)) * decay
        w2 = 0.75 * w0 * half + 0.25 * (w1 + dt * self._tendency(w1)) / half
        w3 = w0 * decay / 3 + 2 / 3 * (w2 + dt * self._tendency(w2)) * half
        self.w_hat = w3.astype(np.complex64)
        if self.config.forced:
            # Ornstein–Uhlenbeck forcing with a memory of one turnover: smooth on the scale of a step.
            keep = float(np.exp(-dt * 0.5))
            self.forcing = (keep * self.forcing + np.sqrt(1 - keep**2) * self._new_forcing()).astype(np.complex64)

    def _spin_up(self) -> None:
        time, count = 0.0, 0
        while time < self.config.spin_up:
            if count % 10 == 0:
                u, v = self.grid.velocity(self.w_hat)
                speed = float(np.sqrt(np.max(u * u + v * v)))
                dt = min(0.55 * self.grid.dx / speed, 0.05)
                self.linear = self._linear()
            self.step(dt)
            time, count = time + dt, count + 1

    def frame(self, field: str) -> Array:
        if field == "w":
            return self.grid.inverse(self.w_hat).astype(np.float32)
        u, v = self.grid.velocity(self.w_hat)
        return (u if field == "u" else v).astype(np.float32)


def sequence(config: TurbulenceConfig, seed: int, frames: int, every: int, fields: tuple[str, ...]) -> dict[str, Array]:
    """Frames `{field: [frames, size, size]}` saved every `every` solver steps."""
    flow = Turbulence(config, np.random.default_rng(seed))
    out: dict[str, list[Array]] = {f: [] for f in fields}
    for index in tqdm(range(frames), desc=f"turbulence seed {seed}", disable=None, leave=False):
        if index:
            for _ in range(every):
                flow.step(flow.dt)
        for f in fields:
            out[f].append(flow.frame(f))
    return {f: np.stack(v) for f, v in out.items()}


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    """Corpus entry: a drawn regime, saved every two steps (the loader makes coarser rates from it)."""
    config = TurbulenceConfig.draw(np.random.default_rng([seed, 1]), size)
    return sequence(config, seed, frames, 2, ("w", "u"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--every", type=int, default=8, help="solver steps between frames")
    parser.add_argument("--field", choices=("w", "u", "v"), default="w")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("-o", "--output", type=Path, required=True, help=".npy, f32 [frames, size, size]")
    args = parser.parse_args()
    fields = sequence(TurbulenceConfig(size=args.size), args.seed, args.frames, args.every, (args.field,))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    np.save(args.output, fields[args.field])


if __name__ == "__main__":
    main()
