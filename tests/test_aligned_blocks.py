"""A recording put in step in pieces is that put in step as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from signals_for_tests import RATE
from test_sync import late, recording
from test_sync_jumps import without

import bss
from bss.signals.files.blocks import ArrayBlocks, ChosenBlocks
from bss.signals.sync.aligned_blocks import AlignedBlocks


def of_three(seconds: int = 20) -> np.ndarray:
    """The first as it is, the second late and of another clock, the third with a hole of 10 ms and one of half a second."""
    x = recording(3, seconds=seconds)
    third = without(without(x[2], 0.25 * seconds, 160), 0.7 * seconds, 8000)
    return np.stack([x[0], late(x[1], 80.0, 0.3), third])


@pytest.mark.parametrize("devices", [None, [0, 1, 2, 2], [0, 1, 1, 0]])
def test_any_piece_is_that_of_the_whole(devices: list[int] | None) -> None:
    x = of_three()
    x = np.concatenate([x, 0.5 * x[2:] if devices is None or devices[3] == 2 else 2 * x[:1]])
    x[1, -4000:] = 0  # a file that was shorter
    whole = bss.sync(x, RATE, devices=devices)
    assert sum(mic.changed for mic in whole.alignment.mics) >= 2
    blocks = AlignedBlocks(ArrayBlocks(x, RATE), whole.alignment)
    assert blocks.covered == whole.alignment.covered
    pieces = [(100_000, 160_000), (0, 3000), (3000, 100_000), (160_000, blocks.n), (79_900, 80_300)]
    for start, stop in pieces:
        np.testing.assert_allclose(blocks.read(start, stop), whole.x[:, start:stop], atol=2e-6)
    again = AlignedBlocks(ArrayBlocks(x, RATE), whole.alignment)
    y = again.read(0, again.n)
    for start, stop in pieces:
        np.testing.assert_array_equal(blocks.read(start, stop), y[:, start:stop])


def test_a_late_start_is_a_shift_of_the_same_samples() -> None:
    x = recording()
    x = np.stack([x[0], late(x[1], 0.0, 0.5)])
    whole = bss.sync(x, RATE)
    assert whole.alignment.mics[1].changed
    blocks = AlignedBlocks(ChosenBlocks(ArrayBlocks(np.concatenate([x[:1], x]), RATE), (1, 2)), whole.alignment)
    for start, stop in ((50_000, 50_001), (0, blocks.n)):
        np.testing.assert_array_equal(blocks.read(start, stop), whole.x[:, start:stop])


def test_other_alignments_are_refused() -> None:
    x = recording()
    with pytest.raises(ValueError, match="an alignment of 2 microphones for 3"):
        AlignedBlocks(ArrayBlocks(np.concatenate([x, x[:1]]), RATE), bss.sync(x, RATE).alignment)
