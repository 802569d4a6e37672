"""Close microphones, one for each talker: the microphones say which output is who, in every frequency bin by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bss.pipeline import calibration
from bss.pipeline.analysis.subset_ica import SubsetSeparation, relative_powers
from bss.pipeline.methods.base import Needs, Size, Task, signal_bytes, spectra_bytes
from bss.pipeline.methods.estimate import LinearEstimate, linear
from bss.pipeline.windows import subset_window
from bss.signals.stft import Stft
from bss.solvers import permutation
from bss.solvers.fdica import fdica

ITERATIONS = 30
AGREEING = calibration.CLOSE_MICS_AGREEMENT.value
TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class CloseMics:
    """FD-ICA in the order of the microphones.

    ICA in every bin alone has no model of speech to be wrong about. Its one problem, which output is who, the microphones
    solve, and long windows hold the echo.
    """

    name: str = "fdica-per-mic"
    needs: Needs = Needs()

    def window(self, n: int, rate: int) -> Stft:
        """About half a second."""
        return subset_window([n], rate)[0]

    def learn(self, task: Task) -> LinearEstimate:
        """As many talkers as microphones, talker k being the one of microphone k."""
        solved = fdica(task.X, n_iter=ITERATIONS, tol=0.0, callback=task.iterations(ITERATIONS))
        order = _order(relative_powers(np.abs(solved.mixing) ** 2, np.abs(solved.sources) ** 2, task.X))
        return linear(self.name, task, {"fdica": solved.permuted(order)})

    def leaves_residual(self, n_sources: int, n_mics: int) -> bool:
        """Every track is at a microphone of its own: there is nothing that they should sum to."""
        return False

    def memory(self, size: Size) -> int:
        """Signals and spectra."""
        return signal_bytes(size) + spectra_bytes(size)


def agreement(subset: SubsetSeparation | None) -> float | None:
    """Share of sources and bins where loudness and rhythm point to the same talker; None where nothing can be said.

    In every bin each output is given to the microphone that hears it best. Where everyone has a microphone, the bins of one
    microphone are then loud in the same frames; where nobody has, they are those of everybody.
    """
    if subset is None:
        return None
    order = _order(subset.spread)[:, :, None]
    return _consistency(np.take_along_axis(permutation.shares(subset.powers), order, axis=1))


def _order(spread: np.ndarray) -> np.ndarray:
    """(F, M): the source of spread (F, M, N) that belongs to each microphone, by the largest product of powers in every bin."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second, which few need

    return np.stack([linear_sum_assignment(-np.log(s + TINY))[1] for s in spread.astype(np.float64)])


def _consistency(activity: np.ndarray) -> float:
    """Share of sources and bins of activity (F, N, T) that correlate best with the other bins of the same source."""
    from scipy.optimize import linear_sum_assignment

    v = activity - activity.mean(2, keepdims=True)
    length = np.linalg.norm(v, axis=2, keepdims=True)
    v /= np.where(length > 0, length, 1)
    others = np.einsum("knt,fmt->fnm", v, v, optimize=True) - np.einsum("fnt,fmt->fnm", v, v)
    best = np.stack([linear_sum_assignment(-fit)[1] for fit in others])
    return float(np.mean(best == np.arange(v.shape[1])))


CLOSE_MICS = CloseMics()
