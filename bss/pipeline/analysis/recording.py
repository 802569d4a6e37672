"""The one analysis of a recording: each measurement of its usable channels is computed once, when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bss.pipeline.analysis import counting, delay_free, directions, movement, subset_ica
from bss.pipeline.analysis.counting import Count
from bss.pipeline.analysis.delay_free import DelayEvidence
from bss.pipeline.analysis.subset_ica import SubsetSeparation
from bss.pipeline.planning.windows import subset_window
from bss.signals.stft import Stft


@dataclass(frozen=True)
class Analysis:
    """The usable channels of a recording, and measurements of them.

    Attributes
    ----------
    x : np.ndarray
        (M, n) float32, contiguous.
    rate : int
        Hz.
    window : Stft or None
        The window that the separation will probably use; if the window for counting is equally long, counting uses every second,
        fourth ... of its frames.
    """

    x: np.ndarray = field(repr=False)
    rate: int
    window: Stft | None = None
    _spectra: dict[Stft, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def n_mics(self) -> int:
        """M."""
        return len(self.x)

    def spectra(self, stft: Stft) -> np.ndarray:
        """(F, M, T) spectra of x, computed once for each window."""
        if stft not in self._spectra:
            self._spectra[stft] = stft.forward(self.x)
        return self._spectra[stft]

    @cached_property
    def subset(self) -> SubsetSeparation | None:
        """ICA in a subset of the frequencies; None if the recording is too short."""
        parts = subset_ica.parts(self.x.shape[1], self.rate)
        stft, halvings = subset_window([part.stop - part.start for part in parts], self.rate)
        spectra = [self._decimated(stft)] if len(parts) == 1 else [stft.forward(self.x[:, part]) for part in parts]
        return subset_ica.separate_subset(spectra, stft, self.rate, halvings)

    def _decimated(self, stft: Stft) -> np.ndarray:
        """Spectra by `stft`: frames of `window`, if that is equally long and its hop a fraction of that of `stft`."""
        dense = self.window
        if dense is None or dense.n_fft != stft.n_fft or stft.hop % dense.hop:
            return self.spectra(stft)
        step = stft.hop // dense.hop
        # frame t of `stft` is frame t step + step - 1 of `window`, as each first frame begins n_fft - hop before sample 0
        return self.spectra(dense)[:, :, step - 1 :: step][:, :, : stft.n_frames(self.x.shape[1])]

    def count(self) -> Count:
        """The number of talkers, from 1 to one more than microphones; other sounds with onsets count as talkers."""
        counted, M = directions.reconsidered(self.sounds(), self.x, self.rate), self.n_mics
        if counted.n_sources <= M or not self._anybody_moves:
            return counted
        reason = f"{counted.reason}, as somebody moves"  # and so comes from more directions than one
        return replace(counted, n_sources=M, fewest=min(counted.fewest, M), most=M + 1, reason=reason)

    @cached_property
    def _anybody_moves(self) -> bool:
        stft = self.window
        return stft is not None and movement.anybody_moves(self.x, self.spectra(stft), stft, self.rate)

    def sounds(self) -> Count:
        """The number of sounds with onsets, at most as many as microphones."""
        return counting.count(self.subset, self.n_mics, self.x.shape[1] / self.rate)

    def delays(self, n_sources: int | None) -> DelayEvidence:
        """Whether the mixing of so many talkers is free of delays."""
        return delay_free.measure(self.x, self.rate, n_sources)
