"""One close microphone per talker: levels at the microphones solve the permutation problem in each bin separately."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from bss.pipeline import calibration
from bss.pipeline.analysis.subset_ica import SubsetSeparation, relative_powers
from bss.pipeline.methods.cautious import cautious
from bss.pipeline.methods.shared.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.shared.estimate import LinearEstimate, linear
from bss.pipeline.planning.windows import subset_window
from bss.pipeline.resources import devices
from bss.signals.stft import Stft
from bss.solvers import permutation
from bss.solvers.demixing.fdica import fdica

ITERATIONS = 30
AGREEING = calibration.CLOSE_MICS_AGREEMENT.value
# Below it, but above what microphones that are nobody's usually have (0.35 to 0.57): a band, which plays together (0.63 to 0.85),
# and whose rhythm misleads other methods
LIKELY = 0.6
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class CloseMics:
    """FD-ICA in the order of the microphones.

    ICA in each bin does not rely on a model of speech. The microphones solve its permutation problem, and long windows cover the
    echo. Where a track would lose sound of its own talker, the microphone is left as it is; `margin` is that of `cautious`.
    """

    name: str = "fdica-per-mic"
    needs: Needs = Needs(tensors=True)
    margin: float = 0.0

    def window(self, n: int, rate: int) -> Stft:
        """About half a second."""
        return subset_window([n], rate)[0]

    def learn(self, task: Task) -> LinearEstimate:
        """As many talkers as microphones; talker k is that of microphone k."""
        solver = partial(fdica, n_iter=ITERATIONS, tol=0.0, callback=task.iterations(ITERATIONS))
        solved = devices.solve(task.device, task.X, solver)
        order = _order(relative_powers(np.abs(solved.mixing) ** 2, np.abs(solved.sources) ** 2, task.X))
        n = task.x.shape[1]
        safe = cautious(solved.permuted(order), task.X, self.window(n, task.rate), n, task.rate, self.margin)
        return linear(self.name, task, {"fdica": safe})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Never: each track is at a different microphone, so that their sum means nothing."""
        return False

    def memory(self, size: Size) -> int:
        """Signals and spectra."""
        return signal_bytes(size) + spectra_bytes(size)


def agreement(subset: SubsetSeparation | None) -> float | None:
    """Share of sources and bins in which levels and activity indicate the same talker; None if the recording is too short.

    In each bin every output is assigned to the microphone at which it is strongest. If every talker has a microphone, the outputs
    of one microphone are then active in the same frames; otherwise they are a mix of all talkers.
    """
    if subset is None:
        return None
    order = _order(subset.relative_powers)[:, :, None]
    return _consistency(np.take_along_axis(permutation.shares(subset.powers), order, axis=1))


def own(subset: SubsetSeparation | None) -> bool:
    """Whether every talker has a microphone."""
    agreeing = agreement(subset)
    return agreeing is not None and agreeing >= AGREEING


def _order(powers: np.ndarray) -> np.ndarray:
    """(F, M) source of each microphone, from relative powers (F, M, N): the assignment with the largest product in each bin."""
    from scipy.optimize import linear_sum_assignment  # imported here, as it takes a quarter of a second

    return np.stack([linear_sum_assignment(-np.log(p + TINY))[1] for p in powers.astype(np.float64)])


def _consistency(activity: np.ndarray) -> float:
    """Share of sources and bins of `activity` (F, N, T) that correlate best with the other bins of the same source."""
    from scipy.optimize import linear_sum_assignment

    v = activity - activity.mean(2, keepdims=True)
    norm = np.linalg.norm(v, axis=2, keepdims=True)
    v /= np.where(norm > 0, norm, 1)
    others = np.einsum("knt,fmt->fnm", v, v, optimize=True) - np.einsum("fnt,fmt->fnm", v, v)
    best = np.stack([linear_sum_assignment(-fit)[1] for fit in others])
    return float(np.mean(best == np.arange(v.shape[1])))


CLOSE_MICS = CloseMics()
LIKELY_CLOSE_MICS = CloseMics(margin=0.1)
