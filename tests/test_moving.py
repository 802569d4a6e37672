"""Talkers who walk are noticed, timed and followed; of those who stay, nothing changes."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from recordings import RATE, improvement
from walking import CENTRE, RADIUS, at, recorded, walk

import bss
from bss.pipeline.analysis import movement
from bss.pipeline.methods import registry
from bss.pipeline.methods.moving_talkers import local_demixing, stitched
from bss.pipeline.methods.moving_talkers.local_demixing import LocalDemixing, local_window
from bss.pipeline.methods.moving_talkers.moving import MovingEstimate
from bss.pipeline.methods.neural import Neural
from bss.pipeline.methods.shared.base import Task
from bss.solvers.mm import background

STAY, WALK = ((60.0, 60.0), (215.0, 215.0)), ((20.0, 100.0), (215.0, 215.0))


def delay_ms(degrees: float) -> float:
    """By how much the second of two microphones, at 0 degrees, hears a talker at that angle later than the first."""
    talker = at(degrees)
    near, far = (np.linalg.norm(talker - CENTRE - np.array([sign * RADIUS, 0, 0])) for sign in (1, -1))
    return float(1e3 * (near - far) / 343.0)


# ---- who moves, and when


def test_a_walk_is_told_with_its_time_and_delays() -> None:
    images = walk(WALK, during=(0.3, 0.7))
    found = movement.measure(recorded(images), images[:, 0], RATE)
    assert found is not None
    assert found.moving
    assert found.spans[1] is None
    assert found.spans[0] == pytest.approx((0.3 * 9.5, 0.7 * 9.5), abs=1.1)
    first, last = 1e3 * found.delays[0, [0, -1], 1]
    assert (first, last) == pytest.approx((delay_ms(20), delay_ms(100)), abs=0.02)
    (sentence,) = found.sentences(("left.wav", "right.wav"))
    assert sentence.startswith("talker 1 moves between 00:0")
    assert f"heard by right.wav {-delay_ms(20):.2f} ms earlier than by left.wav at first" in sentence


def test_order_and_document_follow_the_tracks() -> None:
    images = walk(WALK, during=(0.3, 0.7))
    found = movement.measure(recorded(images), images[:, 0], RATE)
    assert found is not None
    swapped = found.ordered(np.array([1, 0]))
    assert swapped.spans == found.spans[::-1]
    talkers = swapped.to_dict()["talkers"]
    assert talkers[0]["span"] is None
    assert talkers[1]["span"] == pytest.approx(found.spans[0], abs=0.06)
    assert talkers[1]["delays_ms"][0] == pytest.approx([0, delay_ms(20)], abs=0.02)


@pytest.mark.parametrize("n_mics", [2, 3])
def test_nobody_moves(n_mics: int) -> None:
    images = walk(STAY, n_mics=n_mics)
    found = movement.measure(recorded(images), images[:, 0], RATE)
    assert found is not None
    assert not found.moving
    assert found.spans == (None, None)
    assert np.nanstd(found.delays, axis=1).max() < 2e-5


def test_silence_is_no_movement() -> None:
    """A talker who speaks in a third of the recording; the other one in all of it."""
    images = walk(STAY).copy()
    images[0, :, : images.shape[2] * 2 // 3] = 0
    found = movement.measure(recorded(images), images[:, 0], RATE)
    assert found is not None
    assert not found.moving
    assert np.isnan(found.delays[0, :5]).all()
    assert not np.isnan(found.delays[1]).all()


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_too_short_to_tell(seconds: float) -> None:
    x = recorded(walk(STAY))[:, : round(seconds * RATE)]
    assert movement.measure(x, x, RATE) is None


def test_long_recordings_are_measured_in_parts() -> None:
    images = np.tile(walk(STAY), 9)  # 86 s, in two parts
    found = movement.measure(recorded(images), images[:, 0], RATE)
    assert found is not None
    assert len(found.times) == pytest.approx(images.shape[2] / RATE, abs=1.5)
    assert not found.moving
    assert np.all(np.diff(found.times) > 0)


# ---- a demixing for every moment


def spectra(n_bins: int, n_sources: int, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources (F, N, T) and their variances."""
    rng = np.random.default_rng(1)
    V = rng.gamma(0.3, size=(n_bins, n_sources, n_frames)) + 1e-3
    S = (rng.normal(size=V.shape) + 1j * rng.normal(size=V.shape)) * np.sqrt(V / 2)
    return S.astype(np.complex64), V.astype(np.float32)


@pytest.mark.parametrize(("n_sources", "n_mics"), [(2, 2), (3, 3), (2, 4)])
def test_a_mixing_that_turns_is_followed(n_sources: int, n_mics: int) -> None:
    F, T, per = 5, 1600, 4
    S, V = spectra(F, n_sources, T)
    rng = np.random.default_rng(2)
    first, last = rng.normal(size=(2, F, n_mics, n_sources)) + 1j * rng.normal(size=(2, F, n_mics, n_sources))
    share = np.linspace(0, 1, T)
    A = first[..., None] * (1 - share) + last[..., None] * share  # (F, M, N, T)
    noise = rng.normal(size=(F, n_mics, T)) + 1j * rng.normal(size=(F, n_mics, T))
    X = (np.einsum("fmnt,fnt->fmt", A, S) + 1e-3 * noise).astype(np.complex64)
    true = np.moveaxis(A[..., np.arange(T // per) * per + per // 2], -1, 1)  # (F, B, M, N)

    def errors(span: float) -> tuple[float, float]:
        """What is left of others, and how far the images are off, relative to the talker; medians over bins and moments."""
        W, mixing = local_demixing.learn(X, V, per, span)
        through = np.abs(W @ true)
        own = np.einsum("fbnn->fbn", through)
        images = own[:, :, None] * np.abs(mixing)
        return float(np.median(through.sum(-1) / own - 1)), float(np.median(np.abs(images / np.abs(true) - 1)))

    left, off = errors(150.0)
    assert left < 0.06
    assert off < 0.03
    left, off = errors(100_000.0)  # as if nobody moved
    assert off > 0.2
    assert n_mics > n_sources or left > 0.3  # more microphones can cancel a talker at many places


def test_the_background_is_that_of_the_solvers() -> None:
    rng = np.random.default_rng(0)
    G, W = rng.normal(size=(2, 6, 4, 4)) + 1j * rng.normal(size=(2, 6, 4, 4))
    C, ours = G @ G.conj().swapaxes(1, 2), W[:, None].copy()
    from bss.backends import dispatch

    background(dispatch.of(C), C, W, 2)
    local_demixing._background(ours, C[:, None], 2)
    np.testing.assert_allclose(ours[:, 0], W, rtol=1e-8)


def test_a_constant_demixing_is_applied_to_every_frame() -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(3, 2, 37)) + 1j * rng.normal(size=(3, 2, 37))).astype(np.complex64)
    W = rng.normal(size=(3, 1, 2, 2)) + 1j * rng.normal(size=(3, 1, 2, 2))
    for blocks in (1, 2, 10):
        np.testing.assert_allclose(local_demixing._demix(X, np.repeat(W, blocks, 1), -(-37 // blocks)), W[:, 0] @ X, rtol=1e-4)


def test_tracks_of_a_long_recording_are_those_of_its_parts() -> None:
    images = np.tile(walk(STAY), 3)  # 28 s: two segments
    local = LocalDemixing(recorded(images), images[:, 0], RATE, local_window(RATE))
    tracks, covariances = local.separated(np.zeros(2, int))
    assert tracks.shape == images[:, 0].shape
    assert improvement(images[:, 0], tracks, recorded(images)[0]).min() > 15
    last = local.at(images.shape[2] / RATE - 1.5)
    again = local.stft.inverse(last.images(local.stft.forward(local.x), np.zeros(2, int)), images.shape[2])
    assert improvement(images[:, 0], again, recorded(images)[0]).min() > 6  # they stay, so the last filters serve for all
    powers = np.einsum("fnmm->nm", covariances).real
    true = np.sum(images.astype(np.float64) ** 2, axis=2)
    np.testing.assert_allclose(powers / powers.sum(), true / true.sum(), rtol=0.15)


# ---- pieces in order


@pytest.mark.parametrize("N", [2, 3, 7])
def test_pieces_are_put_in_the_order_of_their_neighbours(N: int) -> None:
    rng = np.random.default_rng(0)
    P = 12
    truth = [rng.permutation(N) for _ in range(P)]
    alike = np.full((N, N), 0.1) + 0.8 * np.eye(N)
    whole = np.stack([np.zeros((N, N))[:, np.argsort(order)] for order in truth])
    whole[0] = alike[:, np.argsort(truth[0])]
    steps = np.stack([alike[np.argsort(a)][:, np.argsort(b)] for a, b in pairwise(truth)])
    assert [list(order) for order in stitched._orders(whole, steps)] == [list(order) for order in truth]


def test_after_silence_the_whole_recording_tells_the_order() -> None:
    alike, swapped = np.eye(2), np.eye(2)[::-1]
    steps = np.stack([alike, np.zeros((2, 2)), alike])  # nothing in common in the middle
    whole = np.stack([alike, alike, swapped, swapped])
    assert [list(order) for order in stitched._orders(whole, steps)] == [[0, 1], [0, 1], [1, 0], [1, 0]]


def test_a_piece_without_one_microphone_is_that_of_the_whole() -> None:
    images = walk(STAY)
    x = recorded(images).copy()
    x[1, : 4 * RATE] = 0
    tracks = stitched.stitched(Task(x, np.empty(0), RATE, None, 2), images[:, 0])
    np.testing.assert_allclose(tracks[:, : RATE // 2], images[:, 0, : RATE // 2], atol=1e-6)


# ---- from a recording


def test_talkers_who_walk_are_followed() -> None:
    images = walk(((20.0, 100.0), (170.0, 250.0)))
    x = recorded(images)
    result = bss.unmix(x, RATE, n_sources=2, names=("left.wav", "right.wav"))
    assert result.method == "moving"
    assert result.record.movement is not None
    assert all(talker.span is not None for talker in result.record.movement.talkers)
    assert sum("the filters follow" in warning for warning in result.warnings) == 2
    fixed = bss.unmix(x, RATE, n_sources=2, method=Neural())
    assert fixed.record.movement is None
    gains = [improvement(images[:, 0], y, x[0]).mean() for y in (result.sources, fixed.sources)]
    assert gains[0] > gains[1] + 3
    assert result.filters.method == "moving"
    check_filters_over_time(result, x, images)
    assert result.linear is not None
    np.testing.assert_array_equal(result.sources, bss.unmix(x, RATE, n_sources=2).sources)


def check_filters_over_time(result: bss.Unmixed, x: np.ndarray, images: np.ndarray) -> None:
    """Those of a second separate that second better than those of another time, and the last ones are what is saved."""
    over_time = result.filters_over_time
    assert len(over_time) == 10
    assert [filters.span for filters in over_time[-2:]] == [(8.0, 9.0), (9.0, 9.5)]
    second = slice(5 * RATE, 6 * RATE)
    gains = [
        improvement(images[:, 0, second], dataclasses.replace(filters, source_model=False).apply(x)[:, second], x[0, second])
        for filters in (over_time[5], over_time[1], result.filters)
    ]
    assert gains[0].mean() > max(gains[1].mean(), gains[2].mean()) + 3


def test_talkers_who_stay_are_separated_as_ever() -> None:
    x = recorded(walk(STAY))
    result, fixed = bss.unmix(x, RATE, n_sources=2), bss.unmix(x, RATE, n_sources=2, method=Neural())
    assert result.method == "neural"
    assert result.record.movement is None
    assert result.filters_over_time == (result.filters,)
    np.testing.assert_array_equal(result.sources, fixed.sources)


def test_tracks_at_other_microphones() -> None:
    images = walk(WALK)
    x = recorded(images)
    method = registry.by_name("neural")
    task = Task(x, np.empty(0), RATE, method.window(x.shape[1], RATE), 2)
    assert task.stft is not None
    estimate = method.learn(dataclasses.replace(task, X=task.stft.forward(x)))
    assert isinstance(estimate, MovingEstimate)
    other = estimate.tracks(np.array([1, 1]))
    assert improvement(images[:, 1], other, x[1]).min() > 5
    assert np.abs(other - estimate.enhanced).max() > 0.01
    assert estimate.cross_spectra(np.zeros(2, int)).shape == (task.stft.n_bins, 2, 2)
