"""The simulator: properties of scenes, and invalid options."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import bss
from bss.errors import InputError, UsageError
from bss.scenes import manifest
from bss.scenes.acoustics import rooms
from bss.scenes.acoustics.heard import mixing_matrix

RATE = 8000
KINDS = [
    pytest.param({"rt60": 0.2}, id="room"),
    pytest.param({"rt60": 0.0}, id="no echo"),
    pytest.param({"instantaneous": True}, id="desk"),
]


def voices(n: int, seconds: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Signals with pauses, of different lengths."""
    rng = np.random.default_rng(seed)
    return [
        rng.laplace(size=int(RATE * (seconds + 0.1 * k))) * (rng.random(int(RATE * (seconds + 0.1 * k))) > 0.3) for k in range(n)
    ]


def db(power: float) -> float:
    return float(10 * np.log10(power))


def power(x: np.ndarray) -> float:
    return float(np.mean(np.square(x, dtype=np.float64)))


# ---------------------------------------------------------------- contents of a scene


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 3), (2, 2), (3, 2), (2, 4)])
def test_scene_is_its_images_and_noise(kind: dict, n: int, m: int) -> None:
    scene = bss.mix(voices(n), RATE, n_mics=m, snr_db=20, rng=3, **kind)
    samples = int(RATE * (1 + 0.1 * (n - 1)))
    assert scene.mixture.shape == (m, samples)
    assert scene.images.shape == (n, m, samples)
    assert scene.sources.shape == (n, samples)
    assert {a.dtype for a in (scene.mixture, scene.images, scene.sources)} == {np.dtype(np.float32)}
    assert all(np.isfinite(a).all() for a in (scene.mixture, scene.images, scene.sources))
    noise = scene.mixture - scene.images.sum(0)
    assert db(power(scene.images.sum(0)[0]) / power(noise[0])) == pytest.approx(20, abs=0.3)
    for i, j in combinations(noise, 2):  # independent noise at each microphone, equally loud at all
        assert abs(np.corrcoef(i, j)[0, 1]) < 0.06
        assert power(i) == pytest.approx(power(j), rel=0.1)
    assert max(np.abs(scene.mixture).max(), np.abs(scene.images).max()) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_the_mixture_is_the_sum_of_the_images(kind: dict) -> None:
    scene = bss.mix(voices(3), RATE, n_mics=2, snr_db=np.inf, **kind)
    np.testing.assert_allclose(scene.mixture, scene.images.sum(0, dtype=np.float64), atol=1e-7)
    assert scene.info["options"]["snr_db"] is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("levels", [None, [0, -6, 3]])
def test_levels_at_microphone_1(kind: dict, levels: list[float] | None) -> None:
    scene = bss.mix(voices(3), RATE, levels_db=levels, **kind)
    image_levels = [db(power(image[0])) for image in scene.images]
    np.testing.assert_allclose(np.subtract(image_levels, image_levels[0]), levels or [0, 0, 0], atol=1e-3)
    np.testing.assert_allclose([db(power(source)) for source in scene.sources], image_levels, atol=1e-3)


def test_gains_lead_from_voices_to_sources() -> None:
    talkers = voices(2)
    scene = bss.mix(talkers, RATE, levels_db=[0, 4], rt60=0)
    for voice, gain, source in zip(talkers, scene.info["gains"], scene.sources, strict=True):
        np.testing.assert_allclose(source[: len(voice)], gain * voice, atol=1e-6)


def test_a_short_voice_starts_again() -> None:
    long, short = voices(1, 2.0)[0], voices(1, 0.5)[0]
    scene = bss.mix([long, short], RATE, rt60=0)
    assert scene.mixture.shape[1] == len(long)
    np.testing.assert_array_equal(scene.sources[1, : len(short)], scene.sources[1, len(short) : 2 * len(short)])


@pytest.mark.parametrize(("seconds", "samples"), [(0.25, 2000), (3.0, 24000)])
def test_seconds_cut_or_repeat(seconds: float, samples: int) -> None:
    assert bss.mix(voices(2), RATE, seconds=seconds, rt60=0).images.shape == (2, 2, samples)


def test_inputs_and_global_state_are_left_alone() -> None:
    import pyroomacoustics as pra

    talkers = voices(2)
    before = [voice.copy() for voice in talkers]
    for voice in talkers:
        voice.flags.writeable = False
    settings, state = dict(pra.parameters._constants), repr(np.random.get_state())  # noqa: NPY002
    bss.mix(talkers, RATE, rt60=0.2)
    for now, then in zip(talkers, before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert dict(pra.parameters._constants) == settings
    assert repr(np.random.get_state()) == state  # noqa: NPY002


# ---------------------------------------------------------------- same seed, same bytes


def digest(scene: bss.Scene) -> str:
    return hashlib.sha256(scene.mixture.tobytes() + scene.images.tobytes() + scene.sources.tobytes()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_seed_decides(kind: dict) -> None:
    a, b, c = (digest(bss.mix(voices(2), RATE, rng=seed, **kind)) for seed in (5, 5, 6))
    assert a == b != c


def test_a_generator_continues() -> None:
    rng = np.random.default_rng(0)
    first, second = (bss.mix(voices(2), RATE, rt60=0, rng=rng) for _ in range(2))
    assert digest(first) != digest(second)
    assert first.info["options"]["seed"] is None


def test_bytes_do_not_depend_on_the_process_or_its_threads() -> None:
    code = (
        "import hashlib, bss, numpy as np;"
        "v = np.random.default_rng(0).laplace(size=(2, 4000));"
        "s = bss.mix(v, 8000, rt60=0.25, rng=1);"
        "print(hashlib.sha256(s.mixture.tobytes() + s.images.tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PRA_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    }
    assert len(digests) == 1


# ---------------------------------------------------------------- rooms


@pytest.mark.parametrize(("room", "n", "m", "spacing"), [
    ((6, 5, 3), 4, 4, 0.05), ((6, 5, 3), 14, 2, 0.05), ((8, 7, 2.6), 9, 6, 0.1), ((6, 5, 3), 3, 1, 0.05),
    ((10, 9, 3), 4, 4, 2.0), ((7, 7, 3), 2, 2, 3.0), ((3, 3, 2.4), 2, 2, 0.05),
])  # fmt: skip
def test_places(room: tuple[float, float, float], n: int, m: int, spacing: float) -> None:
    seen = set()
    for seed in range(25):
        layout = rooms.lay_out(room, n, m, spacing, np.random.default_rng(seed))
        centre = layout.mics.mean(0)
        around = layout.talkers - centre
        across = np.hypot(around[:, 0], around[:, 1])
        assert (across >= 1.0).all()
        assert (across <= 1.8).all()
        for i, j in combinations(np.arctan2(around[:, 1], around[:, 0]), 2):
            assert abs((i - j + np.pi) % (2 * np.pi) - np.pi) > np.radians(24.9)
        for places, margin in ((layout.mics, 0.3), (layout.talkers, 0.3)):
            assert (places >= margin - 1e-9).all()
            assert (places <= np.array(room) - margin + 1e-9).all()
        if m > 1:
            steps = np.linalg.norm(layout.mics - np.roll(layout.mics, 1, axis=0), axis=1)
            np.testing.assert_allclose(steps, spacing)
        assert np.linalg.norm(layout.talkers[:, None] - layout.mics, axis=-1).min() >= 0.3
        seen.add(layout.talkers[0].tobytes())
    assert len(seen) == 25


@pytest.mark.parametrize(("room", "rt60"), [
    ((6, 5, 3), 0.15), ((6, 5, 3), 0.3), ((6, 5, 3), 0.6), ((4, 3, 2.5), 0.2), ((10, 8, 4), 0.4),
])  # fmt: skip
def test_reverberation_is_what_was_asked(room: tuple[float, float, float], rt60: float) -> None:
    """By our own measurement, and by that of pyroomacoustics, which includes the direct sound."""
    from pyroomacoustics.experimental import measure_rt60

    layout = rooms.lay_out(room, 3, 2, 0.05, np.random.default_rng(1))
    responses = rooms.respond(layout, rt60, RATE)
    assert np.mean(responses.rt60) == pytest.approx(rt60, rel=0.05)
    assert responses.rt60 == pytest.approx([rt60] * 3, rel=0.2)
    theirs = [measure_rt60(rir[1], fs=RATE, decay_db=30) for rir in responses.rirs]
    assert np.mean(theirs) == pytest.approx(rt60, rel=0.2)


def test_decay_time_of_a_known_decay() -> None:
    t = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).normal(size=RATE)
    for rt60 in (0.2, 0.5, 0.9):
        rir = noise * 10 ** (-3 * t / rt60)
        rir[0] = 20
        assert rooms.decay_time(rir, RATE) == pytest.approx(rt60, rel=0.05)


def test_direct_sound_arrives_on_time_and_at_its_level() -> None:
    layout = rooms.lay_out((6, 5, 3), 2, 3, 0.8, np.random.default_rng(2))
    rirs = rooms.respond(layout, 0.0, RATE).rirs
    frequency = 2 * np.pi * RATE * np.fft.rfftfreq(1 << 15)[1000:8000] / 1.0
    for talker, times in zip(rirs, layout.flight_times, strict=True):
        for rir, time in zip(talker, times, strict=True):
            phase = np.unwrap(np.angle(np.fft.rfft(rir, 1 << 15)[1000:8000]))
            delay = -np.polyfit(frequency, phase, 1)[0]
            assert delay == pytest.approx(time, abs=0.02 / RATE)
            gain = np.abs(np.fft.rfft(rir, 1 << 15))[1000:8000].mean()
            assert gain == pytest.approx(1 / (time * rooms.SPEED_OF_SOUND), rel=0.02)


def test_images_are_voices_through_the_room() -> None:
    """A click in, the impulse response out."""
    click = np.zeros(RATE)
    click[100] = 1.0
    scene = bss.mix([click], RATE, n_mics=2, rt60=0.2, snr_db=np.inf, rng=4)
    layout = rooms.lay_out((6, 5, 3), 1, 2, 0.05, np.random.default_rng(4))
    rirs = rooms.respond(layout, 0.2, RATE).rirs[0]
    n = rirs.shape[1]
    gain = np.abs(scene.images[0]).max() / np.abs(rirs).max()
    np.testing.assert_allclose(scene.images[0, :, 100 : 100 + n], gain * rirs, atol=1e-6)
    assert np.abs(scene.images[0, :, :100]).max() < 1e-6
    np.testing.assert_allclose(scene.info["mics"], layout.mics, atol=1e-3)
    np.testing.assert_allclose(scene.info["delays_s"], layout.flight_times, atol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_mixing_matrix(m: int, n: int) -> None:
    for seed in range(20):
        a = mixing_matrix(m, n, np.random.default_rng(seed))
        assert a.shape == (m, n)
        assert np.linalg.cond(a) < 6
        np.testing.assert_allclose(np.abs(a[0]), 1)
        assert np.linalg.norm(a, axis=1).min() > 0.05  # every microphone receives sound


def test_desk_has_no_memory() -> None:
    scene = bss.mix(voices(3), RATE, n_mics=4, instantaneous=True, snr_db=np.inf)
    matrix = np.array(scene.info["matrix"])
    np.testing.assert_allclose(matrix @ scene.sources, scene.mixture, atol=1e-5)
    assert scene.info["condition"] == pytest.approx(np.linalg.cond(matrix), rel=0.01)


# ---------------------------------------------------------------- invalid options


@pytest.mark.parametrize(("options", "said"), [
    ({"n_mics": 0}, "n_mics=0"),
    ({"n_mics": 2.5}, "not a whole number"),
    ({"rt60": 0.05}, "0.12 to 1.12"),
    ({"rt60": 3}, "0.12 to 1.12"),
    ({"rt60": -0.1}, "0 for no echo"),
    ({"rt60": float("nan")}, "out of range"),
    ({"room": (6, 5)}, "length, width and height"),
    ({"room": (6, 5, "x")}, "length, width and height"),
    ({"room": (6, 5, 1)}, "between 2 and 100 m"),
    ({"room": (2.4, 2.4, 2.4), "spacing": 0.8, "n_mics": 8}, "do not fit"),
    ({"room": (2, 2, 2)}, "too small"),
    ({"spacing": 0}, "spacing=0"),
    ({"spacing": 5}, "do not fit"),
    ({"snr_db": float("nan")}, "snr_db=nan"),
    ({"snr_db": float("-inf")}, "snr_db=-inf"),
    ({"seconds": 0}, "seconds=0"),
    ({"seconds": float("nan")}, "seconds=nan"),
    ({"levels_db": [0]}, "does not fit 2 voices"),
    ({"levels_db": [0, float("nan")]}, "does not fit"),
    ({"rng": -1}, "rng=-1"),
    ({"rng": 1.5}, "not a whole number"),
    ({"seconds": 0.01, "spacing": 16, "room": (40, 40, 4), "rt60": 0}, "ends before"),
])  # fmt: skip
def test_wrong_options(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bss.mix(voices(2), RATE, **options)


@pytest.mark.parametrize(("talkers", "error", "said"), [
    ([], UsageError, "no voices"),
    ([np.ones(100)] * 15, UsageError, "at most 14"),
    ([np.zeros(100)], InputError, "voice 1 is silent"),
    ([np.ones(100), np.r_[1.0, np.nan]], InputError, "voice 2 contains NaN"),
    ([np.ones((2, 100))], InputError, r"shape \(2, 100\)"),
    ([np.ones(0)], InputError, "shape"),
    ([np.ones(100, np.int16)], InputError, "int16"),
])  # fmt: skip
def test_wrong_voices(talkers: list[np.ndarray], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        bss.mix(talkers, RATE)


def test_wrong_rate() -> None:
    with pytest.raises(UsageError, match="rate=10"):
        bss.mix(voices(1), 10)


# ---------------------------------------------------------------- save


def test_save(tmp_path: Path) -> None:
    scene = bss.mix(voices(2), RATE, n_mics=3, rt60=0)
    files = scene.save(tmp_path / "scene")
    names = ["mics/mic1.wav", "mics/mic2.wav", "mics/mic3.wav", "truth/voice1.wav", "truth/voice2.wav", "scene.json"]
    assert [file.relative_to(tmp_path / "scene").as_posix() for file in files] == names
    assert sorted(p for p in (tmp_path / "scene").rglob("*") if p.is_file()) == sorted(files)
    np.testing.assert_allclose(bss.read(files[:3])[0], scene.mixture, atol=2**-23)
    np.testing.assert_allclose(bss.read([files[4]])[0], scene.images[1], atol=2**-23)
    document = json.loads(files[-1].read_text())
    assert document["options"]["n_mics"] == 3
    assert document["rate"] == RATE
    with pytest.raises(InputError, match="exists"):
        scene.save(tmp_path / "scene")


def test_save_over_a_larger_scene_leaves_none_of_its_files(tmp_path: Path) -> None:
    bss.mix(voices(3), RATE, n_mics=4, rt60=0).save(tmp_path)
    scene = bss.mix(voices(1), RATE, n_mics=2, rt60=0)
    with pytest.raises(InputError, match="in the way"):
        scene.save(tmp_path)
    assert len(list(tmp_path.rglob("*.wav"))) == 7
    files = scene.save(tmp_path, overwrite=True)
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(files)


def test_save_never_deletes_what_is_not_of_a_scene(tmp_path: Path) -> None:
    mine = tmp_path / "mics" / "holiday.wav"
    bss.mix(voices(1), RATE, rt60=0).save(tmp_path)
    mine.write_bytes((tmp_path / "mics/mic1.wav").read_bytes())
    with pytest.raises(InputError, match=r"holiday\.wav is in the way"):
        bss.mix(voices(1), RATE, rt60=0).save(tmp_path, overwrite=True)
    assert mine.exists()


def test_scene_json_stores_the_options_of_mix() -> None:
    options = {"seed" if name == "rng" else name for name in inspect.signature(bss.mix).parameters} - {"voices", "rate"}
    assert options - {"noises", "rirs"} == {*manifest.OPTIONS, *manifest.LATER}
