"""The denoiser in use: what it takes away, what it leaves, at every rate and however the samples come."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, hiss, voice

import bss
from bss.errors import InputError, UsageError
from bss.networks.denoiser.denoise import denoised


def noisy(seconds: float = 4.0, level: float = 0.06, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A voice (n,), and the same in noise."""
    clean = voice("fiona")[: round(seconds * RATE)]
    return clean, clean + hiss((len(clean),), level, seed)


def snr(clean: np.ndarray, found: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(clean**2) / np.sum((found - clean) ** 2)))


def test_noise_goes_and_speech_stays() -> None:
    clean, heard = noisy()
    found = bss.denoise(heard, RATE)
    assert found.shape == heard.shape
    assert found.dtype == np.float32
    assert snr(clean, found) > snr(clean, heard) + 4
    gain = float(np.vdot(found, clean) / np.vdot(clean, clean))
    assert 0.8 < gain < 1.1


def test_a_clean_voice_stays_what_it_is() -> None:
    clean = voice("fiona")[: 4 * RATE]
    assert snr(clean, bss.denoise(clean, RATE)) > 12


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_other_rates(rate: int) -> None:
    from bss.signals.resample import resample

    clean, heard = (resample(y[None], RATE, rate)[0] for y in noisy())
    found = bss.denoise(heard, rate)
    assert found.shape == heard.shape
    assert snr(clean, found) > snr(clean, heard) + 3


def test_above_8_khz_noise_goes_too() -> None:
    rate = 48_000
    noise = np.random.default_rng(0).normal(0, 0.02, 3 * rate).astype(np.float32)
    found = bss.denoise(noise, rate)
    before, after = (np.abs(np.fft.rfft(y[rate:])[30_000:60_000]) for y in (noise, found))  # 15 kHz and more of two seconds
    assert np.mean(after**2) < 0.3 * np.mean(before**2)


def test_strength_is_the_share_that_goes() -> None:
    _, heard = noisy(2.0)
    nothing, half, all_ = (bss.denoise(heard, RATE, strength=s) for s in (0, 0.5, 1))
    np.testing.assert_array_equal(nothing, heard)
    assert nothing is not heard
    np.testing.assert_allclose(half, (heard + all_) / 2, atol=1e-5)


def test_channels_are_treated_by_themselves() -> None:
    both = np.stack([noisy(2.0)[1], noisy(2.0, seed=1)[1][::-1]])
    found = bss.denoise(both, RATE)
    for channel, alone in zip(found, both, strict=True):
        np.testing.assert_allclose(channel, bss.denoise(alone, RATE), atol=1e-4)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_blocks_of_any_length_give_the_same(rate: int) -> None:
    x = np.random.default_rng(0).normal(0, 0.05, (2, 40_001)).astype(np.float32)
    whole = bss.denoise(x, rate)
    cuts = [0, 1, 700, 16_384, 16_385, 40_001]
    parts = list(denoised((x[:, a:b] for a, b in itertools.pairwise(cuts)), rate))
    made = np.concatenate(parts, axis=1)
    assert made.shape == x.shape
    np.testing.assert_allclose(made, whole, atol=1e-4)


def test_silence_stays_silent_and_short_things_short() -> None:
    assert np.abs(bss.denoise(np.zeros((1, RATE), np.float32), RATE)).max() < 1e-6
    for n in (1, 2, 255, 513):
        assert bss.denoise(np.full(n, 0.1, np.float32), RATE).shape == (n,)
        assert bss.denoise(np.full(n, 0.1, np.float32), 44_100).shape == (n,)


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    x = np.zeros(1000, np.float32)
    for strength in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="strength"):
            bss.denoise(x, RATE, strength=strength)
    with pytest.raises(InputError, match="int16"):
        bss.denoise(x.astype(np.int16), RATE)
    with pytest.raises(InputError, match="NaN"):
        bss.denoise(np.full(1000, np.nan, np.float32), RATE)
    with pytest.raises(InputError, match="does not exist"):
        bss.denoise(x, RATE, weights=tmp_path / "nothing.safetensors")
    wrong = Path(bss.__file__).parent / "networks/weights/source-model.safetensors"
    with pytest.raises(InputError, match="is not a denoiser"):
        bss.denoise(x, RATE, weights=wrong)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(wrong.read_bytes()[:1000])
    with pytest.raises(InputError, match="is not a model"):
        bss.denoise(x, RATE, weights=broken)


def test_sample_for_sample_in_the_same_place() -> None:
    clean, heard = noisy()
    found = bss.denoise(heard, RATE)
    lags = range(-20, 21)
    best = max(lags, key=lambda lag: np.vdot(np.roll(found, lag), clean))
    assert best == 0
