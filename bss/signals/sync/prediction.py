"""A microphone predicted from another, through the transfer between them.

Good enough to tell a lag that is right from one that is not, and to put something into a hole of a few milliseconds that does not
break what lies around it.
"""

from __future__ import annotations

import numpy as np

from bss.signals.sync.spectra import Reader

LEARNED_SECONDS = 6.0  # on either side of a place, from which the transfer is learned
REGULARISED = 1e-6  # of the largest power of a bin
FADE_SECONDS = 0.002


def transfer(own: np.ndarray, sides: tuple[np.ndarray, np.ndarray], edges: tuple[int, int], reader: Reader) -> np.ndarray | None:
    """(F,) how a microphone follows from another: from `sides[0]` before the first edge and `sides[1]` after the second.

    None if neither part is as long as a frame, or the other microphone is silent there.
    """
    from scipy.fft import rfft

    cross, power = np.zeros(reader.n_fft // 2 + 1, np.complex64), np.zeros(reader.n_fft // 2 + 1, np.float32)
    for part, side in ((slice(0, edges[0]), sides[0]), (slice(edges[1], None), sides[1])):
        if len(own[part]) >= reader.n_fft:
            S, P = (rfft(_frames(y[part], reader.n_fft) * reader.window, axis=1) for y in (own, side))
            cross += (S * P.conj()).sum(0)
            power += np.square(np.abs(P)).sum(0)
    return np.asarray(cross / (power + REGULARISED * power.max())) if power.any() else None


def filtered(x: np.ndarray, H: np.ndarray, reader: Reader) -> np.ndarray:
    """(n,) x through the transfer H (F,)."""
    from scipy.fft import irfft, rfft

    n_fft, hop = reader.n_fft, reader.n_fft // 2
    Y = irfft(rfft(_frames(x, n_fft) * reader.window, axis=1) * H, n=n_fft, axis=1)
    y = np.zeros((len(Y) + 1) * hop, np.float32)
    for k in range(len(Y)):
        y[k * hop : k * hop + n_fft] += Y[k]
    return y[hop : hop + len(x)]


def _frames(x: np.ndarray, n_fft: int) -> np.ndarray:
    hop = n_fft // 2
    padded = np.pad(x, (hop, n_fft + hop))
    count = (len(x) + hop) // hop + 1
    return np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop][:count]


def bridge(reference: Reader, y: np.ndarray, hole: tuple[int, int]) -> None:
    """Put into a hole of a microphone y (n,), in step with the reference, what the reference lets expect there."""
    rate = reference.rate
    learned, fade = round(LEARNED_SECONDS * rate), round(FADE_SECONDS * rate)
    start, stop = max(0, hole[0] - learned), min(len(y), hole[1] + learned)
    heard, own = reference.x[start:stop], y[start:stop]
    edges = hole[0] - start, hole[1] - start
    H = transfer(own, (heard, heard), edges, reference)
    if H is None:
        return
    samples = np.arange(len(own))
    share = np.clip(np.minimum(samples - edges[0] + fade, edges[1] - 1 + fade - samples) / fade, 0, 1).astype(np.float32)
    near = slice(max(0, edges[0] - fade), edges[1] + fade)
    own[near] += share[near] * (filtered(heard, H, reference)[near] - own[near])
