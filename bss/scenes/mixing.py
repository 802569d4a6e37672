"""Recordings with a known truth: several voices in a room, or on a mixing desk, and what each microphone hears of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError, check_int
from bss.scenes import rooms

PEAK = 0.5  # of the loudest sample of a scene: 6 dB of head room


@dataclass(frozen=True, eq=False)
class Scene:
    """A recording and its truth.

    Attributes
    ----------
    mixture : (M, n) float32
        What the microphones record: the sum of `images` over the talkers, and noise.
    images : (N, M, n) float32
        What each microphone hears of each talker alone.
    sources : (N, n) float32
        The voices as they went in: dry, each at the RMS level of its image at microphone 1.
    rate : int
        Samples per second.
    info : dict
        How the scene was made, in values that JSON can hold: the `options` of `mix` (`snr_db` None: no noise); `voices`;
        of a room `rt60_measured` for each talker, `absorption` of the walls, `mics` and `talkers` (places in metres),
        `delays_s` (N, M) of the direct sound; of a desk its `matrix` (M, N) and `condition`; `gains` from voices to sources.
    """

    mixture: np.ndarray
    images: np.ndarray
    sources: np.ndarray
    rate: int
    info: dict[str, Any]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write `mics/mic1.wav ...`, `truth/<voice>.wav ...` (its image at each microphone) and `scene.json`; say what.

        Everything is written or nothing is. Files are 24-bit PCM: finer than the noise of any microphone, read by every
        program, and, unlike float WAV, free of a time stamp that would change the bytes.

        Raises
        ------
        InputError
            A file is there already and `overwrite` is not set, or the folder cannot be written to.
        """
        from bss.scenes.manifest import save

        return save(self, Path(folder), overwrite=overwrite)


def mix(
    voices: Sequence[np.ndarray],
    rate: int,
    *,
    n_mics: int = 2,
    rt60: float = 0.3,
    room: Sequence[float] = (6, 5, 3),
    snr_db: float = 30.0,
    spacing: float = 0.05,
    seconds: float | None = None,
    levels_db: Sequence[float] | None = None,
    instantaneous: bool = False,
    rng: int | np.random.Generator = 0,
) -> Scene:
    """Record talkers with several microphones, in a simulated room or on a mixing desk.

    Microphones stand on a ring near the middle of the room, talkers 1 to 1.8 m around it, at random. At microphone 1 all
    talkers are equally loud over the whole recording, unless `levels_db` says otherwise. One gain is common to everything,
    so that the loudest sample is 0.5.

    Parameters
    ----------
    voices : list of (n_i,) arrays
        One talker each, all at `rate`. A voice shorter than the recording starts again, so that talkers talk at once.
    rate : int
        Samples per second.
    n_mics : int
        Microphones M; fewer than talkers are allowed.
    rt60 : float
        Seconds in which sound decays by 60 dB; 0 for a room without echo.
    room : (length, width, height)
        Metres.
    snr_db : float
        Level of all talkers together over the white noise of the microphones, at microphone 1; `inf` for no noise.
    spacing : float
        Metres between neighbouring microphones.
    seconds : float, optional
        Length of the recording; of the longest voice by default.
    levels_db : list of float, optional
        Level of each talker at microphone 1, relative to each other.
    instantaneous : bool
        No room: each microphone hears a different sum of the voices, without delay or echo, as on a mixing desk.
    rng : int or numpy.random.Generator
        Seed of the places, the mixing matrix and the noise.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        A voice is not one channel of finite numbers, or is silent.
    UsageError
        An option has a value that cannot work; a reverberation time that this room cannot have; a room too small.

    Examples
    --------
    >>> import numpy as np
    >>> import bss
    >>> voices = np.random.default_rng(1).laplace(size=(2, 8000))
    >>> scene = bss.mix(voices, 8000, n_mics=3, rt60=0.2, rng=7)
    >>> scene.mixture.shape, scene.images.shape
    ((3, 8000), (2, 3, 8000))
    >>> noise = scene.mixture - scene.images.sum(0)
    >>> round(float(10 * np.log10(scene.images.sum(0)[0].var() / noise[0].var())))
    30
    """
    voices = [_check_voice(voice, k) for k, voice in enumerate(voices)]
    rate, n_mics = check_int("rate", rate, 1000, 768_000), check_int("n_mics", n_mics, 1, 256)
    levels = _check_options(len(voices), snr_db, spacing, levels_db)
    sides = rooms.check_room(room)
    if not instantaneous:
        rooms.check_rt60(rt60, sides)
    n = _length(voices, rate, seconds)
    options = {
        "n_mics": n_mics, "rt60": float(rt60), "room": list(sides), "snr_db": None if snr_db == math.inf else float(snr_db),
        "spacing": float(spacing), "seconds": None if seconds is None else float(seconds), "levels_db": levels.tolist(),
        "instantaneous": bool(instantaneous),
        "seed": None if isinstance(rng, np.random.Generator) else check_int("rng", rng, 0),
    }  # fmt: skip
    rng = np.random.default_rng(rng)
    dry = np.stack([np.resize(voice, n).astype(np.float32) for voice in voices])
    loudness = _to_one_level(dry)
    if instantaneous:
        images, how = _on_a_desk(dry, n_mics, rng)
    else:
        images, how = _in_a_room(dry, n_mics, rt60, sides, spacing, rate, rng)
    mixture, gain = _finish(images, snr_db, levels, rng)
    gains = gain * 10 ** (levels / 20)
    sources = dry * gains.astype(np.float32)[:, None]
    names = [{"name": f"voice{k + 1}"} for k in range(len(voices))]
    info = {"options": options, "voices": names, **how, "gains": (gains / loudness).tolist(), "samples": n}
    return Scene(mixture, images, sources, rate, info)


def _check_voice(voice: Any, k: int) -> np.ndarray:
    x = np.asarray(voice)
    if x.ndim != 1 or x.size == 0 or x.dtype.kind != "f":
        raise InputError(
            f"voice {k + 1} is an array of {x.dtype} of shape {x.shape}", "expected one channel of float samples, (n,)"
        )
    if not np.isfinite(x).all():
        raise InputError(f"voice {k + 1} holds NaN or infinite samples", hint="another voice")
    return x


def _check_options(n_voices: int, snr_db: float, spacing: float, levels_db: Sequence[float] | None) -> np.ndarray:
    """The levels of the talkers in dB, once all options are found good."""
    if n_voices == 0:
        raise UsageError("no voices were given", hint="at least one")
    if math.isnan(snr_db) or snr_db < -100:
        raise UsageError(f"snr_db={snr_db:g} is out of range", hint="a number of dB such as 30, or inf for no noise")
    if not 0.001 <= spacing <= 100:
        raise UsageError(f"spacing={spacing:g} m is out of range", hint="0.001 to 100 metres between neighbouring microphones")
    levels = np.zeros(n_voices) if levels_db is None else np.asarray(levels_db, np.float64)
    if levels.shape != (n_voices,) or not np.all(np.abs(levels) <= 100):
        raise UsageError(f"levels_db={levels_db!r} does not fit {n_voices} voices", hint="one level within ±100 dB for each")
    return levels


def _length(voices: Sequence[np.ndarray], rate: int, seconds: float | None) -> int:
    if seconds is None:
        return max(len(voice) for voice in voices)
    if not 0.01 <= seconds <= 86_400:
        raise UsageError(f"seconds={seconds:g} is out of range", hint="0.01 to 86400, a day")
    return round(seconds * rate)


def _in_a_room(
    dry: np.ndarray,
    n_mics: int,
    rt60: float,
    room: tuple[float, float, float],
    spacing: float,
    rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:
    from scipy.signal import oaconvolve

    layout = rooms.lay_out(room, len(dry), n_mics, spacing, rng)
    heard = rooms.respond(layout, rt60, rate)
    images = np.empty((len(dry), n_mics, dry.shape[1]), np.float32)
    for voice, rirs, image in zip(dry, heard.rirs, images, strict=True):
        for m, rir in enumerate(rirs):
            image[m] = oaconvolve(voice.astype(np.float64), rir)[: voice.size]
    how = {
        "rt60_measured": [round(seconds, 4) for seconds in heard.rt60],
        "absorption": round(heard.absorption, 6),
        "reflections": heard.max_order,
        "mics": layout.mics.round(4).tolist(),
        "talkers": layout.talkers.round(4).tolist(),
        "delays_s": layout.flight_times.round(8).tolist(),
    }
    return images, how


def _on_a_desk(dry: np.ndarray, n_mics: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
    matrix = mixing_matrix(n_mics, len(dry), rng)
    images = dry[:, None] * matrix.T.astype(np.float32)[:, :, None]
    return images, {"matrix": matrix.round(6).tolist(), "condition": round(float(np.linalg.cond(matrix)), 3)}


def mixing_matrix(n_mics: int, n_talkers: int, rng: np.random.Generator) -> np.ndarray:
    """A random (M, N) matrix of condition below about 6 whose first row is all ±1: equal levels at microphone 1."""
    k = min(n_mics, n_talkers)
    # G H, with H orthogonal and its first row all equal, and G = [[1, 0], [g, C]] of small condition
    first = np.column_stack([np.ones(n_talkers), rng.normal(size=(n_talkers, n_talkers - 1))])
    h = np.linalg.qr(first)[0].T * math.sqrt(n_talkers)
    left = np.linalg.qr(rng.normal(size=(max(n_mics - 1, 1), max(n_mics - 1, 1))))[0]
    right = np.linalg.qr(rng.normal(size=(max(n_talkers - 1, 1), max(n_talkers - 1, 1))))[0]
    g = np.zeros((n_mics, n_talkers))
    g[0, 0] = 1.0
    g[1:, 0] = rng.uniform(0.4, 0.8, n_mics - 1) * rng.choice([-1, 1], n_mics - 1) / math.sqrt(max(n_mics - 1, 1))
    g[1:, 1:] = (left[:, : k - 1] * rng.uniform(0.5, 1.0, k - 1)) @ right[: k - 1]
    return np.asarray(g @ h * rng.choice([-1.0, 1.0], n_talkers))


def _finish(images: np.ndarray, snr_db: float, levels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Bring `images` to their levels in place, one gain for all; the mixture with its noise, and the gain."""
    heard = np.array([_rms(image[0]) for image in images])
    if heard.min() < 1e-6:  # voices came in at an RMS of 1
        raise UsageError("the recording ends before a talker is heard at microphone 1", hint="more seconds, a smaller spacing")
    scale = 10 ** (levels / 20) / heard
    # images of two talkers can cancel in the mixture and be larger than it: no file may clip
    loudest = max(float(np.abs(image).max() * k) for image, k in zip(images, scale, strict=True))
    mixture = np.zeros(images.shape[1:])
    for image, k in zip(images, scale, strict=True):
        mixture += k * image
    noise = rng.normal(scale=_rms(mixture[0]) * 10 ** (-snr_db / 20), size=mixture.shape)
    gain = PEAK / max(loudest, float(np.abs(mixture + noise).max()))
    images *= (gain * scale).astype(np.float32)[:, None, None]
    mixture = gain * noise
    for image in images:
        mixture += image  # the rounded ones, so that they and the noise sum to the mixture
    return mixture.astype(np.float32), gain


def _rms(x: np.ndarray) -> float:
    return math.sqrt(np.mean(np.square(x, dtype=np.float64)))


def _to_one_level(voices: np.ndarray) -> np.ndarray:
    """Bring `voices` (N, n) to an RMS of 1 in place; what it was."""
    loudness = np.array([_rms(voice) for voice in voices])
    for k in np.flatnonzero(loudness < 1e-10):
        why = "every talker is brought to a level, and silence has none"
        raise InputError(f"voice {k + 1} is silent in the part that is used", why, "another voice, or more seconds")
    voices /= loudness.astype(np.float32)[:, None]
    return loudness
