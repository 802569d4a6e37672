"""Where two tracks hold the same sound: how much, at which time and frequency."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from bss.pipeline.analysis.success_evidence import EDGES

Array = npt.NDArray[np.floating]

SECONDS = 2.0  # talkers hardly move within it, and it is long enough to tell common sound from chance
INDEPENDENT = 0.6  # of the frames, which overlap: what coherence by chance goes by
QUIET = 1e-4  # of the mean power of a band: a window below it holds nothing to be shared
LEAST_DB = -40.0


@dataclass(frozen=True)
class Shared:
    """Levels of what pairs of tracks have in common.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Of talkers, counted from 0.
    level_db : (P, B, W)
        In each band and window of time, the power that is common to both tracks, relative to that of the louder one;
        `LEAST_DB` where there is none.
    edges : tuple[int, ...]
        (B + 1,) Hz.
    seconds : float
        Length of a window.
    """

    pairs: tuple[tuple[int, int], ...]
    level_db: Array
    edges: tuple[int, ...]
    seconds: float

    def worst(self) -> Array:
        """(B, W) the greatest level of all pairs."""
        return np.asarray(self.level_db.max(0))


class SharedSound:
    """Measures `Shared` from spectra that come in blocks.

    The common power of two tracks in a window is estimated at each frequency as their magnitude-squared coherence, less what
    independent sounds have by chance, times the power of the softer one.
    """

    def __init__(self, n_talkers: int, rate: int, size: int, hop: int) -> None:
        self._pairs = tuple(combinations(range(n_talkers), 2))
        self._window = max(2, round(SECONDS * rate / hop))
        self._seconds = self._window * hop / rate
        self._edges = tuple(e for e in EDGES if e < rate / 2)
        self._edges += (EDGES[-1],) if rate / 2 >= EDGES[-1] and EDGES[-1] not in self._edges else ()
        self._cuts = np.round(np.array(self._edges) * size / rate).astype(int)
        self._held: list[Array] = []
        self._count = 0
        self._common: list[Array] = []
        self._loudest: list[Array] = []

    def add(self, spectra: npt.NDArray[np.complexfloating]) -> None:
        """The next frames (N, T, F) of the talkers' tracks."""
        while self._pairs and spectra.shape[1]:
            now, spectra = np.split(spectra, [self._window - self._count], axis=1)
            self._sum(now)
            self._count += now.shape[1]
            if self._count == self._window:
                self._close()

    def finished(self) -> Shared | None:
        """What was measured; the last window may be shorter."""
        if not self._pairs:
            return None
        if self._count >= self._window // 4 or not self._common:
            self._close()
        common, loudest = np.stack(self._common, axis=2), np.stack(self._loudest, axis=2)  # (P, B, W)
        heard = loudest > QUIET * loudest.mean((0, 2), keepdims=True)
        ratio = np.divide(common, loudest, out=np.zeros_like(common), where=heard)
        level = 10 * np.log10(np.maximum(ratio, 10 ** (LEAST_DB / 10)))
        return Shared(self._pairs, level, self._edges, self._seconds)

    def _sum(self, spectra: npt.NDArray[np.complexfloating]) -> None:
        """Add to powers (N, F), and cross-spectra (P, F)."""
        powers = (np.square(spectra.real) + np.square(spectra.imag)).sum(1, dtype=np.float64)
        crosses = np.stack([np.einsum("tf,tf->f", spectra[i], spectra[j].conj()) for i, j in self._pairs])
        if not self._held:
            self._held = [powers, crosses.astype(np.complex128)]
        else:
            self._held[0] += powers
            self._held[1] += crosses

    def _close(self) -> None:
        powers, crosses = self._held if self._held else (np.zeros((2, 1)), np.zeros((1, 1)))
        first, second = (powers[[pair[k] for pair in self._pairs]] for k in (0, 1))
        product = first * second
        coherence = np.divide(np.abs(crosses) ** 2, product, out=np.zeros_like(product), where=product > 0)
        chance = min(1.0, 1 / max(1.0, INDEPENDENT * self._count))
        above = np.clip((coherence - chance) / max(1 - chance, 1e-3), 0, 1)
        self._common.append(self._bands(above * np.minimum(first, second)))
        self._loudest.append(self._bands(np.maximum(first, second)))
        self._held, self._count = [], 0

    def _bands(self, values: Array) -> Array:
        """Sums (P, B) over the bins of each band."""
        return np.stack([values[:, a : max(b, a + 1)].sum(1) for a, b in zip(self._cuts, self._cuts[1:], strict=False)], axis=1)
