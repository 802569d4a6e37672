"""What one call of `bss.unmix` costs in transforms: each is computed once and handed on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from recordings import RATE, desk, room

import bss
from bss.signals.stft import Stft
from bss.solvers import result


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often STFTs are computed and mixing matrices estimated."""
    counted: Counter[str] = Counter()

    def counting(place: Any, name: str) -> None:
        function = getattr(place, name)

        def counted_call(*arguments: Any, **options: Any) -> Any:
            counted[name] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(place, name, counted_call)

    counting(Stft, "forward")
    counting(Stft, "inverse")
    counting(result, "mixing_of")
    return counted


def test_one_default_call_in_a_room(calls: Counter[str]) -> None:
    """Two talkers, two microphones, ten seconds, the source model: 13, 3 and 7 before there was one analysis.

    Two of the STFTs are of parts of the recording, for what its microphones have in common; two tell whether anybody moves.
    """
    x = room(2, 9.7, seed=3, rt60=0.3).mixture
    assert bss.unmix(x, RATE).method == "neural"
    assert calls["forward"] <= 10, calls
    assert calls["inverse"] <= 3, calls
    assert calls["mixing_of"] <= 2, calls


def test_one_call_at_a_desk(calls: Counter[str]) -> None:
    """One STFT tells what the microphones have in common, and two whether the tracks are talkers."""
    assert bss.unmix(desk(2, 5.0).mixture, RATE).method == "fastica"
    assert calls["forward"] <= 7, calls
    assert calls["inverse"] == 0, calls


def test_counting_looks_at_frames_of_the_room_s_own_transform() -> None:
    from bss.pipeline.analysis.recording import Analysis
    from bss.pipeline.planning.windows import long_window, subset_window

    x = np.ascontiguousarray(room(2, 9.0, seed=1).mixture, np.float32)
    dense, (sparse, _) = long_window(x.shape[1], RATE), subset_window([x.shape[1]], RATE)
    assert dense.n_fft == sparse.n_fft
    assert sparse.hop == 2 * dense.hop
    analysis = Analysis(x, RATE, dense)
    taken = analysis._decimated(sparse)
    np.testing.assert_allclose(taken, sparse.forward(x), atol=1e-4)
    assert taken.base is analysis.spectra(dense)
