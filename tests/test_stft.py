"""The STFT: exact inverse, exact time axis, exact frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from array_kinds import Kind

import bss
from bss.backends.cpu import fourier
from bss.errors import BssError, InputError, UsageError

REAL = [np.float32, np.float64]
SIZES = [(4, 1), (4, 2), (64, 16), (64, 32), (96, 32), (60, 20), (64, 24), (64, 31), (64, 7), (64, 1), (1024, 256), (1024, 512)]
COMPLEX = {np.float32: np.complex64, np.float64: np.complex128}


def noise(n: int, channels: int = 2, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((channels, n)).astype(dtype)


def slow_forward(stft: bss.Stft, x: np.ndarray) -> np.ndarray:
    """X[f, m, t] = sum_i w[i] x[m, start_t + i] exp(-2 pi j f i / n_fft), frame by frame from the definition."""
    L, hop = stft.n_fft, stft.hop
    i = np.arange(L)
    window = np.sin(np.pi * i / L) ** 2
    kernel = np.exp(-2j * np.pi * np.outer(np.arange(L // 2 + 1), i) / L)
    starts = [hop - L + hop * t for t in range(stft.n_frames(x.shape[1]))]  # the first frame ends with the first `hop` samples
    X = np.zeros((L // 2 + 1, len(x), len(starts)), complex)
    for t, start in enumerate(starts):
        for m in range(len(x)):
            frame = [x[m, start + k] if 0 <= start + k < x.shape[1] else 0.0 for k in range(L)]
            X[:, m, t] = kernel @ (window * frame)
    return X


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1000, 2500])
@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_inverse_of_forward_is_the_signal_sample_for_sample(n_fft: int, hop: int, n: int, dtype: Any, kind: Kind) -> None:
    x = noise(n, dtype=dtype)
    given = kind.array(x.copy())
    stft = bss.Stft(n_fft, hop)
    X = stft.forward(given)
    spectra = kind.numpy(X).copy()
    assert spectra.dtype == COMPLEX[dtype]
    assert spectra.shape == (stft.n_bins, 2, stft.n_frames(n))
    np.testing.assert_array_equal(kind.numpy(given), x)
    y = kind.numpy(stft.inverse(X, n))
    assert y.dtype == dtype
    assert y.shape == x.shape
    np.testing.assert_allclose(y, x, atol=20 * np.finfo(dtype).eps * np.abs(x).max())
    np.testing.assert_array_equal(kind.numpy(X), spectra)


@pytest.mark.parametrize(("n_fft", "hop"), [(8, 2), (12, 4), (16, 7), (16, 8)])
@pytest.mark.parametrize("n", [3, 40])
def test_forward_is_the_definition(n_fft: int, hop: int, n: int, kind: Kind) -> None:
    stft, x = bss.Stft(n_fft, hop), noise(n)
    np.testing.assert_allclose(kind.numpy(stft.forward(kind.array(x))), slow_forward(stft, x), atol=1e-12)


@pytest.mark.parametrize("sample", [0, 1, 500, 998, 999])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (64, 24), (256, 128)])
def test_a_click_stays_where_it_is_and_every_sample_lies_in_as_many_frames(n_fft: int, hop: int, sample: int) -> None:
    x = np.zeros((1, 1000))
    x[0, sample] = 1
    stft = bss.Stft(n_fft, hop)
    X = stft.forward(x)
    assert int(np.argmax(stft.inverse(X, 1000))) == sample
    frames = np.flatnonzero(np.abs(X).max((0, 1)) > 0)
    assert n_fft // hop - 1 <= len(frames) <= -(-n_fft // hop)
    assert np.sum(np.abs(X[0]) ** 2) > 0.3  # never at the foot of all its windows


@pytest.mark.parametrize("dtype", REAL)
def test_linear(dtype: Any) -> None:
    stft, x, y = bss.Stft(64, 24), noise(700, dtype=dtype), noise(700, dtype=dtype, seed=1)
    eps = float(np.finfo(dtype).eps)
    X, Y = stft.forward(x), stft.forward(y)
    np.testing.assert_allclose(stft.forward(dtype(2) * x - y), 2 * X - Y, atol=300 * eps)
    np.testing.assert_allclose(stft.inverse(dtype(2) * X - Y, 700), 2 * x - y, atol=100 * eps)


def test_inverse_is_the_least_squares_signal_of_spectra_that_are_none() -> None:
    # Griffin and Lim (1984): what the inverse leaves over is orthogonal to all signals
    stft, n = bss.Stft(16, 4), 50
    rng = np.random.default_rng(0)
    shape = (stft.n_bins, 1, stft.n_frames(n))
    Y = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    Y[[0, -1]] = Y[[0, -1]].real
    rest = Y - stft.forward(stft.inverse(Y, n))
    two_sided = np.full((stft.n_bins, 1), 2.0)
    two_sided[[0, -1]] = 1
    for k in range(n):
        click = stft.forward(np.eye(n)[k : k + 1])
        assert abs(np.sum(two_sided * (click.conj() * rest)[:, 0]).real) < 1e-10


@pytest.mark.parametrize("dtype", REAL)
def test_blocks_of_frames_join_without_a_seam(dtype: Any, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    x, stft = kind.array(noise(3000, channels=3, dtype=dtype)), bss.Stft(64, 24)
    X = stft.forward(x)
    y = kind.numpy(stft.inverse(X, 3000))
    block = 5 * 64 * 3 * np.dtype(dtype).itemsize
    monkeypatch.setattr(fourier, "BLOCK_BYTES", block)
    if kind.name == "torch":
        from bss.backends.torch import fourier as of_tensors

        monkeypatch.setattr(of_tensors, "BLOCK_BYTES", {"cpu": block})
    np.testing.assert_array_equal(kind.numpy(stft.forward(x)), kind.numpy(X))
    # a sample is the sum of its frames, in the order of the frames or of the blocks
    np.testing.assert_allclose(kind.numpy(stft.inverse(X, 3000)), y, atol=(kind.name == "torch") * 20 * np.finfo(dtype).eps)


def test_channels_are_alike_and_other_layouts_in_memory_do_not_matter() -> None:
    stft, x = bss.Stft(64), noise(500, channels=3)
    X = stft.forward(x)
    for m in range(3):
        np.testing.assert_array_equal(stft.forward(x[m : m + 1])[:, 0], X[:, m])
    np.testing.assert_array_equal(stft.forward(np.asfortranarray(x)), X)
    np.testing.assert_array_equal(stft.inverse(np.asfortranarray(X), 500), stft.inverse(X, 500))


def test_an_stft_is_one_immutable_value() -> None:
    stft = bss.Stft(512)
    assert (stft.hop, stft.n_bins) == (128, 257)
    assert stft == bss.Stft(512, 128)
    assert hash(stft) == hash(bss.Stft(512, 128))
    assert stft != bss.Stft(512, 64)
    with pytest.raises(dataclasses.FrozenInstanceError):
        stft.hop = 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_fft": 511}, "n_fft"), ({"n_fft": 2}, "n_fft"), ({"n_fft": -8}, "n_fft"), ({"n_fft": 512.0}, "n_fft"),
        ({"n_fft": 512, "hop": 257}, "hop"), ({"n_fft": 512, "hop": -1}, "hop"), ({"n_fft": 512, "hop": 1.5}, "hop"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_work(options: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}=") as caught:
        bss.Stft(**options)
    assert caught.value.hint


STFT = bss.Stft(64, 16)
GOOD = STFT.forward(noise(500))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (noise(500)[0], r"\(500,\)"), (noise(500)[None], r"\(1, 2, 500\)"), (np.ones((2, 500), np.int16), "int16"),
        (GOOD[0], "complex128"), (noise(500).astype(np.float16), "float16"), ([[1.0, 2.0]], "list"),
    ],
)  # fmt: skip
def test_signals_that_cannot_be_transformed(x: Any, said: str, kind: Kind) -> None:
    with pytest.raises(InputError, match=said) as caught:
        STFT.forward(kind.array(x))
    assert "(M, n)" in str(caught.value)


@pytest.mark.parametrize(
    ("Y", "n", "said"),
    [
        (GOOD[:-1], 500, r"33 bins"), (GOOD, 400, "frames for 400 samples"), (GOOD, 600, "frames for 600 samples"),
        (GOOD[:, 0], 500, r"\(33, 35\)"), (GOOD.real, 500, "float64"), (GOOD.tolist(), 500, "list"),
    ],
)  # fmt: skip
def test_spectra_that_cannot_be_inverted(Y: Any, n: int, said: str, kind: Kind) -> None:
    with pytest.raises(BssError, match=said) as caught:
        STFT.inverse(kind.array(Y), n)
    assert isinstance(caught.value, InputError)
