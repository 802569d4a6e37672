"""The two passes over the spectra that are an iteration: weighted covariances in one read, demixing in one read and write.

Spectra Y (F, M, T) are one complex tensor. Nothing of size F x N x M x T exists: pieces of bins and frames are summed one after
the other. Each function has a twin in `kernels` for devices that can fuse it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bss.backends.torch.arrays import FEWEST_FRAMES, sums, wide_type
from bss.backends.torch.kernels.available import usable
from bss.backends.torch.pieces import piece_bytes


def weighted_covariances(Y: Tensor, phi: Tensor) -> Tensor:
    """V (F, N, M, M) = E[phi_n y y^H] over frames, in double precision, of Y (F, M, T).

    Weights phi (N, T) are common to all bins, or (F, N, T).
    """
    if usable(Y):
        from bss.backends.torch.kernels import passes

        return passes.weighted_covariances(Y, phi)
    return hermitian(product_sums(Y, phi) / Y.shape[2], Y.shape[1])


def covariance(Y: Tensor) -> Tensor:
    """E[y y^H] over frames (F, M, M), in double precision, of Y (F, M, T)."""
    return hermitian(product_sums(Y, None) / Y.shape[2], Y.shape[1])[:, 0]


def product_sums(Y: Tensor, phi: Tensor | None) -> Tensor:
    """(F, M M, N) sums over frames of the products of `products`, times phi (N, T) or (F, N, T); without weights N is 1."""
    bins, m, frames = Y.shape
    n = 1 if phi is None else phi.shape[-2]
    total = sums(bins, m * m, n, like=Y)
    width = min(frames, FEWEST_FRAMES)
    step = max(1, piece_bytes(Y.device) // max(1, m * m * width * Y.element_size() // 2))
    for begin in range(0, frames, width):
        t = slice(begin, min(begin + width, frames))
        for start in range(0, bins, step):
            f = slice(start, min(start + step, bins))
            P = products(Y[f, :, t])
            if phi is None:
                total[f, :, 0] += P.sum(-1)
            elif phi.ndim == 2:  # one product of matrices
                total[f] += (P.reshape(-1, P.shape[-1]) @ phi[:, t].T).view(*P.shape[:2], n)
            else:
                total[f] += torch.bmm(P, phi[f, :, t].swapaxes(1, 2))
    return total


def products(Y: Tensor) -> Tensor:
    """(F, M M, T) real: |y_i|^2 of every output, then real, then imaginary parts of y_i conj(y_j), i < j, of Y (F, M, T)."""
    bins, m, frames = Y.shape
    re, im = Y.real.contiguous(), Y.imag.contiguous()
    P = torch.empty((bins, m * m, frames), dtype=re.dtype, device=Y.device)
    torch.mul(re, re, out=P[:, :m]).addcmul_(im, im)
    pairs, row = m * (m - 1) // 2, m
    for i in range(m - 1):
        width = m - 1 - i
        a, b, c, d = re[:, i : i + 1], im[:, i : i + 1], re[:, i + 1 :], im[:, i + 1 :]
        torch.mul(a, c, out=P[:, row : row + width]).addcmul_(b, d)
        torch.mul(b, c, out=P[:, row + pairs : row + pairs + width]).addcmul_(a, d, value=-1)
        row += width
    return P


def hermitian(parts: Tensor, m: int) -> Tensor:
    """(F, N, M, M) complex Hermitian matrices from their parts (F, M M, N) in the order of `products`."""
    i, j = torch.triu_indices(m, m, 1, device=parts.device)
    pairs, parts = len(i), parts.swapaxes(1, 2)
    V = torch.zeros((*parts.shape[:2], m, m), dtype=wide_type(parts.device, is_complex=True), device=parts.device)
    above = torch.complex(parts[..., m : m + pairs].contiguous(), parts[..., m + pairs :].contiguous())
    V[..., i, j] = above
    V[..., j, i] = above.conj()
    torch.diagonal(V, dim1=-2, dim2=-1).copy_(parts[..., :m])
    return V


def demix_in_place(Y: Tensor, A: Tensor, n_sources: int, *, powers: bool = True) -> Tensor | None:
    """Y (F, M, T) := A Y, A (F, M, M); returns the sum over bins of |y_n|^2 (N, T) in double precision, where asked for."""
    if usable(Y):
        from bss.backends.torch.kernels import passes

        return passes.demix_in_place(Y, A, n_sources, powers=powers)
    bins, m, frames = Y.shape
    A = A.to(Y.dtype)
    power = sums(n_sources, frames, like=Y) if powers else None
    step = max(1, piece_bytes(Y.device) // max(1, m * frames * Y.element_size()))
    for start in range(0, bins, step):
        f = slice(start, min(start + step, bins))
        part = A[f] @ Y[f]
        Y[f] = part
        if power is not None:
            power += power_sum(part[:, :n_sources])
    return power


def power_sum(Y: Tensor) -> Tensor:
    """Sum over bins of |y|^2, (N, T), of Y (F, N, T)."""
    return squares(Y).sum(0)


def squares(Y: Tensor) -> Tensor:
    """|y|^2."""
    return Y.real.square().addcmul_(Y.imag, Y.imag)
