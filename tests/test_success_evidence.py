"""What tracks have in common: locally where filters do not fit for long, and the noise between words."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import RATE, fixture_room, hiss

from bss.pipeline.analysis import success_evidence as evidence


def tracks(seconds: float = 8.0) -> np.ndarray:
    """(2, n) what one microphone hears of each of two talkers."""
    return fixture_room(2, 1, seconds)[:, 0]


def leaking(share: float, turns: float) -> np.ndarray:
    """Two tracks of which the first contains the second, its phase turning so many times during the recording."""
    clean = tracks()
    n = clean.shape[1]
    analytic = np.fft.ifft(np.where(np.arange(n) < n // 2, 2.0, 0.0) * np.fft.fft(clean[1]))
    turning = np.real(analytic * np.exp(2j * np.pi * turns * np.arange(n) / n))
    return np.stack([clean[0] + share * turning, clean[1]]).astype(np.float32)


def read(x: np.ndarray) -> dict[str, float]:
    found = evidence.gather(x, RATE)
    assert found is not None
    names = ("misplaced", "apart", "together", "coherence", "local", "above", "floor")
    return dict(zip(names, evidence.pooled(found, evidence.features(found)), strict=True))


def test_a_leak_that_turns_is_heard_locally_only() -> None:
    clean, still, turning = read(tracks()), read(leaking(0.5, 0)), read(leaking(0.5, 3.5))
    assert still["coherence"] > clean["coherence"] + 0.5
    assert turning["coherence"] < still["coherence"] - 0.5
    assert turning["local"] > clean["local"] + 0.7
    assert turning["above"] > clean["above"] == 0
    assert turning["local"] == pytest.approx(still["local"], abs=0.7)


def test_the_local_share_is_that_of_blocks() -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(40, 2, 300)) + 1j * rng.normal(size=(40, 2, 300))
    Y[:, 1] = 0.6 * Y[:, 0] + 0.8 * Y[:, 1]  # coherence 0.36
    assert evidence._local_share(Y, 60)[0, 1] == pytest.approx(0.36, abs=0.03)
    signs = np.repeat([1.0, -1.0], 150)
    Y[:, 1] *= signs  # on average nothing is shared any more
    assert evidence._local_share(Y, 50)[0, 1] == pytest.approx(0.36, abs=0.03)
    assert abs(evidence._local_share(Y, 300)[0, 1]) < 0.05


def test_noise_raises_the_floor() -> None:
    clean = tracks()
    level = float(np.sqrt(np.mean(clean**2)))
    floors = [read(clean + hiss(clean.shape, share * level))["floor"] for share in (0.0, 0.1, 0.3, 1.0)]
    assert floors == sorted(floors)
    assert floors[0] < -15
    assert floors[3] == pytest.approx(-3, abs=1.5), "half of the power is noise"


def test_level_does_not_count() -> None:
    expected = read(leaking(0.3, 2.0))
    assert read(leaking(0.3, 2.0) * np.float32(1e-3)) == pytest.approx(expected, abs=0.02)
