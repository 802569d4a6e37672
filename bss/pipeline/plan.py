"""The plan of a separation, made before it starts: channels, number of talkers, method."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bss.errors import InputError, UsageError, check_int
from bss.pipeline.analysis.channels import Preflight, preflight, require_two
from bss.pipeline.analysis.counting import Count
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.choose import Choice, choose
from bss.pipeline.methods import registry
from bss.pipeline.methods.base import Size
from bss.pipeline.options import UnmixOptions
from bss.pipeline.windows import long_window
from bss.signals.stft import Stft


@dataclass(frozen=True)
class Plan:
    """An analysed recording, and how it will be separated.

    Attributes
    ----------
    options : UnmixOptions
        The requested options.
    channels : Preflight
        The check of all channels.
    used : tuple[int, ...]
        Indices of the channels that are separated.
    analysis : Analysis
        The analysis of these channels, with their samples.
    choice : Choice
        The method and its window.
    n_sources : int
        N.
    reference : int
        Index of the reference microphone among the used channels.
    warnings : tuple[str, ...]
        For the user.
    seconds : dict
        Time that each step took so far.
    count : Count or None
        None if the number of talkers was set.
    """

    options: UnmixOptions
    channels: Preflight
    used: tuple[int, ...]
    analysis: Analysis = field(repr=False)
    choice: Choice
    n_sources: int
    reference: int
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    count: Count | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the used channels."""
        return tuple(self.channels.names[k] for k in self.used)

    @property
    def leaves_residual(self) -> bool:
        """Whether the tracks need not add up to the reference microphone, so that the rest becomes a track."""
        return not self.options.per_mic and self.choice.method.leaves_residual(self.n_sources, len(self.used))

    @property
    def memory(self) -> int:
        """Approximate peak memory of the separation in bytes."""
        return self.choice.method.memory(Size(len(self.used), self.n_sources, self.analysis.x.shape[1], self.choice.stft))


def plan(x: np.ndarray, rate: int, options: UnmixOptions, *, names: Sequence[str] | None = None) -> Plan:
    """All decisions of `unmix` before it separates x (M, n).

    Raises
    ------
    InputError, UsageError
        As of `unmix`.
    """
    options.check_channels(len(x))
    check_int("rate", rate, 1)
    if options.weights is not None:
        from bss.networks.source_model import apply  # imported here, as it takes a quarter of a second

        apply.load(options.weights)  # errors in the file are raised before the work
    clock = time.perf_counter()
    channels = preflight(x, rate, names)
    checked = time.perf_counter() - clock
    decided = decide(channels, x, rate, options)
    return replace(decided, seconds={"check": checked, **decided.seconds})


def decide(channels: Preflight, x: np.ndarray, rate: int, options: UnmixOptions) -> Plan:
    """The remainder of `plan`, for a recording x (M, n) whose channels have been checked."""
    require_two(channels)
    clock = time.perf_counter()
    warnings = [finding.message for finding in channels.findings]
    used = _independent(channels, options.per_mic)
    _check_method(options, len(used))
    reference = _reference(channels, used, options.reference_mic, warnings)
    usable = np.ascontiguousarray(x[list(used)], dtype=np.float32)
    analysis = Analysis(usable, rate, _likely_window(usable.shape[1], rate))
    count = analysis.count() if options.n_sources is None and not options.per_mic else None
    if count is not None and count.warning is not None:
        warnings.append(count.warning)
    n_sources = count.n_sources if count is not None else options.n_sources or len(used)
    choice = choose(analysis, n_sources, options)
    seconds = {"choose": time.perf_counter() - clock}
    return Plan(options, channels, used, analysis, choice, n_sources, reference, (*warnings, *choice.warnings), seconds, count)


def _likely_window(n: int, rate: int) -> Stft | None:
    """The window for a room; None if the recording is too short for it."""
    try:
        return long_window(n, rate)
    except InputError:  # raised again if a method needs it
        return None


def _check_method(options: UnmixOptions, n_mics: int) -> None:
    """Raise UsageError if the requested method cannot separate with n_mics microphones."""
    method = None if options.auto else registry.resolve(options.method)
    options.check_talkers(n_mics, more_talkers=method is None or method.needs.more_talkers)
    if options.per_mic and method is not None and not method.needs.per_mic:
        raise UsageError(
            f"the method {method.name} cannot make one track per microphone",
            f"{method.name} estimates all talkers at one microphone", "--per-mic without --method",
        )  # fmt: skip


def _independent(channels: Preflight, per_mic: bool) -> tuple[int, ...]:
    """The usable channels except mixtures of others, which add no information and make the covariance singular."""
    mixed = [finding for finding in channels.findings if finding.kind == "dependent"]
    if mixed and per_mic:
        raise InputError(
            f"{channels.names[mixed[0].channel or 0]} is an exact mixture of other channels",
            "one track per microphone requires that every talker has a microphone", "leave out mix-downs and processed tracks",
        )  # fmt: skip
    return tuple(k for k in channels.usable if k not in {finding.channel for finding in mixed})


def _reference(channels: Preflight, used: tuple[int, ...], wanted: int, warnings: list[str]) -> int:
    """Index of the reference microphone among the used channels; the first of them if the wanted one is left out."""
    if wanted in used:
        return used.index(wanted)
    warnings.append(f"{channels.names[wanted]} is left out, so {channels.names[used[0]]} is the reference microphone instead")
    return 0
