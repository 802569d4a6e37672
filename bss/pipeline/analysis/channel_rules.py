"""The rules of the preflight: what a measurement means for a separation, and what people are told about it.

Every threshold is here, with its reason. The measurements are `bss.signals.channel_faults`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bss.signals import channel_faults
from bss.signals.channel_faults import Match, Moments

# RMS that counts as silence. A dead input still carries the rounding of 16 bits (-96 dBFS) or its preamplifier's hiss.
NOTHING = 1e-7  # -140 dBFS: below the last bit of 24
FAR_BELOW = 1e-4  # of the loudest channel, -80 dB: no room takes that much from one microphone and not from another
DEAD, BELOW = 10 ** (-90 / 20), 1e-2  # below -90 dBFS and 40 dB under the loudest channel

# Power left of a channel after the best scaling of another. Two microphones, however close, hear their own noise: at
# 40 dB SNR they differ by -37 dB. A copy differs by rounding only.
COPY = 1e-6  # -60 dB
ROUNDED_COPY = 1e-4  # -40 dB, where the difference is no larger than the rounding of the samples explains
ALMOST_COPY = 1e-4  # -40 dB: worth a word
LONGEST_DELAY = 0.05  # seconds; what recorders and effects use to widen a copy

DC = 0.1  # of the RMS
FAINT = 10 ** (-50 / 20)  # peak: eight bits of a 16 bit recording are lost


@dataclass(frozen=True)
class Finding:
    """One thing found wrong.

    Parameters
    ----------
    channel : int or None
        Index of the channel; None for the recording as a whole.
    kind : str
        Left out: "silent", "nonfinite", "duplicate", "stereo_of_mono". Warnings: "near_duplicate",
        "delayed_duplicate", "dependent", "clipped", "dc_offset", "low_level".
    severity : {"left out", "warning"}
    message : str
        A sentence for people, with numbers and advice.
    value : float
        silent: RMS in dBFS. nonfinite: number of samples. (near_)duplicate, stereo_of_mono, dependent: what differs,
        in dB relative to the channel. delayed_duplicate: samples that the channel comes after `other`. clipped: per
        cent of the samples. dc_offset: per cent of the RMS. low_level: peak in dBFS.
    other : int or None
        Index of the earlier channel that this one copies.
    """

    channel: int | None
    kind: str
    severity: Literal["left out", "warning"]
    message: str
    value: float
    other: int | None = None


@dataclass(frozen=True)
class Look:
    """The rules, each a method that turns measurements into findings."""

    x: np.ndarray
    rate: int
    names: tuple[str, ...]
    found: Moments

    def broken(self) -> list[Finding]:
        """Channels that hold no sound, or something that is no number."""
        bad = self.found.first_bad >= 0
        rms = self.found.rms
        loudest = float(np.max(rms[~bad], initial=0.0))
        silence = max(NOTHING, FAR_BELOW * loudest, min(DEAD, BELOW * loudest))
        findings = [self._nonfinite(int(k)) for k in np.flatnonzero(bad)]
        return findings + [self._silent(int(k), loudest) for k in np.flatnonzero(~bad & (rms < silence))]

    def _nonfinite(self, k: int) -> Finding:
        counts = ((self.found.n_nan[k], "NaN"), (self.found.n_inf[k], "infinite"))
        bad = " and ".join(f"{count} {kind}" for count, kind in counts if count)
        total = int(self.found.n_nan[k] + self.found.n_inf[k])
        first = self.found.first_bad[k] / self.rate
        message = (
            f"{self.names[k]} holds {bad} {'sample' if total == 1 else 'samples'}, the first at {first:.3f} s; it is "
            "left out. Nothing is put in their place: export the file again, or choose a part without them."
        )
        return Finding(k, "nonfinite", "left out", message, float(total))

    def _silent(self, k: int, loudest: float) -> Finding:
        rms, constant = float(self.found.rms[k]), float(self.found.mean[k])
        if self.found.low[k] != self.found.high[k]:
            beside = f", {db(loudest) - db(rms):.0f} dB below the loudest channel" if loudest > 10 * rms else ""
            what = f"is silent (RMS {_show(db(rms))} dBFS{beside})"
        elif constant == 0.0:
            what = "is digital silence: every sample is 0"
        else:
            what = f"holds a constant of {constant:+.3g} and no sound"
        message = f"{self.names[k]} {what}; it is left out. Check its cable, mute switch, gain and the chosen input."
        return Finding(k, "silent", "left out", message, db(rms))

    def copies(self, channels: tuple[int, ...]) -> list[Finding]:
        """Channels that are an earlier one, scaled or inverted."""
        findings: list[Finding] = []
        kept: list[int] = []
        for j in channels:
            fits = ((i, channel_faults.match(self.found, i, j)) for i in kept)
            copied = next(((i, fit) for i, fit in fits if self._is_copy(i, j, fit)), None)
            if copied is None:
                kept.append(j)
            else:
                findings.append(self._duplicate(*copied, j))
        return findings

    def _is_copy(self, i: int, j: int, fit: Match) -> bool:
        power = self.found.rms[j] ** 2
        step = self.found.step
        # rounding with dither, of the copy and, scaled with it, of what was copied: step^2/4 each
        rounding = (step[j] ** 2 + (fit.gain * step[i]) ** 2) / 4.0
        return bool(fit.residual <= COPY or (fit.residual <= ROUNDED_COPY and fit.residual * power <= rounding))

    def _duplicate(self, i: int, fit: Match, j: int) -> Finding:
        value = db(math.sqrt(fit.residual))
        if len(self.x) == 2:
            message = (
                f"{self.names[j]} is {self._scaled(i, fit)}: a stereo recording of one microphone. It is left out, and "
                "one microphone cannot be separated. Record every microphone on a track of its own."
            )
            return Finding(j, "stereo_of_mono", "left out", message, value, i)
        message = (
            f"{self.names[j]} is {self._scaled(i, fit)}; it is left out, for it tells nothing that {self.names[i]} "
            "does not. Check the routing: every microphone needs a track of its own."
        )
        return Finding(j, "duplicate", "left out", message, value, i)

    def _scaled(self, i: int, fit: Match) -> str:
        gain = db(abs(fit.gain))
        changes = [f"{gain:+.1f} dB"] if abs(gain) >= 0.05 else []
        changes += ["inverted"] if fit.gain < 0 else []
        return f"a copy of {self.names[i]}" + (f" ({', '.join(changes)})" if changes else "")

    def relations(self, channels: tuple[int, ...]) -> list[Finding]:
        """Channels that are almost, or after a delay, or together, what others are."""
        findings = []
        likely = channel_faults.likely_delays(self.x, channels, round(LONGEST_DELAY * self.rate), self.found)
        for at, j in enumerate(channels):
            for i in channels[:at]:
                fit = channel_faults.match(self.found, i, j)
                if fit.residual <= ALMOST_COPY:
                    findings.append(self._almost(i, j, fit))
                elif (i, j) in likely and self._is_copy(i, j, likely[i, j]):
                    whole = channel_faults.match_delayed(self.x, i, j, likely[i, j].lag, self.found)
                    findings += [self._delayed(i, j, whole)] if self._is_copy(i, j, whole) else []
        return findings + self._dependent(channels)

    def _almost(self, i: int, j: int, fit: Match) -> Finding:
        value = db(math.sqrt(fit.residual))
        message = (
            f"{self.names[j]} is almost {self.names[i]}: they differ by {_show(value)} dB, too little to tell sources apart "
            "well. Check the routing, or put the microphones further apart."
        )
        return Finding(j, "near_duplicate", "warning", message, value, i)

    def _delayed(self, i: int, j: int, fit: Match) -> Finding:
        later, earlier = (j, i) if fit.lag > 0 else (i, j)
        samples = f"{abs(fit.lag)} {'sample' if abs(fit.lag) == 1 else 'samples'}"
        message = (
            f"{self.names[later]} is {self.names[earlier]} delayed by {samples} ({abs(fit.lag) / self.rate * 1e3:.2f} "
            "ms): one microphone, not two. Leave one of them out, and switch off stereo widening in the recorder."
        )
        return Finding(j, "delayed_duplicate", "warning", message, float(fit.lag), i)

    def _dependent(self, channels: tuple[int, ...]) -> list[Finding]:
        scale = self.found.rms
        correlation = self.found.covariance / np.outer(np.where(scale > 0, scale, 1.0), np.where(scale > 0, scale, 1.0))
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
                f"{self.names[j]} is an exact mixture of {_listed(parts)}: no more sources can be told apart than "
                "without it. Leave it out if it is a mix-down or a processed track."
            )
            findings.append(Finding(j, "dependent", "warning", message, db(math.sqrt(residual))))
        return findings

    def flaws(self, k: int) -> list[Finding]:
        """What hurts in a channel that can be used."""
        checks = (self._clipped(k), self._dc(k), self._faint(k))
        return [finding for finding in checks if finding is not None]

    def _clipped(self, k: int) -> Finding | None:
        share, level = channel_faults.flat_tops(self.x, k, self.found)
        if share == 0.0:
            return None
        text = f"{100 * share:.2g} %" if share >= 1e-4 else "less than 0.01 %"
        message = (
            f"{self.names[k]} is clipped: {text} of its samples are in flat tops at "
            f"{_show(db(level))} dBFS. What is clipped "
            "separates badly: record with less gain, or choose another part with --start and --end."
        )
        return Finding(k, "clipped", "warning", message, 100 * share)

    def _dc(self, k: int) -> Finding | None:
        share = float(abs(self.found.mean[k]) / self.found.rms[k])
        if share <= DC:
            return None
        message = (
            f"{self.names[k]} has a DC offset of {self.found.mean[k]:+.3g}, {100 * share:.0f} % of its RMS. It is "
            "removed for the estimation; a high-pass filter or another sound card removes it from the recording."
        )
        return Finding(k, "dc_offset", "warning", message, 100 * share)

    def _faint(self, k: int) -> Finding | None:
        mean = self.found.mean[k]
        peak = float(max(self.found.high[k] - mean, mean - self.found.low[k]))
        if peak >= FAINT:
            return None
        step = self.found.step[k]
        steps = f", {2 * peak / step:.0f} of the {2 / step:.0f} steps of {1 - math.log2(step):.0f} bits" if step > 0 else ""
        message = (
            f"{self.names[k]} is very quiet: its peak is {_show(db(peak))} dBFS{steps}. Record with more gain: a "
            "louder copy of the file does not help."
        )
        return Finding(k, "low_level", "warning", message, db(peak))


def db(amplitude: float) -> float:
    """Amplitude relative to 1.0 in dB; -inf for 0."""
    return 20.0 * math.log10(amplitude) if amplitude > 0 else -math.inf


def _show(value: float) -> str:
    return f"{value + 0.0:.1f}" if math.isfinite(value) else "below -300"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
