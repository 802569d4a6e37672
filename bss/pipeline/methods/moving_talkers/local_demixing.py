"""A demixing that changes over time: around every moment it is learned from the seconds about it, with known variances.

ICA of a few seconds is poor, as it has few frames to learn from, and each such ICA finds the talkers in an order of its own. If
the variance of every talker in every bin and frame is known (nearly), neither holds: the demixing around a moment is a weighted
least-squares problem with a few unknowns, and row n belongs to the talker of variance n.

References: N. Ono, "Stable and fast update rules for independent vector analysis based on auxiliary function technique", WASPAA
2011, for the update; T. Nakashima, R. Scheibler et al., "Joint dereverberation and separation with iterative source steering",
ICASSP 2021, for known variances; R. Scheibler and N. Ono, "Independent vector analysis with more microphones than sources",
WASPAA 2019, for M > N.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bss.backends.cpu import threads
from bss.networks.source_model.apply import crossfade, segments
from bss.pipeline.filters.models import Demixing
from bss.signals.stft import Stft, nearest_size

WINDOW_SECONDS, OVERLAP = 0.512, 8
SPAN_SECONDS, STEP_SECONDS = 3.0, 0.25  # a Hann window in which each demixing is learned, and the time from one to the next
ITERATIONS = 3
FLOOR = 1e-2  # of the mean variance in a bin, which is added: a talker is never quite silent
LOADING = 1e-4  # of the trace of a covariance, which is added to it
BINS = 256  # of which products are held at a time


def local_window(rate: int) -> Stft:
    """The window of the filters."""
    size = nearest_size(WINDOW_SECONDS * rate)
    return Stft(size, size // OVERLAP)


@dataclass(frozen=True)
class LocalDemixing:
    """Demixing around every moment of a recording, made when it is needed.

    Attributes
    ----------
    x : np.ndarray
        (M, n) the recording.
    estimates : np.ndarray
        (N, n) estimates of the talkers at one microphone, whose powers are the variances.
    rate : int
        Hz.
    stft : Stft
        The window of the filters.
    """

    x: np.ndarray = field(repr=False)
    estimates: np.ndarray = field(repr=False)
    rate: int
    stft: Stft

    @property
    def per(self) -> int:
        """Frames from one demixing to the next."""
        return max(1, round(STEP_SECONDS * self.rate / self.stft.hop))

    def tracks(self, mics: np.ndarray) -> np.ndarray:
        """(N, n) float32: the image of talker n at microphone mics[n]."""
        return self.separated(mics)[0]

    def separated(self, mics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The tracks, and (F, N, M, M) covariances of the images of talker n at all microphones, mean over time."""
        n = self.x.shape[1]
        out, total = np.zeros((len(self.estimates), n), np.float32), 0.0
        for piece, block in self._pieces():
            X, W, A = self._learned(block)
            at = _rows(A, mics)
            Y = _demix(X, W * at, self.per)
            y = self.stft.inverse(Y, block.stop - block.start)
            out[:, piece] += y[:, slice(piece.start - block.start, piece.stop - block.start)] * crossfade(piece, n, self.rate)
            power = _sums((Y.real**2 + Y.imag**2).swapaxes(1, 2), self.per)  # (F, B, N)
            A = A / np.where(at == 0, 1, at).swapaxes(-1, -2)  # relative to the microphones of Y
            total = total + np.einsum("fbn,fbmn,fbkn->fnmk", power, A, A.conj(), optimize=True)
        return out, np.asarray(total)

    def at(self, seconds: float) -> Demixing:
        """The demixing around one moment."""
        centre, half = round(seconds * self.rate), round((SPAN_SECONDS / 2 + WINDOW_SECONDS) * self.rate)
        block = slice(max(0, centre - half), min(self.x.shape[1], centre + half))
        _, W, A = self._learned(block)
        b = min(max(0, (centre - block.start) // (self.per * self.stft.hop)), W.shape[1] - 1)
        kind = np.complex64
        return Demixing(W[:, b].astype(kind), A[:, b].astype(kind))

    def _pieces(self) -> Iterator[tuple[slice, slice]]:
        """Segments that make up the recording when cross-faded, and with them what their demixing is learned from."""
        n, margin = self.x.shape[1], round(SPAN_SECONDS / 2 * self.rate)
        for piece in segments(n, self.rate):
            yield piece, slice(max(0, piece.start - margin), min(n, piece.stop + margin))

    def _learned(self, block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X = self.stft.forward(np.ascontiguousarray(self.x[:, block]))
        Y = self.stft.forward(np.ascontiguousarray(self.estimates[:, block], np.float32))
        W, A = learn(X, Y.real**2 + Y.imag**2, self.per, SPAN_SECONDS * self.rate / self.stft.hop)
        return X, W, A


def learn(X: np.ndarray, V: np.ndarray, per: int, span: float) -> tuple[np.ndarray, np.ndarray]:
    """W (F, B, N, M) and A (F, B, M, N) around the middle of every `per` frames, from X (F, M, T) with variances V (F, N, T).

    `span` is the length of the Hann window in frames.
    """
    F, M, T = X.shape
    N, B = V.shape[1], -(-T // per)
    W, A = np.empty((F, B, N, M), np.complex128), np.empty((F, B, M, N), np.complex128)
    window = _hann(span / per)
    parts = [slice(k, min(k + BINS, F)) for k in range(0, F, BINS)]

    def work(first: int, step: int) -> None:
        for part in parts[first::step]:
            W[part], A[part] = project(_covariances(X[part], V[part], per, window), N)

    threads.run(work)
    return W, A


def _hann(steps: float) -> np.ndarray:
    half = int(steps / 2)
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(-half, half + 1) / (half + 1))
    return np.asarray(window, np.float32)


def _covariances(X: np.ndarray, V: np.ndarray, per: int, window: np.ndarray) -> np.ndarray:
    """(F, B, N or N + 1, M, M): covariances weighted by the variances; with more microphones than talkers also without."""
    M, N = X.shape[1], V.shape[1]
    mean = V.mean((1, 2), keepdims=True)
    level = np.mean(X.real**2 + X.imag**2, (1, 2))[:, None, None]
    V = V + FLOOR * mean + (1e-6 * level + np.finfo(np.float32).tiny)
    products = np.einsum("fmt,fkt->ftmk", X, X.conj())
    weights = [1 / V[:, n] for n in range(N)] + ([np.ones_like(V[:, 0])] if M > N else [])
    C = np.stack([_smooth(_sums(products * w[..., None, None], per), window) for w in weights], axis=2).astype(np.complex128)
    load = LOADING / M * np.trace(C, axis1=-2, axis2=-1).real + np.finfo(np.float32).tiny
    return np.asarray(C + load[..., None, None] * np.eye(M))


def _sums(values: np.ndarray, per: int) -> np.ndarray:
    """(F, B, ...) sums of (F, T, ...) over every `per` frames."""
    F, T = values.shape[:2]
    B = -(-T // per)
    if B * per != T:
        values = np.concatenate([values, np.zeros((F, B * per - T, *values.shape[2:]), values.dtype)], axis=1)
    return np.asarray(values.reshape(F, B, per, *values.shape[2:]).sum(2))


def _smooth(sums: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Sums (F, B, ...) weighted by a window about each step."""
    half, B = len(window) // 2, sums.shape[1]
    out = np.zeros_like(sums)
    for shift in range(-min(half, B - 1), min(half, B - 1) + 1):
        to = slice(max(0, -shift), min(B, B - shift))
        out[:, to] += window[half + shift] * sums[:, to.start + shift : to.stop + shift]
    return out


def project(C: np.ndarray, N: int) -> tuple[np.ndarray, np.ndarray]:
    """W (F, B, N, M) and A (F, B, M, N) by iterative projection from covariances C (F, B, N or N + 1, M, M).

    Eqs. 18-19 of Ono (2011): w = (W C_n)^-1 e_n, then w^H C_n w = 1. With M > N the remaining rows are a background that is
    uncorrelated with the talkers: eq. 13 of Scheibler and Ono (2019).
    """
    M = C.shape[-1]
    W = np.broadcast_to(np.eye(M, dtype=C.dtype), (*C.shape[:2], M, M)).copy()
    if M > N:
        _background(W, C[:, :, N], N)
    for _ in range(ITERATIONS):
        for n in range(N):
            w = _inverse(W @ C[:, :, n])[..., n]
            power = np.einsum("fbm,fbmk,fbk->fb", w.conj(), C[:, :, n], w).real
            W[:, :, n] = (w / np.sqrt(np.maximum(power, np.finfo(np.float64).tiny))[..., None]).conj()
            if M > N:
                _background(W, C[:, :, N], N)
    return W[:, :, :N], _inverse(W)[..., :N]


def _background(W: np.ndarray, C: np.ndarray, N: int) -> None:
    """Rows N.. of W := [J, -I], uncorrelated with the talkers; in place."""
    M = W.shape[-1]
    CW = C @ W[:, :, :N].conj().swapaxes(-1, -2)
    W[:, :, N:, :N] = CW[:, :, N:] @ _inverse(CW[:, :, :N])
    W[:, :, N:, N:] = -np.eye(M - N)


def _inverse(A: np.ndarray) -> np.ndarray:
    """Inverses; of two by two in closed form, as LAPACK takes ten times as long for many of them."""
    if A.shape[-1] != 2:
        return np.asarray(np.linalg.inv(A))
    det = A[..., 0, 0] * A[..., 1, 1] - A[..., 0, 1] * A[..., 1, 0]
    out = np.stack([A[..., 1, 1], -A[..., 0, 1], -A[..., 1, 0], A[..., 0, 0]], axis=-1).reshape(A.shape)
    return np.asarray(out / np.where(det == 0, np.finfo(np.float32).tiny, det)[..., None, None])


def _rows(A: np.ndarray, mics: np.ndarray) -> np.ndarray:
    """(F, B, N, 1) of A (F, B, M, N): how talker n reaches microphone mics[n]."""
    at = np.broadcast_to(mics, (*A.shape[:-2], 1, len(mics)))
    return np.asarray(np.take_along_axis(A, at, -2).swapaxes(-1, -2))


def _demix(X: np.ndarray, W: np.ndarray, per: int) -> np.ndarray:
    """(F, N, T): every frame of X by the demixing W (F, B, N, M) about it, interpolated between the two nearest."""
    T, B = X.shape[2], W.shape[1]
    centres = (np.arange(B) + 0.5) * per - 0.5
    out = np.zeros((len(X), W.shape[2], T), X.dtype)
    W = W.astype(X.dtype)
    for b in range(B):
        begin = 0 if b == 0 else int(np.ceil(centres[b - 1]))
        end = T if b == B - 1 else min(T, int(np.floor(centres[b + 1])) + 1)
        share = np.interp(np.arange(begin, end), centres, np.arange(B) == b).astype(X.real.dtype)
        out[:, :, begin:end] += share * (W[:, b] @ X[:, :, begin:end])
    return out
