"""The plan of a separation, made before it starts: channels, number of talkers, method."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bss.checks import check_rate
from bss.errors import InputError, UsageError
from bss.pipeline.alignment import absent, align
from bss.pipeline.analysis.counting import Count
from bss.pipeline.analysis.preflight.channels import Preflight, preflight, require_two
from bss.pipeline.analysis.preflight.relation_rules import examine
from bss.pipeline.analysis.recording import Analysis
from bss.pipeline.methods import close_mics, registry
from bss.pipeline.methods.shared.base import Size
from bss.pipeline.planning.choose import Choice, choose
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.spans import Spans, usable_spans
from bss.pipeline.planning.windows import long_window
from bss.signals.stft import Stft
from bss.signals.sync.alignment import Alignment


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
        How many sounds are separated: the talkers, and others where there are microphones to tell them apart.
    reference : int
        Index of the reference microphone among the used channels.
    warnings : tuple[str, ...]
        For the user.
    seconds : dict
        Time that each step took so far.
    count : Count or None
        None if the number of talkers was set.
    alignment : Alignment or None
        Of all channels that sound, where the clock of each stood; None if synchronisation was off.
    spans : Spans or None
        The segments of the recording, if not all microphones are usable all the time; the analysis is then of the first layer.
    whole : np.ndarray or None
        (M, n) samples of the used channels over the whole recording, with `spans`.
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
    alignment: Alignment | None = None
    spans: Spans | None = None
    whole: np.ndarray | None = field(default=None, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the used channels."""
        return tuple(self.channels.names[k] for k in self.used)

    @property
    def n_talkers(self) -> int:
        """How many talkers were asked for; else how many sounds were counted, of which some may turn out to be no talkers."""
        return self.options.n_sources or self.n_sources

    @property
    def repairs(self) -> tuple[str, ...]:
        """What was put in step, a line for each microphone; `channels` says of which nothing is known."""
        return () if self.alignment is None else self.alignment.repairs

    @property
    def leaves_residual(self) -> bool:
        """Whether the tracks need not add up to the reference microphone, so that the rest becomes a track."""
        return not self.options.per_mic and (
            self.spans is not None or self.choice.method.leaves_residual(self.n_sources, len(self.used))
        )

    @property
    def memory(self) -> int:
        """Approximate peak memory of the separation in bytes."""
        return self.choice.method.memory(Size(len(self.used), self.n_sources, self.analysis.x.shape[1], self.choice.stft))


def plan(
    x: np.ndarray,
    rate: int,
    options: UnmixOptions,
    *,
    names: Sequence[str] | None = None,
    devices: Sequence[object] | None = None,
) -> Plan:
    """All decisions of `unmix` before it separates x (M, n).

    Raises
    ------
    InputError, UsageError
        As of `unmix`.
    """
    options.check_channels(len(x))
    check_rate(rate)
    if options.weights is not None:
        from bss.networks.source_model import apply  # imported here, as it takes a quarter of a second

        apply.load(options.weights)  # errors in the file are raised before the work
    seen = inspect(x, rate, options, names=names, devices=devices)
    decided = decide(seen.channels, seen.x, rate, options)
    return replace(decided, alignment=seen.alignment, seconds={**seen.seconds, **decided.seconds})


LOWEST_RATE = 1000  # Hz


@dataclass(frozen=True)
class Inspected:
    """A recording x (M, n) with its recorders in step, the check of its channels, and what was put in step.

    `alignment` is None if fewer than two channels are usable; `seconds` has the time of each step.
    """

    x: np.ndarray = field(repr=False)
    channels: Preflight
    alignment: Alignment | None
    seconds: dict[str, float]


def inspect(
    x: np.ndarray,
    rate: int,
    options: UnmixOptions,
    *,
    names: Sequence[str] | None = None,
    devices: Sequence[object] | None = None,
) -> Inspected:
    """Check every channel of x (M, n) by itself, put the recorders in step, and compare the channels."""
    if check_rate(rate) < LOWEST_RATE:
        raise InputError(
            f"the recording has a sample rate of {rate} Hz", "too little of a voice is left of it to separate talkers by",
            f"a rate of at least {LOWEST_RATE} Hz; of several files the first decides on the rate, so name another one first",
        )  # fmt: skip
    clock = time.perf_counter()
    checked = preflight(x, rate, names, only=options.channels)
    before = time.perf_counter()
    if len(checked.usable) < 2:
        return Inspected(x, checked, None, {"check": before - clock})
    x, alignment = align(x, rate, checked, mode=options.sync, devices=devices)
    after = time.perf_counter()
    keep = options.per_mic or options.channels is not None
    channels = examine(checked, x, rate, keep=keep, absent=absent(alignment, checked, rate))
    seconds = {"check": before - clock + time.perf_counter() - after, "sync": after - before}
    return Inspected(x, channels, alignment, seconds)


def decide(channels: Preflight, x: np.ndarray, rate: int, options: UnmixOptions) -> Plan:
    """The remainder of `plan`, for a recording x (M, n) whose channels have been checked."""
    require_two(channels)
    clock = time.perf_counter()
    warnings = [finding.message for finding in channels.findings]
    used, spans = usable_spans(channels, _independent(channels, options.per_mic), x.shape[1], rate, options, warnings)
    _check_method(options, len(used))
    reference = _reference(channels, used, options.reference_mic, warnings)
    whole = np.ascontiguousarray(x[list(used)], dtype=np.float32)
    usable = whole if spans is None else spans.layers[0].cut(whole)
    analysis = Analysis(usable, rate, likely_window(usable.shape[1], rate))
    count = analysis.count() if options.n_sources is None and not options.per_mic else None
    if count is not None and count.warning is not None:
        warnings.append(count.warning)
    n_sources = sounds(analysis, options, len(used)) if count is None else _separable(count, options, len(used), warnings)
    choice = choose(analysis, n_sources, options, shared=channels.shared)
    if _close_mics(count, channels, analysis, choice, options):
        warnings.append(
            "every talker seems to have a microphone of their own: --per-mic (per_mic=True) makes a track of each microphone, "
            "with its name and level"
        )
    seconds = {"choose": time.perf_counter() - clock}
    return Plan(
        options, channels, used, analysis, choice, n_sources, reference, (*warnings, *choice.warnings), seconds, count,
        None, spans, None if spans is None else whole,
    )  # fmt: skip


def sounds(analysis: Analysis, options: UnmixOptions, n_mics: int) -> int:
    """How many sounds to separate if the number of talkers was given, or every microphone has its own.

    Noise with onsets counts as talkers do. It must be separated, too, or it would stay in the talkers.
    """
    wanted = options.n_sources or n_mics
    if options.per_mic or wanted >= n_mics or (not options.auto and registry.resolve(options.method).needs.more_talkers):
        return wanted
    return max(wanted, analysis.sounds().n_sources)


def _separable(count: Count, options: UnmixOptions, n_mics: int, warnings: list[str]) -> int:
    """The counted number of talkers, or that of microphones if the requested method separates no more."""
    if count.n_sources <= n_mics or options.auto or registry.resolve(options.method).needs.more_talkers:
        return count.n_sources
    warnings.append(
        f"there seem to be more talkers than the {n_mics} microphones, which {options.method_name} cannot separate; "
        "try --method auto"
    )
    return n_mics


def _close_mics(count: Count | None, channels: Preflight, analysis: Analysis, choice: Choice, options: UnmixOptions) -> bool:
    """Whether to suggest a track per microphone: at a desk, where plain ICA separates as well, there is nothing to gain."""
    if count is None or count.n_sources != analysis.n_mics or not options.auto or not channels.shared:
        return False
    return not choice.delays.delay_free and close_mics.own(analysis.subset)


def likely_window(n: int, rate: int) -> Stft | None:
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
    """Index of the reference microphone among the used channels.

    If the wanted one is left out or dead for a span, it is the first that is usable all the time, or for most of it.
    """
    if wanted in used and wanted not in channels.dead:
        return used.index(wanted)
    best = min(used, key=lambda k: (sum(b - a for a, b in channels.dead.get(k, ())), k))
    if best != wanted:
        out = wanted in channels.usable or any(f.channel == wanted for f in channels.findings)
        why = "is dead for part of the time" if wanted in used else "is left out" if out else "was not chosen"
        warnings.append(f"{channels.names[wanted]} {why}, so {channels.names[best]} is the reference microphone instead")
    return used.index(best)
