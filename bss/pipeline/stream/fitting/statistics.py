"""What a demixing follows from, added up block by block: covariances weighted by the variances of the talkers.

With known variances the demixing needs nothing else of a recording, however long it is: eqs. 18 and 19 of N. Ono, "Stable and
fast update rules for independent vector analysis based on auxiliary function technique", WASPAA 2011. Estimates of the learned
source model are the variances; with them, windows of two seconds, of which a blind separation would have too few, can be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bss.backends.cpu import threads
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.moving_talkers.local_demixing import FLOOR, LOADING, project
from bss.pipeline.stream.spectra import Span
from bss.signals.stft import Stft, nearest_size

# Windows of 1, 2, 3 and 4 s give 22.5, 24.7, 25.0 and 25.0 dB, and behind the source model 28.9, 31.4, 31.7 and 31.6 dB, on
# 120 s of three talkers (RT60 0.3 s, four microphones); on 45 s 2 s are best.
WINDOW_SECONDS, OVERLAP = 2.0, 4
BINS = 1024  # that are solved at a time
TINY = float(np.finfo(np.float32).tiny)


def window(rate: int, seconds: float = WINDOW_SECONDS) -> Stft:
    """The window of the filters."""
    size = nearest_size(seconds * rate)
    return Stft(size, size // OVERLAP)


@dataclass(frozen=True)
class Statistics:
    """Weighted covariances.

    Attributes
    ----------
    C : np.ndarray
        (F, K, M, M) complex64, or (F, K + 1, M, M) with more microphones than sounds: the last one without weights.
    floor : np.ndarray
        (F, K) what is added to the variances: no sound is ever quite silent.
    """

    C: np.ndarray = field(repr=False)
    floor: np.ndarray = field(repr=False)

    @property
    def n_sources(self) -> int:
        """K."""
        return int(self.floor.shape[1])

    def add(self, span: Span, estimates: np.ndarray, keep: float = 1.0) -> Statistics:
        """These, `keep` times, and those of a span in which the sounds are `estimates` (K, n) at one microphone."""
        frames, E = span.inside(estimates)
        X = np.ascontiguousarray(span.X[:, :, frames])
        C = np.empty_like(self.C)

        def work(first: int, step: int) -> None:
            for part in _parts(len(X))[first::step]:
                x, conj = X[part], X[part].conj().swapaxes(1, 2)
                for n in range(self.n_sources):
                    e = E[part, n]
                    weight = 1 / (e.real**2 + e.imag**2 + self.floor[part, n, None])
                    C[part, n] = keep * self.C[part, n] + (x * weight[:, None]) @ conj
                if C.shape[1] > self.n_sources:
                    C[part, -1] = keep * self.C[part, -1] + x @ conj

        threads.run(work)
        return Statistics(C, self.floor)

    def without(self, missing: Sequence[int]) -> Demixing | None:
        """The demixing that fits them, from other microphones than those `missing`; None from too few."""
        F, _, M, _ = self.C.shape
        left = [m for m in range(M) if m not in missing]
        K = self.n_sources
        if len(left) < K:
            return None
        C = self.C[:, : K + (len(left) > K)][:, :, left][:, :, :, left]
        part = Statistics(np.ascontiguousarray(C), self.floor).demixing()
        W, A = np.zeros((F, K, M), np.complex64), np.zeros((F, M, K), np.complex64)
        W[:, :, left], A[:, left] = part.W, part.A
        return Demixing(W, A)

    def demixing(self) -> Demixing:
        """The demixing that fits them."""
        F, _, M, _ = self.C.shape
        W, A = np.empty((F, self.n_sources, M), np.complex64), np.empty((F, M, self.n_sources), np.complex64)

        def work(first: int, step: int) -> None:
            for part in _parts(F)[first::step]:
                C = self.C[part, None].astype(np.complex128)
                load = LOADING / M * np.trace(C, axis1=-2, axis2=-1).real + TINY
                w, a = project(C + load[..., None, None] * np.eye(M), self.n_sources)
                W[part], A[part] = w[:, 0], a[:, 0]

        threads.run(work)
        return Demixing(W, A)

    def ordered(self, order: np.ndarray) -> Statistics:
        """The same with sound order[k] in place k."""
        background = list(range(self.n_sources, self.C.shape[1]))
        return Statistics(self.C[:, [*order.tolist(), *background]], self.floor[:, order])

    def arrays(self) -> dict[str, np.ndarray]:
        """To be kept."""
        return {"covariances": self.C, "floor": self.floor}

    @staticmethod
    def of(arrays: Mapping[str, np.ndarray]) -> Statistics:
        """The inverse of `arrays`."""
        return Statistics(arrays["covariances"], arrays["floor"])


def empty(spans: Iterable[tuple[Span, np.ndarray]]) -> Statistics:
    """Statistics of nothing, with the floor that fits spans of a recording and the estimates (K, n) of its sounds there."""
    power, level, frames, mics = np.zeros(0), np.zeros(0), 0, 0
    for span, estimates in spans:
        inside, E = span.inside(estimates)
        X = span.X[:, :, inside]
        if not frames:
            power, level, mics = np.zeros(len(estimates)), np.zeros(len(X)), X.shape[1]
        power += np.sum(E.real**2 + E.imag**2, axis=(0, 2), dtype=np.float64) / len(X)
        level += np.sum(np.mean(X.real**2 + X.imag**2, axis=1), axis=1)
        frames += E.shape[2]
    F, K = len(level), len(power)
    floor = (FLOOR * power + 1e-6 * level[:, None]) / max(frames, 1) + TINY
    return Statistics(np.zeros((F, K + (mics > K), mics, mics), np.complex64), floor.astype(np.float32))


def _parts(F: int) -> list[slice]:
    return [slice(k, min(k + BINS, F)) for k in range(0, F, BINS)]
