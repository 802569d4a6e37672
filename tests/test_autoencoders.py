"""The autoencoders: what theory says of them, and that what was trained is there again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, save, voice

from bss.errors import InputError, UsageError

torch = pytest.importorskip("torch", reason="torch is not installed: networks are not tested")
from bss.networks.autoencoder import features, training  # noqa: E402
from bss.networks.autoencoder.features import FeatureConfig  # noqa: E402
from bss.networks.autoencoder.model import (  # noqa: E402
    VAE,
    DeepAutoencoder,
    DeepConfig,
    LinearAutoencoder,
    LinearConfig,
    VAEConfig,
    kl,
)

SMALL = FeatureConfig(n_fft=128, hop=32)
PEOPLE = ("edward", "fiona", "george", "helena")


def planes(rows: int = 4000, inputs: int = 12, seed: int = 0) -> np.ndarray:
    """Gaussian rows (R, D) of which a few directions have most."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(inputs, inputs)))
    x = rng.normal(size=(rows, inputs)) * np.geomspace(3, 0.1, inputs) @ basis.T
    return (x - x.mean(0)).astype(np.float32)


def data_of(rows: np.ndarray) -> training.Data:
    """Rows as if they had come from sounds."""
    config = FeatureConfig(n_fft=2 * rows.shape[1] - 2, hop=rows.shape[1] - 1)
    found = features.Features(config, np.zeros(rows.shape[1], np.float32), 1.0)
    return training.Data(rows[: len(rows) // 2], rows[len(rows) // 2 :], found, {})


def test_the_linear_one_finds_the_principal_plane(tmp_path: Path) -> None:
    x = planes()
    data = data_of(x)
    how = training.Training(steps=1500, size=512, learning_rate=0.02, patience=0)
    training.fit(LinearConfig(12, 3), data, tmp_path / "linear", how)
    model = training.load(tmp_path / "linear.safetensors").model
    learned = data.learned - data.learned.mean(0)
    principal = np.linalg.svd(learned, full_matrices=False)[2][:3]
    plane, _ = np.linalg.qr(model.decoder.weight.detach().numpy())
    angles = np.degrees(np.arccos(np.clip(np.linalg.svd(principal @ plane)[1], -1, 1)))
    assert angles.max() < 5
    with torch.inference_mode():
        error = float((model.reconstruct(torch.from_numpy(x)) - torch.from_numpy(x)).square().mean())
    best = float(np.mean((x - x @ principal.T @ principal) ** 2))
    assert error < 1.02 * best


@pytest.mark.parametrize("noise", ["shared", "each", "fixed"])
def test_the_bound_is_exact_where_the_posterior_is(noise: str) -> None:
    # one input, one code: x = w z + noise has a Gaussian posterior, for which the bound is the likelihood
    w, variance = 0.8, 0.3
    model = VAE(VAEConfig(1, 1, (), noise=noise, variance=variance))
    precision = 1 + w * w / variance
    with torch.no_grad():
        model.decoder.bent[0].weight.fill_(w)
        model.decoder.bent[0].bias.zero_()
        model.encoder.bent[0].weight.copy_(torch.tensor([[w / variance / precision], [0.0]]))
        model.encoder.bent[0].bias.copy_(torch.tensor([0.0, -math.log(precision)]))
    x = torch.tensor([[0.7]]).expand(60_000, 1)
    total = w * w + variance
    wanted = -0.5 * (math.log(2 * math.pi * total) + 0.7**2 / total)
    with torch.inference_mode():
        assert float(model.elbo(x, torch.Generator().manual_seed(0)).mean()) == pytest.approx(wanted, abs=0.01)
        model.encoder.bent[0].bias.add_(0.5)
        assert float(model.elbo(x, torch.Generator().manual_seed(0)).mean()) < wanted - 0.05


def test_the_divergence_is_the_one_of_gaussians() -> None:
    zero = torch.zeros(1, 3)
    assert float(kl(zero, zero)) == 0
    assert float(kl(zero + 2, zero)) == pytest.approx(6)
    assert float(kl(zero, zero + math.log(4))) == pytest.approx(1.5 * (4 - 1 - math.log(4)), rel=1e-5)


def test_gradients_pass_through_what_is_drawn() -> None:
    model = VAE(VAEConfig(6, 2, (8,)))
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1 * torch.randn_like(value))
    model.loss(torch.randn(32, 6), 10_000).backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())


def test_shapes_samples_and_interpolation() -> None:
    x = torch.randn(7, 10)
    for model in (
        LinearAutoencoder(LinearConfig(10, 3)),
        DeepAutoencoder(DeepConfig(10, 3, (8, 6))),
        VAE(VAEConfig(10, 3, (8,))),
    ):
        assert model.encode(x).shape == (7, 3)
        assert model.decode(model.encode(x)).shape == model.reconstruct(x).shape == (7, 10)
    assert model.sample(5).shape == (5, 10)
    between = model.interpolate(x[0], x[1], 4)
    torch.testing.assert_close(between[[0, -1]], model.reconstruct(x[:2]))
    torch.testing.assert_close(between[1] - between[0], between[2] - between[1], atol=1e-5, rtol=1e-3)  # new ones are linear


def test_codes_without_use_are_seen() -> None:
    model = VAE(VAEConfig(4, 2, ()))
    with torch.no_grad():
        model.encoder.bent[0].weight.zero_()
        model.encoder.bent[0].weight[0, 0] = 1
    x = torch.randn(500, 4)
    assert model.active(x) == 1
    assert model.collapsed(x) == [1]
    with pytest.raises(InputError, match="two rows or more"):
        model.active(x[:1])


def test_annealing_and_what_options_may_be() -> None:
    model = VAE(VAEConfig(4, 2, (), beta=2.0, anneal=10))
    assert [model.weight(step) for step in (0, 4, 9, 50)] == [0.2, 1.0, 2.0, 2.0]
    for wrong in ({"beta": 0.0}, {"variance": -1.0}, {"noise": "pink"}, {"codes": 0}, {"sizes": (0,)}):
        with pytest.raises(UsageError):
            VAEConfig(**{"inputs": 4, "codes": 2, **wrong})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in PEOPLE:
        place = tmp_path / "speech" / name
        place.mkdir(parents=True)
        save(place / "a.wav", voice(name)[None, : 2 * RATE])
    return tmp_path / "speech"


@pytest.mark.parametrize("kind", ["linear", "deep", "vae"])
def test_from_a_folder_of_speech_to_a_file_and_back(kind: str, folder: Path, tmp_path: Path) -> None:
    run = getattr(training, f"train_{kind}")
    options = {} if kind == "linear" else {"sizes": (20,)}
    report = run([folder], tmp_path / "m", codes=4, steps=400, size=64, features=SMALL, **options)
    assert report["talkers"] + report["validation_talkers"] == len(PEOPLE)
    held = training.load(tmp_path / "m.safetensors")
    assert held.kind == kind
    assert held.model.config.codes == 4
    rows = torch.from_numpy(held.features.rows(voice("fiona")[:RATE]))
    with torch.inference_mode():
        made = held.model.reconstruct(rows)
        error = float((made - rows).square().mean())
        assert error < 0.85 * float(rows.square().mean())
    assert held.features.levels(made.numpy()).shape == (65, len(rows))
    assert held.report["steps"] == report["steps"]
    if kind == "vae":
        assert report["active"] == 4 - len(report["collapsed"])


def test_levels_are_decibels_of_full_scale_and_sound_comes_back() -> None:
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 1000 * t).astype(np.float32)
    spectrogram = features.levels(tone, FeatureConfig())
    assert spectrogram[32].max() == pytest.approx(0, abs=0.1)
    assert spectrogram.min() >= -100.001
    found = features.Features(FeatureConfig(), np.zeros(257, np.float32), 10.0)
    again = found.sound(found.rows(tone), RATE)
    assert again.shape == (RATE,)
    inside = np.abs(np.fft.rfft(again[2000:10_000]))
    assert abs(np.argmax(inside) - 500) <= 2  # 4 Hz
    assert np.sqrt(np.mean(again[2000:10_000] ** 2)) == pytest.approx(0.707, rel=0.15)


def test_patches_cover_the_spectrogram() -> None:
    config = FeatureConfig(n_fft=64, hop=16, frames=4)
    spectrogram = np.random.default_rng(0).normal(-50, 5, (33, 10)).astype(np.float32)
    rows = features.patches(spectrogram, config)
    assert rows.shape == (3, 4 * 33)
    found = features.Features(config, np.zeros(4 * 33, np.float32), 1.0)
    np.testing.assert_allclose(found.levels(rows)[:, :10], spectrogram, atol=1e-4)
    assert np.all(found.levels(rows)[:, 10:] == -100)


def test_files_that_are_no_autoencoder(tmp_path: Path, folder: Path) -> None:
    import bss

    wrong = Path(bss.__file__).parent / "networks/weights/denoiser.safetensors"
    with pytest.raises(InputError, match="is not a linear or deep or vae"):
        training.load(wrong)
    with pytest.raises(InputError, match="does not exist"):
        training.load(tmp_path / "none.safetensors")
    training.train_linear([folder], tmp_path / "m", codes=2, steps=5, size=8, features=SMALL)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes((tmp_path / "m.safetensors").read_bytes()[:200])
    with pytest.raises(InputError, match="is not a model"):
        training.load(broken)
