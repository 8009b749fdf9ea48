"""Losses of a batch against NumPy, and their running means."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restorebench.benchmarks.training.config import LossConfig
from restorebench.benchmarks.training.losses import RunningMeans, loss_terms

pytestmark = pytest.mark.slow


def test_the_fourier_loss_is_l1_of_real_and_imaginary_parts() -> None:
    generator = torch.Generator().manual_seed(0)
    restored, clean = torch.rand(2, 3, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)
    terms = loss_terms(restored, clean, LossConfig(l1=2.0, fourier=0.1), torch.nn.Identity())
    x, y = np.fft.rfft2(restored.numpy()), np.fft.rfft2(clean.numpy())
    fourier = np.mean([np.abs(x.real - y.real), np.abs(x.imag - y.imag)])
    l1 = np.abs(restored.numpy() - clean.numpy()).mean()
    assert float(terms.fourier) == pytest.approx(fourier, rel=1e-5)
    assert float(terms.total) == pytest.approx(2 * l1 + 0.1 * fourier, rel=1e-5)
    assert float(terms.each.mean()) == pytest.approx(l1, rel=1e-5)


def test_means_are_over_steps_and_over_the_samples_of_a_label() -> None:
    means = RunningMeans(["a", "b", "c"])
    weights = LossConfig()
    for value, labels in ((0.5, ("a", "a")), (0.25, ("a", "b"))):
        terms = loss_terms(torch.full((2, 3, 4, 4), value), torch.zeros(2, 3, 4, 4), weights, torch.nn.Identity())
        means.add(terms, torch.tensor(1.0), labels)
    result = means.means(means.values)
    assert result["loss"] == pytest.approx(0.375)
    assert result["l1_a"] == pytest.approx((0.5 + 0.5 + 0.25) / 3)
    assert (result["l1_b"], result["l1_c"]) == (pytest.approx(0.25), None)
