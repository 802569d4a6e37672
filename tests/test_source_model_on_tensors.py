"""The source model on tensors: the gains of the network in use, and the talkers that it makes of tracks, short and long."""

from __future__ import annotations

import numpy as np
import pytest
from signals_for_tests import RATE, voices

import bss
from bss.networks.source_model import apply

torch = pytest.importorskip("torch", reason="no torch: tensors are not tested")

from bss.networks.source_model.tensors import TensorMixer  # noqa: E402 - only where there is torch


@pytest.mark.parametrize("frames", [5, 77])
def test_gains_are_those_of_arrays(frames: int) -> None:
    network = apply.load().network
    given = np.random.default_rng(0).normal(size=(2, 4, network.bins + 1, frames)).astype(np.float32)
    got = TensorMixer(network, "cpu")(torch.from_numpy(given)).numpy()
    want = np.stack([network(one) for one in given])
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-4)
    assert np.abs(want).max() > 0.1


@pytest.mark.parametrize(("seconds", "rate"), [(3, RATE), (3, 24_000), (25, RATE)])
def test_talkers_are_those_of_arrays(seconds: int, rate: int) -> None:
    s = voices(3, seconds * rate, seed=1).astype(np.float32)
    tracks = 0.1 * (s + 0.2 * s[::-1])
    found = []
    for device in (None, "cpu"):
        model = apply.load(device=device)
        found.append(apply.enhance(model, apply.prepare(model, tracks, rate)))
    want, got = found
    assert got.dtype == want.dtype == np.float32
    assert got.shape == want.shape
    assert min(bss.si_sdr(want[n : n + 1], got[n : n + 1]).min() for n in range(3)) > 60
    assert np.abs(want - tracks).max() > 0.01  # it did something
