"""Simulated recordings of several voices in a room or on a mixing desk, with the image of each at every microphone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bss.checks import check_level, check_rng, plain
from bss.errors import InputError, UsageError, check_flag, check_int, check_list, check_number
from bss.scenes import behaviour as behaviours, clocks, faults as all_faults
from bss.scenes.acoustics import heard, rooms
from bss.scenes.acoustics.levels import PEAK, record, to_unit_rms
from bss.scenes.acoustics.mirrors import simulator
from bss.scenes.behaviour import Behaviour, Move
from bss.scenes.clocks import Timeline
from bss.scenes.faults import Fault
from bss.scenes.scene import Scene
from bss.scenes.spoiling import spoil


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
    rirs: Sequence[np.ndarray] = (),
    noises: Sequence[np.ndarray] = (),
    noise_snr_db: float = 5.0,
    behaviour: Sequence[Behaviour] = (),
    faults: Sequence[Fault] = (),
    rng: int | np.random.Generator = 0,
) -> Scene:
    """Record talkers with several microphones, in a simulated room or on a mixing desk.

    The microphones form a ring near the middle of the room; the talkers are placed at random 1 to 1.8 m from its centre.
    All talkers are equally loud at microphone 1 while they are there, unless `levels_db` says otherwise. One gain, common to
    everything, brings the loudest sample to 0.5. Whatever is added to a scene (noises, behaviour, faults), the room, the places
    and the noise of the microphones stay those of the same seed without it.

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
    rirs : list of (M, L) arrays, optional
        Measured impulse responses at `rate` instead of a simulated room, each from one place to every microphone: those of the
        talkers, then those of the noises; the rest is not used.
    noises : list of (n_i,) arrays, optional
        Sounds that are no talkers, each from a place of its own around the microphones, equally loud at microphone 1. Each starts
        at a random moment and is repeated if it is shorter than the recording.
    noise_snr_db : float
        Level of all talkers together relative to all `noises` together, at microphone 1.
    behaviour : list of Move, Join and Conversation, optional
        What the talkers do (`bss.scenes.behaviour`): they walk about, come and go, take turns.
    faults : list of Offset, Drift, Gap, Dropout, Hum and Agc, optional
        What the recorders do (`bss.scenes.faults`). The time of the scene, and so of its images, is that of microphone 1.
    rng : int or numpy.random.Generator
        Seed of the positions, the mixing matrix and the noise.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        A voice or noise is not a single channel of finite numbers, or is silent; a response has not one channel per microphone.
    UsageError
        An option is out of range; the room cannot have this reverberation time, or is too small; a fault or a behaviour is
        impossible.

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
    check_flag("instantaneous", instantaneous)
    voices, noises, rirs = (check_list(*given) for given in (("voices", voices), ("noises", noises), ("rirs", rirs)))
    behaviour, faults = check_list("behaviour", behaviour), check_list("faults", faults)
    voices = [_check_signal(voice, f"voice {k + 1}") for k, voice in enumerate(voices)]
    noises = [_check_signal(noise, f"noise {k + 1}") for k, noise in enumerate(noises)]
    rate, n_mics = check_int("rate", rate, 1000, 768_000), check_int("n_mics", n_mics, 1, 256)
    levels = _check_options(len(voices), snr_db, noise_snr_db, spacing, levels_db)
    rirs = heard.check_rirs(rirs, n_mics, len(voices) + len(noises)) if len(rirs) else []
    sides = rooms.check_room(room)
    rt60 = check_number("rt60", rt60, 0, 1000, unit="seconds, 0 for no echo")  # which of these the room can have is asked below
    if not instantaneous and not rirs:
        simulator()  # said before the work
        rooms.check_rt60(rt60, sides)
    n = _length(voices, rate, seconds)
    behaviours.check(behaviour, len(voices), n / rate)
    all_faults.check(faults, n_mics, n / rate)
    options = {
        "n_mics": n_mics, "rt60": float(rt60), "room": list(sides), "snr_db": None if snr_db == math.inf else float(snr_db),
        "spacing": float(spacing), "seconds": None if seconds is None else float(seconds), "levels_db": levels.tolist(),
        "instantaneous": bool(instantaneous),
        **_used(
            noise_snr_db=float(noise_snr_db) if noises else None, behaviour=behaviours.to_json(behaviour),
            faults=all_faults.to_json(faults),
        ),
        "seed": None if isinstance(rng, np.random.Generator) else check_int("rng", rng, 0),
    }  # fmt: skip
    rng = check_rng(rng)
    for_faults, for_talkers, for_noises = rng.spawn(3)  # so that the rest of the scene stays the same without them
    behaviour = behaviours.timed(behaviour, n / rate)
    faults = all_faults.resolve(faults, n_mics, n / rate, for_faults)
    own_clocks = clocks.clocks(faults, n_mics)
    timeline = clocks.timeline(own_clocks, n, rate)

    dry, spans, levels = _speak(voices, behaviour, levels, timeline, for_talkers)
    voice_rms = to_unit_rms(dry, timeline.span, "voice")
    ambient = _sound(noises, timeline, for_noises)
    moves = tuple(event for event in behaviour if isinstance(event, Move))
    _refuse_mixed_ways(instantaneous, bool(rirs), bool(moves))
    if instantaneous:
        sound = heard.on_desk(dry, ambient, n_mics, rng, for_noises)
    elif rirs:
        sound = heard.through_responses(dry, ambient, rirs, rate)
    else:
        sound = heard.Room(sides, rt60, spacing, moves).hear(dry, ambient, n_mics, timeline, rng, for_noises)
    mixture, gain = record(sound, snr_db, noise_snr_db, levels, rng, timeline, own_clocks)
    spoil(mixture, faults, rate, PEAK, for_faults)

    gains = gain * 10 ** (levels / 20)
    sources = dry[:, timeline.span] * gains.astype(np.float32)[:, None]
    info = {
        "options": options, "voices": [{"name": f"voice{k + 1}"} for k in range(len(voices))],
        **_used(noises=[{} for _ in noises], responses=[{} for _ in rirs]),
        **sound.description,
        **_used(activity_s=spans, faults=all_faults.to_json(faults), clocks=clocks.to_json(own_clocks)),
        "gains": (gains / voice_rms).tolist(), "samples": n,
    }  # fmt: skip
    return Scene(mixture, np.ascontiguousarray(sound.images[:, :, timeline.span]), sources, rate, info)


def _used(**values: Any) -> dict[str, Any]:
    """Only what a scene has: a scene.json without what is new to it is that of earlier versions."""
    return {key: value for key, value in values.items() if value is not None and value != []}


def _check_signal(signal: Any, name: str) -> np.ndarray:
    x = plain(signal, name=name)
    if x.ndim != 1 or x.size == 0 or x.dtype.kind != "f":
        raise InputError(f"{name} is an array of {x.dtype} of shape {x.shape}", "expected one channel of float samples, (n,)")
    if not np.isfinite(x).all():
        raise InputError(f"{name} contains NaN or infinite samples", hint="another one")
    return check_level(x, name=name)


def _check_options(
    n_voices: int, snr_db: float, noise_snr_db: float, spacing: float, levels_db: Sequence[float] | None
) -> np.ndarray:
    """The levels of the talkers in dB, after checking all options."""
    if n_voices == 0:
        raise UsageError("there are no voices", hint="at least one")
    if not isinstance(snr_db, float) or snr_db != math.inf:
        check_number("snr_db", snr_db, -100, 300, unit="dB, or inf for no noise")
    check_number("noise_snr_db", noise_snr_db, -100, 100, unit="dB")
    check_number("spacing", spacing, 0.001, 100, unit="metres between neighbouring microphones")
    try:
        levels = np.zeros(n_voices) if levels_db is None else np.asarray(levels_db, np.float64)
    except (TypeError, ValueError):
        levels = np.zeros(0)
    if levels.shape != (n_voices,) or not np.all(np.abs(levels) <= 100):
        raise UsageError(
            f"levels_db={levels_db!r} does not fit {n_voices} voices", hint="one level for each voice, within ±100 dB"
        )
    return levels


def _length(voices: Sequence[np.ndarray], rate: int, seconds: float | None) -> int:
    if seconds is None:
        return max(len(voice) for voice in voices)
    return round(check_number("seconds", seconds, 0.01, 86_400, unit="(a day)") * rate)


def _refuse_mixed_ways(instantaneous: bool, measured: bool, moves: bool) -> None:
    if instantaneous and (measured or moves):
        what = "measured responses" if measured else "moving talkers"
        raise UsageError(f"a mixing desk has no {what}", "there is no room", "instantaneous, or these")
    if measured and moves:
        raise UsageError("nobody can walk about in measured responses", "each is that of one place", "a simulated room")


def _speak(
    voices: Sequence[np.ndarray], behaviour: Sequence[Behaviour], levels: np.ndarray, timeline: Timeline, rng: np.random.Generator
) -> tuple[np.ndarray, list[list[list[float]]], np.ndarray]:
    """The voices (N, n) float32 over the whole timeline, the spans in which each speaks (none: throughout), and its level.

    The level is that over the whole recording: lower for those who are silent part of the time.
    """
    dry = np.stack([np.resize(np.roll(voice, timeline.before), timeline.total).astype(np.float32) for voice in voices])
    spans = behaviours.activity(behaviour, len(voices), timeline.seconds, rng)
    if not spans:
        return dry, [], levels
    gates = behaviours.gates(spans, timeline.times, timeline.seconds)
    shares = np.mean(np.square(gates[:, timeline.span], dtype=np.float64), axis=1)
    for k in np.flatnonzero(shares == 0):
        raise UsageError(
            f"talker {k + 1} never speaks in these {timeline.seconds:g} s",
            hint="more seconds, shorter turns, or fewer talkers",
        )
    return dry * gates, spans, levels + 10 * np.log10(shares)


def _sound(noises: Sequence[np.ndarray], timeline: Timeline, rng: np.random.Generator) -> np.ndarray:
    """The noises (K, n) float32 over the whole timeline, each from a random moment on and at an RMS of 1."""
    sounds = np.empty((len(noises), timeline.total), np.float32)
    for noise, sound in zip(noises, sounds, strict=True):
        sound[:] = np.resize(np.roll(noise, -int(rng.integers(len(noise)))), timeline.total)
    to_unit_rms(sounds, timeline.span, "noise")
    return sounds
