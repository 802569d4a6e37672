"""Scores of separated tracks: each reference is compared with the estimate that matches it best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.backends.numeric import floor
from bss.checks import check_recording
from bss.errors import InputError, check_int
from bss.metrics.assignment import assign
from bss.metrics.bss_eval import FILTER_LENGTH, Pairs, bss_eval_pairs
from bss.metrics.si_sdr import BLOCK, CEILING_DB, si_sdr

MEASURES = ("si_sdr", "sdr", "sir", "sar")
IMPROVEMENTS = ("si_sdr_improvement", "sdr_improvement", "sir_improvement")

SILENT_REFERENCE = "the reference is silent, so it has no score"
SILENT_ESTIMATE = "the estimate is silent, so it has no score"
NO_ESTIMATE = "there is no estimate for it: there are fewer estimates than references"
ONE_TALKER = "the SIR is undefined, as there is only one talker"
COPY = "the SIR is undefined, as another reference is an exact or filtered copy of this one"


@dataclass(frozen=True)
class Scores:
    """The scores of N references and their estimates, in dB. NaN where there is none; `reasons` explains why.

    Attributes
    ----------
    si_sdr, sdr, sir, sar : array, shape=(N,)
        Scale-invariant SDR, and SDR, SIR and SAR of BSS-eval v3. All within +-120 dB.
    permutation : array of int, shape=(N,)
        The estimate of each reference; -1 if it has none.
    reasons : tuple of str, length N
        Why a score of this reference is NaN; "" if none is.
    definitions : dict
        The definition of each score, to be quoted with it.
    si_sdr_improvement, sdr_improvement, sir_improvement : array, shape=(N,), or None
        The score of the estimate minus that of the unprocessed mixture; None without a mixture.
    """

    si_sdr: np.ndarray
    sdr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray
    permutation: np.ndarray
    reasons: tuple[str, ...]
    definitions: dict[str, Any]
    si_sdr_improvement: np.ndarray | None = None
    sdr_improvement: np.ndarray | None = None
    sir_improvement: np.ndarray | None = None

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The available measures, by name."""
        columns = {name: getattr(self, name) for name in (*MEASURES, *IMPROVEMENTS)}
        return {name: column for name, column in columns.items() if column is not None}

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each measure over the references that have a score; NaN if none has."""
        return {k: float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else np.nan for k, v in self.columns.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values: lists, with None for NaN and for a missing estimate."""
        columns = dict.fromkeys((*MEASURES, *IMPROVEMENTS)) | {k: [_plain(x) for x in v] for k, v in self.columns.items()}
        return {
            **columns,
            "permutation": [int(k) if k >= 0 else None for k in self.permutation],
            "mean": {k: _plain(v) for k, v in self.mean.items()},
            "reasons": [reason or None for reason in self.reasons],
            "definitions": dict(self.definitions),
        }


def score(
    references: Any, estimates: Any, mixture: Any = None, *, permute: bool = True, filter_length: int = FILTER_LENGTH
) -> Scores:
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

    Returns
    -------
    Scores
        What has no score, such as a silent reference or the SIR of a single talker, is NaN with a reason, not an error.

    Raises
    ------
    InputError
        Lengths differ, axes are swapped, samples are NaN or infinite, all references are silent, or the signals are too
        short for the filter.
    UsageError
        `filter_length` is not a positive integer.

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
    filter_length = check_int("filter_length", filter_length, 1)
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
    columns = _columns(s, y, x, pairs, permutation, active_refs, active_ests)
    return Scores(permutation=permutation, reasons=reasons, definitions=definitions, **columns)


def _tracks(name: str, x: Any) -> np.ndarray:
    try:
        a = np.asarray(x)
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
    return check_recording(a[None] if a.ndim == 1 else a, name=name)


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


def _plain(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
