"""The one rule for small numbers: what counts as nothing, relative to the data and to the precision it is kept in."""

from __future__ import annotations

from typing import Any

import numpy as np

from bss.errors import InputError


def floor(dtype: Any, level: Any = 1.0) -> Any:
    """The smallest number told from zero beside values of about `level`: ten roundings of `dtype`'s real part.

    Denominators and variances are kept above it, and covariances are loaded by it, so that silence gives zeros and not
    NaN. It scales with the data, so that a recording at -80 dBFS separates like the same one at -20 dBFS.
    """
    return 10.0 * np.finfo(dtype).eps * level


def square_sum(X: np.ndarray) -> float:
    """Sum of |x|^2 over an array of any shape, in float64; not finite where X is not, or where it overflows."""
    from bss.backends.cpu import ica, threads

    flat = X.reshape(-1)
    sums = np.zeros(threads.CHUNKS)
    threads.run(ica.square_sums, flat.view(flat.real.dtype), sums)  # BLAS would, too, but its threads go on to spin
    return float(sums.sum())


def level(X: np.ndarray) -> float:
    """Root mean square of an array of any shape, summed in float64.

    Raises
    ------
    InputError
        The array holds only zeros.
    """
    total = square_sum(X)
    if total <= 0.0:
        raise InputError("the recording is silent", "there is nothing to separate", "another recording, or `bss check`")
    return float(np.sqrt(total / X.size))
