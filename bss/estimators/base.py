"""What the four estimators share: everything but the solver."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

import numpy as np

from bss.errors import InputError, UsageError, check_int
from bss.estimators.scikit import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ConvergenceWarning,
    TransformerMixin,
    check_array,
    check_is_fitted,
    check_random_state,
    validate_data,
)
from bss.estimators.whitening import principal_whitening, white_deviation
from bss.solvers.result import Separation

WHITEN = ("unit-variance", "arbitrary-variance", False)
WHITE_ENOUGH = 0.05  # of a variance: data that somebody else has whitened, also as a part of more samples
FLOATS = (np.float64, np.float32)
E = TypeVar("E", bound="InstantaneousICA")


class InstantaneousICA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Components of X (n, p): n samples in rows and p features in columns, as everywhere in scikit-learn.

    Whitening, scales and attributes are those of `sklearn.decomposition.FastICA`; a subclass brings the solver of the white data.
    """

    n_components: int | None
    whiten: str | bool
    whiten_solver: str
    random_state: Any

    def _solve(self, white: np.ndarray, rng: int) -> Separation:
        """The separation of white signals (R, n)."""
        raise NotImplementedError

    def fit(self: E, X: Any, y: Any = None) -> E:
        """Learn the components of X (n, p). `y` is not used."""
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """The sources (n, n_components) of X (n, p), after learning from it. `y` is not used."""
        return self._sources(self._fit(X))

    def transform(self, X: Any) -> np.ndarray:
        """The sources (n, n_components) of X (n, p), by the components that were learned."""
        check_is_fitted(self)
        return self._sources(validate_data(self, X, dtype=FLOATS, reset=False))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """The data (n, p) that sources X (n, n_components) make."""
        check_is_fitted(self)
        sources = check_array(X, dtype=FLOATS)
        if sources.shape[1] != len(self.components_):
            raise InputError(
                f"X has {sources.shape[1]} columns, and there are {len(self.components_)} components",
                "inverse_transform takes sources", "what transform returns",
            )  # fmt: skip
        data = sources @ self.mixing_.T
        return np.asarray(data + self.mean_ if self.whiten else data)

    def _fit(self, X: Any) -> np.ndarray:
        samples: np.ndarray = validate_data(self, X, dtype=FLOATS, ensure_min_samples=2)
        if not any(self.whiten is value or self.whiten == value for value in WHITEN):
            raise UsageError(f"whiten={self.whiten!r} is not known", hint=f"one of {', '.join(map(repr, WHITEN))}")
        count = None if self.n_components is None else check_int("n_components", self.n_components, 1)
        if self.whiten:
            self._fit_whitened(samples, count)
        else:
            self._fit_white(samples, count)
        # in double precision, as small singular values of many components matter
        self.mixing_ = np.linalg.pinv(self.components_.astype(np.float64)).astype(samples.dtype)
        return samples

    def _fit_whitened(self, X: np.ndarray, count: int | None) -> None:
        K, self.mean_ = principal_whitening(X, self.whiten_solver)
        if count is not None and count > len(K):
            warnings.warn(f"n_components={count} is too large: X has {len(K)} independent components", stacklevel=4)
        self.whitening_ = K[:count]
        white = (self.whitening_ @ (X - self.mean_).T) * np.sqrt(len(X), dtype=X.dtype)
        W = self._rotation(white)
        if self.whiten == "unit-variance":
            W = W * np.sqrt(len(X))
        # as `sources` has it: the variance 1/n of the whitening, or of W after it
        self.components_ = (W @ self.whitening_).astype(X.dtype)

    def _fit_white(self, X: np.ndarray, count: int | None) -> None:
        if count is not None:
            warnings.warn(f"n_components={count} is ignored with whiten=False", stacklevel=4)
        off = white_deviation(X)
        if off > WHITE_ENOUGH:
            raise InputError(
                f"the covariance of X differs from the identity by {off:.3g}", "whiten=False takes data that are white already",
                "whiten='unit-variance'",
            )  # fmt: skip
        self.components_ = self._rotation(np.ascontiguousarray(X.T)).astype(X.dtype)

    def _rotation(self, white: np.ndarray) -> np.ndarray:
        """(R, R) in double precision, of white signals (R, n); outputs of unit variance, but for Infomax's own scales."""
        if white.shape[1] <= len(white):  # n centred samples have a rank of at most n - 1, so this is of whiten=False alone
            raise InputError(f"{white.shape[1]} samples of {len(white)} features", "as many cannot be white", "more samples")
        rng = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        result = self._solve(white, rng)
        self.n_iter_ = result.n_iter
        if not result.converged:
            warnings.warn(f"{type(self).__name__} {result.message}", ConvergenceWarning, stacklevel=5)
        W = np.asarray(result.demixing, np.float64)
        if self.whiten == "unit-variance":
            W = W / np.std(W @ white, axis=1)[:, None]
        return W

    def _sources(self, X: np.ndarray) -> np.ndarray:
        return np.asarray((X - self.mean_ if self.whiten else X) @ self.components_.T)

    @property
    def _n_features_out(self) -> int:
        """How many columns come out: what ClassNamePrefixFeaturesOutMixin names."""
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
