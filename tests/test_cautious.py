"""Close microphones: sound of the own talker is not removed, and what is left as it is fits the filters."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import RATE, own_mics
from scipy.signal import oaconvolve

import bss
from bss.metrics.si_sdr import si_sdr
from bss.pipeline.methods.cautious import advantage, cautious
from bss.scenes.acoustics.rooms import Layout, respond
from bss.signals.stft import Stft
from bss.solvers.result import Separation

SECONDS = 9.0


def plucked(hz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A tone of many harmonics that dies away."""
    t = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * hz * h * t + rng.uniform(0, 6)) * h**-1.4 for h in range(1, min(30, int(7000 / hz)) + 1))
    return np.asarray(tone * np.exp(-1.5 * t) * np.minimum(1, t / 0.005))


def band(seconds: float = SECONDS) -> list[np.ndarray]:
    """Bass, drums and keys, which begin their tones together."""
    rng, n, beat = np.random.default_rng(0), round(seconds * RATE), 0.55
    bass, drums, keys = (np.zeros(n + 2 * RATE) for _ in range(3))
    for k in range(int(seconds / beat)):
        at = round(k * beat * RATE)
        tone = plucked(41.2 * 2 ** (rng.choice([0, 3, 5, 7, 10]) / 12), 0.5, rng)
        bass[at : at + tone.size] += tone
        for half in (0, round(beat / 2 * RATE)):
            hit = rng.standard_normal(3200) * np.exp(-np.arange(3200) / 400)
            drums[at + half : at + half + 3200] += (1.5 if k % 2 else 0.5) * hit
        for step in rng.choice([0, 3, 5, 7, 10], 2, replace=False):
            tone = plucked(164.8 * 2 ** (step / 12), 0.8, rng)
            keys[at : at + tone.size] += tone
    return [y[:n] / y[:n].std() for y in (bass, drums, keys)]


@pytest.mark.parametrize("levels", [(0, 0, 0), (6, 0, 0), (0, 6, -3)])
def test_a_band_is_never_much_worse_than_its_microphones(levels: tuple[int, ...]) -> None:
    sources = [y * 10 ** (level / 20) for y, level in zip(band(), levels, strict=True)]
    mics = np.array([[1.5 + 1.8 * k, 2.0 + 0.4 * k, 1.2] for k in range(3)])
    rirs = respond(Layout((7.0, 6.0, 3.0), mics, mics + np.array([0.1, 0.3, 0.05])), 0.3, RATE).rirs
    images = np.stack([[oaconvolve(y, h)[: y.size] for h in hs] for y, hs in zip(sources, rirs, strict=True)])
    images *= 0.1 / images.sum(0).std()
    x, own = images.sum(0).astype(np.float32), np.stack([images[k, k] for k in range(3)])
    result = bss.unmix(x, RATE, per_mic=True)
    change = si_sdr(own, result.sources) - si_sdr(own, x)
    assert change.min() > -0.5
    assert change.mean() > 1
    assert any("all are active at nearly the same times" in warning for warning in result.warnings)
    assert np.array_equal(result.filters.apply(x), result.sources)


def test_what_is_removed_from_speech_is_of_others() -> None:
    images = own_mics(3, SECONDS, rt60=0.3)
    x, own = images.sum(0), np.stack([images[k, k] for k in range(3)])
    evidence, share, hz = advantage(x, own, RATE)  # with a perfect separation
    speech = (hz > 200) & (hz < 4000)
    assert evidence[speech].mean(0).min() > 0.05
    assert (share[speech].mean(0) < 0.5).all()
    assert np.allclose(advantage(x, np.zeros_like(x), RATE)[1][speech], 1, atol=1e-3)


def test_bins_that_lose_their_own_talker_become_the_microphone() -> None:
    images = own_mics(2, SECONDS)
    x, own = images.sum(0), np.stack([images[k, k] for k in range(2)])
    stft = Stft(1024)
    X, S = stft.forward(x), stft.forward(own)
    wrong = slice(40, 60)
    A = np.stack([stft.forward(images[k]) for k in range(2)], 2)
    A = np.einsum("fmnt,fnt->fmn", A, S.conj()) / np.einsum("fnt,fnt->fn", S, S.conj())[:, None]
    A[wrong] = A[wrong][:, :, ::-1]  # the talkers of these bins are exchanged: all of the own talker would be removed
    separation = Separation(np.linalg.inv(A).astype(np.complex64), X, np.zeros(0), 0, True, "")
    safe = cautious(separation, X, stft, x.shape[1], RATE, 0.0)
    kept = (safe.demixing == np.eye(2)).all((1, 2))
    assert kept[45:55].all()
    assert kept[100:200].mean() < 0.2
    assert np.allclose(safe.sources, safe.demixing @ X, atol=1e-4)
    assert np.allclose(np.einsum("fkk->fk", safe.mixing)[kept], 1)
