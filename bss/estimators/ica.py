"""FastICA, Infomax, Picard-O and JADE as estimators."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError, check_choice
from bss.estimators.base import InstantaneousICA
from bss.solvers.instantaneous.ica import fastica
from bss.solvers.instantaneous.infomax import infomax
from bss.solvers.instantaneous.jade import jade
from bss.solvers.instantaneous.picard import picard_o
from bss.solvers.instantaneous.problem import Nonlinearity
from bss.solvers.result import Separation

ALGORITHMS = {"parallel": "symmetric", "deflation": "deflation"}  # scikit-learn's name: that of the solver


class FastICA(InstantaneousICA):
    """FastICA with the parameters and attributes of `sklearn.decomposition.FastICA`, to be exchanged for it.

    Parameters
    ----------
    n_components : int, optional
        How many; as many as are linearly independent by default.
    algorithm : {"parallel", "deflation"}
        All components together, or one after the other.
    whiten : {"unit-variance", "arbitrary-variance"} or False
        Sources of variance 1, or 1/n; False for X (n, p) that is white already.
    fun : {"logcosh", "exp", "cube"} or callable
        The function whose mean tells from Gaussian; a function returns g of its argument and g', or the mean of g' over the last
        axis, as for scikit-learn. No kernel is compiled for it, so it takes several times as long.
    fun_args : dict, optional
        Keywords for the function; "alpha" from 1 to 2 for "logcosh".
    w_init : array, shape=(N, N), optional
        The first rotation of the whitened data.
    max_iter, tol : int, float
        Iterations at most, and the largest entry of the relative gradient at which it has converged.
    whiten_solver : {"svd", "eigh"}
        Of the samples, or of their covariance: faster with many more samples than features, less exact.
    refine : bool
        End with a few steps of maximum likelihood, which no longer keep the sources uncorrelated: see `bss.fastica`.
    random_state : int, RandomState or None
        Draws the first rotation; None takes NumPy's global generator, as in scikit-learn.

    Attributes
    ----------
    components_, mixing_ : array, shape=(N, p) and (p, N)
        Of centred X to the sources, and back.
    mean_, whitening_ : array, shape=(p,) and (N, p)
        What is subtracted, and the whitening by principal components; unless `whiten` is False.
    n_iter_, n_features_in_ : int
        Iterations done, and p.
    feature_names_in_ : array of str
        If X had names of columns.

    Raises
    ------
    InputError, UsageError
        By `fit`: X is constant, or not white with `whiten=False`; a parameter is not known. What scikit-learn checks raises
        ValueError.

    References
    ----------
    A. Hyvärinen, "Fast and robust fixed-point algorithms for independent component analysis", IEEE TNN 10(3), 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from bss.estimators import FastICA
    >>> S = np.random.default_rng(0).laplace(size=(5000, 2))
    >>> X = S @ np.array([[1.0, 0.4], [0.6, 1.0]])
    >>> ica = FastICA().fit(X)
    >>> np.allclose(ica.inverse_transform(ica.transform(X)), X)
    True
    """

    def __init__(
        self, n_components: int | None = None, *, algorithm: str = "parallel", whiten: str | bool = "unit-variance",
        fun: str | Callable[..., Any] = "logcosh", fun_args: dict[str, Any] | None = None, max_iter: int = 200, tol: float = 1e-4,
        w_init: Any = None, whiten_solver: str = "svd", refine: bool = False, random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.algorithm = algorithm
        self.whiten = whiten
        self.fun = fun
        self.fun_args = fun_args
        self.w_init = w_init
        self.max_iter = max_iter
        self.tol = tol
        self.whiten_solver = whiten_solver
        self.refine = refine
        self.random_state = random_state

    def _solve(self, white: np.ndarray, rng: int) -> Separation:
        algorithm = ALGORITHMS[check_choice("algorithm", self.algorithm, tuple(ALGORITHMS))]
        return fastica(
            white, algorithm=algorithm, contrast=_contrast(self.fun, self.fun_args or {}), n_iter=self.max_iter, tol=self.tol,
            refine=self.refine, start=self._start(len(white)), rng=rng,
        )  # fmt: skip

    def _start(self, count: int) -> np.ndarray | None:
        if self.w_init is None:
            return None
        start = np.asarray(self.w_init, np.float64)
        if start.shape != (count, count):
            raise InputError(f"w_init has shape {start.shape}", f"expected ({count}, {count}), for each component a row")
        return start


class Infomax(InstantaneousICA):
    """Infomax: maximum likelihood, whose sources need not be exactly uncorrelated, so that less of the others is left in them.

    Parameters
    ----------
    extended : bool
        Switch the model of each source between super- and sub-Gaussian as X (n, p) says.
    solver : {"picard", "newton", "natural"}
        Quasi-Newton steps that learn the curvature, those without, or natural gradient.
    n_components, whiten, max_iter, tol, whiten_solver, random_state
        As of `FastICA`; of "arbitrary-variance", the sources have the scale at which the likelihood is greatest, over n^1/2.

    Attributes
    ----------
    components_, mixing_, mean_, whitening_, n_iter_, n_features_in_
        As of `FastICA`.

    Raises
    ------
    InputError, UsageError
        As of `FastICA`.

    References
    ----------
    As of `bss.infomax`.

    Examples
    --------
    >>> import numpy as np
    >>> from bss.estimators import Infomax
    >>> S = np.random.default_rng(0).laplace(size=(5000, 2))
    >>> Infomax().fit_transform(S @ np.array([[1.0, 0.4], [0.6, 1.0]])).std(axis=0).round(3).tolist()
    [1.0, 1.0]
    """

    def __init__(
        self, n_components: int | None = None, *, extended: bool = True, solver: str = "picard",
        whiten: str | bool = "unit-variance", max_iter: int = 200, tol: float = 1e-5, whiten_solver: str = "svd",
        random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.extended = extended
        self.solver = solver
        self.whiten = whiten
        self.max_iter = max_iter
        self.tol = tol
        self.whiten_solver = whiten_solver
        self.random_state = random_state

    def _solve(self, white: np.ndarray, rng: int) -> Separation:
        return infomax(white, extended=self.extended, solver=self.solver, n_iter=self.max_iter, tol=self.tol, rng=rng)


class PicardO(InstantaneousICA):
    """Picard-O: the components of symmetric FastICA, by quasi-Newton steps that go on where its fixed point slows down.

    Parameters
    ----------
    n_components, whiten, fun, max_iter, tol, whiten_solver, random_state
        As of `FastICA`, for X (n, p).

    Attributes
    ----------
    components_, mixing_, mean_, whitening_, n_iter_, n_features_in_
        As of `FastICA`.

    Raises
    ------
    InputError, UsageError
        As of `FastICA`.

    References
    ----------
    P. Ablin, J.-F. Cardoso and A. Gramfort, "Faster ICA under orthogonal constraint", ICASSP 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from bss.estimators import PicardO
    >>> S = np.random.default_rng(0).laplace(size=(5000, 2))
    >>> PicardO(random_state=0).fit(S @ np.array([[1.0, 0.4], [0.6, 1.0]])).components_.shape
    (2, 2)
    """

    def __init__(
        self, n_components: int | None = None, *, whiten: str | bool = "unit-variance", fun: str = "logcosh",
        max_iter: int = 200, tol: float = 1e-5, whiten_solver: str = "svd", random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.whiten = whiten
        self.fun = fun
        self.max_iter = max_iter
        self.tol = tol
        self.whiten_solver = whiten_solver
        self.random_state = random_state

    def _solve(self, white: np.ndarray, rng: int) -> Separation:
        return picard_o(white, contrast=_known(self.fun), n_iter=self.max_iter, tol=self.tol, rng=rng)


class Jade(InstantaneousICA):
    """JADE: joint diagonalisation of the fourth-order cumulants; no function to choose, for at most 32 components.

    Parameters
    ----------
    max_iter, tol : int, float
        Sweeps over all pairs at most, and the largest rotation of a sweep, in radians, at which it has converged.
    n_components, whiten, whiten_solver, random_state
        As of `FastICA`, for X (n, p).

    Attributes
    ----------
    components_, mixing_, mean_, whitening_, n_iter_, n_features_in_
        As of `FastICA`.

    Raises
    ------
    InputError, UsageError
        As of `FastICA`, and of more than 32 components.

    References
    ----------
    J.-F. Cardoso and A. Souloumiac, "Blind beamforming for non-Gaussian signals", IEE Proceedings F 140(6), 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from bss.estimators import Jade
    >>> S = np.random.default_rng(0).laplace(size=(5000, 2))
    >>> Jade().fit(S @ np.array([[1.0, 0.4], [0.6, 1.0]])).get_feature_names_out().tolist()
    ['jade0', 'jade1']
    """

    def __init__(
        self, n_components: int | None = None, *, whiten: str | bool = "unit-variance", max_iter: int = 100, tol: float = 1e-8,
        whiten_solver: str = "svd", random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.n_components = n_components
        self.whiten = whiten
        self.max_iter = max_iter
        self.tol = tol
        self.whiten_solver = whiten_solver
        self.random_state = random_state

    def _solve(self, white: np.ndarray, rng: int) -> Separation:
        return jade(white, n_iter=self.max_iter, tol=self.tol, rng=rng)


def _contrast(fun: Any, keywords: dict[str, Any]) -> str | Nonlinearity:
    """What `bss.fastica` takes, of what scikit-learn's takes."""
    if callable(fun):
        return partial(fun, **keywords)
    alpha = keywords.get("alpha", 1.0)
    if not isinstance(alpha, Real) or not 1 <= float(alpha) <= 2:
        raise UsageError(f"alpha={alpha!r} of fun_args is no number from 1 to 2", "logcosh takes no other", "1 is the default")
    return partial(_logcosh, alpha=float(alpha)) if fun == "logcosh" and alpha != 1 else str(fun)


def _logcosh(y: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """g and g' of log cosh(alpha y) / alpha; that of alpha = 1 is compiled."""
    g = np.tanh(alpha * y)
    return g, alpha * (1 - g**2)


def _known(fun: Any) -> str:
    """The name of the contrast of Picard-O, which needs its value, too."""
    if callable(fun):
        raise UsageError("fun is a function", "PicardO knows its contrasts by name", "logcosh, exp or cube; or FastICA")
    return str(fun)
