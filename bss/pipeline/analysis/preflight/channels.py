"""The check of a recording before it is separated: which channels are usable, and what is wrong with the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bss.checks import check_rate, plain
from bss.errors import InputError, UsageError
from bss.pipeline.analysis.preflight.channel_rules import ChannelRules, Finding, db
from bss.signals.channels.channel_faults import measure


@dataclass(frozen=True)
class Level:
    """Level of a channel, dB relative to full scale (1.0); -inf for silence. `rms_dbfs` is without the DC offset."""

    peak_dbfs: float
    rms_dbfs: float


@dataclass(frozen=True)
class Preflight:
    """The usable channels, in order, and the findings: one for every other channel, and warnings.

    `names` and `levels` are those of all channels. `shared` is False if no two usable channels have sound in common; `dead` has
    the spans [start, stop) in samples in which a usable channel has no sound. Both are found by `relation_rules.examine`.
    """

    usable: tuple[int, ...]
    findings: tuple[Finding, ...]
    names: tuple[str, ...]
    levels: tuple[Level, ...]
    shared: bool = True
    dead: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def to_list(self) -> list[dict[str, Any]]:
        """The findings, in values that JSON can represent: an infinite value becomes None."""
        return [
            {**asdict(f), "value": f.value if math.isfinite(f.value) else None, "spans": [list(span) for span in f.spans]}
            for f in self.findings
        ]


def preflight(x: np.ndarray, rate: int, names: Sequence[str] | None = None, *, only: Sequence[int] | None = None) -> Preflight:
    """Find the channels of a recording that cannot be used, and those that impair a separation.

    Parameters
    ----------
    x : (M, n) float
        Recording; may contain NaN and inf.
    rate : int
        Sampling rate in Hz.
    names : sequence of M str, optional
        Names of the channels in messages; "channel 1" and so on by default.
    only : sequence of int, optional
        Indices of the channels to check; the others are not usable, without a finding.

    Returns
    -------
    Preflight
        The recording is neither changed nor repaired. Each channel that is left out has exactly one finding that says so.

    Raises
    ------
    InputError
        Not an (M, n) array of floating-point numbers with at least as many samples as channels.
    UsageError
        The rate is invalid, or the number of names is not that of channels.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).laplace(0, 0.05, (3, 16000)).astype(np.float32)
    >>> x[2] = -0.5 * x[0]
    >>> checked = preflight(x, 16000)
    >>> checked.usable, [(f.channel, f.kind, f.other) for f in checked.findings]
    ((0, 1), [(2, 'duplicate', 0)])
    """
    x = _checked(x)
    rate = check_rate(rate)
    if names is not None and len(names) != len(x):
        raise UsageError(f"{len(names)} names for {len(x)} channels", hint="one name for each channel, or none")
    rules = ChannelRules(x, rate, tuple(names or (f"channel {k + 1}" for k in range(len(x)))), measure(x))
    chosen = tuple(range(len(x))) if only is None else tuple(only)
    left_out = [f for f in rules.unusable() if f.channel in chosen]
    left_out += rules.copies(_others(chosen, left_out))
    usable = _others(chosen, left_out)
    warnings = [*rules.relations(usable), *(f for k in usable for f in rules.faults(k))]
    ordered = sorted(left_out, key=_channel) + sorted(warnings, key=_channel)
    levels = tuple(Level(db(p), db(r)) for p, r in zip(rules.moments.peak, rules.moments.rms, strict=True))
    return Preflight(usable, tuple(ordered), rules.names, levels)


def require_two(result: Preflight) -> None:
    """Raise unless at least two channels are usable.

    Raises
    ------
    InputError
        Fewer than two channels are usable; the message says why each was left out.
    """
    m, n_usable = len(result.names), len(result.usable)
    if n_usable >= 2:
        return
    if m == 1:
        raise InputError(
            f"the recording has only one channel, {result.names[0]}",
            "blind separation needs at least two microphones",
            "record with two or more microphones, and pass the files of all of them",
        )
    reasons = [f for f in result.findings if f.severity == "left out"]
    kinds = {f.kind for f in reasons}
    many = "both channels" if m == 2 else f"all {m} channels"
    if kinds == {"silent"} and n_usable == 0:
        raise InputError(f"{many} are silent", "there is nothing to separate", _ADVICE["silent"])
    if kinds <= _COPIES:
        why = "this is one microphone copied to several channels, and one microphone cannot be separated"
        raise InputError(f"{many} contain the same signal", why, _ADVICE["duplicate"])
    what = f"{'only one' if n_usable else 'none'} of the {m} channels is usable"
    why = "; ".join(_reason(f, result.names) for f in reasons) + "; separation needs two"
    hint = "; ".join(dict.fromkeys(_ADVICE["duplicate" if f.kind in _COPIES else f.kind] for f in reasons))
    raise InputError(what, why, hint)


_COPIES = {"duplicate", "stereo_of_mono"}
_ADVICE = {
    "silent": "check cables, mute switches, gain and input selection, or choose a part with sound (--start, --end)",
    "nonfinite": "export the file again, or choose a part before the first bad sample with --end",
    "duplicate": "record each microphone on its own track (multitrack, not mono or joint stereo)",
    "noise": "check the cable, power supply and input of that microphone",
    "unrelated": "pass only recordings of the same time and place",
    "processed": "record the microphones without processing",
}
_REASONS = {
    "silent": "is silent",
    "nonfinite": "contains NaN or infinite samples",
    "noise": "hears nothing but a steady hum or noise",
    "unrelated": "shares no sound with the others",
    "processed": "is a processed mix of the others",
}


def _reason(finding: Finding, names: tuple[str, ...]) -> str:
    name = names[_channel(finding)]
    if finding.other is not None:
        return f"{name} is a copy of {names[finding.other]}"
    return f"{name} {_REASONS[finding.kind]}"


def _channel(finding: Finding) -> int:
    return -1 if finding.channel is None else finding.channel


def _others(chosen: tuple[int, ...], left_out: list[Finding]) -> tuple[int, ...]:
    excluded = {f.channel for f in left_out}
    return tuple(k for k in chosen if k not in excluded)


def _checked(x: np.ndarray) -> np.ndarray:
    """`x` as a floating-point (M, n) array. Only here NaN and inf are accepted: the findings name them."""
    a = plain(x, name="x")
    if a.ndim != 2:
        raise InputError(f"x has shape {a.shape}", "expected (M, n): microphones first, samples second")
    if a.dtype.kind != "f":
        raise InputError(f"x contains {a.dtype} values", "expected float32 or float64 samples between -1 and 1")
    m, n = a.shape
    if m == 0 or n == 0:
        raise InputError(f"x is empty: shape {a.shape}", "there is nothing to check")
    if m > n:
        raise InputError(f"x has {m} channels of {n} samples", "the axes seem to be swapped: expected (M, n)", "x.T")
    return a
