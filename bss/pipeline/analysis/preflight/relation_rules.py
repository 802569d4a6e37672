"""The rules for channels compared with each other: no sound in common, a hum alone, a gain that changes, spans without sound.

Every threshold is here, with its reason. The measurements are in `bss.signals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bss.pipeline.analysis.preflight.channel_rules import Finding, clock, joined
from bss.pipeline.analysis.preflight.channels import Preflight
from bss.signals.channels import common_sound, constant_spans, gain_changes
from bss.signals.channels.common_sound import CommonSound
from bss.signals.channels.gain_changes import GainChanges

# Coherence above chance, relative to its standard deviation by chance, and itself. Microphones in one room have 100 to 1700 and
# 0.03 to 0.3, at 0.9 s of echo and six voices around, too; with as much hiss as sound, metres apart, 10 and 0.003. Unrelated
# ones have at most 3 and 0.001.
SIGNIFICANT, COMMON = 5.0, 0.002
STEADY = 8.0  # dB between the loudest and the quiet moments of a band: 3 to 5 of noise and hum, more than 20 of speech and music
GAIN_SPREAD = 2.0  # dB by which a gain changes; a talker who walks changes it by less
Span = tuple[int, int]
MOST_SPANS = 8  # more pauses of one channel are those of a noise gate or a mute switch


@dataclass(frozen=True)
class Relations:
    """The rules for the usable channels x (M, n), which are `channels` of all."""

    x: np.ndarray
    rate: int
    channels: tuple[int, ...]
    names: tuple[str, ...]
    common: CommonSound
    constant: list[list[tuple[int, int]]]
    keep: bool = False

    @property
    def related(self) -> np.ndarray:
        """(M, M) whether two channels share sound."""
        return np.asarray((self.common.significance() > SIGNIFICANT) & (self.common.mean_excess() > COMMON))

    @property
    def steady(self) -> np.ndarray:
        """(M,) whether a channel is a hum or a hiss."""
        return np.asarray(self.common.fluctuation < STEADY)

    def unrelated(self) -> list[Finding]:
        """Channels to leave out: a hum alone, and what shares no sound with the majority.

        Where few channels are related, as with headsets that hear their own talker only, each may have a talker of its own.
        """
        alone = ~self.related.any(axis=1)
        hums, others = alone & self.steady, alone & ~self.steady
        if hums.all():
            return []
        findings = [self._noise(int(k)) for k in np.flatnonzero(hums)]
        if np.sum(~alone) > np.sum(others):
            findings += [self._unrelated(int(k)) for k in np.flatnonzero(others)]
        return findings

    def _noise(self, k: int) -> Finding:
        message = (
            f"{self._name(k)} hears nothing but a steady hum or noise{self._consequence}. "
            "Check its cable, power supply and input."
        )
        return Finding(
            self.channels[k],
            "noise",
            "warning" if self.keep else "left out",
            message,
            round(float(self.common.fluctuation[k]), 1),
        )

    def _unrelated(self, k: int) -> Finding:
        message = (
            f"{self._name(k)} shares no sound with the other microphones{self._consequence}: it comes from another room or "
            "another time. If it has a talker of its own, that file is a clean track already."
        )
        return Finding(
            self.channels[k],
            "unrelated",
            "warning" if self.keep else "left out",
            message,
            round(float(self.common.mean_excess()[k].max()), 4),
        )

    def processed(self, channels: Sequence[int]) -> list[Finding]:
        """Channels to leave out, the worst first: what the others hear, at a gain that changes."""
        kept, findings = list(channels), []
        while len(kept) > 2:
            suspects = [g for g in gain_changes.measure(self.x[kept], self.rate) if g.spread_db > GAIN_SPREAD]
            if not suspects:
                break
            worst = min(suspects, key=lambda g: g.varying_db - g.fixed_db)
            findings.append(self._processed(kept.pop(worst.channel), worst))
        return findings

    def _processed(self, k: int, measured: GainChanges) -> Finding:
        message = (
            f"{self._name(k)} hears what the other microphones hear, at a gain that changes by {measured.spread_db:.0f} dB"
            f"{self._consequence and ',' + self._consequence}: it is a processed mix (automatic gain, a beam), or its gain was "
            "changed. Record it without processing."
        )
        return Finding(
            self.channels[k], "processed", "warning" if self.keep else "left out", message, round(measured.spread_db, 1)
        )

    def silent_spans(self) -> list[Finding]:
        """Spans in which a channel is frozen while others hear something; if there are many, only that there are."""
        return [self._silent_spans(k, spans) for k, spans in enumerate(self.constant) if spans]

    def deaf_spans(self, channels: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """For those of the channels that hear only hiss or hum for seconds, when that is; not where they are frozen."""
        found = {k: common_sound.deaf_spans(self.common, k) for k in channels if not self.constant[k]}
        return {k: spans for k, spans in found.items() if 0 < len(spans) <= MOST_SPANS}

    def deaf(self, k: int, spans: list[tuple[int, int]]) -> Finding:
        """The finding for a channel with deaf spans."""
        seconds = tuple((round(a / self.rate, 3), round(b / self.rate, 3)) for a, b in spans)
        listed = joined([_span(a, b, self.x.shape[1], self.rate) for a, b in spans])
        message = (
            f"{self._name(k)} hears only hum or noise {listed} (give or take {common_sound.WINDOW_SECONDS:.0f} s), while others "
            "hear something. Check its cable, battery and radio link."
        )
        return Finding(self.channels[k], "dead_span", "warning", message, round(sum(b - a for a, b in seconds), 3), spans=seconds)

    def _silent_spans(self, k: int, spans: list[tuple[int, int]]) -> Finding:
        seconds = tuple((round(a / self.rate, 3), round(b / self.rate, 3)) for a, b in spans)
        missing = sum(b - a for a, b in spans) / self.rate
        if len(spans) > MOST_SPANS:
            message = (
                f"{self._name(k)} is switched off {len(spans)} times, {missing:.0f} s in all, as by a noise gate. Gates make a "
                "separation worse: switch them off."
            )
            return Finding(self.channels[k], "gated", "warning", message, round(missing, 3), spans=seconds)
        listed = joined([_span(a, b, self.x.shape[1], self.rate) for a, b in spans])
        message = f"{self._name(k)} is dead {listed} (every sample is the same). Check its cable, battery and radio link."
        return Finding(self.channels[k], "dead_span", "warning", message, round(missing, 3), spans=seconds)

    @property
    def _consequence(self) -> str:
        return "" if self.keep else " and is left out"

    def _name(self, k: int) -> str:
        return self.names[self.channels[k]]


def examine(
    checked: Preflight, x: np.ndarray, rate: int, *, keep: bool = False, absent: Mapping[int, tuple[Span, ...]] | None = None
) -> Preflight:
    """The preflight of a recording x (M, n), with what its usable channels have to do with each other.

    Parameters
    ----------
    checked : Preflight
        The check of each channel by itself.
    x : np.ndarray
        (M, n) samples, all starting at the same time.
    rate : int
        Hz.
    keep : bool
        Every channel remains, whatever is found: each has a talker, or they were chosen by hand.
    absent : mapping, optional
        By channel the spans in samples in which its recorder did not run; they are dead, too, without a finding.

    Returns
    -------
    Preflight
        `usable` without channels that are no use, and findings that say why; `shared` and `dead`.
    """
    usable = np.ascontiguousarray(x[list(checked.usable)], np.float32)
    common = common_sound.measure(usable, rate) if len(usable) > 1 else None
    if common is None:
        return checked
    absent = absent or {}
    constant = [
        [span for span in spans if not any(_overlaps(span, other) for other in absent.get(channel, ()))]
        for channel, spans in zip(checked.usable, constant_spans.measure(usable, rate), strict=True)
    ]
    rules = Relations(usable, rate, checked.usable, checked.names, common, constant, keep)
    spans = rules.silent_spans()
    frozen = [checked.usable.index(f.channel) for f in spans if f.channel is not None and f.kind == "dead_span"]
    dead = {checked.usable[k]: tuple(rules.constant[k]) for k in frozen}
    left_out = rules.unrelated()
    out = {f.channel for f in left_out}
    healthy = [k for k, channel in enumerate(checked.usable) if channel not in out and channel not in dead]
    deaf = rules.deaf_spans(healthy)
    spans += [rules.deaf(k, found) for k, found in deaf.items()]
    dead |= {checked.usable[k]: tuple(found) for k, found in deaf.items()}
    left_out += rules.processed([k for k in healthy if k not in deaf])
    out = {f.channel for f in left_out if f.severity == "left out"}
    spans = [f for f in spans if f.channel not in out]
    kept = tuple(k for k in checked.usable if k not in out)
    shared = bool(rules.related[np.ix_(*2 * [[checked.usable.index(k) for k in kept]])].any())
    if not shared and len(kept) > 1:
        spans.append(_no_common_sound(kept, checked.names))
    dead_spans = {k: tuple(sorted((*dead.get(k, ()), *absent.get(k, ())))) for k in kept if k in dead or k in absent}
    return replace(
        checked, usable=kept, findings=_ordered([*checked.findings, *left_out, *spans]), shared=shared, dead=dead_spans
    )


def _overlaps(span: Span, other: Span) -> bool:
    return span[0] < other[1] and other[0] < span[1]


def _no_common_sound(kept: tuple[int, ...], names: tuple[str, ...]) -> Finding:
    message = (
        f"{joined([names[k] for k in kept])} share no sound: either each hears its own talker only, and the files are clean "
        "tracks already, or they are not recordings of the same time and place."
    )
    return Finding(None, "no_common_sound", "warning", message, 0.0)


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Channels that are left out first, then warnings; each by channel."""
    return tuple(sorted(findings, key=lambda f: (f.severity != "left out", -1 if f.channel is None else f.channel)))


def _span(start: int, stop: int, n: int, rate: int) -> str:
    if start == 0:
        return f"until {clock(stop / rate)}"
    return f"from {clock(start / rate)} {'on' if stop == n else f'to {clock(stop / rate)}'}"
