"""Metrics: known values, invariances, and signals that cannot be scored."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

import bss
from bss.errors import BssError, InputError, UsageError
from bss.metrics.assignment import assign
from bss.metrics.bss_eval import bss_eval_pairs, correlations

N_SAMPLES = 4000
L = 32


def noises(count: int, n: int = N_SAMPLES, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, n))


def orthonormal(count: int, n: int = N_SAMPLES, reach: int = 1) -> np.ndarray:
    """`count` signals of energy n, orthogonal to each other, and to each other's shifts below `reach`.

    They share no cosine, so that only the ends of the signals, silent here, could make shifts meet.
    """
    t = np.arange(n - 2 * reach)
    bins = 1 + np.arange(count * 40).reshape(40, count).T
    x = np.stack([np.cos(np.pi * (t + 0.5) * k[:, None] / t.size).sum(0) for k in bins])
    x = np.pad(x, ((0, 0), (reach, reach)))
    return x / np.sqrt((x**2).mean(1, keepdims=True))


# ---- SI-SDR


@pytest.mark.parametrize("db", [-30.0, 0.0, 10.0, 40.0, 100.0])
@pytest.mark.parametrize("scale", [1.0, -3.0, 1e-5])
def test_si_sdr_of_orthogonal_noise_is_its_level(db: float, scale: float) -> None:
    s, e = orthonormal(2)
    assert bss.si_sdr(s, scale * (s + 10 ** (-db / 20) * e)) == pytest.approx(db, abs=1e-6)


def test_si_sdr_pairs_by_broadcasting() -> None:
    s, y = noises(3), noises(4, seed=1) + noises(3)[[0, 1, 2, 0]]
    pairs = bss.si_sdr(s[:, None], y)
    assert isinstance(pairs, np.ndarray)
    assert pairs.shape == (3, 4)
    assert pairs[2, 1] == pytest.approx(bss.si_sdr(s[2], y[1]))
    assert isinstance(bss.si_sdr(s[0], y[0]), float)


def test_si_sdr_sums_long_float32_signals_in_float64() -> None:
    # longer than one block, with an offset in which a float32 sum would lose its precision
    x = (noises(2, n=200_001) * 0.01 + 1).astype(np.float32)
    s, e = x[0].astype(np.float64), x[1].astype(np.float64)
    scale = s @ e / (s @ s)
    expected = 10 * np.log10(np.sum((scale * s) ** 2) / np.sum((e - scale * s) ** 2))
    assert bss.si_sdr(x[0], x[1]) == pytest.approx(expected, abs=1e-8)


def test_si_sdr_zero_mean_forgives_an_offset() -> None:
    s, e = orthonormal(2)
    y = s + 0.1 * e + 5.0
    assert bss.si_sdr(s, y, zero_mean=True) == pytest.approx(20.0, abs=1e-6)
    assert bss.si_sdr(s, y) < -10


def test_si_sdr_at_its_ends() -> None:
    s, e = orthonormal(2)
    assert bss.si_sdr(s, 2 * s) == 120.0
    assert bss.si_sdr(s, e) == -120.0
    assert np.isnan(bss.si_sdr(0 * s, s))
    assert np.isnan(bss.si_sdr(s, 0 * s))


@pytest.mark.parametrize(
    ("reference", "estimate", "text"),
    [
        (np.ones(5), np.ones(4), "5 samples and the estimate 4"),
        (np.ones((2, 5)), np.ones((3, 5)), "do not match"),
        (np.ones(5), np.array([1, 2, np.nan, 4, 5]), "the estimate contains NaN"),
        (np.ones(5), np.ones(5) * 1j, "complex128"),
        (np.ones(0), np.ones(0), "empty"),
        (1.0, np.ones(3), "empty"),
    ],
)
def test_si_sdr_refuses(reference: np.ndarray, estimate: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=text):
        bss.si_sdr(reference, estimate)


# ---- BSS-eval


@pytest.mark.parametrize("n", [3, 300, 32_737, 32_738, 80_000])
@pytest.mark.parametrize("n_lags", [1, L])
def test_correlations_by_blocks_are_the_correlations(n: int, n_lags: int) -> None:
    x = noises(3, n)
    c = correlations(x[:2], x, n_lags)
    padded = np.pad(x, ((0, 0), (0, n_lags)))
    expected = np.array([[[a @ b[lag : lag + n] for lag in range(n_lags)] for b in padded] for a in x[:2]])
    norm = np.linalg.norm(x, axis=1)
    np.testing.assert_allclose(c, expected / (norm[:2, None, None] * norm[:, None]), atol=1e-13)


def projection_scores(s: np.ndarray, e: np.ndarray, j: int) -> tuple[float, float, float]:
    """SDR, SIR and SAR as Vincent et al. define them: projections on the shifts themselves, by least squares."""

    def project(references: np.ndarray, z: np.ndarray) -> np.ndarray:
        shifts = np.concatenate([scipy.linalg.convolution_matrix(r, L) for r in references], axis=1)
        U, sigma, _ = np.linalg.svd(shifts, full_matrices=False)
        U = U[:, sigma > 1e-6 * sigma[0]]
        return U @ (U.T @ z)

    z = np.pad(e, (0, L - 1))
    target, every = project(s[[j]], z), project(s, z)
    energy = [np.sum(v**2) for v in (target, z - target, every - target, every, z - every)]
    return tuple(10 * np.log10(energy[a] / energy[b]) for a, b in ((0, 1), (0, 2), (3, 4)))  # type: ignore[return-value]


REFERENCES = {
    "noise": noises(2, 1500),
    "three": noises(3, 1500),
    "lowpass": scipy.signal.lfilter(scipy.signal.firwin(401, 0.2), 1, noises(2, 1500)),
    "tones": np.sin([[0.17], [0.21]] * np.arange(1500)),  # their 32 shifts span two dimensions
    "taking turns": noises(2, 1500) * np.repeat([[1, 0], [0, 1]], 750, axis=1),
}


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("noise", [1.0, 0.01])
def test_bss_eval_is_the_projection_on_the_shifts(name: str, noise: float) -> None:
    s = REFERENCES[name]
    leak = scipy.signal.lfilter([0.3, -0.2, 0.1], 1, s[::-1], axis=1)
    y = s + leak + noise * noises(len(s), s.shape[1], seed=5)
    pairs = bss_eval_pairs(s, y, filter_length=L)
    for j in range(len(s)):
        for k in range(len(s)):
            got = pairs.sdr[j, k], pairs.sir[j, k], pairs.sar[j, k]
            np.testing.assert_allclose(got, projection_scores(s, y[k], j), atol=1e-3)


@pytest.mark.parametrize("db", [0.0, 20.0, 60.0, 110.0])
def test_known_ratios(db: float) -> None:
    """Target, interference and artefact are orthogonal, even when shifted: each ratio is the one they were made with."""
    s = orthonormal(3, reach=L)
    g = 10 ** (-db / 20)
    pairs = bss_eval_pairs(s[:2], [s[0] + g * s[1], s[0] + g * s[2]], filter_length=1)
    assert pairs.sir[0, 0] == pytest.approx(db, abs=1e-2)
    assert pairs.sdr[0].tolist() == pytest.approx([db, db], abs=1e-2)
    assert pairs.sar[0, 1] == pytest.approx(db, abs=1e-2)
    assert pairs.sar[0, 0] == 120.0


@pytest.mark.parametrize(("taps", "forgiven"), [(1, True), (L, True), (2 * L, False)])
def test_a_filter_of_the_allowed_length_is_forgiven(taps: int, forgiven: bool) -> None:
    s = noises(2)
    h = np.random.default_rng(3).standard_normal(taps)
    s[:, -taps:] = 0  # so that the filtered signal is not cut off
    y = scipy.signal.lfilter(h, 1, s, axis=1)
    sdr = np.diag(bss_eval_pairs(s, y, filter_length=L).sdr)
    assert (sdr > 110).all() if forgiven else (sdr < 10).all()


# ---- the assignment


def test_assign_finds_the_greatest_sum_not_the_greatest_first() -> None:
    assert assign(np.array([[9.0, 10.0, 0.0], [0.0, 8.0, 1.0]])).tolist() == [0, 1]


def test_assign_leaves_rows_without_columns() -> None:
    assert assign(np.array([[1.0], [3.0], [2.0]])).tolist() == [-1, 0, -1]
    assert assign(np.zeros((2, 0))).tolist() == [-1, -1]


# ---- score


def separated(N: int, K: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """References, estimates with some leakage (the last K - N are noise), and the mixture at two microphones."""
    s, noise = noises(N, seed=seed), noises(K or N, seed=seed + 100)
    y = 0.05 * noise
    y[:N] += s + 0.1 * s[::-1]
    return s, y, np.stack([s.sum(0), s[0] - s[-1]])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0)])
@pytest.mark.parametrize("scales", [(1, 1, 1), (1e-3, -20, 400)])
def test_order_and_level_of_the_estimates_do_not_matter(order: tuple[int, ...], scales: tuple[float, ...]) -> None:
    s, y, x = separated(3)
    plain = bss.score(s, y, x, filter_length=L)
    moved = bss.score(s, (y * np.array(scales)[:, None])[list(order)], x, filter_length=L)
    assert [order[k] for k in moved.permutation] == plain.permutation.tolist() == [0, 1, 2]
    for name, column in plain.columns.items():
        np.testing.assert_allclose(moved.columns[name], column, atol=1e-6, err_msg=name)


def test_more_estimates_than_references() -> None:
    s, y, x = separated(2, 4)
    few, many = bss.score(s, y[:2], x, filter_length=L), bss.score(s, y[[3, 1, 2, 0]], x, filter_length=L)
    assert many.permutation.tolist() == [3, 1]
    np.testing.assert_allclose(many.sdr, few.sdr, atol=1e-9)


def test_scores_are_those_of_the_pairs_of_the_permutation() -> None:
    s, y, x = separated(3)
    y = y[[1, 2, 0]]
    scores, pairs = bss.score(s, y, x, filter_length=L), bss_eval_pairs(s, y, filter_length=L)
    chosen = np.arange(3), scores.permutation
    np.testing.assert_allclose(scores.si_sdr, bss.si_sdr(s, y[scores.permutation]))
    for name in ("sdr", "sir", "sar"):
        np.testing.assert_allclose(getattr(scores, name), getattr(pairs, name)[chosen], atol=1e-9)


def test_improvements_are_over_channel_0_of_the_mixture() -> None:
    s, y, x = separated(2)
    scores, unprocessed = bss.score(s, y, x, filter_length=L), bss.score(s, [x[0]] * 2, permute=False, filter_length=L)
    for name in ("si_sdr", "sdr", "sir"):
        expected = getattr(scores, name) - getattr(unprocessed, name)
        np.testing.assert_allclose(getattr(scores, f"{name}_improvement"), expected, atol=1e-9)
        assert getattr(bss.score(s, y, filter_length=L), f"{name}_improvement") is None
    np.testing.assert_array_equal(bss.score(s, y, x[0], filter_length=L).sdr_improvement, scores.sdr_improvement)


def test_without_permuting_estimate_k_is_reference_k() -> None:
    s, y, _ = separated(2)
    scores = bss.score(s, y[::-1], permute=False, filter_length=L)
    assert scores.permutation.tolist() == [0, 1]
    assert scores.definitions["assignment"] == "as given"
    assert (scores.sdr < 0).all()


def test_definitions_say_the_filter_and_the_assignment() -> None:
    s, y, _ = separated(2)
    assert bss.score(s, y, filter_length=L).definitions == {
        "si_sdr": "si_sdr", "sdr": "bss_sdr_v3@32", "sir": "bss_sir_v3@32", "sar": "bss_sar_v3@32",
        "zero_mean": False, "ceiling_db": 120.0, "assignment": "greatest mean bss_sir_v3@32",
    }  # fmt: skip
    assert bss.score(s[:1], y, filter_length=L).definitions["assignment"] == "greatest mean bss_sdr_v3@32"
    assert bss.score(s, y).definitions["sdr"] == "bss_sdr_v3@512"


def silence(x: np.ndarray, *signals: int, with_: float = 0.0) -> np.ndarray:
    x = x.copy()
    x[list(signals)] = with_
    return x


S, Y, X = separated(3)
ENDS_EARLY = np.where(np.arange(N_SAMPLES) < N_SAMPLES - L, S[0], 0)
ODD = {
    # name: (references, estimates, permutation, which references have an SDR, which an SIR, what the reason says)
    "silent reference": (silence(S, 1), Y, [0, -1, 2], [1, 0, 1], [1, 0, 1], "the reference is silent"),
    "constant reference": (silence(S, 1, with_=0.3), Y, [0, -1, 2], [1, 0, 1], [1, 0, 1], "the reference is silent"),
    "rounding noise for a reference": (
        silence(S, 1) + 1e-18 * noises(3, seed=9), Y, [0, -1, 2], [1, 0, 1], [1, 0, 1], "the reference is silent",
    ),
    "two silent references": (silence(S, 1, 2), Y, [0, -1, -1], [1, 0, 0], [0, 0, 0], "only one talker"),
    "silent estimate": (S, silence(Y, 1), [0, 1, 2], [1, 0, 1], [1, 0, 1], "the estimate is silent"),
    "all estimates silent": (S, 0 * Y, [0, 1, 2], [0, 0, 0], [0, 0, 0], "the estimate is silent"),
    "fewer estimates": (S, Y[[2, 0]], [1, -1, 0], [1, 0, 1], [1, 0, 1], "fewer estimates"),
    "one reference": (S[:1], Y, [0], [1], [0], "only one talker"),
    "identical references": (S[[0, 0, 2]], Y[[0, 0, 2]], None, [1, 1, 1], [0, 0, 1], "copy"),
    "a scaled copy": (S[[0, 0, 2]] * [[1], [-0.01], [1]], Y[[0, 0, 2]], None, [1, 1, 1], [0, 0, 1], "copy"),
    "a delayed copy": (
        np.stack([ENDS_EARLY, np.roll(ENDS_EARLY, 9), S[2]]), Y[[0, 0, 2]], None, [1, 1, 1], [0, 0, 1], "copy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_has_no_score_is_nan_with_a_reason(name: str) -> None:
    references, estimates, permutation, with_sdr, with_sir, reason = ODD[name]
    scores = bss.score(references, estimates, X, filter_length=L)
    if permutation is not None:
        assert scores.permutation.tolist() == permutation
    np.testing.assert_array_equal(np.isfinite(scores.si_sdr), with_sdr)
    for measure in ("sdr", "sar", "si_sdr_improvement", "sdr_improvement"):
        np.testing.assert_array_equal(np.isfinite(getattr(scores, measure)), with_sdr, err_msg=measure)
    for measure in ("sir", "sir_improvement"):
        np.testing.assert_array_equal(np.isfinite(getattr(scores, measure)), with_sir, err_msg=measure)
    assert [bool(r) for r in scores.reasons] == [not (a and b) for a, b in zip(with_sdr, with_sir, strict=True)]
    assert any(reason in r for r in scores.reasons)
    document = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert [v is not None for v in document["sdr"]] == [bool(v) for v in with_sdr]
    assert [k if k is not None else -1 for k in document["permutation"]] == scores.permutation.tolist()
    for measure, mean in document["mean"].items():
        column = scores.columns[measure]
        assert mean == pytest.approx(column[np.isfinite(column)].mean()) if np.isfinite(column).any() else mean is None


def test_a_silent_reference_leaves_the_others_as_they_are() -> None:
    active_only = bss.score(S[[0, 2]], Y, filter_length=L)
    beside = bss.score(silence(S, 1), Y, filter_length=L)
    for name, column in active_only.columns.items():
        np.testing.assert_allclose(beside.columns[name][[0, 2]], column, atol=1e-9)


@pytest.mark.parametrize(
    ("references", "estimates", "mixture", "options", "text"),
    [
        (S.T, Y, None, {}, r"references has 4000 channels of 3 samples.*references\.T"),
        (S, Y.T, None, {}, r"estimates\.T"),
        (S, Y, X.T, {}, r"mixture\.T"),
        (S, Y[:, :-7], None, {}, r"estimates: 3993 samples, but the references have 4000 .7 more.*references\[:, :3993\]"),
        (S, np.pad(Y, ((0, 0), (0, 7))), None, {}, r"7 fewer.*estimates\[\.\.\., :4000\]"),
        (S, Y, X[:, 1:], {}, "mixture: 3999 samples"),
        (S[:, None], Y, None, {}, r"references\[:, 0\]"),
        ([S[0], S[1, 1:]], Y, None, {}, "references are of different lengths: 3999 to 4000"),
        (0 * S, Y, None, {}, "every reference is silent"),
        (0 * S[0], Y, None, {}, "the reference is silent"),
        (S, Y, 0 * X, {}, "the mixture is silent"),
        (S, np.where(np.arange(N_SAMPLES) == 5, np.nan, Y), None, {}, "channel 0 of estimates contains 1 NaN"),
        ((S * 32767).astype(np.int16), Y, None, {}, "int16"),
        (S[:0], Y, None, {}, "references is empty"),
        (S[:, :500], Y[:, :500], None, {}, "500 samples are too few for 3 references and a filter of 512 taps"),
        (S, Y, None, {"filter_length": 0}, "filter_length=0"),
        (S, Y, None, {"filter_length": 2.5}, "not a whole number"),
    ],
)  # fmt: skip
def test_score_refuses(references, estimates, mixture, options, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BssError, match=f"(?s){text}") as caught:
        bss.score(references, estimates, mixture, **options)
    assert isinstance(caught.value, UsageError if "filter_length" in options else InputError)


def test_inputs_are_not_written_to_and_the_result_is_the_same_again() -> None:
    arrays = [a.astype(np.float32) for a in (S, Y, X)]
    copies = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    first, second = (bss.score(*arrays, filter_length=L).to_dict() for _ in range(2))
    assert first == second
    for a, b in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_single_signal_may_have_one_axis() -> None:
    scores = bss.score(S[0], Y[0], X[0], filter_length=L)
    assert scores.sdr.shape == (1,)
    assert scores.sdr[0] == pytest.approx(bss.score(S[:1], Y[:1], filter_length=L).sdr[0])
