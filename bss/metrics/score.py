"""Scores of separated tracks: each reference is compared with the estimate that matches it best."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bss.backends.numeric import floor
from bss.checks import check_level, check_rate, check_recording
from bss.errors import InputError, UsageError, check_flag, check_int
from bss.metrics.assignment import assign
from bss.metrics.bss_eval import FILTER_LENGTH, Pairs, bss_eval_pairs
from bss.metrics.frames import QUIET_DB, frame_scores
from bss.metrics.perceptual import DEFINITIONS, installed, perceptual_scores
from bss.metrics.scores import (
    COPY,
    IMPROVEMENTS,
    MEASURES,
    NO_ESTIMATE,
    ONE_TALKER,
    SILENT_ESTIMATE,
    SILENT_REFERENCE,
    Scores,
)
from bss.metrics.si_sdr import BLOCK, CEILING_DB, si_sdr


def score(
    references: Any, estimates: Any, mixture: Any = None, *, permute: bool = True, filter_length: int = FILTER_LENGTH,
    rate: int | None = None, perceptual: bool = False, frame_seconds: float | None = None,
) -> Scores:  # fmt: skip
    """SI-SDR, SDR, SIR and SAR of separated tracks, each reference with the estimate that matches it best.

    All scores are for one assignment: that of the greatest mean SIR (as in BSS-eval), or of the greatest mean SDR where SIR
    is undefined. With K > N estimates the best N are used; with K < N some references have none.

    Parameters
    ----------
    references : array, shape=(N, n) or (n,)
        The true sources: their images at the reference microphone.
    estimates : array, shape=(K, n) or (n,)
        The separated tracks.
    mixture : array, shape=(n,) or (M, n), optional
        The recording before separation, for the improvements; of several microphones the first is used.
    permute : bool
        If False, estimate k belongs to reference k.
    filter_length : int
        Taps of the distortion filter that BSS-eval allows.
    rate : int, optional
        Hz; needed for what follows.
    perceptual : bool
        STOI and extended STOI (extra `metrics`) and PESQ (wide and narrow band; extra `pesq`) as well, as far as their packages
        are installed: `Scores.left_out` says which are not.
    frame_seconds : float, optional
        SI-SDR of every frame of this length, too: `Scores.frames`.

    Returns
    -------
    Scores
        What has no score, such as a silent reference or the SIR of a single talker, is NaN with a reason, not an error.

    Raises
    ------
    InputError
        Lengths differ, axes are swapped, samples are NaN or infinite, all references are silent, the signals are too
        short for the filter, or neither of the extras `metrics` and `pesq` is installed.
    UsageError
        `filter_length` is not a positive integer; frames are too short or too long; the rate is missing.

    References
    ----------
    E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation", IEEE TASLP 14(4),
    2006. J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).standard_normal((2, 16000))
    >>> scores = bss.score(s, [s[1] + 0.1 * s[0], s[0]], mixture=s.sum(0), filter_length=32)
    >>> scores.permutation.tolist(), scores.si_sdr.round().tolist(), scores.si_sdr_improvement.round().tolist()
    ([1, 0], [120.0, 20.0], [120.0, 20.0])
    """
    filter_length = check_int("filter_length", filter_length, 1, 1 << 20)
    check_flag("permute", permute)
    if rate is not None:
        check_rate(rate)
    elif perceptual or frame_seconds is not None:
        raise UsageError("the rate is missing", "perceptual scores and frames depend on it", "rate=16000, say")
    if perceptual:
        installed()  # so that what is missing is said before the work
    s, y = _tracks("references", references), _tracks("estimates", estimates)
    x = None if mixture is None else _tracks("mixture", mixture)[:1]
    _check_lengths(s, y, x, filter_length)
    active_refs, active_ests = np.flatnonzero(_not_silent(s)), np.flatnonzero(_not_silent(y))
    if active_refs.size == 0:
        raise InputError(
            "every reference is silent" if len(s) > 1 else "the reference is silent",
            "there is nothing to compare the estimates with", "the true images of the talkers as references",
        )  # fmt: skip
    if x is not None and not _not_silent(x).any():
        raise InputError("the mixture is silent", "the improvement over it is undefined", "another mixture, or none")
    signals = [*(y[k] for k in active_ests), *(x if x is not None else ())]
    pairs = bss_eval_pairs([s[j] for j in active_refs], signals, filter_length=filter_length)
    if permute:
        permutation, criterion = _match(pairs, len(s), active_refs, len(y), active_ests)
    else:
        k = np.arange(len(s))
        permutation, criterion = np.where(np.isin(k, active_refs) & (k < len(y)), k, -1), ""
    v3 = {name: f"bss_{name}_v3@{filter_length}" for name in ("sdr", "sir", "sar")}
    definitions = {
        "si_sdr": "si_sdr", **v3, "zero_mean": False, "ceiling_db": CEILING_DB,
        "assignment": f"greatest mean {v3[criterion]}" if criterion else "as given",
    }  # fmt: skip
    reasons = _reasons(pairs, permutation, active_refs, active_ests)
    columns: dict[str, Any] = {**_columns(s, y, x, pairs, permutation, active_refs, active_ests)}
    scores = Scores(permutation=permutation, reasons=reasons, definitions=definitions, **columns)
    if rate is None:
        return scores
    if perceptual:
        scores = _heard(scores, s, y, x, rate)
    return scores if frame_seconds is None else _with_frames(scores, s, y, rate, frame_seconds)


def _heard(scores: Scores, s: np.ndarray, y: np.ndarray, x: np.ndarray | None, rate: int) -> Scores:
    """With the perceptual measures, as far as there are packages for them, of the references that have a score."""
    measured, left_out = installed()
    names = measured if x is None else (*measured, *(f"{name}_improvement" for name in measured))
    columns, reasons = {name: np.full(len(s), np.nan) for name in names}, [""] * len(s)
    for j in np.flatnonzero(np.isfinite(scores.si_sdr)):
        after, why = perceptual_scores(s[j], y[scores.permutation[j]], rate)
        before = {} if x is None else perceptual_scores(s[j], x[0], rate)[0]
        reasons[j] = "; ".join(why)
        for name in measured:
            columns[name][j] = after[name]
            if x is not None:
                columns[f"{name}_improvement"][j] = after[name] - before[name]
    definitions = scores.definitions | {name: DEFINITIONS[name] for name in measured}
    return replace(scores, perceptual=columns, perceptual_reasons=tuple(reasons), left_out=left_out, definitions=definitions)


def _with_frames(scores: Scores, s: np.ndarray, y: np.ndarray, rate: int, seconds: float) -> Scores:
    """With the SI-SDR of each frame of each reference and its estimate."""
    matched = np.stack([y[k] if k >= 0 else np.full(y.shape[1], np.nan, y.dtype) for k in scores.permutation])
    frames = frame_scores(s, matched, rate, seconds)
    definition = f"si_sdr of frames of {frames.seconds:g} s, where the talker is above {-QUIET_DB:g} dB of their mean power"
    return replace(scores, frames=frames, definitions=scores.definitions | {"frames": definition})


def _tracks(name: str, x: Any) -> np.ndarray:
    try:
        a = np.asanyarray(x)  # masked ones are refused below
    except ValueError:
        lengths = sorted(np.size(row) for row in x)
        raise InputError(
            f"the {name} are of different lengths: {lengths[0]} to {lengths[-1]} samples", "expected one array (N, n)",
            "cut them to their common length",
        ) from None  # fmt: skip
    if a.ndim == 3:
        raise InputError(
            f"{name} has shape {a.shape}", "expected (N, n): one signal for each talker",
            f"one microphone of the images: {name}[:, 0]",
        )  # fmt: skip
    return check_level(check_recording(a[None] if a.ndim == 1 else a, name=name), name=name)


def _check_lengths(s: np.ndarray, y: np.ndarray, x: np.ndarray | None, filter_length: int) -> None:
    n = s.shape[1]
    for name, other in (("estimates", y), ("mixture", x)):
        if other is not None and other.shape[-1] != n:
            more = other.shape[-1] - n
            raise InputError(
                f"{name}: {other.shape[-1]} samples, but the references have {n} ({abs(more)} {'fewer' if more > 0 else 'more'})",
                "they are compared sample by sample, so a different start would lower every score",
                f"{name}[..., :{n}] if the end was cut" if more > 0 else f"references[:, :{other.shape[-1]}]",
            )
    if (len(s) - 1) * filter_length >= n - 1:
        raise InputError(
            f"{n} samples are too few for {len(s)} references and a filter of {filter_length} taps",
            "filters of that length can fit any signal this short, so every score would be perfect",
            f"longer signals, or in Python filter_length={max(1, n // (8 * len(s)))}",
        )


def _not_silent(x: np.ndarray) -> np.ndarray:
    """Which signals are neither silent nor constant, up to rounding relative to the loudest."""
    spread = np.array([_spread(signal) for signal in x])
    return np.asarray(spread > floor(x.dtype, spread.max()))


def _spread(y: np.ndarray) -> float:
    """Standard deviation in float64; exactly zero for a constant."""
    first = float(y[0])
    sums = np.zeros(2)
    for start in range(0, len(y), BLOCK):
        block = y[start : start + BLOCK].astype(np.float64) - first
        sums += block.sum(), block @ block
    return float(np.sqrt(max(sums[1] / len(y) - (sums[0] / len(y)) ** 2, 0.0)))


def _match(
    pairs: Pairs, N: int, active_refs: np.ndarray, K: int, active_ests: np.ndarray
) -> tuple[np.ndarray, str]:  # fmt: skip
    """The estimate of each reference, and the measure whose mean was maximised."""
    sdr, sir = pairs.sdr[:, : len(active_ests)], pairs.sir[:, : len(active_ests)]
    criterion = "sdr" if np.isnan(sir).any() else "sir"
    # if SIRs are equal, for example both at the ceiling, the SDR decides
    column = assign(sdr if criterion == "sdr" else sir + 1e-6 * sdr)
    permutation = np.full(N, -1, dtype=np.intp)
    permutation[active_refs] = np.append(active_ests, -1)[column]
    # a reference without an estimate gets a silent one, if there is any
    silent = iter(np.setdiff1d(np.arange(K), active_ests))
    for j in active_refs[permutation[active_refs] < 0]:
        permutation[j] = next(silent, -1)
    return permutation, criterion


def _columns(
    s: np.ndarray, y: np.ndarray, x: np.ndarray | None, pairs: Pairs, permutation: np.ndarray, active_refs: np.ndarray,
    active_ests: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The measures of the assigned pairs; NaN where the reference or the estimate is silent or missing."""
    columns = {name: np.full(len(s), np.nan) for name in (MEASURES if x is None else (*MEASURES, *IMPROVEMENTS))}
    assigned = np.flatnonzero(np.isin(permutation[active_refs], active_ests))
    j = active_refs[assigned]
    column = np.searchsorted(active_ests, permutation[j])
    columns["si_sdr"][j] = [si_sdr(s[i], y[permutation[i]]) for i in j]
    for name in ("sdr", "sir", "sar"):
        columns[name][j] = getattr(pairs, name)[assigned, column]
    if x is not None:
        before = {
            "si_sdr": np.array([si_sdr(s[i], x[0]) for i in j]),
            "sdr": pairs.sdr[assigned, -1],
            "sir": pairs.sir[assigned, -1],
        }
        for name, db in before.items():
            columns[f"{name}_improvement"][j] = columns[name][j] - db
    return columns


def _reasons(pairs: Pairs, permutation: np.ndarray, active_refs: np.ndarray, active_ests: np.ndarray) -> tuple[str, ...]:
    reasons = [SILENT_REFERENCE] * len(permutation)
    for j, copy_of in zip(active_refs, pairs.copy_of, strict=True):
        if permutation[j] < 0:
            reasons[j] = NO_ESTIMATE
        elif permutation[j] not in active_ests:
            reasons[j] = SILENT_ESTIMATE
        else:
            reasons[j] = ONE_TALKER if len(active_refs) == 1 else COPY if copy_of >= 0 else ""
    return tuple(reasons)
