"""Weather over fixed ground, as climate models and reanalyses save it: a quasi-geostrophic flow carries a tracer.

    ∂θ/∂t + J(ψ, θ) = −v ∂T₀/∂y − μ θ − ν ∇⁴ θ,    T₀ = cos y

Ground is a fractal coastline, a cell or two wide, and mountains on the land. Fields: surface temperature `t` (T₀ less a
lapse rate with height, warmer or colder over land, plus anomalies that the sea damps), wind `u` (braked over land) and
rain `pr` (rare, never negative, with a long tail). What stands still is sharp and what moves is smooth, which no other
kind has.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.corpus.quasigeostrophic import Flow
from training.corpus.spectral import Array, Grid

SPIN_UP = 12
"""Frames before the first that is saved, in which the tracer forgets that it began at rest."""


def ground(grid: Grid, rng: np.random.Generator) -> tuple[Array, Array]:
    """Share of land (0 to 1) and height of mountains (0 to 1) of every cell."""
    k = np.sqrt(grid.k2)

    def rough(knee: float, slope: float) -> Array:
        field = grid.inverse(grid.random_field(rng, (k > 0) * (1 + (k / knee) ** 2) ** (-slope / 2)))
        return field / field.std()

    relief = rough(3, float(rng.uniform(2.2, 3.0)))
    above = (relief > np.quantile(relief, rng.uniform(0.5, 0.8))).astype(np.float32)
    land = ndimage.gaussian_filter(above, float(rng.uniform(0.4, 0.8)), mode="wrap")
    height = land * np.maximum(rough(8, float(rng.uniform(1.6, 2.4))), 0) ** 1.5
    return land, height / height.max()


class Tracer:
    """The anomaly θ of one flow, advanced beside it."""

    def __init__(self, flow: Flow, damping: float) -> None:
        self.flow = flow
        grid = flow.grid
        y = np.arange(grid.size, dtype=np.float32)[:, None] * grid.dx
        self.gradient = -np.sin(y)
        self.decay = np.exp(-flow.dt * (damping + 1.5 * (grid.k2 / (grid.size / 3) ** 2) ** 2 / (flow.dt * flow.every)))
        self.theta = np.zeros_like(flow.q)

    def step(self) -> None:
        grid, dt = self.flow.grid, self.flow.dt
        u, v = self.flow.velocity()
        source = grid.forward(v * self.gradient)

        def tendency(theta: Array) -> Array:
            here = grid.inverse(theta)
            return -(source + 1j * (grid.kx * grid.forward(u * here) + grid.ky * grid.forward(v * here))) * grid.dealias

        theta = self.theta
        k1 = tendency(theta)
        k2 = tendency(theta + dt / 2 * k1)
        self.theta = ((theta + dt * tendency(theta + dt / 2 * k2)) * self.decay).astype(np.complex64)
        self.flow.step()


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 10])
    # Seeds of flows from 20,000 on are this kind's own: no flow is one of `quasigeostrophic`, of whatever split.
    flow = Flow(seed + 20_000, size)
    grid = flow.grid
    land, height = ground(grid, rng)
    tracer = Tracer(flow, damping=1 / (float(rng.uniform(4, 12)) * flow.every * flow.dt))
    y = np.arange(size, dtype=np.float32)[:, None] * grid.dx
    warmer, lapse = float(rng.normal(0, 0.25)), float(rng.uniform(0.4, 1.2))
    still = np.cos(y) + warmer * land - lapse * height
    damped = 1 - (1 - float(rng.uniform(0.1, 0.5))) * (1 - land)
    day, warming = int(rng.integers(6, 25)), float(rng.uniform(0, 0.15))
    brake = 1 - float(rng.uniform(0.2, 0.6)) * land - 0.3 * height
    strength, tail, rare = (float(rng.uniform(*limits)) for limits in ((0.1, 0.4), (1.2, 2.2), (0.0, 1.0)))
    out: dict[str, list[Array]] = {"t": [], "u": [], "pr": []}
    for index in range(SPIN_UP + frames):
        if index >= SPIN_UP:
            theta = grid.inverse(tracer.theta)
            theta_rms, (u, v) = float(theta.std()) + 1e-9, flow.velocity()
            hour = 2 * np.pi * (index / day - np.arange(size, dtype=np.float32)[None, :] / size)
            out["t"].append(still + strength * damped * theta / theta_rms + warming * land * np.cos(hour))
            out["u"].append(u * brake)
            # Rain falls where warm air moves poleward or up a slope.
            slope_y, slope_x = np.gradient(height)
            wet = theta / theta_rms * v * np.sin(y) + 4 * (u * slope_x + v * slope_y)
            out["pr"].append(np.maximum(wet / wet.std() - rare, 0) ** tail)
        for _ in range(flow.every):
            tracer.step()
    return {name: np.stack(values).astype(np.float32) for name, values in out.items()}
