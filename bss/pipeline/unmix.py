"""The main job: a recording in, one track per talker out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bss.checks import check_shape
from bss.networks.files import Weights
from bss.pipeline import run
from bss.pipeline.methods.base import Method, Progress
from bss.pipeline.options import UnmixOptions
from bss.pipeline.plan import plan
from bss.pipeline.result import Unmixed


def unmix(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str | Method = "auto",
    effort: str = "normal",
    reference_mic: int = 0,
    per_mic: bool = False,
    device: str = "auto",
    rng: int = 0,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
    weights: Weights = None,
) -> Unmixed:
    """Separate a recording of several microphones into one track per talker.

    Parameters
    ----------
    x : np.ndarray
        (M, n) samples between -1 and 1, float. Channels that cannot be used (silent, copies, NaN) are left out, with a
        warning in the result.
    rate : int
        Hz.
    n_sources : int, optional
        N, the number of talkers; counted by default, from 1 to the number of usable microphones.
    method : str or Method
        "auto" decides from the recording; or "fastica", "infomax", "picard-o", "jade", "auxiva", "fdica", "ilrma", "neural",
        "fastmnmf", "cacgmm"; or a method of one's own, a value as in docs/methods.md.
    effort : {"fast", "normal", "best"}
        How much time to spend in a room: "fast" leaves out the source model, ILRMA and all but one candidate for the order of
        the frequencies, "best" iterates longer.
    reference_mic : int
        The microphone, from 0, at whose level and place each talker is given.
    per_mic : bool
        Everyone has a microphone of their own: track k is the talker of microphone k, as that microphone hears them.
    device : {"auto", "cpu"}
        Where to compute.
    rng : int
        Seed of everything random.
    names : sequence of str, optional
        What to call the M channels in messages.
    progress : callable, optional
        Called with the share that is done, 0 to 1.
    weights : path, optional
        Another source model than the one that ships, as `bss train source-model` writes them.

    Returns
    -------
    Unmixed
        Tracks in a stable order: by the microphone that hears the talker loudest, then by level.

    Raises
    ------
    InputError
        Fewer than two usable channels, too short, or not an array of samples.
    UsageError
        An option cannot work.
    SolverError
        The solver diverged, and so did its one fallback.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).laplace(0, 0.05, size=(2, 16_000)).astype(np.float32)
    >>> x = np.array([[1.0, 0.6], [0.5, 1.0]], np.float32) @ s
    >>> result = bss.unmix(x, 16_000)
    >>> result.method, result.sources.shape
    ('fastica', (2, 16000))
    >>> bool(np.allclose(result.sources.sum(0), x[0], atol=1e-5))
    True
    """
    x = check_shape(x)
    options = UnmixOptions(n_sources, method, effort, reference_mic, per_mic, device, rng, weights)
    return run.separate(plan(x, rate, options, names=names), progress=progress)
