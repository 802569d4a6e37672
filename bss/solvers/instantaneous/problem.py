"""What the solvers of instantaneous ICA share: the whitening, the pass over the data, and the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.backends.protocol import Backend, SamplePasses
from bss.checks import check_layout, check_shape, refuse_level
from bss.errors import SolverError, UsageError, check_callable, check_int
from bss.solvers.instantaneous.whitening import whitening_matrix
from bss.solvers.mm import Callback, check_sources
from bss.solvers.result import Separation

# of y (R, n), or (n,) if there is one: g(y), and g'(y) or its mean over the samples
Nonlinearity: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
GROWTH = 16
LARGEST_DEVIATION = {4: 1e30, 8: 1e100}  # by bytes of a sample: whitening divides by it, in that precision
FEWEST_SAMPLES = 1 << 15
GAUSSIAN_VALUE = {"logcosh": 0.374567207, "exp": -np.sqrt(0.5), "cube": 0.75}  # E[G(v)] of a unit Gaussian v


@dataclass
class Problem:
    """The data of one solve: x with its whitening K, and what the iterations leave behind."""

    x: Array
    K: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    backend: Backend
    callback: Callback | None
    losses: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, X: Any, n_sources: int | None, n_iter: int, callback: Callback | None) -> Problem:
        """Check what the user gave, and whiten."""
        check_int("n_iter", n_iter, 1)
        check_callable("callback", callback)
        backend = dispatch.of(X)
        if backend.precision(X).kind == "c":
            raise UsageError("X is complex", "instantaneous ICA works on samples", "bss.auxiva for spectra")
        x = samples(X, name="X")  # whitening tells whether all samples are finite
        if n_sources is not None:
            n_sources = check_sources(n_sources, len(x))
        K, mean, covariance = whitening_matrix(x, n_sources)
        deviation = np.sqrt(np.diag(covariance))
        refuse_level(float(deviation.max()), LARGEST_DEVIATION[backend.precision(x).itemsize], "X")
        return cls(x, K, mean, deviation, backend, callback)

    @property
    def precision(self) -> np.dtype[Any]:
        """Of the samples."""
        return self.backend.precision(self.x)

    @property
    def passes(self) -> SamplePasses:
        """Over the samples."""
        return dispatch.passes_of(self.x)

    def pass_over(
        self, W: np.ndarray, nonlinearity: str | Nonlinearity, stride: int, *, value: bool = True
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E[g(y) z^T] (R, R), E[g'(y)] and, where asked for, E[G(y)] (R,) of y = W z, z = K (x - mean) white and never stored.

        Of a function nobody knows G, which is NaN.
        """
        if callable(nonlinearity):
            return self._pass_by(nonlinearity, W)
        cross, slope, values = self.passes.ica_pass(self.x, W @ self.K, self.mean, nonlinearity, stride=stride, value=value)
        return cross @ self.K.T, slope, values

    def _pass_by(self, g: Nonlinearity, W: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`pass_over` by a function of the caller's, over all samples, in double precision."""
        z = self.K @ (np.asarray(self.x, np.float64) - self.mean[:, None])
        y = W @ z
        values, slopes = (np.asarray(a, np.float64) for a in g(y[0].copy() if len(y) == 1 else y.copy()))
        if values.size != y.size or slopes.size not in (y.size, len(y)):
            raise UsageError(
                f"the contrast returned arrays of shapes {values.shape} and {slopes.shape} for samples of shape {y.shape}",
                "expected g(y) for each sample, and its derivative, or the mean of that over the samples",
                "such as lambda y: (y**3, (3 * y**2).mean(axis=-1))",
            )  # fmt: skip
        slope = slopes.reshape(len(y), -1).mean(1)
        return values.reshape(y.shape) @ z.T / z.shape[1], slope, np.full(len(y), np.nan)

    def strides(self, *, eighth: bool = False) -> list[int]:
        """Ever larger samples of the recording to iterate on, every so many-th piece of it; at last all of it, where asked for
        after an eighth.

        A demixing is no better than what it is learned from allows, so there is no use in seeing every sample early on.
        """
        strides = [1]
        while self.x.shape[1] // (strides[0] * GROWTH) >= FEWEST_SAMPLES:
            strides.insert(0, strides[0] * GROWTH)
        return [*strides[:-1], 8, 1] if eighth and len(strides) > 1 else strides

    def held(self, W: np.ndarray) -> np.ndarray:
        """W as it is once W K is rounded to the precision of the samples, as it is for a pass and in the result."""
        return np.asarray((W @ self.K).astype(self.precision).astype(np.float64) @ np.linalg.pinv(self.K))

    def enough(self, W: np.ndarray, tol: float, stride: int) -> float:
        """The largest entry of the relative gradient at which to stop: `tol`, or where more would mean nothing.

        On a part of n samples gradients are off by about n^-1/2 from those on all. On the whole, W K is rounded to the
        precision of the samples, which turns the outputs, of unit variance, by a small angle.
        """
        if stride > 1:
            return max(tol, float((stride / self.x.shape[1]) ** 0.5))
        rounding = np.finfo(self.precision).eps * np.sqrt(np.max((W @ self.K) ** 2 @ self.deviation**2))
        return max(tol, 4 * float(rounding))

    def note(self, loss: float) -> None:
        """Keep and report the loss of an iteration; SolverError when it is not finite."""
        if not np.isfinite(loss):
            raise SolverError("ICA diverged", "its objective is no longer finite", "double precision, or `bss check`")
        self.losses.append(loss)
        if self.callback is not None:
            self.callback(len(self.losses) - 1, loss)

    def finish(self, W: np.ndarray, converged: bool, advice: str) -> Separation:
        """The result of a rotation W (R, R) of the whitened data."""
        B = self.backend.array((W @ self.K).astype(self.precision), like=self.x)
        n = len(self.losses)
        message = f"converged in {n} iterations" if converged else f"stopped after {n} iterations; {advice}"
        return Separation(B, self.x, np.asarray(self.losses), n, converged, message)


def samples(X: Array, *, name: str) -> Array:
    """X (M, n) as floating-point samples, or InputError; finite or not. A tensor stays where it is."""
    if not dispatch.is_tensor(X):
        return check_shape(X, name=name)
    backend = dispatch.of(X)
    check_layout(tuple(X.shape), backend.precision(X), name=name)
    return X if backend.precision(X).itemsize in (4, 8) else backend.single(X)


def symmetric_decorrelation(W: np.ndarray) -> np.ndarray:
    """(W W^T)^-1/2 W, the nearest orthogonal matrix."""
    U, _, V = np.linalg.svd(W)
    return np.asarray(U @ V)


def rotation_gradient(cross: np.ndarray, slope: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signs s_i under which the sources are far from Gaussian where sum_i s_i E[G(y_i)] is small, and its relative gradient
    on the rotations, the skew part of s_i E[g(y_i) y_j]: Ablin et al. (2018, ICASSP), section 2."""
    odd = cross @ W.T
    signs = np.where(slope > np.diag(odd), 1.0, -1.0)
    odd *= signs[:, None]
    return signs, (odd - odd.T) / 2
