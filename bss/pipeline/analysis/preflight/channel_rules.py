"""The rules of the preflight: which measurements make a channel unusable or doubtful, and the messages that say so.

Every threshold is here, with its reason. The measurements are in `bss.signals.channels.channel_faults`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bss.signals.channels import channel_faults
from bss.signals.channels.channel_faults import Match, Moments

# RMS that counts as silence. A dead input still has the rounding noise of 16 bits (-96 dBFS) or the hiss of its preamplifier.
SILENT = 1e-7  # -140 dBFS: below the last bit of 24
SILENT_RELATIVE = 1e-4  # of the loudest channel, -80 dB: levels in one room never differ by that much
DEAD, DEAD_RELATIVE = 10 ** (-90 / 20), 1e-2  # below -90 dBFS and 40 dB below the loudest channel

# Power of a channel that remains after subtracting another one, optimally scaled. Two microphones, however close, have noise of
# their own: at 40 dB SNR they differ by -37 dB. A copy differs by rounding only.
COPY = 1e-6  # -60 dB
ROUNDED_COPY = 1e-4  # -40 dB, if the rounding of the samples explains the difference
NEAR_COPY = 1e-4  # -40 dB: worth a warning
LONGEST_DELAY = 0.05  # seconds; recorders and effects use no more to widen a copy

DC = 0.1  # of the RMS
LOW_LEVEL = 10 ** (-50 / 20)  # peak: eight bits of a 16-bit recording are unused


@dataclass(frozen=True)
class Finding:
    """A fault of a channel.

    Parameters
    ----------
    channel : int or None
        Index of the channel; None for the recording as a whole.
    kind : str
        Left out: "silent", "nonfinite", "duplicate", "stereo_of_mono", "noise", "unrelated", "processed". Warnings:
        "near_duplicate", "delayed_duplicate", "dependent", "clipped", "dc_offset", "low_level", "dead_span", "gated",
        "no_common_sound".
    severity : {"left out", "warning"}
    message : str
        What is wrong, with numbers and advice.
    value : float
        silent: RMS in dBFS. nonfinite: number of samples. (near_)duplicate, stereo_of_mono, dependent: level of the
        difference, in dB relative to the channel. delayed_duplicate: delay of the channel against `other` in samples.
        clipped: per cent of the samples. dc_offset: per cent of the RMS. low_level: peak in dBFS. noise: dB by which its level
        changes. unrelated: coherence above chance. processed: dB by which its gain changes. dead_span, gated: seconds in all.
    other : int or None
        Index of the earlier channel of which this one is a copy.
    spans : tuple of (float, float)
        The spans of a fault that does not last, from and to, in seconds.
    """

    channel: int | None
    kind: str
    severity: Literal["left out", "warning"]
    message: str
    value: float
    other: int | None = None
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class ChannelRules:
    """The rules: each method turns measurements of the channels x (M, n) into findings."""

    x: np.ndarray
    rate: int
    names: tuple[str, ...]
    moments: Moments

    def unusable(self) -> list[Finding]:
        """Silent channels, and those with NaN or infinite samples."""
        bad = self.moments.first_bad >= 0
        rms = self.moments.rms
        loudest = float(np.max(rms[~bad], initial=0.0))
        silence = max(SILENT, SILENT_RELATIVE * loudest, min(DEAD, DEAD_RELATIVE * loudest))
        findings = [self._nonfinite(int(k)) for k in np.flatnonzero(bad)]
        return findings + [self._silent(int(k), loudest) for k in np.flatnonzero(~bad & (rms < silence))]

    def _nonfinite(self, k: int) -> Finding:
        counts = ((self.moments.n_nan[k], "NaN"), (self.moments.n_inf[k], "infinite"))
        bad = " and ".join(f"{count} {kind}" for count, kind in counts if count)
        total = int(self.moments.n_nan[k] + self.moments.n_inf[k])
        first = self.moments.first_bad[k] / self.rate
        message = (
            f"{self.names[k]} contains {bad} {'sample' if total == 1 else 'samples'}, the first at {first:.3f} s, and is "
            f"left out. Export the file again, or choose a part without {'it' if total == 1 else 'them'} (--start, --end)."
        )
        return Finding(k, "nonfinite", "left out", message, float(total))

    def _silent(self, k: int, loudest: float) -> Finding:
        rms, constant = float(self.moments.rms[k]), float(self.moments.mean[k])
        if self.moments.low[k] != self.moments.high[k]:
            relative = f", {db(loudest) - db(rms):.0f} dB below the loudest channel" if loudest > 10 * rms else ""
            what = f"is silent (RMS {_decibels(db(rms))} dBFS{relative})"
        elif constant == 0.0:
            what = "is digital silence (every sample is 0)"
        else:
            what = f"contains a constant offset of {constant:+.3g} and no sound"
        message = f"{self.names[k]} {what} and is left out. Check the cable, mute switch, gain and input selection."
        return Finding(k, "silent", "left out", message, db(rms))

    def copies(self, channels: tuple[int, ...]) -> list[Finding]:
        """Channels that are scaled or inverted copies of an earlier one."""
        findings: list[Finding] = []
        kept: list[int] = []
        for j in channels:
            fits = ((i, channel_faults.match(self.moments, i, j)) for i in kept)
            copied = next(((i, fit) for i, fit in fits if self._is_copy(i, j, fit)), None)
            if copied is None:
                kept.append(j)
            else:
                findings.append(self._duplicate(*copied, j))
        return findings

    def _is_copy(self, i: int, j: int, fit: Match) -> bool:
        power = self.moments.rms[j] ** 2
        step = self.moments.step
        # rounding with dither, step^2/4, of the copy and, scaled likewise, of the original
        rounding = (step[j] ** 2 + (fit.gain * step[i]) ** 2) / 4.0
        return bool(fit.residual <= COPY or (fit.residual <= ROUNDED_COPY and fit.residual * power <= rounding))

    def _duplicate(self, i: int, fit: Match, j: int) -> Finding:
        value = db(math.sqrt(fit.residual))
        if len(self.x) == 2:
            message = (
                f"{self.names[j]} is {self._copy(i, fit)}: this is one microphone in a stereo file, and one microphone "
                "cannot be separated. Record each microphone on its own track."
            )
            return Finding(j, "stereo_of_mono", "left out", message, value, i)
        message = (
            f"{self.names[j]} is {self._copy(i, fit)} and is left out: it adds no information. Check the routing: each "
            "microphone needs its own track."
        )
        return Finding(j, "duplicate", "left out", message, value, i)

    def _copy(self, i: int, fit: Match) -> str:
        gain = db(abs(fit.gain))
        changes = [f"{gain:+.1f} dB"] if abs(gain) >= 0.05 else []
        changes += ["inverted"] if fit.gain < 0 else []
        return f"a copy of {self.names[i]}" + (f" ({', '.join(changes)})" if changes else "")

    def relations(self, channels: tuple[int, ...]) -> list[Finding]:
        """Channels that are nearly equal to others, delayed copies of them, or mixtures of them."""
        findings = []
        likely = channel_faults.likely_delays(self.x, channels, round(LONGEST_DELAY * self.rate), self.moments)
        for position, j in enumerate(channels):
            for i in channels[:position]:
                fit = channel_faults.match(self.moments, i, j)
                if fit.residual <= NEAR_COPY:
                    findings.append(self._near_duplicate(i, j, fit))
                elif (i, j) in likely and self._is_copy(i, j, likely[i, j]):
                    whole = channel_faults.match_delayed(self.x, i, j, likely[i, j].lag, self.moments)
                    findings += [self._delayed(i, j, whole)] if self._is_copy(i, j, whole) else []
        return findings + self._dependent(channels)

    def _near_duplicate(self, i: int, j: int, fit: Match) -> Finding:
        value = db(math.sqrt(fit.residual))
        message = (
            f"{self.names[j]} is nearly identical to {self.names[i]} (difference {_decibels(value)} dB), so they contribute "
            "little to the separation. Check the routing, or move the microphones further apart."
        )
        return Finding(j, "near_duplicate", "warning", message, value, i)

    def _delayed(self, i: int, j: int, fit: Match) -> Finding:
        later, earlier = (j, i) if fit.lag > 0 else (i, j)
        samples = f"{abs(fit.lag)} {'sample' if abs(fit.lag) == 1 else 'samples'}"
        message = (
            f"{self.names[later]} is a copy of {self.names[earlier]} delayed by {samples} "
            f"({abs(fit.lag) / self.rate * 1e3:.2f} ms): one microphone, not two. Leave one of them out, and switch off "
            "stereo widening in the recorder."
        )
        return Finding(j, "delayed_duplicate", "warning", message, float(fit.lag), i)

    def _dependent(self, channels: tuple[int, ...]) -> list[Finding]:
        scale = self.moments.rms
        correlation = self.moments.covariance / np.outer(np.where(scale > 0, scale, 1.0), np.where(scale > 0, scale, 1.0))
        basis: list[int] = []
        findings = []
        for j in channels:
            weights = np.linalg.solve(correlation[np.ix_(basis, basis)], correlation[basis, j])
            residual = max(float(1.0 - weights @ correlation[basis, j]), 0.0)
            if residual > COPY or not basis:
                basis.append(j)
                continue
            parts = [self.names[i] for i, weight in zip(basis, weights, strict=True) if abs(weight) > 0.01]
            message = (
                f"{self.names[j]} is an exact mixture of {joined(parts)} and does not help to separate more sources. Leave "
                "it out if it is a mix-down or a processed track."
            )
            findings.append(Finding(j, "dependent", "warning", message, db(math.sqrt(residual))))
        return findings

    def faults(self, k: int) -> list[Finding]:
        """Faults of a channel that can still be used."""
        checks = (self._clipped(k), self._dc(k), self._low_level(k))
        return [finding for finding in checks if finding is not None]

    def _clipped(self, k: int) -> Finding | None:
        share, level = channel_faults.flat_tops(self.x, k, self.moments)
        if share == 0.0:
            return None
        text = f"{100 * share:.2g} %" if share >= 1e-4 else "less than 0.01 %"
        message = (
            f"{self.names[k]} is clipped: {text} of its samples are cut off at {_decibels(db(level))} dBFS. Clipped sound "
            "separates badly: record with less gain, or choose another part with --start and --end."
        )
        return Finding(k, "clipped", "warning", message, 100 * share)

    def _dc(self, k: int) -> Finding | None:
        share = float(abs(self.moments.mean[k]) / self.moments.rms[k])
        if share <= DC:
            return None
        message = (
            f"{self.names[k]} has a DC offset of {self.moments.mean[k]:+.3g}, {100 * share:.0f} % of its RMS. bss "
            "removes it before separating; a high-pass filter or another sound card keeps it out of the recording."
        )
        return Finding(k, "dc_offset", "warning", message, 100 * share)

    def _low_level(self, k: int) -> Finding | None:
        mean = self.moments.mean[k]
        peak = float(max(self.moments.high[k] - mean, mean - self.moments.low[k]))
        if peak >= LOW_LEVEL:
            return None
        step = self.moments.step[k]
        used = f", using {2 * peak / step:.0f} of the {2 / step:.0f} levels of {1 - math.log2(step):.0f} bits" if step > 0 else ""
        message = (
            f"{self.names[k]} is very quiet: its peak is {_decibels(db(peak))} dBFS{used}. Record with more gain; amplifying "
            "the file does not help."
        )
        return Finding(k, "low_level", "warning", message, db(peak))


def db(amplitude: float) -> float:
    """Amplitude relative to 1.0 in dB; -inf for 0."""
    return 20.0 * math.log10(amplitude) if amplitude > 0 else -math.inf


def _decibels(value: float) -> str:
    return f"{value + 0.0:.1f}" if math.isfinite(value) else "below -300"


def joined(names: list[str]) -> str:
    """Names in words: "a, b and c"."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def clock(seconds: float) -> str:
    """A time as 00:10.0, minutes and seconds."""
    tenths = round(10 * seconds)
    return f"{tenths // 600:02d}:{tenths % 600 / 10:04.1f}"
