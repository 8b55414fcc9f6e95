"""Reaction–advection–diffusion with an Arrhenius source: ignition kernels growing in a turbulent-like cellular flow.

    ∂T/∂t + u·∇T = κ ∇²T + A Y exp(−β (1 − T) / (1 − α (1 − T))),    ∂Y/∂t + u·∇Y = κ/Le ∇²Y − (same rate)

The flow is a slowly evolving random stream function. Fields: temperature `T`, fuel `Y`.
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 5])
    grid = Grid(size)
    k = np.sqrt(grid.k2)
    shape = (k > 0) * (1 + (k / rng.uniform(3, 6)) ** 2) ** -2.5 * grid.dealias
    streams = [grid.random_field(rng, shape) for _ in range(2)]
    # Flame: thickness of a few cells, burning speed comparable with the flow's.
    zeldovich, heat = float(rng.uniform(4, 8)), 0.75
    thickness = float(rng.uniform(1.6, 2.6)) * grid.dx
    diffusivity = thickness
    rate = zeldovich**2 / (2 * thickness)
    lewis = float(rng.uniform(0.8, 1.5))
    wind = float(rng.uniform(0.5, 3))
    velocities = []
    for stream in streams:
        u, v = grid.velocity(-stream * grid.k2)
        scale = wind / np.sqrt(np.mean(u * u + v * v))
        velocities.append((u * scale, v * scale))
    axis = np.arange(size) * grid.dx
    temperature = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(2, 7))):
        cy, cx = rng.uniform(0, 2 * np.pi, 2)
        dy, dx = (np.minimum(np.abs(axis - c), 2 * np.pi - np.abs(axis - c)) for c in (cy, cx))
        r = np.hypot(dy[:, None], dx[None, :])
        temperature = np.maximum(temperature, 0.5 - 0.5 * np.tanh((r - rng.uniform(0.4, 0.8)) / (2 * grid.dx)))
    fuel = 1 - temperature
    dt = 0.5 * min(grid.dx / (3 * wind), 2 * thickness / zeldovich**2)
    decay = np.exp(-diffusivity * grid.k2 * dt).astype(np.float32)
    decay_fuel = np.exp(-diffusivity / lewis * grid.k2 * dt).astype(np.float32)
    turn = 2 * np.pi / float(rng.uniform(3, 8))
    time = 0.0

    def step() -> None:
        nonlocal temperature, fuel, time
        a, b = np.cos(turn * time), np.sin(turn * time)
        u = (a * velocities[0][0] + b * velocities[1][0]).astype(np.float32)
        v = (a * velocities[0][1] + b * velocities[1][1]).astype(np.float32)
        hot = np.clip(temperature, 0, 1.2)
        source = rate * np.clip(fuel, 0, 1) * np.exp(-zeldovich * (1 - hot) / (1 - heat * (1 - hot)))
        source *= hot > 0.02

        def advance(x: Array, sign: float, damping: Array) -> Array:
            x_hat = grid.forward(x)
            advection = u * grid.inverse(1j * grid.kx * x_hat) + v * grid.inverse(1j * grid.ky * x_hat)
            return grid.inverse(grid.dealias * damping * grid.forward(x + dt * (sign * source - advection)))

        temperature, fuel = advance(temperature, 1, decay), advance(fuel, -1, decay_fuel)
        time += dt

    count = 0
    target = float(rng.uniform(0.1, 0.25))
    while temperature.mean() < target and count < 1500:
        step()
        count += 1
    every, out = int(rng.integers(2, 5)), {"T": [], "Y": []}
    for _ in range(frames):
        out["T"].append(temperature)
        out["Y"].append(fuel)
        for _ in range(every):
            step()
    return {name: np.stack(x).astype(np.float32) for name, x in out.items()}
