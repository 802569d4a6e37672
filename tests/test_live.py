"""Separating while a recording goes on."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from long_recordings import images
from recordings import RATE, fit

import bss
from bss.errors import InputError, UsageError
from bss.pipeline.stream.recent import RecentBlocks

SECONDS = 45  # filters are learned after 10 and 30 s


@cache
def scene() -> tuple[np.ndarray, np.ndarray]:
    """Two talkers at the first microphone (N, n), and the mixture (M, n)."""
    own = images(SECONDS)
    return own[:, 0], own.sum(0) + 1e-3 * np.random.default_rng(0).standard_normal(own.shape[1:]).astype(np.float32)


def pushed(size: int, seconds: int = SECONDS, effort: str = "fast") -> tuple[np.ndarray, bss.Live, int]:
    """All tracks, what made them, and the longest time in samples that a track was behind."""
    live = bss.Live(2, RATE, n_sources=2, effort=effort, beside=False)
    x, parts, behind, out = scene()[1][:, : seconds * RATE], [], 0, 0
    for start in range(0, x.shape[1], size):
        parts.append(live.push(x[:, start : start + size]))
        out += parts[-1].shape[1]
        behind = max(behind, min(start + size, x.shape[1]) - out)
    return np.concatenate([*parts, live.flush()], axis=1), live, behind


@pytest.fixture(scope="module")
def tracks() -> np.ndarray:
    """In blocks of 20 ms."""
    y, live, behind = pushed(RATE // 50)
    assert y.dtype == np.float32
    assert y.shape == (2, SECONDS * RATE)
    assert behind <= live.latency
    assert live.latency_seconds == pytest.approx(2.0, abs=0.05)
    return y


@pytest.mark.parametrize("size", [RATE * 7 // 3, RATE * SECONDS])
def test_the_size_of_blocks_does_not_matter(tracks: np.ndarray, size: int) -> None:
    np.testing.assert_array_equal(pushed(size)[0], tracks)


def test_tracks_are_silent_until_filters_are_known_and_talkers_keep_their_places(tracks: np.ndarray) -> None:
    s = scene()[0]
    assert not tracks[:, : 6 * RATE].any()
    assert tracks[:, 10 * RATE :].any()
    places = [fit(s[:, part], tracks[:, part]) for part in (slice(10 * RATE, 27 * RATE), slice(32 * RATE, 45 * RATE))]
    orders = [np.argmax(table, axis=1).tolist() for table in places]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == [0, 1]
    assert places[0].max(1).min() > 8
    assert places[1].max(1).min() > 8


def test_with_the_source_model() -> None:
    y, live, _ = pushed(RATE, 25, "normal")
    part = slice(10 * RATE, 25 * RATE)
    assert fit(scene()[0][:, part], y[:, part]).max(1).min() > 15
    assert live.ready
    assert live.problem is None
    assert live.record is not None
    assert live.record.method == "neural"


def test_learning_beside_does_not_hold_up_tracks() -> None:
    live = bss.Live(2, RATE, n_sources=2, effort="fast")
    y = [live.push(scene()[1][:, k : k + RATE]) for k in range(0, 20 * RATE, RATE)]
    assert sum(part.shape[1] for part in (*y, live.flush())) == 20 * RATE


def test_nothing_can_be_learned_from_silence() -> None:
    live = bss.Live(2, RATE, beside=False)
    assert not live.push(np.zeros((2, 12 * RATE), np.float32)).any()
    assert not live.ready
    assert live.problem is not None
    assert "silent" in live.problem
    assert live.flush().shape[0] == 2


def test_what_cannot_be_pushed() -> None:
    live = bss.Live(2, RATE)
    with pytest.raises(InputError, match=r"expected \(2, k\)"):
        live.push(np.zeros((3, 100), np.float32))
    with pytest.raises(InputError, match="NaN"):
        live.push(np.full((2, 100), np.nan, np.float32))
    assert live.push(np.zeros((2, 0), np.float32)).shape == (2, 0)
    with pytest.raises(UsageError):
        bss.Live(1, RATE)
    with pytest.raises(UsageError, match="3 talkers"):
        bss.Live(2, RATE, n_sources=3)


def test_recent_samples() -> None:
    x = np.arange(2000.0, dtype=np.float32).reshape(2, 1000)
    recent = RecentBlocks(2, RATE, 300)
    for start in range(0, 1000, 130):
        recent.add(x[:, start : start + 130])
    assert recent.n == 1000
    np.testing.assert_array_equal(recent.all(), x[:, 700:])
    np.testing.assert_array_equal(recent.read(750, 950), x[:, 750:950])
    with pytest.raises(ValueError, match="699"):
        recent.read(699, 800)
