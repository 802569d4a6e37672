"""What will be done with a recording, decided before it is separated: channels, number of talkers, method."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bss.errors import InputError, UsageError, check_choice, check_int
from bss.pipeline import own_mics
from bss.pipeline.choose import METHODS, UNLIMITED, Choice, choose
from bss.pipeline.counting import Count, count
from bss.pipeline.preflight import Preflight, preflight, require_two
from bss.pipeline.rooms import EFFORTS
from bss.pipeline.trial import long_window

OWN_MICS, ALONE = "fdica-per-mic", "none"  # methods that auto takes for microphones of their own, and for one talker in a room


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
    counted: Count | None = None  # where nobody gave the number of talkers

    def leaves_residual(self, per_mic: bool) -> bool:
        """Whether the sources need not sum to the reference microphone, and what is left becomes a track."""
        if per_mic or self.choice.method == ALONE:
            return False
        return self.n_sources < len(self.used) or self.choice.method in ("cacgmm", "neural")


def plan(
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    effort: str = "normal",
    reference_mic: int = 0,
    per_mic: bool = False,
    device: str = "auto",
    names: Sequence[str] | None = None,
) -> Plan:
    """Everything that `unmix` decides before it separates; same options, same errors."""
    check_options(len(x), n_sources, method, effort, reference_mic, device)
    check_int("rate", rate, 1)
    clock = time.perf_counter()
    look = preflight(x, rate, names)
    checked = time.perf_counter() - clock
    found = decide(look, x, rate, n_sources=n_sources, method=method, effort=effort, reference_mic=reference_mic, per_mic=per_mic)
    return replace(found, seconds={"check": checked, **found.seconds})


def decide(
    look: Preflight,
    x: np.ndarray,
    rate: int,
    *,
    n_sources: int | None = None,
    method: str = "auto",
    effort: str = "normal",
    reference_mic: int = 0,
    per_mic: bool = False,
) -> Plan:
    """The rest of `plan`, for a recording x that was looked at."""
    require_two(look)
    clock = time.perf_counter()
    warned = [finding.message for finding in look.findings]
    used = _independent(look, per_mic)
    check_number(n_sources, len(used), per_mic, method)
    if per_mic and method == "neural":
        raise UsageError("the method neural hears all talkers at one microphone", hint="--per-mic without --method")
    reference = _reference(look, used, reference_mic, warned)
    usable = np.ascontiguousarray(x[list(used)], dtype=np.float32)
    counted = count(usable, rate) if n_sources is None and not per_mic else None
    if counted is not None and counted.warning is not None:
        warned.append(counted.warning)
    n_talkers = counted.n_sources if counted is not None else n_sources or len(used)
    choice = choose(usable, rate, n_sources=n_talkers, method=method, effort=effort, learned=not per_mic)
    if method == "auto" and choice.n_fft and per_mic:
        choice = _own_mics(choice, usable, rate)
    elif method == "auto" and choice.n_fft and n_talkers == 1:
        reason = "nothing, because there is one talker: the track is what the reference microphone recorded"
        choice = replace(choice, method=ALONE, n_fft=0, hop=0, reason=reason)
    seconds = {"choose": time.perf_counter() - clock}
    return Plan(look, used, choice, n_talkers, reference, (*warned, *choice.warnings), seconds, counted)


def _own_mics(choice: Choice, x: np.ndarray, rate: int) -> Choice:
    """FD-ICA in the order of the microphones, if everyone has one; else the choice as it was, with a warning."""
    agreeing = own_mics.agreement(x, rate)
    evidence = {**choice.evidence, "own_mics_agreement": agreeing and round(agreeing, 3)}
    if agreeing is None or agreeing < own_mics.AGREEING:
        why = "it is too short to tell" if agreeing is None else f"in {100 * agreeing:.0f} % of the bins one talker stands out"
        warning = f"not everyone seems to have a microphone of their own ({why}): tracks may be of the wrong talker"
        return replace(choice, evidence=evidence, warnings=(*choice.warnings, warning))
    n_fft = long_window([x.shape[1]], rate)[0]
    reason = (
        f"FD-ICA with windows of {1e3 * n_fft / rate:.0f} ms, in the order of the microphones, because everyone has one: in "
        f"{100 * agreeing:.0f} % of the bins loudness and rhythm tell the same talker"
    )
    return replace(choice, method=OWN_MICS, n_fft=n_fft, hop=n_fft // 4, reason=reason, evidence=evidence)


def check_options(m: int, n_sources: int | None, method: str, effort: str, reference_mic: int, device: str) -> None:
    """Refuse options that cannot work with M channels, before any work."""
    check_choice("method", method, METHODS)
    check_choice("effort", effort, tuple(EFFORTS))
    check_choice("device", device, ("auto", "cpu"))
    check_int("reference_mic", reference_mic, 0, max(m - 1, 0))
    if n_sources is not None:
        check_int("n_sources", n_sources, 1)


def check_number(n_sources: int | None, usable: int, per_mic: bool, method: str) -> None:
    """Refuse a number of talkers that cannot be."""
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


def memory_estimate(found: Plan, n: int) -> int:
    """Bytes that separating n samples takes at its peak, about."""
    M, N = len(found.used), found.n_sources
    signals = 4 * n * (2 * M + 2 * N)
    if not found.choice.n_fft:
        return signals
    spectra = 8 * n * found.choice.n_fft // (2 * found.choice.hop)  # one channel's complex64 bins
    variances = spectra // 2 * N if found.choice.method in ("ilrma", "neural", "cacgmm") else 0
    return signals + spectra * (2 * M + 2 * N) + variances
