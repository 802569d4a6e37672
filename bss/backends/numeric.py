"""The one rule for small numbers: what counts as nothing, relative to the data and to the precision it is kept in."""

from __future__ import annotations

from typing import Any

import numpy as np


def floor(dtype: Any, level: Any = 1.0) -> Any:
    """The smallest number told from zero beside values of about `level`: ten roundings of `dtype`'s real part.

    Denominators and variances are kept above it, and covariances are loaded by it, so that silence gives zeros and not
    NaN. It scales with the data, so that a recording at -80 dBFS separates like the same one at -20 dBFS.
    """
    return 10.0 * np.finfo(dtype).eps * level
