"""The learned source model: NumPy does what torch trained, it helps with speech, and steps aside for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from recordings import RATE, hiss, improvement, room, voice, voices

import bss
from bss.networks.source_model import apply, speech
from bss.networks.source_model.features import features
from bss.pipeline.analysis import speech as limits
from bss.pipeline.methods import neural
from bss.pipeline.methods.refine import refine
from bss.pipeline.methods.shared.base import Task
from bss.signals.stft import Stft

torch = pytest.importorskip("torch", reason="torch is not installed: training is not tested")
from bss.networks.source_model import model as source_model, training as source_training  # noqa: E402

SMALL = source_model.SourceModelConfig(n_fft=64, hop=16, channels=8, blocks=3, groups=4, cycle=2)


def awakened(config: source_model.SourceModelConfig, seed: int = 0) -> source_model.SourceModel:
    """A network all of whose numbers matter, statistics of batches too."""
    torch.manual_seed(seed)
    network = source_model.SourceModel(config).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running_var" in name:
                value.copy_(torch.rand_like(value) + 0.5)
            elif value.is_floating_point() and "window" not in name:
                value.add_(0.1 * torch.randn_like(value))
    return network


def enhanced(tracks: np.ndarray, rate: int) -> np.ndarray:
    model = apply.load()
    return apply.enhance(model, apply.prepare(model, tracks, rate))


def measured(track: np.ndarray) -> tuple[float, float, float]:
    """Distance from speech, voiced and syllables of a track (n,)."""
    model = apply.load()
    found = apply.speech_measures(model, apply.prepare(model, track[None], RATE))
    return found.distance[0], found.voiced[0], found.syllables[0]


# ---- the network


@pytest.mark.parametrize("frames", [1, 2, 7, 24, 61])
@pytest.mark.parametrize("cycle", [2, 5])
def test_numpy_does_what_torch_trained(frames: int, cycle: int) -> None:
    config = source_model.SourceModelConfig(n_fft=64, hop=16, channels=8, blocks=5, groups=4, cycle=cycle)
    network = awakened(config)
    from bss.networks.source_model.inference import Mixer

    mixer = Mixer(vars(config), {name: t.numpy() for name, t in network.state_dict().items()})
    rng = np.random.default_rng(frames)
    Y, R = (rng.normal(size=(33, frames)) + 1j * rng.normal(size=(33, frames)) for _ in range(2))
    with torch.inference_mode():
        both = [torch.from_numpy(a[None].astype(np.complex64)) for a in (Y, R)]
        wanted = network.talker(*both)[0].numpy()
    inputs = features(Y.astype(np.complex64), R.astype(np.complex64), np)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs, features(*both, torch)[0].numpy(), atol=2e-5)
    gain = mixer(inputs)
    found = Y + (gain[0] + 1j * gain[1]) * Y + (gain[2] + 1j * gain[3]) * R
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.abs(wanted - Y).max() > 0.1  # it did something


def test_a_new_network_changes_nothing() -> None:
    y, others = torch.randn(2, 800), torch.randn(2, 800)
    with torch.inference_mode():
        torch.testing.assert_close(source_model.SourceModel(SMALL).eval()(y, others), y, atol=1e-5, rtol=0)


def test_loudness_does_not_matter() -> None:
    y, others = torch.randn(1, 1600), torch.randn(1, 1600)
    network = awakened(SMALL)
    with torch.inference_mode():
        torch.testing.assert_close(network(100 * y, 100 * others), 100 * network(y, others), atol=1e-2, rtol=1e-3)


def test_the_loss_is_the_error_in_db() -> None:
    truth = torch.randn(3, 1000)
    error = 0.1 * torch.randn(3, 1000)
    error *= (0.01 * truth.square().sum(1) / error.square().sum(1)).sqrt()[:, None]
    assert float(source_model.loss(truth + error, truth, truth)) == pytest.approx(-20, abs=0.6)
    assert float(source_model.loss(truth, truth, truth)) < -29


def test_training_lowers_what_the_others_leave(tmp_path: pytest.TempPathFactory) -> None:
    def scenes(first: int) -> list[tuple[np.ndarray, np.ndarray]]:
        made = []
        for k in range(first, first + 3):
            s = np.stack([np.roll(v, 1600 * k) for v in voices(2, 3.0, first=k)])
            made.append((np.array([[1, 0.5], [0.4, 1]], np.float32) @ s, s))
        return made

    learned, kept = (source_training.of_scenes(scenes(first)) for first in (0, 3))
    assert len(learned) == 6
    out = tmp_path / "model"  # type: ignore[operator]
    report = source_training.fit(learned, kept, out, steps=30, size=4, seconds=1.0, config=SMALL, seed=1)
    assert report["validation_db"] < report["before_db"] - 0.5, report
    again = source_training.fit(learned, kept, tmp_path / "again", steps=30, size=4, seconds=1.0, config=SMALL, seed=1)  # type: ignore[operator]
    assert again["validation_db"] == report["validation_db"]


# ---- at work


@pytest.fixture(scope="module")
def scene() -> bss.Scene:
    return room(2, 5.0, rt60=0.25)


@pytest.mark.slow
def test_it_gains_and_tells_what_it_did(scene: bss.Scene) -> None:
    options = {"n_sources": 2, "rng": 0}
    found = bss.unmix(scene.mixture, RATE, **options)
    assert found.method == "neural"
    assert found.linear is not None
    info = found.info["source_model"]
    assert info["applied"]
    assert len(info["speech_distance"]) == len(info["change_db"]) == 2
    truth = scene.images[:, 0]
    with_it = improvement(truth, found.sources, scene.mixture[0]).mean()
    without = improvement(truth, found.linear, scene.mixture[0]).mean()
    assert with_it > without + 1
    np.testing.assert_allclose(found.sources.sum(0) + found.residual, scene.mixture[0], atol=1e-5)


@pytest.mark.slow
def test_two_looks_refine_the_demixing(scene: bss.Scene) -> None:
    once, twice = (bss.unmix(scene.mixture, RATE, n_sources=2, method="neural", effort=e) for e in ("normal", "best"))
    assert twice.info["source_model"]["looks"] == 2
    truth = scene.images[:, 0]
    linear = [improvement(truth, y.linear, scene.mixture[0]).mean() for y in (once, twice)]
    assert linear[1] > linear[0] + 0.5


@pytest.mark.slow
def test_a_soft_talker_gets_a_second_look(scene: bss.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    softer = 10 ** (-8 / 20)
    truth = scene.images[:, 0] * np.array([[1.0], [softer]], np.float32)
    mixture = scene.mixture - (1 - np.float32(softer)) * scene.images[1]
    looked = {}
    for most in (1, 2):
        monkeypatch.setattr(neural, "MOST_LOOKS", most)
        found = bss.unmix(mixture, RATE, n_sources=2)
        assert found.info["source_model"]["looks"] == most
        looked[most] = improvement(truth, found.sources, mixture[0]).mean()
    assert looked[2] > looked[1] + 0.5


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_other_rates(rate: int) -> None:
    tracks = np.stack(voices(2, 2.0))
    at_rate = bss_resampled(tracks, rate)
    found = enhanced(at_rate, rate)
    assert found.shape == at_rate.shape
    assert found.dtype == np.float32
    back = bss_resampled(found, RATE, rate)[:, : tracks.shape[1]]
    wanted = enhanced(bss_resampled(at_rate, RATE, rate)[:, : tracks.shape[1]], RATE)
    inside = slice(800, -800)
    assert db(back[:, inside] - wanted[:, inside], wanted[:, inside]) < -25


def bss_resampled(x: np.ndarray, rate: int, before: int = RATE) -> np.ndarray:
    from bss.signals.resample import resample

    return np.asarray(resample(np.asarray(x, np.float32), before, rate))


def db(part: np.ndarray, whole: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(part**2) / np.sum(whole**2)))


@pytest.mark.parametrize("n", [1, 500, RATE, 20 * RATE, 20 * RATE + 1, 61 * RATE])
def test_segments_cover_everything_once(n: int) -> None:
    pieces = apply.segments(n, RATE)
    total = np.zeros(n)
    for piece in pieces:
        total[piece] += apply.crossfade(piece, n, RATE)
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert max(p.stop - p.start for p in pieces) <= 20 * RATE + 1
    assert pieces[-1].stop == n


def test_long_tracks_are_enhanced_in_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    tracks = np.stack(voices(2, 4.0))
    model = apply.load()
    measures = apply.speech_measures(model, apply.prepare(model, tracks, RATE))
    whole = enhanced(tracks, RATE)
    monkeypatch.setattr(apply, "SEGMENT_SECONDS", 3.0)
    prepared = apply.prepare(model, tracks, RATE)
    assert prepared.spectra is None, "of a long recording no spectra are held"
    assert apply.speech_measures(model, prepared) == measures
    pieces = enhanced(tracks, RATE)
    assert db(pieces - whole, whole) < -15  # the mean over time of a segment is another one, no more
    assert np.abs(np.diff(pieces - whole)).max() < 0.1 * np.abs(tracks).max()


@pytest.mark.parametrize(("rate", "n_tracks"), [(RATE, 2), (48_000, 3)])
def test_one_analysis_serves_the_measures_and_the_network(rate: int, n_tracks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forwards: list[tuple[int, int]] = []
    forward = Stft.forward

    def counted(stft: Stft, x: np.ndarray) -> np.ndarray:
        forwards.append((stft.n_fft, len(x)))
        return forward(stft, x)

    monkeypatch.setattr(Stft, "forward", counted)
    model = apply.load()
    tracks = apply.prepare(model, bss_resampled(np.stack(voices(n_tracks, 3.0)), rate), rate)
    apply.speech_measures(model, tracks)
    apply.enhance(model, tracks)
    assert forwards == [(1024, 2 * n_tracks), (512, n_tracks)]


def apply_model(mixture: np.ndarray, tracks: np.ndarray) -> neural.Enhancement | dict[str, Any]:
    """What the neural method makes of tracks (N, n) of a mixture (M, n) at microphone 0."""
    task = Task(np.asarray(mixture, np.float32), np.empty(0), RATE, None, len(tracks))
    result = neural.apply_model(task, np.asarray(tracks, np.float32), again=True)
    return result if isinstance(result, neural.Enhancement) else result[0]


def test_what_is_no_speech_is_left_as_it_is() -> None:
    t = np.arange(4 * RATE) / RATE
    chords = np.stack([sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 5)) for f in (220, 293.7)]) * 0.1
    tracks = (chords * (0.6 + 0.4 * np.sign(np.sin(2 * np.pi * np.array([[1.5], [2.0]]) * t)))).astype(np.float32)
    for sounds in (tracks, hiss((2, 4 * RATE), 0.1)):
        evidence = apply_model(sounds, sounds)
        assert isinstance(evidence, dict)
        assert not evidence["applied"]
        assert "speech" in evidence["why"]
        assert min(evidence["speech_distance"]) >= limits.DISTANCE


def test_tracks_that_would_change_too_much_are_left_as_they_are(scene: bss.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = scene.images[:, 0] + hiss((2, scene.mixture.shape[1]), 1e-3)
    mixed = np.stack([truth[0] + 0.5 * truth[1], truth[1] + 0.5 * truth[0]])
    assert isinstance(apply_model(scene.mixture, mixed), neural.Enhancement)
    monkeypatch.setattr(neural, "CHANGE", -20.0)
    evidence = apply_model(scene.mixture, mixed)
    assert isinstance(evidence, dict)
    assert "changed a track so much" in evidence["why"]
    assert max(evidence["change_db"]) > -20


@pytest.mark.slow
def test_unmix_without_it_is_ilrma() -> None:
    t = np.arange(4 * RATE) / RATE
    rng = np.random.default_rng(0)
    noises = rng.laplace(size=(2, 4 * RATE)) * (1 + np.sin(2 * np.pi * np.array([[0.7], [1.1]]) * t)) * 0.05
    scene = bss.mix(list(noises.astype(np.float32)), RATE, n_mics=2, rt60=0.2, rng=0)
    found = bss.unmix(scene.mixture, RATE, n_sources=2)
    assert found.method == "ilrma"
    assert found.info["source_model"]["applied"] is False
    asked = bss.unmix(scene.mixture, RATE, n_sources=2, method="ilrma")
    np.testing.assert_allclose(found.sources, asked.sources, atol=1e-6)


# ---- its parts


def test_speech_in_a_room_is_like_speech_and_noise_is_not(scene: bss.Scene) -> None:
    for track in scene.images[:, 0] + hiss((2, scene.mixture.shape[1]), 1e-3):
        distance, voiced, syllables = measured(track)
        assert distance < limits.DISTANCE
        assert syllables > limits.SYLLABLES
        quiet = measured(track * 1e-3)
        assert quiet[0] == pytest.approx(distance, rel=0.02)
        assert quiet[1] == pytest.approx(voiced, abs=0.02)
    assert max(measured(track)[1] for track in scene.images[:, 0]) > limits.VOICED, "one voice is enough"
    distance, voiced, _ = measured(hiss((5 * RATE,), 0.1))
    assert distance > 1.5
    assert voiced < 0.1
    assert np.isfinite(measured(np.zeros(RATE, np.float32))).all()


def bursts(rng: np.random.Generator, pitched: bool) -> np.ndarray:
    """(10 s,) of a sound as short as a bark or a sneeze, every half second; its period is never the same for long."""
    y = 1e-4 * rng.normal(size=10 * RATE)
    t = np.arange(RATE // 5) / RATE
    for start in range(0, 19 * RATE // 2, RATE // 2):
        tones = sum(np.sin(2 * np.pi * k * np.cumsum(rng.uniform(120, 390, 16).repeat(200)) / RATE) / k for k in range(1, 20))
        y[start : start + len(t)] += np.exp(-12 * t) * (tones if pitched else rng.normal(size=len(t)))
    return y.astype(np.float32)


@pytest.mark.parametrize("pitched", [False, True])
def test_barks_and_sneezes_are_no_voices(pitched: bool) -> None:
    tracks = np.stack([bursts(np.random.default_rng(seed), pitched) for seed in range(3)])
    assert max(measured(track)[1] for track in tracks) < limits.VOICED
    assert min(measured(track)[2] for track in tracks) > limits.SYLLABLES, "they are as fast as syllables"
    assert isinstance(apply_model(tracks, tracks), dict)


def test_a_saw_has_no_syllables() -> None:
    t = np.arange(10 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.1 * np.sin(2 * np.pi * 0.4 * t))) / RATE
    saw = (1 + 0.3 * np.sin(2 * np.pi * 0.4 * t)) * sum(np.sin(k * phase) / k for k in range(1, 30))
    _, voiced, syllables = measured(saw)
    assert voiced > limits.VOICED, "an engine has a pitch that glides"
    assert syllables < limits.SYLLABLES
    assert isinstance(apply_model(saw[None], saw[None]), dict)


@pytest.mark.parametrize("n", [1, 300, 2000])
def test_measures_of_next_to_nothing_are_numbers(n: int) -> None:
    distance, voiced, syllables = measured(hiss((n,), 0.1))
    assert distance >= 0
    assert 0 <= voiced <= 1
    assert 0 <= syllables <= 1


def test_a_fitted_distribution_is_near_what_it_was_fitted_to() -> None:
    rng = np.random.default_rng(0)
    tracks = [
        np.roll(voice(name), k)[: 2 * RATE] for name in ("edward", "fiona", "george", "helena") for k in rng.integers(0, RATE, 30)
    ]
    fitted = speech.fit(tracks)

    def distance(track: np.ndarray) -> float:
        return fitted.distance(speech.statistics(speech.BAND_STFT.forward(track[None])[:, 0]))

    assert 0.3 < np.mean([distance(track) for track in tracks]) < 1.1
    assert distance(hiss((2 * RATE,), 0.1)) > 2


def test_refining_with_the_truth_is_nearly_the_best_there_is(scene: bss.Scene) -> None:
    truth = scene.images[:, 0]
    found = refine(scene.mixture, RATE, truth)
    assert improvement(truth, found.tracks, scene.mixture[0]).min() > 9
    images = found.demixing.images(found.stft.forward(scene.mixture), np.zeros(2, int))
    np.testing.assert_allclose(found.stft.inverse(images, scene.mixture.shape[1]), found.tracks, atol=1e-5)


@pytest.mark.slow
def test_long_recordings_get_a_second_look(scene: bss.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, gains = scene.images[:, 0], {}
    for looks, seconds in ((1, 30.0), (2, scene.mixture.shape[1] / RATE)):
        monkeypatch.setattr(neural, "LONG_SECONDS", seconds)
        found = bss.unmix(scene.mixture, RATE, n_sources=2, method="neural")
        assert found.info["source_model"]["looks"] == looks
        gains[looks] = improvement(truth, found.sources, scene.mixture[0]).mean()
    assert gains[2] > gains[1] + 0.5


@pytest.mark.slow
def test_training_scenes_follow_from_their_seed() -> None:
    from bss.pipeline.training.scenes import training_scene

    people = voices(4, 6.0)
    one, again, other = (training_scene(people, RATE, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.tracks, again.tracks)
    assert one.tracks.shape == one.truth.shape
    assert one.tracks.shape != other.tracks.shape or not np.allclose(one.tracks, other.tracks)
    for n, track in enumerate(one.tracks):  # in the order of the truth
        correlations = [abs(np.vdot(track, s)) / np.linalg.norm(s) for s in one.truth]
        assert int(np.argmax(correlations)) == n
