"""How well talkers are separated, read from the tracks behind the learned source model; those before it are read in `success`.

The model mutes a talker who is silent, so tracks of people who take turns are cleaner than their coherence suggests; and
a talker who is soft, or seldom speaks, gains more than one whom the microphone hears well.
"""

from __future__ import annotations

import numpy as np

from bss.pipeline.analysis.success_evidence import DEEPEST, FRAME_SECONDS, QUIET_QUANTILE, TINY, middle

ACTIVE = 0.03  # of the mean power of a track: frames above it have speech
LEAST = 1e-3  # of the power of the microphone: what is less does not matter


def features(tracks: np.ndarray, microphone: np.ndarray, rate: int) -> tuple[float, float, float, float]:
    """Overlap, input, rest and floor of tracks (N, n) and the microphone (n,) that they are to be compared with.

    The share of frames with speech in which more than one talks; the SI-SDR in dB that the microphone has if the tracks are the
    truth, mean over talkers; the power of what is no track at the microphone, relative to the microphone, in dB; and the power
    of the quiet frames of a track relative to its mean in dB, mean over talkers.
    """
    part = middle(tracks.shape[1], rate)
    tracks, microphone = np.asarray(tracks[:, part], np.float32), np.asarray(microphone[part], np.float32)
    frame = max(1, min(round(FRAME_SECONDS * rate), tracks.shape[1]))
    count = tracks.shape[1] // frame
    framed = tracks[:, : count * frame].reshape(len(tracks), count, frame)
    powers = np.einsum("ntk,ntk->nt", framed, framed).astype(np.float64) / frame
    mean = np.maximum(powers.mean(1), TINY)
    active = powers > ACTIVE * mean[:, None]
    overlap = float((active.sum(0) > 1).sum() / max(int(active.any(0).sum()), 1))
    floor = 10 * np.log10(np.quantile(powers, QUIET_QUANTILE, axis=1) / mean + DEEPEST)
    return (overlap, *_shares(tracks, microphone), float(floor.mean()))


def _shares(tracks: np.ndarray, microphone: np.ndarray) -> tuple[float, float]:
    """Mean SI-SDR in dB of the microphone against the tracks, and dB of it that is none of them."""
    whole = max(float(np.dot(microphone, microphone)), TINY)
    common = (tracks @ microphone).astype(np.float64)
    G = (tracks @ tracks.T).astype(np.float64)
    own = np.clip(common**2 / np.maximum(np.diag(G) * whole, TINY), LEAST, 1 - LEAST)
    explained = float(common @ np.linalg.lstsq(G, common)[0]) / whole
    return float(np.mean(10 * np.log10(own / (1 - own)))), float(10 * np.log10(max(1 - explained, LEAST)))
