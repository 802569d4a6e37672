"""The parts of a separation in pieces: each does what is done in memory, or finds what was put there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recordings import RATE, room
from signals_for_tests import complex_normal, mixing_matrices

import bss
from bss.pipeline.analysis import activity
from bss.pipeline.filters.models import Demixing
from bss.pipeline.stream import enhancing, turns
from bss.pipeline.stream.activities import Activities
from bss.pipeline.stream.fitting import statistics
from bss.pipeline.stream.fitting.estimates import estimated
from bss.pipeline.stream.fitting.refining import linear, refined
from bss.pipeline.stream.spectra import span_of
from bss.signals.files.blocks import ArrayBlocks
from bss.signals.stft import Stft

STFT = Stft(1024, 256)
LENGTH = 20_000


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def random_filters(n_mics: int = 3, n_sources: int = 2) -> bss.Filters:
    W = np.linalg.inv(mixing_matrices(STFT.n_bins, n_mics, n_mics))[:, :n_sources]
    model = Demixing(W.astype(np.complex64), np.ones((STFT.n_bins, n_mics, n_sources), np.complex64))
    names = tuple(f"mic{k}" for k in range(n_mics))
    return bss.Filters(model, STFT, RATE, (0,) * n_sources, names, tuple(range(n_mics)), "fdica", (0.0, 1.0))


@pytest.mark.parametrize(("start", "stop"), [(0, 5000), (3333, 9001), (7168, 7169), (15_000, LENGTH), (0, LENGTH)])
def test_any_span_has_the_samples_of_the_whole(start: int, stop: int) -> None:
    x, filters = noise(3, LENGTH), random_filters()
    span = span_of(ArrayBlocks(x, RATE), STFT, start, stop)
    np.testing.assert_array_equal(span.x, x[:, start:stop])
    np.testing.assert_allclose(linear(filters, span), filters.apply(x)[:, start:stop], atol=1e-4)


def test_spectra_inside_a_span_are_those_of_its_frames() -> None:
    x = noise(2, LENGTH)
    span = span_of(ArrayBlocks(x, RATE), STFT, 3000, 12_345)
    frames, inside = span.inside(x[:, 3000:12_345])
    assert inside.shape[2] > 30
    np.testing.assert_allclose(inside, span.X[:, :, frames], atol=1e-4)


def known(n_mics: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mixing (F, M, 2), spectra (F, M, T) of sources whose powers change, and these sources (F, 2, T)."""
    rng = np.random.default_rng(seed)
    A = complex_normal(rng, 5, n_mics, 2)
    S = complex_normal(rng, 5, 2, 400) * np.exp(1.5 * rng.standard_normal((5, 2, 400)))
    return A, (A @ S + 1e-3 * complex_normal(rng, 5, n_mics, 400)).astype(np.complex64), S.astype(np.complex64)


def covariances(X: np.ndarray, S: np.ndarray) -> statistics.Statistics:
    weights = 1 / np.abs(S) ** 2
    C = np.stack([(X * weights[:, n, None]) @ X.conj().swapaxes(1, 2) for n in range(2)], axis=1)
    if X.shape[1] > 2:
        C = np.concatenate((C, (X @ X.conj().swapaxes(1, 2))[:, None]), axis=1)
    return statistics.Statistics(C, np.full((5, 2), 1e-6, np.float32))


def leak_db(W: np.ndarray, A: np.ndarray) -> float:
    G = np.abs(W @ A) ** 2
    return float(10 * np.log10(np.max((G.sum(2) - np.einsum("fnn->fn", G)) / np.einsum("fnn->fn", G))))


@pytest.mark.parametrize("n_mics", [2, 4])
def test_known_variances_tell_the_demixing_and_the_order(n_mics: int) -> None:
    A, X, S = known(n_mics)
    found = covariances(X, S)
    assert leak_db(found.demixing().W, A) < -18
    assert leak_db(found.ordered(np.array([1, 0])).demixing().W, A[:, :, ::-1]) < -18


def test_fewer_microphones_follow_from_the_same_statistics() -> None:
    A, X, S = known(4)
    model = covariances(X, S).without([1])
    assert model is not None
    assert not model.W[:, :, 1].any()
    assert leak_db(model.W, A) < -18
    assert covariances(X, S).without([0, 1, 2]) is None


def test_statistics_are_sums_over_spans() -> None:
    x, e = noise(3, LENGTH), noise(2, LENGTH, seed=1)
    blocks = ArrayBlocks(x, RATE)
    both = [(span_of(blocks, STFT, a, a + 8000), e[:, a : a + 8000]) for a in (0, 9000)]
    zero = statistics.empty(iter(both))
    one, two = (zero.add(*pair).C for pair in both)
    np.testing.assert_allclose(zero.add(*both[0]).add(*both[1], 0.5).C, 0.5 * one + two, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(("seconds", "length"), [(10, 0.25), (0.9, 0.125)])
def test_windows_are_as_long_as_there_is_something_to_learn_from(seconds: float, length: float) -> None:
    """Echo of a fifth of a second asks for long windows; with few of them they cannot be learned."""
    rng = np.random.default_rng(3)
    n = round(seconds * 8000)
    s = 0.1 * rng.standard_normal((2, n)) * (rng.random((2, n // 2000 + 1)).repeat(2000, 1)[:, :n] < 0.5)
    h = rng.standard_normal((2, 2, 1600)) * np.exp(-np.arange(1600) / 400)
    own = np.stack([[np.convolve(s[k], h[m, k])[:n] for m in range(2)] for k in range(2)]).astype(np.float32)
    blocks = ArrayBlocks(own.sum(0), 8000)
    first = replace(random_filters(2), rate=8000)
    filters, _ = refined(first, estimated(blocks, [(0, n)], own[:, 0]), 0.25)
    assert filters.stft is not None
    assert filters.stft.n_fft / 8000 == pytest.approx(length, rel=0.1)


def test_silence_of_a_talker_is_told_from_what_is_left_of_another() -> None:
    a, b = noise(2, 12 * RATE)
    t = np.arange(12 * RATE) / RATE
    on = np.stack([(t % 6 < 4), (t % 6 > 3)]).astype(np.float32)
    own = np.stack((a, b)) * on
    y = np.float32(0.1) * (own + 0.1 * own[::-1] + 1e-3 * noise(2, 12 * RATE, seed=2))
    power = turns.band_powers(y.astype(np.float32), RATE)
    found = turns.learn(power)
    np.testing.assert_allclose(10 * np.log10(found.left[1:, [0, 1], [1, 0]]), -20, atol=2)
    active = found.active(power, RATE)
    at = np.arange(active.shape[1]) * turns.hop(RATE) / RATE
    middle = (np.abs(at[:, None] - np.arange(13)) > 0.4).all(1)  # not at the edges
    truth = np.stack([(at % 6 < 4), (at % 6 > 3)])
    assert (active == truth)[:, middle].all()


def test_nobody_is_silent_where_nothing_is_known() -> None:
    y = noise(2, 3 * RATE)  # both all the time
    power = turns.band_powers(y, RATE)
    assert turns.learn(power).active(power, RATE).all()


def test_treatment_of_talkers() -> None:
    active = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]], bool)  # the third is no talker
    values = enhancing.shares(active, 2, RATE).values
    expected = {enhancing.NEEDED: [[0, 1, 0, 0, 0], [0, 1, 0, 0, 0]], enhancing.ALONE: [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]],
                enhancing.QUIET: [[0, 0, 1, 0, 1], [1, 0, 0, 0, 1]]}  # fmt: skip
    for what, rows in expected.items():
        np.testing.assert_array_equal(values[what], rows)


@pytest.mark.parametrize("cuts", [[], [1], [511, 512, 513], [3000, 3001, 9999]])
def test_activity_in_pieces_is_that_of_the_whole(cuts: list[int]) -> None:
    y = noise(1, 3 * RATE) * (np.arange(3 * RATE) % RATE < RATE // 2)
    heard = Activities(1, RATE)
    for part in np.split(y.astype(np.float32), cuts, axis=1):
        heard.add(part)
    track = room(2, 1.0).mixture  # any record will do
    first = bss.unmix(track, RATE, effort="fast").record.sources[0]
    record = heard.records([first])[0]
    whole = activity.measure(y[0], RATE).to_dict()
    for name, value in whole.items():
        np.testing.assert_allclose(getattr(record, name), value, atol=0.011)
