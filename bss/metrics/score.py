"""Scores of separated tracks: each reference with the estimate that fits it best."""

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

SILENT_REFERENCE = "the reference is silent: there is nothing to compare with"
SILENT_ESTIMATE = "the estimate is silent"
NO_ESTIMATE = "no estimate is left for it: there are fewer estimates than references"
ONE_TALKER = "no SIR: there is no other talker to interfere"
COPY = "no SIR: another reference is a copy of this one, as it is or filtered"


@dataclass(frozen=True)
class Scores:
    """The scores of N references with their estimates, dB. NaN where there is none; `reasons` says why.

    Attributes
    ----------
    si_sdr, sdr, sir, sar : array, shape=(N,)
        Scale-invariant SDR, and the three of BSS-eval v3. All within +-120 dB.
    permutation : array of int, shape=(N,)
        The estimate of each reference; -1 where none could be given.
    reasons : tuple of str, length N
        Why a number of this reference is NaN; "" where none is.
    definitions : dict
        How each number is defined, to be quoted with it.
    si_sdr_improvement, sdr_improvement, sir_improvement : array, shape=(N,), or None
        What the estimate has more than the unprocessed mixture; None without a mixture.
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
        """The measures there are, by name."""
        found = {name: getattr(self, name) for name in (*MEASURES, *IMPROVEMENTS)}
        return {name: column for name, column in found.items() if column is not None}

    @property
    def mean(self) -> dict[str, float]:
        """Mean of each measure over the references that have it; NaN where none has."""
        return {k: float(v[np.isfinite(v)].mean()) if np.isfinite(v).any() else np.nan for k, v in self.columns.items()}

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: lists, None for NaN and for no estimate."""
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
    """SI-SDR, SDR, SIR and SAR of separated tracks, each reference with the estimate that fits it best.

    All numbers are of one assignment: the one of greatest mean SIR (as in BSS-eval; Hungarian), or of greatest mean SDR
    where there is no SIR. Of K > N estimates the best N are taken; with K < N some references get none.

    Parameters
    ----------
    references : array, shape=(N, n) or (n,)
        The true sources, as the reference microphone hears them.
    estimates : array, shape=(K, n) or (n,)
        The separated tracks.
    mixture : array, shape=(n,) or (M, n), optional
        The recording before separation, for the improvements; of several microphones the first is taken.
    permute : bool
        False: estimate k belongs to reference k.
    filter_length : int
        Taps of the distortion filter that BSS-eval allows.

    Returns
    -------
    Scores
        NaN with a reason, and no error, for what has no score: a silent reference or estimate, the SIR of one talker.

    Raises
    ------
    InputError
        Lengths that differ, axes the wrong way round, NaN or inf, all references silent, a signal too short for the
        filter.
    UsageError
        `filter_length` is not a positive whole number.

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
    heard, sounding = np.flatnonzero(_sounds(s)), np.flatnonzero(_sounds(y))
    if heard.size == 0:
        raise InputError(
            "every reference is silent" if len(s) > 1 else "the reference is silent",
            "there is nothing to compare the estimates with", "the true tracks of the talkers as references",
        )  # fmt: skip
    if x is not None and not _sounds(x).any():
        raise InputError("the mixture is silent", "nothing can be better than it", "another mixture, or none")
    rows = [*(y[k] for k in sounding), *(x if x is not None else ())]
    pairs = bss_eval_pairs([s[j] for j in heard], rows, filter_length=filter_length)
    if permute:
        permutation, criterion = _match(pairs, len(s), heard, len(y), sounding)
    else:
        k = np.arange(len(s))
        permutation, criterion = np.where(np.isin(k, heard) & (k < len(y)), k, -1), ""
    v3 = {name: f"bss_{name}_v3@{filter_length}" for name in ("sdr", "sir", "sar")}
    definitions = {
        "si_sdr": "si_sdr", **v3, "zero_mean": False, "ceiling_db": CEILING_DB,
        "assignment": f"greatest mean {v3[criterion]}" if criterion else "as given",
    }  # fmt: skip
    reasons = _reasons(pairs, permutation, heard, sounding)
    columns = _columns(s, y, x, pairs, permutation, heard, sounding)
    return Scores(permutation=permutation, reasons=reasons, definitions=definitions, **columns)


def _tracks(name: str, x: Any) -> np.ndarray:
    try:
        a = np.asarray(x)
    except ValueError:
        lengths = sorted(np.size(row) for row in x)
        raise InputError(
            f"the {name} are of different lengths: {lengths[0]} to {lengths[-1]} samples", "expected one array (N, n)",
            "cut them to the samples they share",
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
                f"{name}: {other.shape[-1]} samples, references: {n}; {abs(more)} {'more' if more > 0 else 'fewer'}",
                "they are compared sample by sample, and one that starts elsewhere would score badly",
                f"{name}[..., :{n}] if the end was cut" if more > 0 else f"references[:, :{other.shape[-1]}]",
            )
    if (len(s) - 1) * filter_length >= n - 1:
        raise InputError(
            f"{n} samples are too few for {len(s)} references and a filter of {filter_length} taps",
            "filters that long fit anything so short, and every score would be perfect",
            f"longer signals, or in Python filter_length={max(1, n // (8 * len(s)))}",
        )


def _sounds(x: np.ndarray) -> np.ndarray:
    """Which rows are more than silence (or a constant): their changes can be told from nothing beside the loudest."""
    spread = np.array([_spread(row) for row in x])
    return np.asarray(spread > floor(x.dtype, spread.max()))


def _spread(row: np.ndarray) -> float:
    """Standard deviation, float64; zero, and not rounding, for a constant."""
    first = float(row[0])
    sums = np.zeros(2)
    for start in range(0, len(row), BLOCK):
        block = row[start : start + BLOCK].astype(np.float64) - first
        sums += block.sum(), block @ block
    return float(np.sqrt(max(sums[1] / len(row) - (sums[0] / len(row)) ** 2, 0.0)))


def _match(
    pairs: Pairs, N: int, heard: np.ndarray, K: int, sounding: np.ndarray
) -> tuple[np.ndarray, str]:  # fmt: skip
    """The estimate of each reference, and the measure that was made greatest."""
    sdr, sir = pairs.sdr[:, : len(sounding)], pairs.sir[:, : len(sounding)]
    criterion = "sdr" if np.isnan(sir).any() else "sir"
    # equal SIRs (both at the ceiling, say) leave it to the SDR
    column = assign(sdr if criterion == "sdr" else sir + 1e-6 * sdr)
    permutation = np.full(N, -1, dtype=np.intp)
    permutation[heard] = np.append(sounding, -1)[column]
    # a reference left without gets a silent estimate, if there is one: that is what it was given
    silent = iter(np.setdiff1d(np.arange(K), sounding))
    for j in heard[permutation[heard] < 0]:
        permutation[j] = next(silent, -1)
    return permutation, criterion


def _columns(
    s: np.ndarray, y: np.ndarray, x: np.ndarray | None, pairs: Pairs, permutation: np.ndarray, heard: np.ndarray,
    sounding: np.ndarray,
) -> dict[str, np.ndarray]:  # fmt: skip
    """The measures of the chosen pairs; NaN for references that are silent or have no sounding estimate."""
    columns = {name: np.full(len(s), np.nan) for name in (MEASURES if x is None else (*MEASURES, *IMPROVEMENTS))}
    row = np.flatnonzero(np.isin(permutation[heard], sounding))
    j = heard[row]
    column = np.searchsorted(sounding, permutation[j])
    columns["si_sdr"][j] = [si_sdr(s[i], y[permutation[i]]) for i in j]
    for name in ("sdr", "sir", "sar"):
        columns[name][j] = getattr(pairs, name)[row, column]
    if x is not None:
        before = {
            "si_sdr": np.array([si_sdr(s[i], x[0]) for i in j]),
            "sdr": pairs.sdr[row, -1],
            "sir": pairs.sir[row, -1],
        }
        for name, db in before.items():
            columns[f"{name}_improvement"][j] = columns[name][j] - db
    return columns


def _reasons(pairs: Pairs, permutation: np.ndarray, heard: np.ndarray, sounding: np.ndarray) -> tuple[str, ...]:
    reasons = [SILENT_REFERENCE] * len(permutation)
    for j, copy_of in zip(heard, pairs.copy_of, strict=True):
        if permutation[j] < 0:
            reasons[j] = NO_ESTIMATE
        elif permutation[j] not in sounding:
            reasons[j] = SILENT_ESTIMATE
        else:
            reasons[j] = ONE_TALKER if len(heard) == 1 else COPY if copy_of >= 0 else ""
    return tuple(reasons)


def _plain(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
