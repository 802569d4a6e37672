"""`--channels` and `channels`: the microphones chosen by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, document, room, run, save, unmix

import bss
from bss.errors import UsageError
from bss.pipeline.planning.options import channel_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("all", None), ("1-4,6", (0, 1, 2, 3, 5)), ("3,1", (0, 2)), ("2-2,4", (1, 3)), (" 1 , 2 - 3", (0, 1, 2))],
)
def test_lists_of_channels(text: str, numbers: tuple[int, ...] | None) -> None:
    assert channel_numbers(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "1-", "-2", "a", "4-2", "1-2-3", "1,,2", "1.5"])
def test_what_is_no_list(text: str) -> None:
    with pytest.raises(UsageError, match="is not a list of channels"):
        channel_numbers(text)


@pytest.fixture(scope="module")
def mixture() -> np.ndarray:
    return np.asarray(room(2, 3.0, n_mics=4, seed=2).mixture)


def test_chosen_channels_are_the_recording(mixture: np.ndarray) -> None:
    chosen = bss.unmix(mixture, RATE, n_sources=2, channels=[1, 3], reference_mic=1)
    alone = bss.unmix(mixture[[1, 3]], RATE, n_sources=2)
    assert np.array_equal(chosen.sources, alone.sources)
    assert chosen.record.used == ["channel 2", "channel 4"]
    assert chosen.record.channels == ["channel 1", "channel 2", "channel 3", "channel 4"]
    assert np.array_equal(chosen.filters.apply(mixture).shape, chosen.sources.shape)


def test_a_copy_of_a_channel_that_was_not_chosen_is_used(mixture: np.ndarray) -> None:
    x = np.concatenate([mixture[:2], mixture[:1]])
    assert bss.unmix(x, RATE, n_sources=2, channels=(1, 2)).record.used == ["channel 2", "channel 3"]


def test_the_reference_among_the_chosen(mixture: np.ndarray) -> None:
    result = bss.unmix(mixture, RATE, n_sources=2, channels=(2, 3))
    assert result.record.reference == "channel 3"
    assert "channel 1 was not chosen, so channel 3 is the reference microphone instead" in result.warnings


@pytest.mark.parametrize(("channels", "words"), [([0], "fewer than two"), ([0, 9], "channels"), ([-1, 0], "channels")])
def test_channels_that_cannot_be(mixture: np.ndarray, channels: list[int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        bss.unmix(mixture, RATE, channels=channels)


def test_the_command(mixture: np.ndarray, tmp_path: Path) -> None:
    file = save(tmp_path / "array.wav", mixture)
    unmix(file, "--channels", "2-4", "-n", 2, "-o", tmp_path / "out")
    assert [Path(name).name for name in document(tmp_path / "out")["used"]] == ["array.wav[2]", "array.wav[3]", "array.wav[4]"]
    done = run("unmix", file, "--channels", "3-5", "-o", tmp_path / "no")
    assert done.exit_code == 2
    assert "--channels 5: the recording has 4 channels" in done.stderr
