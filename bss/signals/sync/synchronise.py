"""`sync`: recordings of several recorders as one of them would have made all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bss.checks import check_level, check_rate, check_recording
from bss.errors import UsageError, check_choice, check_list
from bss.signals.sync.alignment import Alignment, MicAlignment, Span, blamed
from bss.signals.sync.applying import extent, in_time
from bss.signals.sync.clocks.clock import Clock
from bss.signals.sync.clocks.tracing import Trace, trace
from bss.signals.sync.modes import MODES
from bss.signals.sync.prediction import bridge
from bss.signals.sync.spectra import Reader

BRIDGED_SECONDS = 0.05  # holes up to a syllable are filled by what the reference lets expect; a click costs more than a guess
SHORTEST_SECONDS = 2.0  # less is too little to tell a clock from a talker, and to matter


@dataclass(frozen=True)
class Synchronised:
    """A recording in the time of its reference microphone.

    Attributes
    ----------
    x : np.ndarray
        (M, n) float32; the array that was given where nothing had to be changed.
    alignment : Alignment
        What was found for every microphone.
    """

    x: np.ndarray = field(repr=False)
    alignment: Alignment

    @property
    def messages(self) -> tuple[str, ...]:
        """What was found, a line for each microphone of which there is something to say."""
        return self.alignment.messages


def sync(
    x: np.ndarray,
    rate: int,
    *,
    mode: str = "auto",
    devices: Sequence[object] | None = None,
    names: Sequence[str] | None = None,
) -> Synchronised:
    """Put the microphones of several recorders in the time of the first: start, clock rate, and samples that were lost.

    Microphones that are in step are not touched: the delays of sound between the microphones of an array are no offset, and a
    talker who walks is no clock. What a recorder did not record is zero.

    Parameters
    ----------
    x : np.ndarray
        (M, n) samples, float.
    rate : int
        Hz.
    mode : {"auto", "off", "offset", "drift"}
        "auto" corrects what is found; "offset" only the start; "drift" the rate of every clock, however little it is off.
    devices : sequence of M hashable, optional
        Which recorder each channel comes from: channels of one recorder share a clock. By default each may have its own.
    names : sequence of M str, optional
        Names in messages; "mic1" and so on by default.

    Returns
    -------
    Synchronised
        The recording, and what was found. A microphone that shares no sound with the others is left as it is, and said so.

    Raises
    ------
    InputError
        x is not an (M, n) array of finite samples.
    UsageError
        An option is invalid, or there are not M devices or names.

    References
    ----------
    The modules beside this one name the papers.

    Examples
    --------
    >>> import numpy as np, bss
    >>> s = np.random.default_rng(0).laplace(0, 0.05, 80_000).astype(np.float32)
    >>> x = np.stack([s[8000:], s[:-8000]])
    >>> result = bss.sync(x, 16_000)
    >>> result.messages
    ('mic2: starts 0.500 s earlier',)
    >>> bool((result.x[1, :60_000] == x[0, :60_000]).all())
    True
    """
    x = check_level(check_recording(x), name="x")
    check_rate(rate)
    check_choice("sync", mode, MODES)
    names = _as_many("names", names, [f"mic{k + 1}" for k in range(len(x))])
    groups = groups_of(_as_many("devices", devices, list(range(len(x)))))
    if mode == "off" or len(groups) < 2 or x.shape[1] < SHORTEST_SECONDS * rate:
        return Synchronised(x, Alignment(tuple(_untouched(n, c) for n, c in zip(names, x, strict=True)), 0, x.shape[1], rate))
    reference, traces = find([Reader(_loudest(x, group), rate) for group in groups], mode)
    return _applied(x, rate, groups, reference, traces, names)


def _as_many(what: str, given: Sequence[object] | None, default: list) -> list:  # type: ignore[type-arg]
    return default if given is None else check_list(what, given, length=len(default))


def groups_of(devices: list[object]) -> list[list[int]]:
    """The channels of each device, in the order in which devices appear."""
    groups: dict[object, list[int]] = {}
    for channel, device in enumerate(devices):
        try:
            groups.setdefault(device, []).append(channel)
        except TypeError:
            raise UsageError(
                f"device {device!r} is no name", hint="names or numbers, the same for channels of one recorder"
            ) from None
    return list(groups.values())


def find(readers: Sequence[Reader], mode: str) -> tuple[int, list[Trace | None]]:
    """The device whose time is kept, and the clock of each beside it: the first, unless it alone shares no sound with others."""
    best: tuple[int, list[Trace | None]] = 0, []
    for reference in (0, 1) if len(readers) > 2 else (0,):
        traces = _beside(readers, reference, mode)
        if not best[1] or sum(t is not None for t in traces) > sum(t is not None for t in best[1]) + 1:
            best = reference, traces
        if sum(t is not None for t in traces) > 1:
            break
    return best


def _beside(readers: Sequence[Reader], reference: int, mode: str) -> list[Trace | None]:
    heard = readers[reference]
    first, last = heard.extent()
    span = first / heard.rate, last / heard.rate
    if last - first < SHORTEST_SECONDS * heard.rate:
        return [None] * len(readers)
    found: list[Trace | None] = []
    for k, mic in enumerate(readers):
        if k == reference:
            found.append(Trace(clock=Clock.steady(span[1]), jumps=(), cuts=(), agreement=1.0, needed=False))
        else:
            found.append(trace(heard, mic, span, drift=mode != "offset", force=mode == "drift"))
    return found


def _loudest(x: np.ndarray, group: list[int]) -> np.ndarray:
    """(n,) float32 the loudest channel of a device."""
    return np.asarray(x[_loudest_of(x, group)], np.float32)


def _loudest_of(x: np.ndarray, group: list[int]) -> int:
    return max(group, key=lambda c: float(np.vdot(x[c], x[c])))


def _applied(
    x: np.ndarray, rate: int, groups: list[list[int]], reference: int, traces: list[Trace | None], names: list[str]
) -> Synchronised:
    needed = any(t is not None and t.needed for t in traces)
    y = np.array(x, np.float32) if needed else x
    mics: list[MicAlignment | None] = [None] * len(x)
    loudest = _loudest_of(x, groups[reference])
    heard = Reader(np.asarray(x[loudest], np.float32), rate)
    for group, found in zip(groups, traces, strict=True):
        for c in group:
            if found is None or not found.needed:
                mics[c] = aligned(names[c], found, (extent(x[c]),))
                continue
            covered = in_time(x[c].astype(np.float32, copy=False), rate, found.clock, found.cuts, y[c])
            for (_, a), (b, _) in itertools.pairwise(covered):
                if b - a <= BRIDGED_SECONDS * rate:
                    bridge(heard, y[c], (a, b))
            mics[c] = aligned(names[c], found, covered)
    microphones = blamed([m for m in mics if m is not None], groups, reference)
    return Synchronised(y, Alignment(tuple(microphones), groups[reference][0], x.shape[1], rate, loudest))


def aligned(name: str, found: Trace | None, covered: tuple[Span, ...]) -> MicAlignment:
    """What was found for a microphone that holds a recording in these spans."""
    if found is None or not found.needed:
        return MicAlignment(
            name, found is not None, agreement=None if found is None else round(found.agreement, 3), covered=covered
        )
    return MicAlignment(
        name, True, -found.clock.pieces[0].lag, found.clock.ppm, found.jumps, round(found.agreement, 3), found.clock, covered,
        found.cuts,
    )  # fmt: skip


def _untouched(name: str, x: np.ndarray) -> MicAlignment:
    return MicAlignment(name, covered=(extent(x),))
