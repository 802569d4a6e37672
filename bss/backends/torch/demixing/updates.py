"""The updates ISS, IP, ISS2, IP2 of all bins at once: from weighted covariances to a matrix for the outputs.

V (F, N, M, M) are the loaded weighted covariances of the outputs as they came in, C (F, M, M) their plain covariance; A (F, M, M)
becomes the update.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bss.backends.numeric import SINGULAR_LOG_DET
from bss.backends.torch.demixing.algebra import background_log_det, loaded
from bss.backends.torch.demixing.pair_updates import ip2, iss2
from bss.backends.torch.demixing.row_updates import ip, iss


def updated(method: str, V: Tensor, C: Tensor, load: float) -> tuple[Tensor, Tensor, Tensor]:
    """The update A (F, M, M), the outputs' covariance after it, and (F,) the change of log |det W|^2 - log |det C_b|.

    C_b is the covariance of the background's outputs. C stays what it was where there are none.
    """
    n_sources, m = V.shape[1], V.shape[2]
    identity = torch.eye(m, dtype=C.dtype, device=C.device)
    V, loads, sounding = loaded(V, load)
    A = identity.repeat(len(C), 1, 1)
    change = UPDATES[method](A, V, C, loads)
    # of an output that is silent in this bin: better no update than one that cannot be undone
    possible = sounding & (change > SINGULAR_LOG_DET)
    A = torch.where(possible[:, None, None], A, identity)
    change = torch.where(possible, change, torch.zeros_like(change))
    if n_sources < m:
        before = background_log_det(C, n_sources)
        C = A @ C @ A.mH
        change = change - (background_log_det(C, n_sources) - before)
    return A, C, change


UPDATES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {"iss": iss, "ip": ip, "iss2": iss2, "ip2": ip2}
