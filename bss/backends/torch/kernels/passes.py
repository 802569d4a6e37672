"""Passes over spectra by the kernels of `spectra`, with the arguments and results of their plain twins.

A kernel runs on the device that is torch's current one, which is made that of the spectra.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from bss.backends.torch.arrays import wide_type
from bss.backends.torch.kernels import spectra, steering

STRETCH = 4096  # frames whose products are summed in the precision of the data
GROUP = 32  # bins whose sums are, and which one program demixes
SUMS = 1 << 14  # numbers that a program of a sum keeps, 64 for each of its threads: two programs then share a multiprocessor
WARPS = 8
DEMIXED = 1 << 13  # products that a program of the demixing holds at once
FUSED = {"enable_fp_fusion": True}  # multiply-adds; Triton warns of it where nobody says
PHI, LAPLACE, LOW_RANK = 0, 1, 2
NOTHING, POWERS, STEPS = 0, 1, 2


@dataclass(frozen=True)
class LowRank:
    """Variances R = max(B H, least), B (N, F, K), H (N, K, T), least (N, F), and the tail of Student's t, 0 of a Gauss."""

    B: Tensor
    H: Tensor
    least: Tensor
    tail: float

    def __post_init__(self) -> None:
        for name in ("B", "H", "least"):  # kernels count on places
            object.__setattr__(self, name, getattr(self, name).to(self.B.dtype).contiguous())


def steer(A: Tensor, V: Tensor, loads: Tensor) -> Tensor:
    """ISS with every output in turn from V (F, N, M, M) and loads (F, N): the sources' rows of the identities A (F, M, M), in
    place, and their determinants (F,)."""
    bins, n, m, _ = V.shape
    det = loads.new_empty(bins)
    with _current(V):
        steering.steer[(bins,)](
            torch.view_as_real(V.resolve_conj().contiguous()), loads.contiguous(), torch.view_as_real(A), det,
            M=m, N=n, ROWS=triton.next_power_of_2(m), SOURCES=triton.next_power_of_2(n), num_warps=1 if m <= 4 else 4, **FUSED,
        )  # fmt: skip
    return det


def _current(Y: Tensor) -> AbstractContextManager[object]:
    """Kernels are launched on the current GPU: within it, that is the one where Y is."""
    return torch.cuda.device(Y.device) if Y.is_cuda else nullcontext()


def weighted_covariances(Y: Tensor, phi: Tensor) -> Tensor:
    """V (F, N, M, M) = E[phi_n y y^H] over frames, in double precision, with weights phi (N, T) or (F, N, T); one read of Y."""
    return _covariances(Y, phi.shape[-2], PHI, phi=phi.contiguous())[0]


def laplace_covariances(Y: Tensor, n_sources: int, core: float) -> tuple[Tensor, Tensor]:
    """V with weights 1 / r, r = max(|y_n|, core), and the sum over sources, bins and frames of |y|^2 / r + r."""
    return _covariances(Y, n_sources, LAPLACE, core=core)


def low_rank_covariances(Y: Tensor, model: LowRank) -> tuple[Tensor, Tensor]:
    """V with weights 1 / C, C = R + tail (|y|^2 - R), and the sum of |y|^2 / R + log R, or what Student's t has for it."""
    return _covariances(Y, len(model.B), LOW_RANK, model=model)


def spectral_sums(Y: Tensor, model: LowRank) -> Tensor:
    """(2, N, F, K): sums over frames of H |y|^2 / (R C), and of H / R."""
    bins, m, frames = Y.shape
    n, k = model.B.shape[0], model.B.shape[2]
    sources, columns = triton.next_power_of_2(n), triton.next_power_of_2(k)
    stretches = triton.cdiv(frames, STRETCH)
    real = torch.view_as_real(Y)
    sums = real.new_empty((bins, stretches, n, k, 2))
    with _current(Y):
        spectra.spectral_sums[(bins, stretches)](
            real, model.B, model.H, model.least, sums, bins, frames, STRETCH, model.tail,
            M=m, N=n, K=k, SOURCES=sources, COLUMNS=columns,
            BLOCK=_block(frames, min(256, SUMS // (2 * sources * columns))), num_warps=WARPS, **FUSED,
        )  # fmt: skip
    return sums.sum(1, dtype=wide_type(Y.device, is_complex=False)).movedim((1, 0, 2, 3), (1, 2, 3, 0))


def demix_in_place(Y: Tensor, A: Tensor, n_sources: int, *, powers: bool = True) -> Tensor | None:
    """Y (F, M, T) := A Y, A (F, M, M); the sum over bins of |y_n|^2 (N, T) in double precision, where asked for."""
    summed = _demix(Y, A, n_sources, POWERS if powers else NOTHING)
    return summed if powers else None


def demix_and_step(Y: Tensor, A: Tensor, model: LowRank) -> Tensor:
    """Y := A Y, and (2, N, K, T): sums over bins of B |y|^2 / (R C), and of B / R, of the new outputs."""
    return _demix(Y, A, len(model.B), STEPS, model)


def _block(frames: int, most: int) -> int:
    """Frames at a time, at most so many: a power of two, and at least 16."""
    return min(int(triton.next_power_of_2(frames)), 1 << max(4, most.bit_length() - 1))


def _covariances(
    Y: Tensor, n: int, weights: int, *, phi: Tensor | None = None, core: float = 0.0, model: LowRank | None = None
) -> tuple[Tensor, Tensor]:
    bins, m, frames = Y.shape
    real, rows, sources = torch.view_as_real(Y), triton.next_power_of_2(m), triton.next_power_of_2(n)
    B, H, least, tail, k = (real, real, real, 0.0, 1) if model is None else _parts(model)
    stretches = triton.cdiv(frames, STRETCH)
    sums, losses = real.new_empty((bins, stretches, n, m, m)), real.new_zeros((bins, stretches))
    with _current(Y):
        spectra.covariance_sums[(bins, stretches)](
            real, real if phi is None else phi, B, H, least, sums, losses,
            bins, frames, STRETCH, n * frames if phi is not None and phi.ndim == 3 else 0, core, tail, math.log(1 - tail),
            M=m, N=n, K=k, ROWS=rows, SOURCES=sources, COLUMNS=triton.next_power_of_2(k),
            BLOCK=_block(frames, min(256, SUMS // (sources * rows * rows))), WEIGHTS=weights, HEAVY=tail > 0,
            num_warps=WARPS, **FUSED,
        )  # fmt: skip
    double = wide_type(Y.device, is_complex=False)
    parts = sums.sum(1, dtype=double) / frames
    below = parts.tril(-1)
    return torch.complex(parts.triu() + parts.triu(1).mT, below.mT - below), losses.sum(dtype=double)


def _demix(Y: Tensor, A: Tensor, n: int, kept: int, model: LowRank | None = None) -> Tensor:
    """Y := A Y, and what is kept of it, summed over bins."""
    bins, m, frames = Y.shape
    real, rows, groups = torch.view_as_real(Y), triton.next_power_of_2(m), triton.cdiv(bins, GROUP)
    B, H, least, tail, k = (real, real, real, 0.0, 1) if model is None else _parts(model)
    columns = triton.next_power_of_2(k)
    block = _block(frames, min(512, DEMIXED // (rows * (max(rows, 3 * columns) if kept == STEPS else rows))))
    parts = real.new_empty({NOTHING: (1,), POWERS: (groups, n, frames), STEPS: (groups, 2, n, k, frames)}[kept])
    matrix = torch.view_as_real(A.to(Y.dtype).resolve_conj().contiguous())
    with _current(Y):
        spectra.demix_rows[(triton.cdiv(frames, block), groups)](
            real, matrix, B, H, least, parts, bins, frames, tail,
            M=m, N=n, K=k, ROWS=rows, COLUMNS=columns, BINS=GROUP, BLOCK=block, SUMS=kept, num_warps=4, **FUSED,
        )  # fmt: skip
    return parts.sum(0, dtype=wide_type(Y.device, is_complex=False))


def _parts(model: LowRank) -> tuple[Tensor, Tensor, Tensor, float, int]:
    return model.B, model.H, model.least, model.tail, model.B.shape[2]
