"""`unmix`: from a recording to one track per talker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bss.checks import check_shape
from bss.errors import check_callable, check_list
from bss.networks.files import Weights
from bss.pipeline import stitch
from bss.pipeline.methods.shared.base import Method, Progress
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.plan import plan
from bss.pipeline.result import Unmixed
from bss.signals.values import bounded


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
    sync: str = "auto",
    devices: Sequence[object] | None = None,
    channels: Sequence[int] | None = None,
) -> Unmixed:
    """Separate a recording of several microphones into one track per talker.

    Parameters
    ----------
    x : np.ndarray
        (M, n) samples between -1 and 1, float. Unusable channels (silent, copies, NaN) are left out, with a warning in the
        result.
    rate : int
        Hz.
    n_sources : int, optional
        N, the number of talkers; counted by default, from 1 to one more than there are usable microphones.
    method : str or Method
        "auto" chooses by analysing the recording; or "fastica", "infomax", "picard-o", "jade", "auxiva", "fdica", "ilrma",
        "neural", "fastmnmf", "cacgmm"; or a method of your own, as in docs/methods.md.
    effort : {"fast", "normal", "best"}
        Computing time spent on recordings in rooms: "fast" skips the source model and ILRMA and tries only one alignment of the
        frequencies, "best" iterates longer.
    reference_mic : int
        Index of the microphone whose images of the talkers are returned.
    per_mic : bool
        Every talker has a microphone: track k is the image of the talker of microphone k at that microphone.
    device : {"auto", "cpu", "cuda", "cuda:0", ..., "mps"}
        Where the solvers compute: the processor, or a GPU that torch sees. "auto" takes CUDA where there is one and the recording
        is long enough to pay. A GPU whose memory does not suffice leaves it to the processor, with a warning.
    rng : int
        Random seed.
    names : sequence of str, optional
        Names of the M channels in messages.
    progress : callable, optional
        Called with the fraction that is done, 0 to 1.
    weights : path, optional
        File of your own source model (`bss train source-model`), instead of the built-in one.
    sync : {"auto", "off", "offset", "drift"}
        Put recorders in step that started at other times, whose clocks run at other rates, or that lost samples, as `bss.sync`
        does: "auto" where needed, "offset" only the start, "drift" the rate of every clock.
    devices : sequence of M hashable, optional
        Which recorder each channel comes from: channels of one recorder share a clock. By default each may have its own.
    channels : sequence of int, optional
        Indices of the channels to use; by default all that are of use.

    Returns
    -------
    Unmixed
        Tracks in a stable order: by dominant microphone, then by level.

    Raises
    ------
    InputError
        There are fewer than two usable channels, the recording is too short, or x is not an array of samples.
    UsageError
        An option is invalid, or cannot work with this recording.
    SolverError
        The solver diverged in single and in double precision.

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
    x = bounded(check_shape(x))
    check_callable("progress", progress)
    names = None if names is None else check_list("names", names, length=len(x))
    devices = None if devices is None else check_list("devices", devices, length=len(x))
    options = UnmixOptions(
        n_sources, method, effort, reference_mic, per_mic, device, rng, weights, sync,
        channels if channels is None else tuple(check_list("channels", channels)),
    )  # fmt: skip
    return stitch.separate(plan(x, rate, options, names=names, devices=devices), progress=progress)
