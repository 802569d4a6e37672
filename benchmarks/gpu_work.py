"""What `gpu.py` measures: the solvers, and recordings for them.

As a script it leaves what NumPy's arrays give in files, for `gpu.py` to compare with:

    python benchmarks/gpu_work.py FOLDER --length 10 2048 --share 0 6
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bss
from bss.solvers.demixing import updates
from bss.solvers.demixing.contrasts import Nmf
from bss.solvers.demixing.fdica import BinLaplace
from bss.solvers.mm import majorise_minimise

RATE = 16_000
VOICES = Path(__file__).resolve().parents[1] / "fixtures" / "voices"
ITERATIONS = 10  # of the comparison with NumPy's arrays
Solve = Callable[..., Any]


def iterative() -> dict[str, Solve]:
    """Solvers of spectra X that call back in every iteration."""
    return {
        **{f"AuxIVA {u}": lambda X, u=u, **o: bss.auxiva(X, update=u, tol=0, **o) for u in updates.NAMES},
        "OverIVA, half as many": lambda X, **o: bss.overiva(X, n_sources=X.shape[1] // 2, tol=0, **o),
        "FD-ICA": lambda X, **o: majorise_minimise(X, BinLaplace(), updates.ISS, tol=0, rng=0, **o),  # bins in any order
        "ILRMA": lambda X, **o: majorise_minimise(X, Nmf(2), updates.ISS, tol=0, rng=0, **o),
        "T-ISS": lambda X, **o: bss.tiss(X, taps=5, delay=2, tol=0, **o),
        "FastMNMF2": lambda X, **o: bss.fastmnmf(X, n_components=2, update="iss", tol=0, start=eye(X), **o),
        "cACGMM": lambda X, **o: bss.cacgmm(X, tol=0, start=shares(X), **o),
    }


def instantaneous() -> dict[str, Solve]:
    """Solvers of samples x."""
    return {"FastICA": bss.fastica, "Infomax": bss.infomax, "Picard-O": bss.picard_o, "JADE": bss.jade}


def eye(X: Any) -> np.ndarray:
    """(F, M, M) a first demixing that does nothing."""
    return np.broadcast_to(np.eye(X.shape[1]), (len(X), X.shape[1], X.shape[1])).astype(np.complex64)


def shares(X: Any) -> Any:
    """(F, M, T) first masks, where X is."""
    made = torch.rand(X.shape, generator=torch.Generator().manual_seed(1)) + 0.1
    made /= made.sum(1, keepdim=True)
    return made.numpy() if isinstance(X, np.ndarray) else made.to(X.device)


def scene(seconds: float, n_fft: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples (3, n) of three talkers in a room, and their spectra (F, 3, T)."""
    voices = [bss.read([path])[0][0] for path in sorted(VOICES.glob("*.flac"))[:3]]
    x = bss.mix(voices, RATE, n_mics=3, rt60=0.2, spacing=0.1, seconds=seconds, rng=0).mixture
    x = x + 0.01 * x.std() * np.random.default_rng(0).standard_normal(x.shape).astype(x.dtype)
    return x, bss.Stft(n_fft, n_fft // 4).forward(x)


def compared() -> dict[str, tuple[bool, Solve]]:
    """Name -> whether it is of samples, and the solver with its iterations."""
    of_spectra = {name: (False, lambda X, s=s: s(X, n_iter=ITERATIONS)) for name, s in iterative().items()}
    wpe = {"WPE": (False, lambda X: bss.wpe(X, taps=5))}
    return {**of_spectra, **wpe, **{name: (True, s) for name, s in instantaneous().items()}}


def tracks(result: Any, X: Any) -> tuple[Any, np.ndarray]:
    """What is compared of a result: sources at the scale of a microphone, and the losses."""
    if isinstance(result, bss.Dereverberated):
        return result.spectra, np.zeros(1)
    if X.ndim == 3 and result.demixing is not None:
        result = bss.projection_back(result, result.observed)
    return result.sources, result.loss


def references(seconds: float, n_fft: int, out: Path, share: int, of: int) -> None:
    """The tracks and losses of NumPy's arrays in files; of one share of the solvers."""
    x, X = scene(seconds, n_fft)
    for k, (name, (samples, solver)) in enumerate(compared().items()):
        if k % of == share:
            given = x if samples else X
            Y, loss = tracks(solver(given), given)
            unfinished = out / f"{name}.part.npz"
            np.savez(unfinished, Y=Y, loss=loss)
            unfinished.rename(out / f"{name}.npz")


def spectra(shape: tuple[int, int, int], device: str) -> torch.Tensor:
    """Heavy-tailed spectra (F, M, T), mixed, made on the device."""
    F, M, T = shape
    torch.manual_seed(0)
    X = torch.randn((F, M, T), dtype=torch.complex64, device=device)
    X *= torch.rand((1, M, T), device=device) ** 3 + 0.01
    A = torch.randn((F, M, M), dtype=torch.complex64, device=device)
    for f in range(0, F, 64):
        X[f : f + 64] = A[f : f + 64] @ X[f : f + 64]
    return X


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--length", nargs=2, type=float, metavar=("SECONDS", "N_FFT"), required=True)
    parser.add_argument("--share", nargs=2, type=int, metavar=("K", "OF"), default=(0, 1), help="every so many-th solver")
    options = parser.parse_args()
    references(options.length[0], int(options.length[1]), options.folder, *options.share)
