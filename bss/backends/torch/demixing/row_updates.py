"""Updates of all bins at once that take one source after the other, ISS and IP.

Letters as in `updates`. An output that is not above what was loaded holds nothing but roundings, and keeps its row.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bss.backends.torch.demixing.algebra import decorrelate, log_abs_det, norm2, quadratic, solved
from bss.backends.torch.kernels.available import usable


def iss(A: Tensor, V: Tensor, C: Tensor, loads: Tensor) -> Tensor:
    """ISS: one source after the other, eqs. 9-11 of Scheibler and Ono (2020); returns log |det A|^2."""
    if usable(A):
        from bss.backends.torch.kernels import passes

        det = passes.steer(A, V, loads)
    else:
        det = torch.ones(len(A), dtype=loads.dtype, device=A.device)
        for k in range(A.shape[1]):
            det = det * steer_by(A, V, k, loads)
    decorrelate(A, C, V.shape[1])
    return 2.0 * torch.log(det)


def steer_by(A: Tensor, V: Tensor, k: int, loads: Tensor) -> Tensor:
    """Every source's part along output k taken out, and output k brought to unit power; returns how much that scales det A."""
    n_sources = V.shape[1]
    a = A[:, k].clone()
    Va = (V @ a.conj()[:, None, :, None])[..., 0]  # (F, N, M)
    below = (a[:, None] * Va).sum(-1).real
    above = (A[:, :n_sources] * Va).sum(-1)
    heard = below > 2.0 * loads * norm2(a).sum(-1)[:, None]
    v = torch.where(heard, above / below, torch.zeros_like(above))
    size = torch.ones_like(loads[:, 0])
    if k < n_sources:
        size = torch.where(heard[:, k], below[:, k].rsqrt(), size)
        v[:, k] = 1.0 - size
    A[:, :n_sources] -= v[:, :, None] * a[:, None]
    return size


def ip(A: Tensor, V: Tensor, C: Tensor, loads: Tensor) -> Tensor:
    """IP: one row after the other, eqs. 18-19 of Ono (2011); returns log |det A|^2."""
    for n in range(V.shape[1]):
        project(A, V, n, loads)
        decorrelate(A, C, V.shape[1])
    return 2.0 * log_abs_det(A)


def project(A: Tensor, V: Tensor, n: int, loads: Tensor) -> None:
    """Row n of A: w = (A V_n)^-1 e_n, then w^H V_n w = 1."""
    w, regular = solved(A @ V[:, n], _unit_vector(A, n))
    set_row(A, V, n, loads, w[..., 0], regular)


def unit_size(V: Tensor, n: int, loads: Tensor, w: Tensor) -> Tensor:
    """(F,) 1 / sqrt(w^H V_n w); 0 for an output that would be nothing but roundings."""
    power = quadratic(V[:, n], w, w).real
    sounds = (power > 2.0 * loads[:, n] * norm2(w).sum(-1)) & torch.isfinite(power)
    return torch.where(sounds, power.rsqrt(), torch.zeros_like(power))


def set_row(A: Tensor, V: Tensor, n: int, loads: Tensor, w: Tensor, regular: Tensor) -> None:
    """Row n of A := w^H / sqrt(w^H V_n w), where that sounds."""
    size = unit_size(V, n, loads, w)
    A[:, n] = torch.where((regular & (size > 0))[:, None], w.conj() * size[:, None], A[:, n])


def _unit_vector(A: Tensor, k: int) -> Tensor:
    """(F, M, 1) e_k."""
    e = torch.zeros((len(A), A.shape[1], 1), dtype=A.dtype, device=A.device)
    e[:, k] = 1.0
    return e
