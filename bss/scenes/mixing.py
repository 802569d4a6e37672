"""Simulated recordings of several voices in a room or on a mixing desk, with the image of each at every microphone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError, check_int
from bss.scenes import rooms
from bss.scenes.scene import Scene

PEAK = 0.5  # the loudest sample of a scene: 6 dB of headroom


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

    The microphones form a ring near the middle of the room; the talkers are placed at random 1 to 1.8 m from its centre.
    Over the whole recording all talkers are equally loud at microphone 1, unless `levels_db` says otherwise. One gain,
    common to everything, brings the loudest sample to 0.5.

    Parameters
    ----------
    voices : list of (n_i,) arrays
        One talker each, all at `rate`. A voice shorter than the recording is repeated, so that all talkers overlap.
    rate : int
        Samples per second.
    n_mics : int
        Number of microphones M; may be less than the number of talkers.
    rt60 : float
        Reverberation time: seconds in which sound decays by 60 dB; 0 for an anechoic room.
    room : (length, width, height)
        Metres.
    snr_db : float
        Level of all talkers together relative to the white microphone noise, at microphone 1; `inf` for no noise.
    spacing : float
        Metres between neighbouring microphones.
    seconds : float, optional
        Length of the recording; that of the longest voice by default.
    levels_db : list of float, optional
        Level of each talker at microphone 1, relative to each other.
    instantaneous : bool
        No room: each microphone receives a different weighted sum of the voices, without delays or echo, as from a mixing desk.
    rng : int or numpy.random.Generator
        Seed of the positions, the mixing matrix and the noise.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        A voice is not a single channel of finite numbers, or is silent.
    UsageError
        An option is out of range; the room cannot have this reverberation time, or is too small.

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
    voice_rms = _to_unit_rms(dry)
    if instantaneous:
        images, description = _mix_on_desk(dry, n_mics, rng)
    else:
        images, description = _mix_in_room(dry, n_mics, rt60, sides, spacing, rate, rng)
    mixture, gain = _add_noise(images, snr_db, levels, rng)
    gains = gain * 10 ** (levels / 20)
    sources = dry * gains.astype(np.float32)[:, None]
    names = [{"name": f"voice{k + 1}"} for k in range(len(voices))]
    info = {"options": options, "voices": names, **description, "gains": (gains / voice_rms).tolist(), "samples": n}
    return Scene(mixture, images, sources, rate, info)


def _check_voice(voice: Any, k: int) -> np.ndarray:
    x = np.asarray(voice)
    if x.ndim != 1 or x.size == 0 or x.dtype.kind != "f":
        raise InputError(
            f"voice {k + 1} is an array of {x.dtype} of shape {x.shape}", "expected one channel of float samples, (n,)"
        )
    if not np.isfinite(x).all():
        raise InputError(f"voice {k + 1} contains NaN or infinite samples", hint="another voice")
    return x


def _check_options(n_voices: int, snr_db: float, spacing: float, levels_db: Sequence[float] | None) -> np.ndarray:
    """The levels of the talkers in dB, after checking all options."""
    if n_voices == 0:
        raise UsageError("there are no voices", hint="at least one")
    if math.isnan(snr_db) or snr_db < -100:
        raise UsageError(f"snr_db={snr_db:g} is out of range", hint="a level in dB such as 30, or inf for no noise")
    if not 0.001 <= spacing <= 100:
        raise UsageError(f"spacing={spacing:g} m is out of range", hint="0.001 to 100 metres between neighbouring microphones")
    levels = np.zeros(n_voices) if levels_db is None else np.asarray(levels_db, np.float64)
    if levels.shape != (n_voices,) or not np.all(np.abs(levels) <= 100):
        raise UsageError(
            f"levels_db={levels_db!r} does not fit {n_voices} voices", hint="one level for each voice, within ±100 dB"
        )
    return levels


def _length(voices: Sequence[np.ndarray], rate: int, seconds: float | None) -> int:
    if seconds is None:
        return max(len(voice) for voice in voices)
    if not 0.01 <= seconds <= 86_400:
        raise UsageError(f"seconds={seconds:g} is out of range", hint="0.01 to 86400, a day")
    return round(seconds * rate)


def _mix_in_room(
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
    responses = rooms.respond(layout, rt60, rate)
    images = np.empty((len(dry), n_mics, dry.shape[1]), np.float32)
    for voice, rirs, image in zip(dry, responses.rirs, images, strict=True):
        for m, rir in enumerate(rirs):
            image[m] = oaconvolve(voice.astype(np.float64), rir)[: voice.size]
    description = {
        "rt60_measured": [round(seconds, 4) for seconds in responses.rt60],
        "absorption": round(responses.absorption, 6),
        "reflections": responses.max_order,
        "mics": layout.mics.round(4).tolist(),
        "talkers": layout.talkers.round(4).tolist(),
        "delays_s": layout.flight_times.round(8).tolist(),
    }
    return images, description


def _mix_on_desk(dry: np.ndarray, n_mics: int, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
    matrix = mixing_matrix(n_mics, len(dry), rng)
    images = dry[:, None] * matrix.T.astype(np.float32)[:, :, None]
    return images, {"matrix": matrix.round(6).tolist(), "condition": round(float(np.linalg.cond(matrix)), 3)}


def mixing_matrix(n_mics: int, n_talkers: int, rng: np.random.Generator) -> np.ndarray:
    """A random (M, N) matrix with a condition number below about 6, its first row all ±1: equal levels at microphone 1."""
    k = min(n_mics, n_talkers)
    # G H, where H is orthogonal with a constant first row, and G = [[1, 0], [g, C]] is well conditioned
    first = np.column_stack([np.ones(n_talkers), rng.normal(size=(n_talkers, n_talkers - 1))])
    h = np.linalg.qr(first)[0].T * math.sqrt(n_talkers)
    left = np.linalg.qr(rng.normal(size=(max(n_mics - 1, 1), max(n_mics - 1, 1))))[0]
    right = np.linalg.qr(rng.normal(size=(max(n_talkers - 1, 1), max(n_talkers - 1, 1))))[0]
    g = np.zeros((n_mics, n_talkers))
    g[0, 0] = 1.0
    g[1:, 0] = rng.uniform(0.4, 0.8, n_mics - 1) * rng.choice([-1, 1], n_mics - 1) / math.sqrt(max(n_mics - 1, 1))
    g[1:, 1:] = (left[:, : k - 1] * rng.uniform(0.5, 1.0, k - 1)) @ right[: k - 1]
    return np.asarray(g @ h * rng.choice([-1.0, 1.0], n_talkers))


def _add_noise(images: np.ndarray, snr_db: float, levels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Scale `images` to their levels in place, with one gain common to all; returns the noisy mixture and that gain."""
    image_rms = np.array([_rms(image[0]) for image in images])
    if image_rms.min() < 1e-6:  # the voices have an RMS of 1
        raise UsageError("the recording ends before every talker reaches microphone 1", hint="more seconds, or a smaller spacing")
    scale = 10 ** (levels / 20) / image_rms
    # images of two talkers can cancel in the mixture and exceed it: no file may clip
    loudest = max(float(np.abs(image).max() * k) for image, k in zip(images, scale, strict=True))
    mixture = np.zeros(images.shape[1:])
    for image, k in zip(images, scale, strict=True):
        mixture += k * image
    noise = rng.normal(scale=_rms(mixture[0]) * 10 ** (-snr_db / 20), size=mixture.shape)
    gain = PEAK / max(loudest, float(np.abs(mixture + noise).max()))
    images *= (gain * scale).astype(np.float32)[:, None, None]
    mixture = gain * noise
    for image in images:
        mixture += image  # the rounded images, so that with the noise they sum to the mixture
    return mixture.astype(np.float32), gain


def _rms(x: np.ndarray) -> float:
    return math.sqrt(np.mean(np.square(x, dtype=np.float64)))


def _to_unit_rms(voices: np.ndarray) -> np.ndarray:
    """Scale `voices` (N, n) to an RMS of 1 in place; returns their previous RMS."""
    rms = np.array([_rms(voice) for voice in voices])
    for k in np.flatnonzero(rms < 1e-10):
        why = "every talker is scaled to a level, which silence does not have"
        raise InputError(f"voice {k + 1} is silent in the part used", why, "another voice, or more seconds")
    voices /= rms.astype(np.float32)[:, None]
    return rms
