"""Quasi-geostrophic flow on a β-plane, one layer: barotropic, or equivalent-barotropic with a deformation radius.

    ∂q/∂t + J(ψ, q) + β ∂ψ/∂x = −ν ∇⁴ q' − μ q',    q = ∇²ψ − ψ/L²

Fields: potential vorticity `q` and streamfunction `psi` (a sea-surface-height or pressure look-alike).
"""

from __future__ import annotations

import numpy as np

from training.corpus.spectral import Array, Grid


def generate(seed: int, size: int, frames: int) -> dict[str, Array]:
    rng = np.random.default_rng([seed, 2])
    grid = Grid(size)
    k0 = float(rng.uniform(4, 10))
    deformation = float(rng.choice([0.0, 1.0])) * float(rng.uniform(3, 12)) ** 2
    invert = (-1 / np.where(grid.k2 + deformation > 0, grid.k2 + deformation, 1)).astype(np.float32)
    invert[0, 0] = 0
    k = np.sqrt(grid.k2)
    q = grid.random_field(rng, np.exp(-(((k - k0) / 2) ** 2)) * grid.dealias)
    q /= grid.inverse(q).std()
    psi_rms = float(grid.inverse(invert * q).std())
    speed = psi_rms * k0
    beta = float(rng.uniform(0, 0.25)) * speed * k0**2
    forcing = grid.random_field(rng, np.exp(-(((k - k0) / 1.5) ** 2)) * grid.dealias)
    forcing *= 0.05 * float(rng.random() < 0.7) / grid.inverse(forcing).std()
    damping = 1.5 * (grid.k2 / (size / 3) ** 2) ** 2 + 0.02

    def tendency(q_hat: Array) -> Array:
        psi = invert * q_hat
        u, v = grid.inverse(-1j * grid.ky * psi), grid.inverse(1j * grid.kx * psi)
        pv = grid.inverse(q_hat)
        advect = 1j * (grid.kx * grid.forward(u * pv) + grid.ky * grid.forward(v * pv)) * grid.dealias
        return forcing - advect - beta * 1j * grid.kx * psi

    def step(q_hat: Array, dt: float) -> Array:
        k1 = tendency(q_hat)
        k2 = tendency(q_hat + dt / 2 * k1)
        k3 = tendency(q_hat + dt / 2 * k2)
        k4 = tendency(q_hat + dt * k3)
        return ((q_hat + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)) * np.exp(-damping * dt)).astype(np.complex64)

    def fastest(q_hat: Array) -> float:
        psi = invert * q_hat
        return float(np.abs(grid.inverse(1j * grid.kx * psi)).max() + np.abs(grid.inverse(1j * grid.ky * psi)).max())

    for index in range(int(rng.integers(400, 900))):
        if index % 10 == 0:
            dt = min(0.6 * grid.dx / fastest(q), 0.05, 1.5 / (beta / max(k0, 1) + 1e-6))
        q = step(q, dt)
    # Frames are a few cells of the fastest flow apart (under one of the typical flow), in steps that are stable.
    interval = float(rng.uniform(2, 5)) * grid.dx / fastest(q)
    every = max(1, int(np.ceil(interval / dt)))
    dt = interval / every
    out: dict[str, list[Array]] = {"q": [], "psi": []}
    for _ in range(frames):
        out["q"].append(grid.inverse(q))
        out["psi"].append(grid.inverse(invert * q))
        for _ in range(every):
            q = step(q, dt)
    return {name: np.stack(v) for name, v in out.items()}
