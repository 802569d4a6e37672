"""The main job: a recording in, one track per talker out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bss.checks import check_shape
from bss.errors import SolverError, check_int
from bss.networks.files import Weights
from bss.pipeline import identity, neural, own_mics, success
from bss.pipeline.alone import alone
from bss.pipeline.choose import INSTANTANEOUS, Choice
from bss.pipeline.neural import Learned
from bss.pipeline.plan import ALONE, OWN_MICS, Plan, plan
from bss.pipeline.result import Unmixed
from bss.pipeline.rooms import EFFORTS
from bss.pipeline.separate import NEURAL, Solved, separate, without_model
from bss.pipeline.versions import versions

Progress = Callable[[float], Any]


def unmix(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
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
    method : {"auto", "fastica", "infomax", "auxiva", "fdica", "ilrma", "neural", "cacgmm"}
        "auto" decides from the recording.
    effort : {"fast", "normal", "best"}
        How long to try in a room: "fast" leaves out ILRMA and all but one candidate for the order of the frequencies, "best"
        iterates longer.
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
    rng = check_int("rng", rng, 0)
    if weights is not None:
        neural.model(weights)  # what is wrong with it is said before the work
    found = plan(
        x,
        rate,
        n_sources=n_sources,
        method=method,
        effort=effort,
        reference_mic=reference_mic,
        per_mic=per_mic,
        device=device,
        names=names,
    )
    return carry_out(found, x, rate, per_mic=per_mic, rng=rng, progress=progress, weights=weights)


def carry_out(
    found: Plan,
    x: np.ndarray,
    rate: int,
    *,
    per_mic: bool = False,
    rng: int = 0,
    progress: Progress | None = None,
    weights: Weights = None,
) -> Unmixed:
    """The second half of `unmix`: separate x as planned."""
    usable = np.ascontiguousarray(x[list(found.used)], dtype=np.float32)
    clock = time.perf_counter()
    solved, warned = _solve(usable, rate, found, rng, progress)
    reference = None if per_mic else found.reference
    ordered = identity.ordered(solved, usable, reference, rate)
    learned = None
    if found.choice.method == NEURAL and np.isfinite(ordered.sources).all():
        looks = max(1, EFFORTS[found.choice.effort].looks)
        learned = neural.look(usable, rate, ordered.sources, reference=found.reference, looks=looks, weights=weights)
        if not learned.applied:  # what is left is likelihood: ILRMA, as without a model
            solved = without_model(solved, found.choice.effort, rng)
            ordered = identity.ordered(solved, usable, reference, rate)
    if progress is not None:
        progress(1.0)  # a solver may have converged early
    elapsed = {**found.seconds, "separate": time.perf_counter() - clock}
    return _result(ordered, solved, usable, rate, found, warned, elapsed, per_mic, rng, learned)


def _solve(x: np.ndarray, rate: int, found: Plan, rng: int, progress: Progress | None) -> tuple[Solved, list[str]]:
    """Separate; on divergence once more in double precision, and say so."""
    try:
        return _separated(x, rate, found, rng, progress), []
    except SolverError as error:
        again = _separated(x.astype(np.float64), rate, found, rng, progress)
        return again, [f"{error.what} in single precision; it was done again in double precision"]


def _separated(x: np.ndarray, rate: int, found: Plan, rng: int, progress: Progress | None) -> Solved:
    if found.choice.method == ALONE:
        return alone(x)
    if found.choice.method == OWN_MICS:
        return own_mics.separate_own(x, rate, progress=progress)
    return separate(x, found.choice, found.n_sources, rng=rng, progress=progress)


def _result(
    ordered: identity.Ordered,
    solved: Solved,
    usable: np.ndarray,
    rate: int,
    found: Plan,
    warned: list[str],
    seconds: dict[str, float],
    per_mic: bool,
    rng: int,
    learned: Learned | None,
) -> Unmixed:
    sources = ordered.sources if learned is None or not learned.applied else learned.sources
    N = len(sources)
    residual = None
    if found.leaves_residual(per_mic):
        residual = usable[found.reference] - sources.sum(0)
    if not all(np.isfinite(track).all() for track in (sources, residual) if track is not None):
        raise SolverError("the separation gave samples that are not finite", "", "`bss check` on the recording")
    choice, look = found.choice, found.look
    info = {
        "n_sources": N,
        "counting": found.counted and found.counted.evidence(),
        "channels": list(look.names),
        "used": [look.names[k] for k in found.used],
        "reference": look.names[found.used[found.reference]],
        "per_mic": per_mic,
        "effort": choice.effort,
        "findings": look.to_list(),
        "evidence": choice.evidence,
        "n_fft": choice.n_fft,
        "hop": choice.hop,
        "n_iter": sum(stage.n_iter for stage in solved.stages.values()),
        "converged": solved.separation.converged,
        "message": solved.separation.message,
        "loss": {name: [round(float(v), 6) for v in stage.loss] for name, stage in solved.stages.items()},
        "success": None if per_mic else _success(ordered.sources, choice.method, rate, len(usable), learned),
        "source_model": learned and {"applied": learned.applied, "why": learned.why, **learned.evidence},
        "sources": replace(ordered, sources=sources).describe([look.names[k] for k in found.used], rate),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "seed": rng,
        "versions": versions(),
    }
    names = tuple(f"source{k + 1}" for k in range(N))
    linear = None if learned is None else learned.linear if learned.applied else sources
    method, reason = _told(choice, len(usable) > N, list(solved.stages)[-1:], learned)
    return Unmixed(sources, residual, rate, method, reason, (*found.warnings, *warned), info, names, linear)


def _told(choice: Choice, wide: bool, last: list[str], learned: Learned | None) -> tuple[str, str]:
    """The method as it came out, and why."""
    if choice.method == "auxiva" and wide:
        return "overiva", choice.reason
    if learned is not None and not learned.applied:
        return last[0], choice.reason
    return choice.method, choice.reason


def _success(sources: np.ndarray, method: str, rate: int, n_mics: int, learned: Learned | None) -> dict[str, Any] | None:
    """How well it worked, where that was calibrated: one demixing per bin, or none but ICA's, heard at one microphone."""
    if method in INSTANTANEOUS:
        return success.estimate_desk(sources, rate)
    if method not in success.METHODS:
        return None
    applied = learned is not None and learned.applied
    return success.estimate(sources, rate, n_mics=n_mics, learned=applied)
