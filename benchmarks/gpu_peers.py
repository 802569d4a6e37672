"""torchiva as `gpu.py` times it: AuxIVA by ISS, and T-ISS, one iteration after the other."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from torch import Tensor


def torchiva() -> dict[str, Callable[..., Any]]:
    """Name -> function of X (F, M, T), with `n_iter` and `callback`; none where torchiva is not installed."""
    if not find_spec("torchiva"):
        return {}
    if "torchaudio" not in sys.modules and not find_spec("torchaudio"):  # torchiva imports it for models that are not used here
        audio, transforms = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.transforms")
        transforms.MelScale = object  # type: ignore[attr-defined]
        audio.transforms = transforms  # type: ignore[attr-defined]
        sys.modules |= {"torchaudio": audio, "torchaudio.transforms": transforms}
    import torchiva as peer

    class Model(peer.models.LaplaceModel):  # type: ignore[misc]
        """Its Laplace model, which calls back whenever it is asked for weights: once in an iteration."""

        def __init__(self, callback: Callable[[int, float], Any]) -> None:
            super().__init__()
            self.callback, self.count = callback, 0

        def forward(self, X: Tensor) -> Tensor:
            self.callback(self.count, 0.0)
            self.count += 1
            return super().forward(X)

    def solver(taps: int, delay: int) -> Callable[..., Any]:
        def solve(X: Tensor, *, n_iter: int, callback: Callable[[int, float], Any]) -> None:
            made = peer.T_ISS(n_iter=n_iter, n_taps=taps, n_delay=delay, n_src=X.shape[1], model=Model(callback))
            made(X.movedim(1, 0)[None])

        return solve

    return {"torchiva AuxIVA iss": solver(0, 0), "torchiva T-ISS": solver(5, 2)}
