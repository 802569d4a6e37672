"""The assignment of estimates to references (Hungarian algorithm)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def assign(merit: np.ndarray) -> np.ndarray:
    """The estimate of each reference that maximises the sum of the merits.

    Parameters
    ----------
    merit : array, shape=(N, K)
        How well estimate k fits reference j; finite.

    Returns
    -------
    array of int, shape=(N,)
        The column of each row, no column twice; -1 for rows without one, if there are fewer columns than rows.

    References
    ----------
    H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> import numpy as np
    >>> assign(np.array([[9.0, 10.0], [0.0, 8.0]])).tolist()
    [0, 1]
    """
    columns = np.full(merit.shape[0], -1, dtype=np.intp)
    row, column = linear_sum_assignment(merit, maximize=True)
    columns[row] = column
    return columns
