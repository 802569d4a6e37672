"""Whether talkers move, who and when: how alike the phases between the microphones are at different times.

In the frames that one talker dominates, the phases between two microphones depend on that talker's place alone. Of a talker who
stays, spans of the recording are equally alike whether they follow each other or lie far apart; of one who moves, only those
that follow each other are alike. What blurs the phases (noise, echo, other talkers) does so at all distances in time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from bss.signals import gcc_phat
from bss.signals.stft import Stft, nearest_size
from bss.solvers import scaling
from bss.solvers.demixing.fdica import fdica

FRAME_SECONDS, SPAN_SECONDS = 0.064, 1.0
LOWEST_HZ, HIGHEST_HZ = 200.0, 4000.0  # where voices are loud, and phases of microphones some centimetres apart are clear
DOMINANT = 0.7  # share of the power in a bin and frame above which it is one talker's
FEWEST_SPANS = 3
QUIET = 0.05  # of the mean amount of a talker's sound in a span and bin, which is added: spans with little of it count less
HEARD = 0.25  # of the mean amount: a span with less of a talker says nothing about the place
REACH = 64  # spans at most that are compared, evenly spaced in a longer recording
UPSAMPLING, LONGEST_DELAY = 16, 0.005
TINY = float(np.finfo(np.float32).tiny)
# Sums over the talkers of how much less alike their phases are far apart than near: at most 0.07 in 30 separations of still
# scenes, 0.16 to 0.42 in six in which one or two talkers walk. Of a single talker in well separated tracks 0.05 against 0.2.
ANYBODY, MOVES = 0.1, 0.08
ENDS = 3  # spans at either end of which delays are told
ITERATIONS, CANDIDATES = 30, 3  # of FD-ICA
FOLLOWED = "; the filters follow"  # ends a sentence on a talker who moves
RAMP = 0.3  # share of the variance of a talker's delays that a ramp may leave


@dataclass(frozen=True)
class Movement:
    """What changes about the places of N talkers, in S spans of a recording.

    Attributes
    ----------
    near, far : np.ndarray
        (N,) how alike (0 to 1) the phases of a talker are in spans that follow each other, and in spans far apart.
    spans : tuple
        For each talker (start, end) of the movement in seconds, or None for a talker who stays.
    times : np.ndarray
        (S,) middle of the spans in seconds.
    delays : np.ndarray
        (N, S, M) seconds by which each microphone hears a talker later than the first; NaN in silence.
    """

    near: np.ndarray
    far: np.ndarray
    spans: tuple[tuple[float, float] | None, ...]
    times: np.ndarray = field(repr=False)
    delays: np.ndarray = field(repr=False)

    @property
    def moving(self) -> bool:
        """Whether anybody moves: told by all talkers together, as the remains of another talker confuse two of them."""
        return bool(np.sum(self.near - self.far) > ANYBODY)

    def ordered(self, order: np.ndarray) -> Movement:
        """The same with talker order[k] in place k."""
        return Movement(self.near[order], self.far[order], tuple(self.spans[k] for k in order), self.times, self.delays[order])

    def to_dict(self) -> dict[str, Any]:
        """As a dict for result.json."""
        talkers = [
            {
                "span": None if span is None else [round(t, 1) for t in span],
                "alike_near": round(float(near), 3),
                "alike_far": round(float(far), 3),
                "delays_ms": [[None if np.isnan(d) else round(1e3 * float(d), 3) + 0.0 for d in row] for row in delays],
            }
            for span, near, far, delays in zip(self.spans, self.near, self.far, self.delays, strict=True)
        ]
        return {"times": [round(float(t), 2) for t in self.times], "talkers": talkers}

    def sentences(self, mics: tuple[str, ...]) -> list[str]:
        """For each talker who moves from when to when, and how the delays between the microphones (by name) change."""
        return [self._sentence(n, span, mics) for n, span in enumerate(self.spans) if span is not None]

    def _sentence(self, n: int, span: tuple[float, float], mics: tuple[str, ...]) -> str:
        when = f"talker {n + 1} moves between {_clock(span[0])} and {_clock(span[1])}"
        return f"{when}{self._delays_in_words(n, mics)}{FOLLOWED}"

    def _delays_in_words(self, n: int, mics: tuple[str, ...]) -> str:
        """The delay that changes most, at first and at last; empty if the talker is not heard at both ends."""
        heard = np.flatnonzero(~np.isnan(self.delays[n]).any(1))
        if len(heard) < 2 * ENDS:
            return ""
        first, last = (1e3 * np.median(self.delays[n, part], axis=0) for part in (heard[:ENDS], heard[-ENDS:]))
        m = int(np.argmax(np.abs(last - first)))
        return f" (heard by {mics[m]} {_later(first[m], mics[0])} at first, {_later(last[m], mics[0])} at last)"


def _clock(seconds: float) -> str:
    return f"{int(seconds + 0.5) // 60:02d}:{int(seconds + 0.5) % 60:02d}"


def _later(ms: float, reference: str) -> str:
    return f"{abs(ms):.2f} ms {'later' if ms >= 0 else 'earlier'} than by {reference}"


def anybody_moves(x: np.ndarray, X: np.ndarray, stft: Stft, rate: int) -> bool:
    """Whether anybody moves in a recording x (M, n) with spectra X (F, M, T), by separating as many sounds as microphones."""
    solved = fdica(X, n_iter=ITERATIONS, tol=0.0, candidates=CANDIDATES, activity="log")
    images = scaling.projection_back(solved, X, reference_mic=0).sources
    found = measure(x, np.asarray(stft.inverse(images, x.shape[1]), np.float32), rate)
    return found is not None and found.moving


def measure(x: np.ndarray, tracks: np.ndarray, rate: int) -> Movement | None:
    """The movement of talkers with tracks (N, n), however roughly separated, in a recording x (M, n).

    None if the recording is too short to tell. The time is linear in n.
    """
    size = nearest_size(FRAME_SECONDS * rate)
    stft = Stft(size, size // 2)
    per = max(1, round(SPAN_SECONDS * rate / stft.hop))
    if stft.n_frames(x.shape[1]) < FEWEST_SPANS * per:
        return None
    low, high = np.ceil(np.array([LOWEST_HZ, min(HIGHEST_HZ, 0.45 * rate)]) * size / rate).astype(int)
    sums, amounts = [], []
    for begin in range(0, x.shape[1], REACH * per * stft.hop):  # piece by piece, so that spectra of the whole need not be held
        piece = slice(begin, min(begin + REACH * per * stft.hop, x.shape[1]))
        X = stft.forward(np.ascontiguousarray(x[:, piece], np.float32))[low:high]
        Y = stft.forward(np.ascontiguousarray(tracks[:, piece], np.float32))[low:high]
        cross, amount = _dominated(X, Y)
        sums.append(_spans(cross, per))
        amounts.append(_spans(amount, per))
    return _movement(np.concatenate(sums, 2), np.concatenate(amounts, 2), int(low), size, per * stft.hop / rate, rate)


def _dominated(X: np.ndarray, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-spectra with the first microphone (F, N, T, M - 1) in the frames that each talker dominates, and their sizes.

    Square roots of the amplitudes, so that no few loud frames decide.
    """
    power = Y.real**2 + Y.imag**2
    heard = X[:, 0].real ** 2 + X[:, 0].imag ** 2
    whole = np.maximum(power.sum(1), 0.5 * heard) + TINY
    mask = power > DOMINANT * whole[:, None]  # (F, N, T)
    cross = X[:, 1:] * X[:, :1].conj()
    cross /= np.sqrt(np.maximum(np.abs(cross), TINY))
    cross = cross.swapaxes(1, 2)[:, None] * mask[..., None]
    return cross, np.abs(cross)


def _spans(values: np.ndarray, per: int) -> np.ndarray:
    """Sums of (F, N, T, M - 1) over every `per` frames; a rest of less than half a span is left out."""
    F, N, T, M = values.shape
    count = max(1, (T + per // 2) // per)
    padded = np.zeros((F, N, count * per, M), values.dtype)
    padded[:, :, : min(T, count * per)] = values[:, :, : count * per]
    return np.asarray(padded.reshape(F, N, count, per, M).sum(3))


def _movement(sums: np.ndarray, amounts: np.ndarray, low: int, size: int, seconds: float, rate: int) -> Movement:
    """From cross-spectra (F, N, S, M - 1) of spans and their amounts."""
    _, N, S, _ = sums.shape
    phases = sums / (amounts + QUIET * amounts.mean((0, 2), keepdims=True) + TINY)
    near, far = np.ones(N), np.ones(N)
    spans: list[tuple[float, float] | None] = []
    amount = amounts.sum((0, 3))
    delays = np.zeros((N, S, sums.shape[3] + 1))
    for n in range(N):
        delays[n, :, 1:] = _delays(phases[:, n], low, size, rate)
    delays[amount <= HEARD * amount.mean(1, keepdims=True)] = np.nan
    for n in range(N):
        heard = np.flatnonzero(amount[n] > HEARD * amount[n].mean())
        spans.append(None)
        if len(heard) < FEWEST_SPANS:
            continue
        chosen = heard[np.unique(np.linspace(0, len(heard) - 1, min(len(heard), REACH)).round().astype(int))]
        vectors = phases[:, n].swapaxes(0, 1).reshape(S, -1)
        near[n] = _alike(vectors[heard[:-1]], vectors[heard[1:]])
        part = vectors[chosen]
        products = (part @ part.conj().T).real
        lengths = np.sqrt(np.maximum(np.diag(products), TINY))
        apart = np.abs(np.subtract.outer(range(len(chosen)), range(len(chosen)))) >= max(2, len(chosen) // 2)
        far[n] = products[apart].sum() / np.outer(lengths, lengths)[apart].sum()
        if near[n] - far[n] > MOVES:
            spans[n] = _when(delays[n], seconds)
    return Movement(near, far, tuple(spans), (np.arange(S) + 0.5) * seconds, delays)


def _alike(a: np.ndarray, b: np.ndarray) -> float:
    """Mean cosine of vectors (S, K) with others, weighted by their lengths."""
    products = np.einsum("sk,sk->s", a, b.conj()).real
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(products.sum() / max(float(lengths.sum()), TINY))


def _when(delays: np.ndarray, seconds: float) -> tuple[float, float]:
    """Start and end in seconds of the movement of a talker with delays (S, M), NaN where the talker is silent.

    The delays of one who stays, walks and stays are constant, a ramp, and constant. Where the best ramp does not explain them, as
    of one who walks to and fro or straight away from the microphones, it is all of the time in which the talker is heard.
    """
    heard = np.flatnonzero(~np.isnan(delays).any(1))
    d = delays[heard] - delays[heard].mean(0)
    edges = np.unique(np.linspace(heard[0], heard[-1] + 1, min(len(heard) + 1, REACH)).round())
    best, found = RAMP * float(np.sum(d * d)), (float(heard[0]), float(heard[-1] + 1))
    for start, end in combinations(edges, 2):
        ramp = np.clip((heard + 0.5 - start) / (end - start), 0, 1)
        ramp -= ramp.mean()
        power = float(ramp @ ramp)
        left = float(np.sum(d * d)) - float(np.sum((ramp @ d) ** 2)) / max(power, TINY)
        if power > 0 and left < best:
            best, found = left, (float(start), float(end))
    return found[0] * seconds, found[1] * seconds


def _delays(phases: np.ndarray, low: int, size: int, rate: int) -> np.ndarray:
    """(S, M - 1) delays in seconds from phases (F, S, M - 1) of the bins from `low` on."""
    whole = np.zeros((size // 2 + 1, *phases.shape[1:]), phases.dtype)
    whole[low : low + len(phases)] = phases
    longest = min(size // 4, round(LONGEST_DELAY * rate)) * UPSAMPLING
    correlation = gcc_phat.correlate(whole, longest, upsampling=UPSAMPLING)
    return np.asarray(gcc_phat.peaks(correlation, upsampling=UPSAMPLING)[0] / rate)
