"""Kernels that order and group bins, against the rules as `reference_ordering` says them; bytes; silence."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import reference_ordering as reference
import scipy.optimize
from signals_for_tests import complex_normal

from bss.backends.cpu import backend, threads
from bss.backends.cpu.ordering import permutation as permutation_kernels
from bss.solvers import permutation


@numba.njit
def assign(scores, places, work):  # type: ignore[no-untyped-def]
    """Inner kernels have no way in from Python."""
    return permutation_kernels.assign(scores, places, work)


def features(F: int, N: int, T: int, seed: int = 0) -> np.ndarray:
    """Unit features (F, N, T): one rhythm per source, blurred in every bin, in a random order."""
    rng = np.random.default_rng(seed)
    v = rng.gamma(0.5, size=(1, N, T)) * rng.gamma(1.0, size=(F, N, T))
    return permutation.unit(np.stack([bin_[rng.permutation(N)] for bin_ in v]))


def orders(F: int, N: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(N) for _ in range(F)])


@pytest.mark.parametrize("N", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("reach", [1, 3, 40])
@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_a_pass_is_the_rule_with_the_best_of_all_orders(N: int, reach: int, phase: float) -> None:
    U, order = features(30, N, 60), orders(30, N)
    fits = np.random.default_rng(4).normal(size=(30, N, N))
    want, n_changed = reference.ordering_pass(U, order, fits if phase else None, reach, 0.3, phase)
    changed = backend.ordering_pass(U, backend.grams(U), order, fits if phase else None, reach, 0.3, phase)
    np.testing.assert_array_equal(order, want)
    assert changed == n_changed
    assert changed > 0 or N == 1


@pytest.mark.parametrize("reach", [1, 5, 100])
def test_coherence_is_the_rule(reach: int) -> None:
    U, order = features(25, 3, 70), orders(25, 3)
    assert backend.coherence(U, backend.grams(U), order, reach) == pytest.approx(reference.coherence(U, order, reach), abs=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12])
def test_an_assignment_is_the_best(n: int) -> None:
    rng, places, work = np.random.default_rng(n), np.empty(n, np.int64), np.empty((6, n + 1))
    for _ in range(20):
        scores = rng.normal(size=(n, n))
        changed = assign(scores, places, work)
        want = scipy.optimize.linear_sum_assignment(scores, maximize=True)[1]
        np.testing.assert_array_equal(places, want)
        assert changed == (want != np.arange(n)).any()


def test_what_ties_stays() -> None:
    places, work = np.empty(4, np.int64), np.empty((6, 5))
    assert not assign(np.zeros((4, 4)), places, work)
    np.testing.assert_array_equal(places, np.arange(4))


def test_phases_fit_by_blocks() -> None:
    rng = np.random.default_rng(0)
    template, phases = (complex_normal(rng, 3, 2, 20).astype(np.complex64) for _ in range(2))
    order, edges, got = orders(20, 3), np.array([0, 7, 8, 20]), np.empty((3, 3, 3))
    permutation_kernels.phase_fits(template, phases, order, edges, got)
    np.testing.assert_allclose(got, reference.phase_fits(template, phases, order, edges), atol=1e-5)


def test_blocks_are_summed_in_their_order() -> None:
    U, order, edges = features(11, 3, 20), orders(11, 3), np.array([0, 4, 8, 11])
    got = backend.block_sums(U, order, edges)
    want = np.add.reduceat(np.take_along_axis(U, order[:, :, None], axis=1), edges[:-1], axis=0)
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("pool", [1, 3, 100])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_powers_are_means_over_frames(pool: int, contiguous: bool, dtype: type) -> None:
    rng = np.random.default_rng(0)
    X, W, gain = complex_normal(rng, 9, 3, 50).astype(dtype), complex_normal(rng, 9, 2, 3), rng.gamma(1.0, size=(9, 2))
    given = X if contiguous else np.ascontiguousarray(X.swapaxes(0, 2)).swapaxes(0, 2)
    got = backend.pooled_powers(given, W.astype(dtype), gain, pool)
    assert got.dtype == X.real.dtype
    np.testing.assert_allclose(got, reference.pooled_powers(X, W, gain, pool), rtol=2e-5)


def test_outputs_go_to_the_talkers_they_are_like_and_nobody_is_left_without() -> None:
    V, U, first = features(20, 4, 60), features(20, 2, 60, 1), features(20, 2, 60, 2)
    whole = reference.unit_rows(U.sum(0, keepdims=True)).astype(np.float32)
    got = backend.grouping_pass(V, U, first, whole, 3, 0.3, 0.4)
    scores = reference.grouping_scores(V, U, first, whole, 3, 0.3, 0.4)
    best = scores.argmax(1)
    shared = np.array([len(set(talkers)) == 2 for talkers in best])
    assert 0 < shared.sum() < 20
    np.testing.assert_array_equal(got[shared], best[shared])
    for f in np.flatnonzero(~shared):
        assert len(set(got[f])) == 2
        moved = np.flatnonzero(got[f] != best[f])
        cost = scores[f].max(0) - scores[f].min(0)
        np.testing.assert_array_equal(moved, [cost.argmin()])


def test_bytes_do_not_depend_on_threads() -> None:
    U, phases = features(200, 3, 100), np.exp(1j * np.random.default_rng(0).uniform(0, 6, (200, 3, 2)))
    found = []
    for count in (1, 2):
        with threads.limited(count):
            found.append(permutation.align(U, phases=phases, candidates=3).tobytes())
    assert found[0] == found[1]
