"""A recording of any length, block by block: a first look, learning from pieces, then tracks of one block after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bss.pipeline.alignment import to_list
from bss.pipeline.files.sink import Sink
from bss.pipeline.filters.filters import Filters
from bss.pipeline.methods.shared.base import Progress
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import JumpRecord, RunRecord, SpanRecord, StreamRecord, SyncRecord
from bss.pipeline.resources import costs
from bss.pipeline.result import LINEAR, NOISE
from bss.pipeline.stream import faults, gaps, survey
from bss.pipeline.stream.activities import Activities
from bss.pipeline.stream.fitting import learning
from bss.pipeline.stream.fitting.learning import Learned
from bss.pipeline.stream.made import Made
from bss.pipeline.stream.maker import Maker
from bss.pipeline.stream.state import State, from_bytes
from bss.signals.files.blocks import Blocks, ChosenBlocks
from bss.signals.sync.aligned_blocks import AlignedBlocks
from bss.signals.sync.alignment import Alignment
from bss.signals.sync.of_blocks import sync_blocks

STEP_SECONDS, OVERLAP_SECONDS = 30, 1  # of blocks, which are cross-faded
SHORTEST_SECONDS = 10  # of the last one: what is shorter is added to the one before
LOOKED, LEARNED = 0.04, 0.2  # share of the time that is over after the first look, and after learning


@dataclass(frozen=True)
class StreamResult:
    """What a separation block by block leaves beside the tracks.

    Attributes
    ----------
    record : RunRecord
        What was measured, chosen and done.
    filters : tuple[Filters, ...]
        The last filters; their `span` says what they were learned from. Those of all times would take more and more memory.
    names : tuple[str, ...]
        Of all tracks.
    repairs : tuple[str, ...]
        What was put in step, a line for each microphone.
    """

    record: RunRecord
    filters: tuple[Filters, ...] = field(repr=False)
    names: tuple[str, ...]
    repairs: tuple[str, ...] = ()


def separate(
    blocks: Blocks,
    options: UnmixOptions,
    *,
    budget: int,
    sink: Sink,
    progress: Progress | None = None,
    devices: Sequence[object] | None = None,
    linear: bool = False,
    keep_noise: bool = False,
    resume: bytes | None = None,
) -> StreamResult:
    """Separate a recording in at most `budget` bytes of memory.

    Parameters
    ----------
    blocks : Blocks
        The recording.
    options : UnmixOptions
        What to do.
    budget : int
        Bytes.
    sink : Sink
        Takes the tracks.
    progress : callable, optional
        Called with the fraction that is done.
    devices : sequence of M hashable, optional
        Which recorder each channel comes from.
    linear, keep_noise : bool
        Whether the tracks before the source model, and every sound that is no talker by itself, are wanted, too.
    resume : bytes, optional
        A state that `sink.checkpoint` was given in an earlier run, to continue it.

    Raises
    ------
    InputError, UsageError, SolverError
        As of `unmix`; or the budget is too small.
    """
    part = _parts_of(progress)
    state = _begun(blocks, options, budget, devices, part) if resume is None else from_bytes(resume)
    tracks = track_names(state.learned, linear=linear, keep_noise=keep_noise)
    sink.open(tracks, blocks.rate)
    if resume is None:
        sink.checkpoint(state.to_bytes)  # what was learned took long
    used = state.learned.filters.used
    maker = Maker(state.learned, STEP_SECONDS, state.count, gaps.of_used(state.gaps, used))
    chosen = ChosenBlocks(in_step(blocks, state.alignment), used)
    for made, state in _blocks(chosen, maker, state, part(LEARNED, 1.0)):  # noqa: B020 - each follows from the one before
        sink.write(_named(made, tracks, keep_noise))
        sink.checkpoint(state.to_bytes)
    record = state.learned.record
    seconds = {name: round(value, 3) for name, value in state.seconds.items()}
    record = replace(record, samples=blocks.n, sources=state.heard.records(record.sources), seconds=seconds)
    repairs = () if state.alignment is None else state.alignment.repairs
    return StreamResult(record, (state.learned.filters,), tracks, repairs)


def _begun(blocks: Blocks, options: UnmixOptions, budget: int, devices: Sequence[object] | None, part: Parts) -> State:
    """The state before the first block."""
    clock = time.perf_counter()
    n_sources = costs.talkers_at_most(blocks.n_mics, options)
    seconds = learning.seconds_within(budget, blocks.n_mics, n_sources, blocks.rate, blocks.n / blocks.rate)
    found = survey.survey(blocks, part(0, LOOKED))
    looked = time.perf_counter() - clock
    failing = faults.find(found, blocks.names, options)
    options = failing.options
    usable = [int(k) for k in np.flatnonzero(found.sounding) if options.channels is None or k in options.channels]
    alignment = sync_blocks(blocks, usable, found.levels.sum(1), mode=options.sync, devices=devices)
    synced = time.perf_counter() - clock - looked
    missing = gaps.find(failing.dead, alignment, blocks.n, blocks.rate)
    pieces = survey.pieces(found, blocks.n, blocks.rate, seconds, [(gap.start, gap.stop) for gap in missing])
    learned = learning.learn(in_step(blocks, alignment), pieces, options, progress=part(LOOKED, LEARNED))
    record = replace(
        learned.record,
        warnings=[*failing.warnings, *learned.record.warnings],
        sync=None if alignment is None else _sync_records(alignment),
        stream=StreamRecord(
            [[round(a / blocks.rate, 3), round(b / blocks.rate, 3)] for a, b in pieces],
            learned.following,
        ),
        spans=_span_records(missing, learned, blocks),
    )
    times = {"look": looked, **record.seconds, "sync": synced, "apply": 0.0}
    learned = replace(learned, record=record)
    return State(learned, 0, None, Activities(learned.n_talkers, blocks.rate), times, alignment, missing)


def _span_records(missing: Sequence[gaps.Gap], learned: Learned, blocks: Blocks) -> list[SpanRecord] | None:
    found = gaps.of_used(missing, learned.filters.used)
    return gaps.records(found, blocks.n, blocks.rate, learned.record.used, learned.n_sounds, learned.reference)


def _sync_records(alignment: Alignment) -> list[SyncRecord]:
    rows = to_list(alignment, alignment.rate)
    return [SyncRecord(**{**row, "jumps": [JumpRecord(**jump) for jump in row["jumps"]]}) for row in rows]


def in_step(blocks: Blocks, alignment: Alignment | None) -> Blocks:
    """The recording with its recorders in step."""
    return AlignedBlocks(blocks, alignment) if alignment is not None and alignment.changed else blocks


def _blocks(blocks: Blocks, maker: Maker, state: State, progress: Progress | None) -> Iterator[tuple[Made, State]]:
    """Samples of the tracks that are ready, and the state after them."""
    overlap = OVERLAP_SECONDS * blocks.rate
    edges = block_edges(blocks.n, blocks.rate)
    for k in range(state.count, len(edges)):
        clock = time.perf_counter()
        made = maker.block(blocks, *edges[k])
        joined = made if state.tail is None else state.tail.into(made)
        ready = joined.n if k == len(edges) - 1 else joined.n - overlap
        now = joined.cut(0, ready)
        state.heard.add(now.talkers)
        seconds = {**state.seconds, "apply": state.seconds["apply"] + time.perf_counter() - clock}
        state = replace(state, learned=maker.learned, count=k + 1, tail=joined.cut(ready, joined.n), seconds=seconds)
        yield now, state
        if progress is not None:
            progress(edges[k][1] / blocks.n)


def track_names(learned: Learned, *, linear: bool, keep_noise: bool) -> tuple[str, ...]:
    """The tracks that are made."""
    talkers = [f"source{k + 1}" for k in range(learned.n_talkers)]
    others = learned.n_sounds - learned.n_talkers
    noise = [f"{NOISE}{k + 1}" for k in range(others)] if keep_noise and others > 1 else [NOISE] * bool(others)
    extra = [f"{LINEAR}{name}" for name in talkers] if linear and learned.filters.source_model else []
    return (*talkers, *noise, *(["residual"] if learned.residual else []), *extra)


def block_edges(n: int, rate: int) -> list[tuple[int, int]]:
    """The blocks of a recording, which overlap by OVERLAP_SECONDS."""
    step, overlap = STEP_SECONDS * rate, OVERLAP_SECONDS * rate
    starts = list(range(0, max(1, n - SHORTEST_SECONDS * rate), step))
    return [(start, min(start + step + overlap, n) if start != starts[-1] else n) for start in starts]


def _named(made: Made, names: tuple[str, ...], keep_noise: bool) -> dict[str, np.ndarray]:
    """The tracks by name, in the order of `track_names`."""
    others = made.others if keep_noise or not len(made.others) else made.others.sum(0, keepdims=True)
    rows = [*made.talkers, *others, *made.residual, *made.linear]
    return dict(zip(names, rows, strict=False))  # names of linear tracks come last, and only if they are wanted


Parts = Callable[[float, float], Progress | None]


def _parts_of(progress: Progress | None) -> Parts:
    """Progress callbacks for parts of the whole."""

    def part(begin: float, end: float) -> Progress | None:
        return None if progress is None else lambda done: progress(begin + (end - begin) * done)

    return part
