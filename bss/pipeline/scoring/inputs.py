"""The files that are to be scored: which of them, at which microphone, of one rate and length; and what is to be said of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bss.errors import InputError, UsageError
from bss.pipeline import record
from bss.pipeline.record import RunRecord
from bss.signals.files.audio import Recording, load
from bss.signals.files.blocks import Files
from bss.signals.files.paths import expand
from bss.signals.resample import resample


def _select(tracks: Recording, indices: list[int]) -> Recording:
    """Some of the tracks, which must be finite."""
    channels = tuple(tracks.channels[k] for k in indices)
    for k, channel in zip(indices, channels, strict=True):
        bad = int(np.count_nonzero(~np.isfinite(tracks.x[k])))
        if bad:
            raise InputError(f"{channel.name} contains {bad} NaN or infinite samples", "a score of them is meaningless")
    return tracks if len(indices) == len(tracks.channels) else replace(tracks, x=tracks.x[indices], channels=channels)


@dataclass
class Inputs:
    """Reads the tracks to compare, and collects notes and warnings about them. Microphones count from 1, as for people."""

    reference_mic: int
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    record: RunRecord | None = None

    def read_references(self, pattern: Files) -> Recording:
        """One signal per file: that of the reference microphone if there are several."""
        recording = self._load(pattern)
        indices, first = [], 0
        for channel in recording.channels:
            if channel.index == 0:
                indices.append(first + self._mic(channel.file, channel.of))
                first += channel.of
        if len(indices) < len(recording.channels):
            self.notes.append(f"references: using channel {self.reference_mic} (--reference-mic)")
        return _select(recording, indices)

    def read_estimates(self, pattern: Files, rate: int | None = None) -> Recording:
        """One signal per channel of every file that is an estimate, at `rate` or at their own."""
        files = expand(pattern)
        tracks = [file for file in files if file.stem.lower() != "residual"]
        if len(tracks) < len(files):
            self.notes.append("residual.wav is not an estimate, so it is left out")
        if not tracks:
            raise InputError(f"{pattern} contains only a residual, no estimates", "", "the folder that bss unmix wrote")
        folder = Path(pattern) if isinstance(pattern, (str, os.PathLike)) else None
        if folder is not None and (folder / "result.json").is_file():
            tracks = self._listed(folder / "result.json", tracks)
        recording = self._load(tracks)
        estimates = _select(recording, list(range(len(recording.channels))))
        return estimates if rate is None else self._resampled(estimates, "estimates", rate)

    def _listed(self, result: Path, tracks: list[Path]) -> list[Path]:
        """The tracks of the last run of `bss unmix`, without those that an earlier run left in the folder."""
        try:
            run = record.read(result)
        except InputError as error:
            self.warnings.append(f"{result} is ignored: it was not written by bss unmix ({error.what})")
            return tracks
        self.record = run
        outputs, options = set(run.outputs or []), run.options or {}
        mic = options.get("reference_mic", self.reference_mic)
        if mic != self.reference_mic and not options.get("per_mic"):
            self.warnings.append(f"the estimates are for microphone {mic}; to compare them there, use --reference-mic {mic}")
        old = [file.name for file in tracks if file.name not in outputs]
        if old and len(old) < len(tracks):
            self.warnings.append(f"{', '.join(old)} left out: not listed in {result}, so from an earlier run")
            tracks = [file for file in tracks if file.name in outputs]
        return tracks

    def read_mixture(self, pattern: Files, rate: int, *, of: str = "references") -> Recording:
        """The signal of the reference microphone."""
        recording = self._load(pattern)
        mixture = _select(recording, [self._mic("the mixture", len(recording.channels))])
        self.notes.append(f"mixture: {mixture.channels[0].name}")
        return self._resampled(mixture, "mixture", rate, of)

    def common_length(self, tracks: dict[str, Recording]) -> int:
        """The length of the shortest; warns about what is cut off the others."""
        n: int = min(t.x.shape[1] for t in tracks.values())
        for name, t in tracks.items():
            more = t.x.shape[1] - n
            if more:
                doubt = "; do they belong together?" if more > n else ""
                verb = "is" if name == "mixture" else "are"
                extra = f"{more} samples ({more / t.rate:.3f} s)"
                self.warnings.append(f"the {name} {verb} {extra} longer, which are not scored{doubt}")
        return n

    def _load(self, files: Files) -> Recording:
        recording = load(files)
        self.warnings.extend(recording.repairs)
        return recording

    def _mic(self, name: str, of: int) -> int:
        """Index of the reference microphone; a single channel is taken for it."""
        if of == 1:
            return 0
        if self.reference_mic > of:
            raise UsageError(f"--reference-mic {self.reference_mic}: {name} has {of} channels", hint=f"1 to {of}")
        return self.reference_mic - 1

    def _resampled(self, tracks: Recording, name: str, rate: int, of: str = "references") -> Recording:
        """The tracks at the rate of the others."""
        if tracks.rate == rate:
            return tracks
        verb = "is" if name == "mixture" else "are"
        self.warnings.append(f"the {name} {verb} resampled from {tracks.rate} Hz to the {rate} Hz of the {of}")
        return replace(tracks, x=resample(tracks.x, tracks.rate, rate), rate=rate)
