"""The main job: a recording in, one track per talker out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bss.checks import check_shape
from bss.errors import InputError, SolverError, UsageError, check_choice, check_int
from bss.pipeline import identity
from bss.pipeline.choose import METHODS, UNLIMITED, Choice, choose
from bss.pipeline.preflight import Preflight, preflight, require_two
from bss.pipeline.result import Unmixed
from bss.pipeline.separate import Solved, separate
from bss.pipeline.versions import versions

Progress = Callable[[float], Any]


@dataclass(frozen=True)
class Plan:
    """A recording looked at, and what will be done with it: `used` are the channels, `reference` one of them, from 0."""

    look: Preflight
    used: tuple[int, ...]
    choice: Choice
    n_sources: int
    reference: int
    warnings: tuple[str, ...]
    seconds: dict[str, float]

    def leaves_residual(self, per_mic: bool) -> bool:
        """Whether the sources need not sum to the reference microphone, and what is left becomes a track."""
        return not per_mic and (self.n_sources < len(self.used) or self.choice.method == "cacgmm")


def unmix(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    reference_mic: int = 0,
    per_mic: bool = False,
    device: str = "auto",
    rng: int = 0,
    names: Sequence[str] | None = None,
    progress: Progress | None = None,
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
        N, the number of talkers; as many as there are usable microphones by default.
    method : {"auto", "fastica", "infomax", "auxiva", "ilrma", "cacgmm"}
        "auto" decides from the recording.
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
    found = plan(
        x, rate, n_sources=n_sources, method=method, reference_mic=reference_mic, per_mic=per_mic, device=device, names=names
    )
    return carry_out(found, x, rate, per_mic=per_mic, rng=rng, progress=progress)


def carry_out(
    found: Plan, x: np.ndarray, rate: int, *, per_mic: bool = False, rng: int = 0, progress: Progress | None = None
) -> Unmixed:
    """The second half of `unmix`: separate x as planned."""
    usable = np.ascontiguousarray(x[list(found.used)], dtype=np.float32)
    clock = time.perf_counter()
    solved, warned = _solve(usable, found, rng, progress)
    ordered = identity.per_mic(solved, usable) if per_mic else identity.in_order(solved, usable, found.reference)
    if progress is not None:
        progress(1.0)  # a solver may have converged early
    elapsed = {**found.seconds, "separate": time.perf_counter() - clock}
    return _result(ordered, solved, usable, rate, found, warned, elapsed, per_mic, rng)


def plan(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    reference_mic: int = 0,
    per_mic: bool = False,
    device: str = "auto",
    names: Sequence[str] | None = None,
) -> Plan:
    """Everything that `unmix` decides before it separates; same options, same errors."""
    check_options(len(x), n_sources, method, reference_mic, device)
    check_int("rate", rate, 1)
    clock = time.perf_counter()
    look = preflight(x, rate, names)
    checked = time.perf_counter() - clock
    found = decide(look, x, rate, n_sources=n_sources, method=method, reference_mic=reference_mic, per_mic=per_mic)
    return replace(found, seconds={"check": checked, **found.seconds})


def decide(
    look: Preflight,
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    reference_mic: int = 0,
    per_mic: bool = False,
) -> Plan:
    """The rest of `plan`, for a recording x that was looked at."""
    require_two(look)
    clock = time.perf_counter()
    warned = [finding.message for finding in look.findings]
    used = _independent(look, per_mic)
    count = _count(n_sources, len(used), per_mic, method)
    reference = _reference(look, used, reference_mic, warned)
    choice = choose(np.ascontiguousarray(x[list(used)], dtype=np.float32), rate, n_sources=count, method=method)
    return Plan(look, used, choice, count, reference, (*warned, *choice.warnings), {"choose": time.perf_counter() - clock})


def check_options(m: int, n_sources: int | None, method: str, reference_mic: int, device: str) -> None:
    """Refuse options that cannot work with M channels, before any work."""
    check_choice("method", method, METHODS)
    check_choice("device", device, ("auto", "cpu"))
    check_int("reference_mic", reference_mic, 0, max(m - 1, 0))
    if n_sources is not None:
        check_int("n_sources", n_sources, 1)


def _count(n_sources: int | None, usable: int, per_mic: bool, method: str) -> int:
    if per_mic and n_sources not in (None, usable):
        raise UsageError(
            f"{n_sources} asked for as the number of talkers, and a track for each of {usable} microphones",
            "only one of the two can be", "leave the number of talkers out",
        )  # fmt: skip
    if n_sources is not None and n_sources > usable and method not in UNLIMITED:
        raise UsageError(
            f"{n_sources} talkers asked for, {usable} usable microphones",
            f"{method} finds at most one talker per microphone",
            f"at most {usable} talkers, or the method cacgmm (auto takes it), which separates more of them by masks",
        )  # fmt: skip
    return n_sources or usable


def _independent(look: Preflight, per_mic: bool) -> tuple[int, ...]:
    """The usable channels but those that are mixtures of others: they add nothing, and solvers stumble over them."""
    mixed = [finding for finding in look.findings if finding.kind == "dependent"]
    if mixed and per_mic:
        raise InputError(
            f"{look.names[mixed[0].channel or 0]} is an exact mixture of other channels",
            "one track per microphone needs a microphone of their own for everyone", "leave out mix-downs and processed tracks",
        )  # fmt: skip
    return tuple(k for k in look.usable if k not in {finding.channel for finding in mixed})


def _reference(look: Preflight, used: tuple[int, ...], wanted: int, warned: list[str]) -> int:
    """Index among the used channels of the reference microphone; the first of them where the wanted was left out."""
    if wanted in used:
        return used.index(wanted)
    warned.append(f"{look.names[wanted]} is not used, so {look.names[used[0]]} is the reference microphone")
    return 0


def _solve(x: np.ndarray, found: Plan, rng: int, progress: Progress | None) -> tuple[Solved, list[str]]:
    """Separate; on divergence once more in double precision, and say so."""
    try:
        return separate(x, found.choice, found.n_sources, rng=rng, progress=progress), []
    except SolverError as error:
        again = separate(x.astype(np.float64), found.choice, found.n_sources, rng=rng, progress=progress)
        return again, [f"{error.what} in single precision; it was done again in double precision"]


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
) -> Unmixed:
    N = len(ordered.sources)
    residual = None
    if found.leaves_residual(per_mic):
        residual = usable[found.reference] - ordered.sources.sum(0)
    if not all(np.isfinite(track).all() for track in (ordered.sources, residual) if track is not None):
        raise SolverError("the separation gave samples that are not finite", "", "`bss check` on the recording")
    choice, look = found.choice, found.look
    info = {
        "n_sources": N,
        "channels": list(look.names),
        "used": [look.names[k] for k in found.used],
        "reference": look.names[found.used[found.reference]],
        "per_mic": per_mic,
        "findings": look.to_list(),
        "evidence": choice.evidence,
        "n_fft": choice.n_fft,
        "hop": choice.hop,
        "n_iter": sum(stage.n_iter for stage in solved.stages.values()),
        "converged": solved.separation.converged,
        "message": solved.separation.message,
        "loss": {name: [round(float(v), 6) for v in stage.loss] for name, stage in solved.stages.items()},
        "sources": ordered.describe([look.names[k] for k in found.used]),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "seed": rng,
        "versions": versions(),
    }
    method = "overiva" if choice.method == "auxiva" and len(usable) > N else choice.method
    names = tuple(f"source{k + 1}" for k in range(N))
    return Unmixed(ordered.sources, residual, rate, method, choice.reason, (*found.warnings, *warned), info, names)


def memory_estimate(found: Plan, n: int) -> int:
    """Bytes that separating n samples takes at its peak, about."""
    M, N = len(found.used), found.n_sources
    signals = 4 * n * (2 * M + 2 * N)
    if not found.choice.n_fft:
        return signals
    spectra = 8 * n * found.choice.n_fft // (2 * found.choice.hop)  # one channel's complex64 bins
    variances = spectra // 2 * N if found.choice.method in ("ilrma", "cacgmm") else 0
    return signals + spectra * (2 * M + 2 * N) + variances
