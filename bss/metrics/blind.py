"""What can be said of separated tracks without the truth: how they sound to a network, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.checks import check_rate, check_recording
from bss.errors import InputError
from bss.metrics.bss_eval import FILTER_LENGTH, correlations, explained_alone
from bss.metrics.perceptual import need
from bss.metrics.si_sdr import decibels
from bss.signals.resample import resample

DNSMOS_RATE = 16_000
DNSMOS = {"dnsmos_ovrl": "ovrl_mos", "dnsmos_sig": "sig_mos", "dnsmos_bak": "bak_mos", "dnsmos_p808": "p808_mos"}
DEFINITIONS = {
    "dnsmos": "DNSMOS P.835 (ovrl, sig, bak) and P.808 of one to five at 16000 Hz: predicted by networks, without a reference",
    "dependence_db": f"power of a track that a filter of {FILTER_LENGTH} taps predicts from another one, in dB of its power",
    "chance_db": "the most of it where the tracks are shifted by one, two and three quarters of the recording, as if independent",
}


@dataclass(frozen=True)
class BlindScores:
    """Scores of K tracks without the truth. They are predictions and symptoms, not measurements of the separation.

    Attributes
    ----------
    dependence_db, chance_db : array, shape=(K, K)
        In row j and column k, the power of track k that a filter of track j predicts, in dB of the power of track k; the same of
        tracks that are shifted against each other, which should be as much. NaN on the diagonal and for silent tracks.
    dnsmos : dict of str to array, shape=(K,)
        "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808": how good listeners would find the whole, the speech and the
        background, 1 to 5; NaN for silent tracks; empty if not asked for.
    definitions : dict
        The definition of each score, to be quoted with it.
    """

    dependence_db: np.ndarray
    chance_db: np.ndarray
    dnsmos: dict[str, np.ndarray]
    definitions: dict[str, str]

    @property
    def excess_db(self) -> np.ndarray:
        """(K,): the most that another track predicts of each one beyond chance, in dB; 0 dB is independent as far as it shows."""
        excess = np.where(np.isnan(self.dependence_db), -np.inf, self.dependence_db - self.chance_db).max(axis=0)
        return np.asarray(np.where(np.isfinite(excess), np.maximum(excess, 0.0), np.nan))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, with None for NaN."""
        return {
            "dependence_db": [_plain(row) for row in self.dependence_db],
            "chance_db": [_plain(row) for row in self.chance_db],
            "excess_db": _plain(self.excess_db),
            **{name: _plain(values) for name, values in self.dnsmos.items()},
            "definitions": dict(self.definitions),
        }


def score_blind(tracks: Any, rate: int, *, perceptual: bool = False) -> BlindScores:
    """What shows of a separation without the truth: what the tracks still have in common, and how good they sound.

    Parameters
    ----------
    tracks : array, shape=(K, n)
        The separated tracks. Microphones may be given as well, to compare.
    rate : int
        Hz.
    perceptual : bool
        DNSMOS as well; needs the extra `metrics`.

    Returns
    -------
    BlindScores

    Raises
    ------
    InputError
        Tracks are shorter than half a second, or not finite; all are silent; the extra `metrics` is not installed.
    UsageError
        The rate is none that recordings have.

    References
    ----------
    C. Reddy, V. Gopal, R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech quality metric to evaluate noise
    suppressors", ICASSP 2022.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).standard_normal((2, 16000))
    >>> mixed = [s[0], s[1] + s[0]]
    >>> bool(bss.score_blind(s, 16000).excess_db.max() < 2), bool(bss.score_blind(mixed, 16000).excess_db.min() > 10)
    (True, True)
    """
    check_rate(rate)
    y = np.asarray(tracks)
    y = check_recording(y[None] if y.ndim == 1 else y, name="tracks")
    if y.shape[1] < max(rate // 2, 8 * FILTER_LENGTH):
        raise InputError(
            f"{y.shape[1]} samples are too few", f"a filter of {FILTER_LENGTH} taps predicts any tracks that short",
            "half a second or more",
        )  # fmt: skip
    alive = np.array([bool(np.any(track)) for track in y])
    if not alive.any():
        raise InputError("every track is silent", "there is nothing to score", "the tracks of a separation")
    dependence, chance = _dependence(y)
    mos = _dnsmos(y, alive, rate) if perceptual else {}
    definitions = {name: text for name, text in DEFINITIONS.items() if perceptual or name != "dnsmos"}
    return BlindScores(dependence, chance, mos, definitions)


def _dependence(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(K, K) dB of the tracks, and the most of tracks that are shifted against that which predicts them."""
    K, half = len(y), FILTER_LENGTH // 2
    # the filters are causal: what they predict is delayed, so that they reach both ways
    early = [np.pad(track, (0, half)) for track in y]
    late = [np.pad(np.roll(track, shift * y.shape[1] // 4), (half, 0)) for shift in range(4) for track in y]
    shares = explained_alone(correlations(early, [*early, *late], FILTER_LENGTH))[:, K:].reshape(K, 4, K)
    silent = np.array([not np.any(track) for track in y])
    shares.swapaxes(0, 1)[:, silent[:, None] | silent | np.eye(K, dtype=bool)] = np.nan
    return decibels(shares[:, 0], 1.0), decibels(shares[:, 1:].max(axis=1), 1.0)


def _dnsmos(y: np.ndarray, alive: np.ndarray, rate: int) -> dict[str, np.ndarray]:
    network = need("speechmos.dnsmos", "DNSMOS")
    columns = {name: np.full(len(y), np.nan) for name in DNSMOS}
    for k in np.flatnonzero(alive):
        track = resample(y[k : k + 1].astype(np.float32), rate, DNSMOS_RATE)[0]
        found = network.run(track / max(1.0, float(np.abs(track).max())), DNSMOS_RATE)  # it refuses what is beyond full scale
        for name, key in DNSMOS.items():
            columns[name][k] = float(found[key])
    return columns


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(x) if np.isfinite(x) else None for x in values]
