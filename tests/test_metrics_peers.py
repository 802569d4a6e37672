"""SDR, SIR and SAR equal those of mir_eval and fast_bss_eval."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.signal

import bss

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    separation = pytest.importorskip("mir_eval.separation", reason="mir_eval is not installed: no peer to compare with")
    fast_bss_eval = pytest.importorskip("fast_bss_eval.numpy", reason="fast_bss_eval is not installed: no peer to compare with")

N_SAMPLES = 8000
TOLERANCE_DB = 0.01


def random_case(seed: int, N: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Coloured sources, and estimates that are filtered, leaky, noisy and in a random order."""
    rng = np.random.default_rng(seed)
    s = np.stack([scipy.signal.lfilter([1.0], [1.0, -rng.uniform(-0.9, 0.9)], rng.standard_normal(N_SAMPLES)) for _ in range(N)])
    s *= np.abs(np.sin(np.linspace(0, rng.uniform(2, 9, N), N_SAMPLES).T))
    leak = rng.uniform(-0.4, 0.4, (K, N))
    leak[np.arange(N), np.arange(N)] = 1
    y = leak @ s
    room = rng.standard_normal((K, 700)) * np.exp(-np.arange(700) / 60)
    y = np.stack([scipy.signal.fftconvolve(a, h)[:N_SAMPLES] for a, h in zip(y, room, strict=True)])
    y += 10 ** rng.uniform(-2.5, 0) * y.std() * rng.standard_normal(y.shape)
    return s, y[rng.permutation(K)]


SHAPES = [(2, 2)] * 10 + [(3, 3)] * 4 + [(2, 3)] * 5 + [(2, 5)] * 3 + [(3, 5)] * 2
CASES = [(seed, N, K) for seed, (N, K) in enumerate(SHAPES)]


@pytest.mark.parametrize(("seed", "N", "K"), CASES)
def test_equal_to_fast_bss_eval(seed: int, N: int, K: int) -> None:
    s, y = random_case(seed, N, K)
    sdr, sir, sar, permutation = fast_bss_eval.bss_eval_sources(s, y)
    scores = bss.score(s, y)
    assert scores.permutation.tolist() == permutation.tolist()
    np.testing.assert_allclose([scores.sdr, scores.sir, scores.sar], [sdr, sir, sar], atol=TOLERANCE_DB)


@pytest.mark.parametrize(("seed", "N", "K"), CASES)
def test_equal_to_mir_eval(seed: int, N: int, K: int) -> None:
    s, y = random_case(seed, N, K)
    scores = bss.score(s, y)
    # it needs as many estimates as references: if there are more, the assigned ones, in the order of the references
    permute = N == K == 2
    chosen = y if permute else y[scores.permutation]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated since 0.8
        sdr, sir, sar, permutation = separation.bss_eval_sources(s, chosen, compute_permutation=permute)
    if permute:
        assert scores.permutation.tolist() == permutation.tolist()
    np.testing.assert_allclose([scores.sdr, scores.sir, scores.sar], [sdr, sir, sar], atol=TOLERANCE_DB)


@pytest.mark.parametrize("seed", range(3))
def test_equal_on_noise_that_separates_nothing(seed: int) -> None:
    """No estimate belongs to any reference; the assignment must be the same nevertheless."""
    rng = np.random.default_rng(seed)
    s, y = rng.standard_normal((3, N_SAMPLES)), rng.standard_normal((5, N_SAMPLES))
    sdr, sir, sar, permutation = fast_bss_eval.bss_eval_sources(s, y)
    scores = bss.score(s, y)
    assert scores.permutation.tolist() == permutation.tolist()
    np.testing.assert_allclose([scores.sdr, scores.sir, scores.sar], [sdr, sir, sar], atol=TOLERANCE_DB)


@pytest.mark.parametrize("seed", range(4))
def test_si_sdr_equals_fast_bss_eval(seed: int) -> None:
    s, y = random_case(seed, 2, 2)
    expected = -fast_bss_eval.sdr_loss(y, s, filter_length=1, pairwise=True)
    np.testing.assert_allclose(bss.si_sdr(s[:, None], y), expected, atol=1e-6)
