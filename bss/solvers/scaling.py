"""The scale of the sources: what a solver leaves open, decided from how each source reaches the microphones."""

from __future__ import annotations

from dataclasses import replace

from bss.backends import dispatch
from bss.backends.operations import Array
from bss.errors import check_int
from bss.solvers.result import Separation, mixing_of


def mixing(separation: Separation, X: Array) -> Array:
    """A (F, M, N) or (M, N): how each source reaches each microphone. A[f, m, n] y_n is the image of source n at m.

    The inverse of a square demixing; with more microphones than sources the least-squares fit of the sources to them.
    """
    return separation.mixing if X is separation.observed else mixing_of(separation, X)


def projection_back(separation: Separation, X: Array, *, reference_mic: int = 0) -> Separation:
    """Each source as the reference microphone hears it.

    Parameters
    ----------
    separation : Separation
        Of X, sources (F, N, T) or (N, n).
    X : np.ndarray
        (F, M, T) or (M, n), what was separated.
    reference_mic : int
        Index of the microphone, from 0.

    Returns
    -------
    Separation
        Sources and demixing rescaled, so that `sources == demixing @ X` still; of square demixings they sum to the
        reference microphone.

    Raises
    ------
    UsageError
        There is no such microphone, or the separation has no demixing.

    References
    ----------
    N. Murata, S. Ikeda and A. Ziehe, "An approach to blind source separation based on temporal structure of speech
    signals", Neurocomputing 41, 2001.

    Examples
    --------
    >>> import numpy as np, bss
    >>> x = np.array([[1.0, 0.5], [0.5, 1.0]]) @ np.random.default_rng(0).laplace(size=(2, 9000))
    >>> separation = bss.projection_back(bss.fastica(x), x, reference_mic=1)
    >>> np.allclose(separation.sources.sum(0), x[1])
    True
    """
    A = mixing(separation, X)
    check_int("reference_mic", reference_mic, 0, A.shape[-2] - 1)
    return _scaled(separation, A[..., reference_mic, :])


def minimal_distortion(separation: Separation, X: Array) -> Separation:
    """Each source n as microphone n hears it: W <- diag(W^-1) W, the least change of the recording.

    Parameters
    ----------
    separation : Separation
        Of X, sources (F, N, T) or (N, n).
    X : np.ndarray
        (F, M, T) or (M, n), what was separated.

    Returns
    -------
    Separation
        Sources and demixing rescaled.

    Raises
    ------
    UsageError
        The separation has no demixing.

    References
    ----------
    K. Matsuoka and S. Nakashima, "Minimal distortion principle for blind source separation", ICA 2001.

    Examples
    --------
    >>> import numpy as np, bss
    >>> x = np.array([[1.0, 0.5], [0.5, 1.0]]) @ np.random.default_rng(0).laplace(size=(2, 9000))
    >>> separation = bss.minimal_distortion(bss.fastica(x), x)
    >>> np.allclose(np.diag(np.linalg.inv(separation.demixing)), 1)
    True
    """
    return _scaled(separation, dispatch.of(X).diagonal(mixing(separation, X)))


def _scaled(separation: Separation, gain: Array) -> Separation:
    """The separation with row n of every bin multiplied by gain (..., N)."""
    gain = dispatch.of(gain).cast(gain, separation.demixing)[..., None]
    return replace(separation, demixing=separation.demixing * gain)
