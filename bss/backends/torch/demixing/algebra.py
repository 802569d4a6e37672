"""Small matrices of all bins at once: A (F, M, M) is what an iteration multiplies the outputs with, C (F, M, M) their covariance.

Nothing here asks the device for a value: where a matrix is singular is a mask, and what follows from it a `where`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def solved(A: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A^-1 b of (F, M, M) and (F, M, K), and (F,) whether A is regular; zeros where it is not."""
    x, info = torch.linalg.solve_ex(A, b, check_errors=False)
    regular = info == 0
    return torch.where(regular[:, None, None], x, torch.zeros_like(x)), regular


def log_abs_det(A: Tensor) -> Tensor:
    """log |det A| (F,); -inf of a singular matrix."""
    return torch.as_tensor(torch.linalg.slogdet(A).logabsdet)


def loaded(V: Tensor, share: float) -> tuple[Tensor, Tensor, Tensor]:
    """V (F, N, M, M) with diagonals raised by `share` of their mean, by how much (F, N), and (F,) whether all outputs sound."""
    diagonal = torch.diagonal(V, dim1=-2, dim2=-1)
    loads = share * diagonal.real.mean(-1)
    diagonal += loads[..., None]
    return V, loads, (loads > 0).all(-1)


def decorrelate(A: Tensor, C: Tensor, n_sources: int) -> None:
    """Background rows of A made uncorrelated with the sources' rows under C: OverIVA, eq. 13 of Scheibler and Ono (2019)."""
    if n_sources == A.shape[1]:
        return
    sources, background = A[:, :n_sources], A[:, n_sources:]
    SC = sources @ C
    # coefficients D of the sources: (A_s C A_s^H) D^H = A_s C A_b^H; none where that is singular
    D, _ = solved(SC @ sources.mH, SC @ background.mH)
    A[:, n_sources:] -= D.mH @ sources


def background_log_det(C: Tensor, n_sources: int) -> Tensor | float:
    """(F,) log det of the background's block of C; 0 where it is singular, which a silent bin stays."""
    if n_sources == C.shape[1]:
        return 0.0
    value = log_abs_det(C[:, n_sources:, n_sources:])
    return torch.where(torch.isfinite(value), value, torch.zeros_like(value))


def quadratic(V: Tensor, u: Tensor, w: Tensor) -> Tensor:
    """u^H V w of V (F, M, M), u and w (F, M)."""
    return (u.conj() * (V @ w[..., None])[..., 0]).sum(-1)


def norm2(z: Tensor) -> Tensor:
    """|z|^2."""
    return z.real.square() + z.imag.square()
