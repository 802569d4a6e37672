"""Channels compared with each other: hum, other rooms, processed mixes, dead spans; and healthy ones, which must all stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from recordings import RATE, desk, fit, hiss, own_mics, room, voice

import bss
from bss.pipeline.analysis.preflight.channels import Preflight, preflight
from bss.pipeline.analysis.preflight.relation_rules import examine
from bss.signals.channels import common_sound, constant_spans, gain_changes

SECONDS = 8.0


def look(x: np.ndarray, *, keep: bool = False) -> Preflight:
    x = np.asarray(x, np.float32)
    return examine(preflight(x, RATE), x, RATE, keep=keep)


def found(x: np.ndarray) -> list[tuple[int | None, str]]:
    return [(f.channel, f.kind) for f in look(x).findings]


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    """Two talkers before four microphones."""
    x: np.ndarray = room(2, SECONDS, n_mics=4, seed=3, spacing=0.05).mixture
    x.flags.writeable = False
    return x


def mains(n: int, seed: int = 1) -> np.ndarray:
    t = np.arange(n) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * h * t + h) / h for h in (1, 2, 3, 5))
    return np.asarray(0.1 * hum + 0.03 * np.random.default_rng(seed).standard_normal(n))


def automatic_gain(x: np.ndarray, seconds: float = 0.25) -> np.ndarray:
    """The mean of x at a constant level."""
    y = x.mean(0)
    size = round(seconds * RATE)
    return np.asarray(0.05 * y / (np.sqrt(np.convolve(y * y, np.ones(size) / size, "same")) + 1e-4))


HEALTHY: dict[str, Callable[[], np.ndarray]] = {
    "two microphones": lambda: room(2, SECONDS, seed=1).mixture,
    "echo": lambda: room(2, SECONDS, n_mics=3, rt60=0.8, seed=2).mixture,
    "far apart": lambda: room(2, SECONDS, n_mics=3, spacing=0.8, seed=4).mixture,
    "close to the talkers": lambda: own_mics(3, SECONDS).sum(0) + hiss((3, round(SECONDS * RATE)), 1e-4),
    "desk": lambda: desk(3, SECONDS).mixture,
    "one talker": lambda: room(1, SECONDS, n_mics=4, seed=5).mixture,
    "short": lambda: room(2, 1.0, n_mics=3, seed=6).mixture,
    "noise": lambda: room(2, SECONDS, n_mics=3, seed=7).mixture + hiss((3, round(SECONDS * RATE)), 0.03),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_healthy_channels_stay(kind: str) -> None:
    x = HEALTHY[kind]()
    checked = look(x)
    assert checked.usable == tuple(range(len(x)))
    assert checked.shared
    assert not checked.dead
    assert {f.kind for f in checked.findings} <= {"low_level", "near_duplicate"}


def test_a_hum_alone_is_left_out_and_never_free_of_delays(table: np.ndarray) -> None:
    x = table.copy()
    x[2] = mains(x.shape[1])
    checked = look(x)
    assert checked.usable == (0, 1, 3)
    assert found(x) == [(2, "noise")]
    result = bss.unmix(x, RATE, n_sources=2)
    assert result.method != "fastica"
    assert result.record.used == ["channel 1", "channel 2", "channel 4"]
    assert "channel 3 hears nothing but a steady hum or noise and is left out" in result.warnings[0]


def test_the_reference_is_never_a_hum(table: np.ndarray) -> None:
    x = table.copy()
    x[0] = mains(x.shape[1])
    result = bss.unmix(x, RATE, n_sources=2)
    assert result.record.reference == "channel 2"
    assert any("channel 2 is the reference microphone instead" in warning for warning in result.warnings)


def test_hum_in_all_microphones_is_no_common_sound() -> None:
    x = np.stack([mains(6 * RATE, seed) for seed in (1, 2)])
    x += np.stack([0.1 * voice(name)[: 6 * RATE] for name in ("edward", "fiona")])
    measured = common_sound.measure(x.astype(np.float32), RATE)
    assert measured is not None
    assert measured.significance()[0, 1] < 5


def test_another_recording_is_left_out(table: np.ndarray) -> None:
    x = table.copy()
    x[1] = voice("helena")[: x.shape[1]] * 0.1
    assert found(x) == [(1, "unrelated")]
    assert look(x).usable == (0, 2, 3)


def test_what_was_chosen_by_hand_stays(table: np.ndarray) -> None:
    x = table.copy()
    x[1] = mains(x.shape[1])
    checked = look(x, keep=True)
    assert checked.usable == (0, 1, 2, 3)
    assert [(f.kind, f.severity) for f in checked.findings] == [("noise", "warning")]
    assert "left out" not in checked.findings[0].message


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_processed_mix_is_left_out(table: np.ndarray, place: int) -> None:
    x = np.insert(table, place, automatic_gain(table), axis=0)
    assert found(x) == [(place, "processed")]
    measured = gain_changes.measure(x.astype(np.float32), RATE)
    assert [g.channel for g in measured] == [place]
    assert measured[0].varying_db < -12 < measured[0].fixed_db


def test_a_gain_that_is_turned_in_the_middle() -> None:
    x = room(1, SECONDS, n_mics=4, seed=8).mixture.copy()
    x[2, x.shape[1] // 2 :] *= 0.2
    assert found(x) == [(2, "processed")]


def test_headsets_without_bleed_keep_everybody_at_their_own_level() -> None:
    n = round(SECONDS * RATE)
    own = np.stack([0.1 * voice(name)[:n] for name in ("edward", "fiona", "carlos")])
    own[0, : n - RATE] = 0  # who speaks for a second only is no hum
    x = own + hiss(own.shape, 1e-4)
    checked = look(x)
    assert checked.usable == (0, 1, 2)
    assert not checked.shared
    assert [f.kind for f in checked.findings] == ["no_common_sound"]
    result = bss.unmix(x, RATE)
    assert result.method == "none"
    assert [source.mic for source in result.record.sources] == ["channel 1", "channel 2", "channel 3"]
    assert np.diag(fit(own, result.sources)).min() > 20
    assert "source2 that of channel 2, source3 that of channel 3" in result.warnings[-1]


def test_constant_spans_are_exact() -> None:
    x = np.random.default_rng(0).standard_normal((3, 40_000)).astype(np.float32)
    x[0, 9_999:20_001] = 0.25
    x[1, 30_000:] = 0
    x[2, 100:4000] = 0  # shorter than what counts
    x[:, 5000:6000] = 0  # a pause of all
    assert constant_spans.measure(x, RATE) == [[(9_999, 20_001)], [(30_000, 40_000)], []]


def test_a_pause_of_all_channels_is_no_fault() -> None:
    x = np.random.default_rng(0).standard_normal((2, 60_000)).astype(np.float32)
    x[:, 20_000:40_000] = 0
    assert constant_spans.measure(x, RATE) == [[], []]


def test_a_dead_span_is_timed_and_a_gate_is_told_apart(table: np.ndarray) -> None:
    x = table.copy()
    x[3, 4 * RATE :] = 0
    checked = look(x)
    assert checked.usable == (0, 1, 2, 3)
    assert checked.dead == {3: ((4 * RATE, x.shape[1]),)}
    assert "is dead from 00:04.0 on" in checked.findings[0].message
    assert checked.to_list()[0]["spans"] == [[4.0, SECONDS]]
    for k in range(9):
        x[1, round(0.8 * k * RATE) : round((0.8 * k + 0.6) * RATE)] = 0
    assert ("gated", 1) in [(f.kind, f.channel) for f in look(x).findings]
    assert 1 not in look(x).dead


def test_a_microphone_that_hears_only_hiss_from_some_time_on() -> None:
    voices = [np.resize(voice(name), 24 * RATE) for name in ("edward", "fiona")]
    x = bss.mix(voices, RATE, n_mics=4, rng=2).mixture.copy()
    hiss_from = 11 * RATE
    x[2, hiss_from:] = hiss((1, x.shape[1] - hiss_from), 1e-3)
    checked = look(x)
    ((start, stop),) = checked.dead[2]
    assert stop == x.shape[1]
    assert hiss_from - 4 * RATE <= start <= hiss_from
    assert [(f.channel, f.kind) for f in checked.findings] == [(2, "dead_span")]
    assert "hears only hum or noise from 00:08.0 on" in checked.findings[0].message


def test_a_pause_of_all_talkers_is_no_fault() -> None:
    voices = [np.resize(voice(name), 24 * RATE) for name in ("edward", "fiona")]
    for v in voices:
        v[8 * RATE : 18 * RATE] = 0
    x = bss.mix(voices, RATE, n_mics=3, rng=2, snr_db=30).mixture
    assert not look(x).dead
