"""CDF 9/7 wavelet in matrix form, and the codec's dead-zone quantisation as a corruption for training.

One level of the transform of length `n` is an `n × n` matrix (low-pass half first) built by lifting the unit vectors
with symmetric extension; 2-D levels are two matrix products, which one core does far faster than the lifting's slices.
Scaling makes the transform nearly orthonormal, as in the residual coder.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

LIFTING = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
"""Predict, update, predict, update weights of the CDF 9/7 factorisation (Daubechies and Sweldens 1998)."""
SCALE = 1.149604398860241
"""Low-pass gain that makes the basis vectors close to unit norm."""


def lift(x: np.ndarray) -> np.ndarray:
    """One analysis level along axis 0 (even length): `[low; high]`."""
    even, odd = x[0::2].copy(), x[1::2].copy()
    for index, weight in enumerate(LIFTING):
        if index % 2 == 0:
            odd += weight * (even + np.concatenate([even[1:], even[-1:]]))
        else:
            even += weight * (odd + np.concatenate([odd[:1], odd[:-1]]))
    return np.concatenate([even * SCALE, odd / SCALE])


@lru_cache(maxsize=32)
def matrices(n: int) -> tuple[Tensor, Tensor]:
    """Analysis and synthesis matrices of one level of length `n`, f32."""
    if n % 2:
        raise ValueError(f"wavelet length must be even, got {n}")
    analysis = lift(np.eye(n))
    synthesis = np.linalg.inv(analysis)
    return torch.from_numpy(analysis).float(), torch.from_numpy(synthesis).float()


def separable(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`rows · x · columnsᵀ` per image, as two plain matrix products (a broadcast batched product is many times
    slower).
    """
    x = (x @ columns.T).transpose(-1, -2).contiguous()
    return (x @ rows.T).transpose(-1, -2)


def forward(x: Tensor, levels: int) -> Tensor:
    """2-D transform of `[..., H, W]`; the low band sits in the top left corner of each level."""
    x = x.clone()
    h, w = x.shape[-2:]
    for _ in range(levels):
        x[..., :h, :w] = separable(x[..., :h, :w], matrices(h)[0], matrices(w)[0])
        h, w = h // 2, w // 2
    return x


def inverse(x: Tensor, levels: int) -> Tensor:
    x = x.clone()
    height, width = x.shape[-2:]
    for level in reversed(range(levels)):
        h, w = height >> level, width >> level
        x[..., :h, :w] = separable(x[..., :h, :w], matrices(h)[1], matrices(w)[1])
    return x


def code(x: Tensor, step: Tensor, levels: int = 5, offset: float = 0.36) -> Tensor:
    """What the residual coder makes of frames `[..., H, W]` at quantiser step `step` (broadcast)."""
    c = forward(x, levels)
    c = torch.sign(c) * torch.floor(c.abs() / step + offset) * step
    return inverse(c, levels)
