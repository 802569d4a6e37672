"""A separation in pieces, all of it: its tracks, where it stands, and what it does where a microphone fails."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from long_recordings import images
from recordings import RATE, fit

from bss.errors import InputError
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import MovementRecord, TalkerMovementRecord
from bss.pipeline.stream import state
from bss.pipeline.stream.fitting import times
from bss.pipeline.stream.fitting.learning import Learned
from bss.pipeline.stream.gaps import Gap
from bss.pipeline.stream.made import Made
from bss.pipeline.stream.maker import Maker
from bss.pipeline.stream.separate import block_edges, separate
from bss.signals.files.blocks import ArrayBlocks


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Kept:
    """A sink that keeps tracks and states, and may stop the run after some of them."""

    def __init__(self, most: int = 1000) -> None:
        self.parts: dict[str, list[np.ndarray]] = {}
        self.states: list[bytes] = []
        self.most = most

    def open(self, names: Any, rate: int) -> None:
        self.parts = {name: [] for name in names}

    def write(self, tracks: dict[str, np.ndarray]) -> None:
        for name, y in tracks.items():
            self.parts[name].append(y)

    def checkpoint(self, state: Any) -> None:
        self.states.append(state())
        if len(self.states) == self.most:
            raise KeyboardInterrupt

    @property
    def tracks(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self.parts.items()}


def test_blocks_cover_a_recording() -> None:
    for seconds in (1, 29, 31, 39, 41, 60, 69, 71, 3600):
        edges = block_edges(seconds * RATE, RATE)
        assert edges[0][0] == 0
        assert edges[-1][1] == seconds * RATE
        assert all(b[0] == a[1] - RATE for a, b in pairwise(edges))
        assert max(stop - start for start, stop in edges) <= 41 * RATE


@pytest.fixture(scope="module")
def whole() -> tuple[np.ndarray, np.ndarray, Kept, Any]:
    """Two talkers at three microphones for 65 s: images (N, M, n), mixture (M, n), what was made, and the result."""
    own = images(65, n_mics=3)
    x = own.sum(0) + 1e-3 * noise(3, own.shape[2])
    sink = Kept()
    return own, x, sink, separate(ArrayBlocks(x, RATE), UnmixOptions(n_sources=2), budget=1 << 30, sink=sink)


def test_a_recording_in_pieces(whole: tuple[np.ndarray, np.ndarray, Kept, Any]) -> None:
    own, x, sink, result = whole
    tracks = sink.tracks
    assert result.names == ("source1", "source2", "residual")
    assert all(y.dtype == np.float32 and len(y) == x.shape[1] for y in tracks.values())
    np.testing.assert_allclose(sum(tracks.values()), x[0], atol=1e-5)
    y = np.stack([tracks["source1"], tracks["source2"]])
    assert fit(own[:, 0], y).max(1).min() > 22
    assert result.record.stream is not None
    assert result.record.samples == x.shape[1]


def test_a_run_is_continued_to_the_same_bytes(whole: tuple[np.ndarray, np.ndarray, Kept, Any]) -> None:
    _, x, sink, result = whole
    again = Kept()
    done = separate(ArrayBlocks(x, RATE), UnmixOptions(n_sources=2), budget=1 << 30, sink=again, resume=sink.states[1])
    for name, parts in sink.parts.items():
        np.testing.assert_array_equal(np.concatenate(parts[1:]), again.tracks[name])
    assert [s.active_spans for s in done.record.sources] == [s.active_spans for s in result.record.sources]


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"not a state at all"])
def test_what_is_no_state(data: bytes) -> None:
    with pytest.raises(InputError, match="state"):
        state.from_bytes(data)


def test_in_a_gap_the_others_separate(whole: tuple[np.ndarray, np.ndarray, Kept, Any]) -> None:
    own, x, sink, _ = whole
    learned: Learned = state.from_bytes(sink.states[-1]).learned
    broken = x.copy()
    start, stop = 20 * RATE, 24 * RATE
    broken[2, start:stop] = 0
    inside = slice(start - 10 * RATE, stop - 10 * RATE)

    def quality(gap: list[Gap]) -> float:
        made = Maker(learned, 30.0, gaps=gap).block(ArrayBlocks(broken, RATE), 10 * RATE, 40 * RATE)
        return float(fit(own[:, 0, start:stop], made.talkers[:, inside]).max(1).min())

    assert quality([Gap(start, stop, (2,))]) > quality([]) + 3
    silent = Maker(learned, 30.0, gaps=[Gap(start, stop, (1, 2))]).block(ArrayBlocks(broken, RATE), 10 * RATE, 40 * RATE)
    assert np.abs(silent.talkers[:, inside]).max() < 1e-6
    np.testing.assert_allclose(silent.residual[0, inside], broken[0, start:stop], atol=1e-6)


def test_movement_is_told_at_the_times_of_the_recording(whole: tuple[np.ndarray, np.ndarray, Kept, Any]) -> None:
    talkers = [TalkerMovementRecord([2.0, 11.0], 0.5, 0.2, []), TalkerMovementRecord(None, 0.5, 0.5, [])]
    record = replace(
        whole[3].record,
        movement=MovementRecord([0.5, 9.5, 10.5], talkers),
        warnings=["a channel is left out", "talker 1 moves between 00:02 and 00:11 (heard by mic2 later); the filters follow"],
    )
    pieces = [(100 * RATE, 110 * RATE), (400 * RATE, 410 * RATE)]
    told = times.of_recording(record, pieces, RATE)
    assert told.movement is not None
    assert told.movement.times == [100.5, 109.5, 400.5]
    assert [talker.span for talker in told.movement.talkers] == [[102.0, 401.0], None]
    assert told.warnings == ["a channel is left out", "talker 1 moves between 01:42.0 and 06:41.0; the filters follow"]


def test_blocks_are_joined_without_a_step() -> None:
    y = np.ones((1, 100), np.float32)
    one = Made(y, y, y[:0], y[:0])
    joined = one.cut(80, 100).into(one)
    np.testing.assert_allclose(joined.talkers, 1)
    assert joined.n == 100
