"""The one rule for small numbers: what counts as nothing, relative to the data and to the precision it is kept in.

Recordings are brought to a level of one before a solve, so that one value of each kind serves loud and quiet ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# Of the power of a recording of level one.
LEAST_VARIANCE = 1e-12  # -120 dB: no variance of a source in a bin and frame is less
NO_POWER = 1e-24  # -240 dB: what is weaker has no direction, and predicts nothing; single precision loses its square
# Of the mean power of a bin.
SILENT_FRAME = 1e-10  # -100 dB: below is digital silence, from which there is nothing to learn
LEAST_SHARE = 1e-6  # -60 dB: of the powers that an NMF is fitted to, none is less
# Of the power of what is solved for.
LOADING = {4: 1e-12, 8: 1e-15}  # by bytes of a sample: what covariances in double precision are loaded by
SINGULAR_LOG_DET = -200.0  # log |det|^2 of an update: one that is less could not be undone
EQUAL, DEPENDENT = 1e-14, 1e-12  # relative difference of eigenvalues, and determinant of two outputs, that are roundings
# Of denominators, and of what sums in single precision cancel to.
NEVER_ZERO = 1e-20
CANCELLED = 1e-5  # of a sum's power: a remainder that is less is roundings
CONSTANT = 1e-6  # of an activity's mean: what is less, in every frame, may be its roundings


def floor(dtype: Any, level: Any = 1.0) -> Any:
    """The smallest number distinguished from zero beside values of about `level`: ten roundings of `dtype`'s real part.

    Denominators and variances are kept above it, and covariances are loaded by it, so that silence gives zeros and not
    NaN. It scales with the data, so that a recording at -80 dBFS separates like the same one at -20 dBFS.
    """
    return 10.0 * np.finfo(dtype).eps * level
