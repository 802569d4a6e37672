"""Low-rank variances of sources, learned in turn with the demixing: ILRMA, Gaussian or Student's t."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bss.backends.numeric import LEAST_VARIANCE
from bss.backends.torch.arrays import array, sums, wide_type
from bss.backends.torch.demixing.covariance import squares
from bss.backends.torch.kernels.available import usable
from bss.backends.torch.outputs import Outputs


class LowRank:
    """The variances of N sources as B H, B (N, F, K), H (N, K, T), and their iteration together with the demixing's.

    Student's t where dof is given: tail = 2 / (dof + 2), and the majoriser of its penalty has the variance
    C = R + tail (|y|^2 - R) where that of a Gauss is R.
    """

    def __init__(self, outputs: Outputs, B: Any, H: Any, dof: float | None = None) -> None:
        self.outputs = outputs
        self.tail = None if dof is None else 2.0 / (dof + 2.0)
        real = outputs.Y.real.dtype
        self.B, self.H = (array(a, outputs.Y).to(real).clone() for a in (B, H))

    def H_mean(self) -> Tensor:
        """(N, K) mean of the activations."""
        return self.H.mean(2, dtype=wide_type(self.H.device, is_complex=False))

    def variances(self, f: slice, H_mean: Tensor) -> Tensor:
        """R (f, N, T) of some bins, none less than a share of their mean, and never so little that 1 / R^2 overflows."""
        B = self.B[:, f]
        return torch.maximum(B @ self.H, self.least(B, H_mean)[:, :, None]).swapaxes(0, 1)

    def least(self, B: Tensor, H_mean: Tensor) -> Tensor:
        """(N, f) the least variances of bins with spectra B (N, f, K)."""
        return (self.outputs.floor * (B * H_mean[:, None]).sum(2) + LEAST_VARIANCE).to(B.dtype)

    def majoriser(self, R: Tensor, power: Tensor) -> Tensor:
        """C of variances R and |y|^2."""
        return R if self.tail is None else R + self.tail * (power - R)

    def spectral_step(self, f: slice, H_mean: Tensor, power: Tensor) -> None:
        """B of some bins by one multiplicative step, eq. 19 of Kitamura et al. (2016), or eq. 24 of Kitamura et al. (2018)."""
        R = self.variances(f, H_mean)
        self._step_of_spectra(f, *self._sums(power / (R * self.majoriser(R, power)), 1.0 / R))

    def _step_of_spectra(self, f: slice, above: Tensor, below: Tensor) -> None:
        stepped = (self.B[:, f] * (above / below).sqrt()).to(self.B.dtype).clamp_min(LEAST_VARIANCE)
        self.B[:, f] = torch.where(below > 0.0, stepped, self.B[:, f])

    def _sums(self, above: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """(N, f, K) sums over frames of values (f, N, T) times H."""
        H = self.H.swapaxes(1, 2)
        return above.swapaxes(0, 1) @ H, below.swapaxes(0, 1) @ H

    def weights(self, f: slice, H_mean: Tensor, loss: Tensor) -> Tensor:
        """1 / C (f, N, T) of some bins; adds to the loss |y|^2 / R + log R, or (log C / R - log(1 - tail)) / tail + log R."""
        power = squares(self.outputs.Y[f, : self.outputs.n_sources])
        self.spectral_step(f, H_mean, power)
        R = self.variances(f, H_mean)
        log_R = torch.log(R)
        if self.tail is None:
            loss.add_((power / R).add_(log_R).sum(dtype=loss.dtype))
            return 1.0 / R
        C = self.majoriser(R, power)
        loss.add_(((torch.log(C) - log_R - math.log(1.0 - self.tail)) / self.tail).add_(log_R).sum(dtype=loss.dtype))
        return 1.0 / C

    def update(self, method: str) -> Any:
        """One iteration of spectra, demixing, activations; E[|y|^2 / R + log R] (or what Student's t has for it) summed over bins
        and sources as it was between the first two. Leaves log_det as it is after."""
        if usable(self.outputs.Y, self.B.shape[2]):
            return self._update_by_kernels(method)
        y, H_mean, loss = self.outputs, self.H_mean(), sums(like=self.H)
        steps = sums(2, *self.H.shape, like=self.H)

        def temporal_sums(f: slice) -> None:
            """What the new outputs of some bins say of the activations."""
            R, power = self.variances(f, H_mean), squares(y.Y[f, : y.n_sources])
            B = self.B[:, f].swapaxes(1, 2)  # (N, K, f)
            steps[0] += B @ (power / (R * self.majoriser(R, power))).swapaxes(0, 1)
            steps[1] += B @ (1.0 / R).swapaxes(0, 1)

        y.update_by(lambda f: self.weights(f, H_mean, loss), method, temporal_sums)
        self.temporal_step(steps)
        return loss / y.n_frames

    def _update_by_kernels(self, method: str) -> Any:
        """`update`, in three reads of the outputs and one write."""
        from bss.backends.torch.kernels import passes

        y, H_mean, tail, whole = self.outputs, self.H_mean(), self.tail or 0.0, slice(None)
        self._step_of_spectra(whole, *passes.spectral_sums(y.Y, passes.LowRank(self.B, self.H, self.least(self.B, H_mean), tail)))
        model = passes.LowRank(self.B, self.H, self.least(self.B, H_mean), tail)
        V, loss = passes.low_rank_covariances(y.Y, model)
        steps: list[Tensor] = []
        y.apply(V, method, by=lambda A: steps.append(passes.demix_and_step(y.Y, A, model)))
        self.temporal_step(steps[0])
        return loss / y.n_frames

    def temporal_step(self, steps: Tensor) -> None:
        """H by one multiplicative step, then of mean one, the level in the spectra: neither drifts away."""
        tiny = torch.finfo(self.H.dtype).tiny
        H = self.H * (steps[0] / steps[1].clamp_min(tiny)).sqrt().to(self.H.dtype)
        mean = H.mean(2, dtype=steps.dtype).clamp_min(tiny).to(H.dtype)
        self.H = (H / mean[:, :, None]).clamp_min(self.outputs.floor)
        self.B = self.B * mean[:, None]
