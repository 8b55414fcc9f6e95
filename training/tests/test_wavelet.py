"""The matrix wavelet inverts, is nearly orthonormal, and codes within its step."""

import torch

from training import wavelet


def test_inverse_and_norm() -> None:
    x = torch.randn(3, 64, 96, generator=torch.Generator().manual_seed(1))
    c = wavelet.forward(x, 5)
    assert (wavelet.inverse(c, 5) - x).abs().max() < 1e-5
    assert abs(float(c.square().sum() / x.square().sum()) - 1) < 0.1


def test_a_smooth_field_needs_few_coefficients() -> None:
    line = torch.linspace(0, 6.28, 128)
    x = torch.sin(line)[:, None] * torch.cos(2 * line)[None, :]
    c = wavelet.forward(x[None], 5)
    assert (c.abs() > 0.05).float().mean() < 0.02


def test_coding_error_is_below_the_step() -> None:
    x = torch.randn(2, 64, 64, generator=torch.Generator().manual_seed(2))
    error = wavelet.code(x, torch.tensor(0.1)) - x
    assert 0.01 < float(error.square().mean().sqrt()) < 0.06
