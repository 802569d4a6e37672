"""What a long recording is separated with, learned from pieces of it in memory, as if they were the recording."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bss.errors import UsageError
from bss.pipeline.filters.filters import Filters
from bss.pipeline.filters.models import Demixing
from bss.pipeline.methods.moving_talkers.moving import looking_once
from bss.pipeline.methods.shared.base import Progress
from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.planning.plan import plan
from bss.pipeline.record import RunRecord
from bss.pipeline.resources import costs
from bss.pipeline.resources.memory import written
from bss.pipeline.result import Unmixed
from bss.pipeline.stitch import separate as separate_whole
from bss.pipeline.stream import turns
from bss.pipeline.stream.fitting import statistics
from bss.pipeline.stream.fitting.estimates import estimated
from bss.pipeline.stream.fitting.refining import linear, refined
from bss.pipeline.stream.fitting.statistics import Statistics
from bss.pipeline.stream.fitting.times import of_recording
from bss.pipeline.stream.spectra import span_of
from bss.pipeline.stream.turns import Turns
from bss.signals.files.blocks import Blocks, ChosenBlocks

Pieces = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Learned:
    """All that makes the tracks of a recording.

    Attributes
    ----------
    filters : Filters
        The filters.
    record : RunRecord
        Of what they were learned from.
    reference : int
        Index of the reference microphone among the used ones.
    residual : bool
        Whether the tracks need not add up to it.
    statistics : Statistics or None
        What the filters were made from, if more of the recording can be added to it.
    turns : Turns or None
        What tells who speaks; None where the learned source model is not applied.
    following : bool
        Whether talkers move, so that every moment gets filters of its own.
    """

    filters: Filters
    record: RunRecord
    reference: int
    residual: bool
    statistics: Statistics | None = field(default=None, repr=False)
    turns: Turns | None = None
    following: bool = False

    @property
    def n_talkers(self) -> int:
        """N."""
        return self.filters.n_tracks

    @property
    def n_sounds(self) -> int:
        """K, talkers and others."""
        return self.filters.model.n_sources

    def ordered(self, order: np.ndarray) -> Learned:
        """The same with sound order[k] in place k, for filters that are a demixing; the talkers stay first."""
        model = self.filters.model
        assert isinstance(model, Demixing)
        mics = tuple(self.filters.mics[k] for k in order)
        own = self.statistics
        return replace(
            self,
            filters=replace(self.filters, model=model.ordered(order), mics=mics),
            statistics=None if own is None else own.ordered(order),
            turns=None if self.turns is None else self.turns.ordered(order),
        )


def seconds_within(budget: int, n_mics: int, n_sources: int, rate: int, seconds: float) -> float:
    """How much of a recording of so many seconds can be learned from in so many bytes.

    Raises
    ------
    UsageError
        Too little.
    """
    learned = costs.learnable(budget, n_mics, n_sources, rate, seconds)
    if learned < min(costs.FEWEST_LEARNED_SECONDS, seconds):
        least = costs.IN_PIECES * costs.bytes_of(n_mics, n_sources, rate, costs.FEWEST_LEARNED_SECONDS)
        raise UsageError(
            f"{written(budget)} of memory are too little to separate {n_mics} microphones at {rate} Hz",
            f"filters are learned from at least {costs.FEWEST_LEARNED_SECONDS} s of the recording",
            f"--max-memory {written(least)} or more",
        )  # fmt: skip
    return learned


def learn(
    blocks: Blocks,
    pieces: Pieces,
    options: UnmixOptions,
    *,
    progress: Progress | None = None,
    seconds: float = statistics.WINDOW_SECONDS,
) -> Learned:
    """Learn from pieces [start, stop) of a recording whose recorders are in step; `seconds` is the longest window.

    Raises
    ------
    InputError, UsageError, SolverError
        As of `unmix`.
    """
    x = np.concatenate([blocks.read(start, stop) for start, stop in pieces], axis=1)
    planned = plan(x, blocks.rate, replace(options, sync="off"), names=blocks.names)
    planned = replace(planned, choice=replace(planned.choice, method=looking_once(planned.choice.method)))
    done = separate_whole(planned, progress=progress)
    record = of_recording(done.record, pieces, blocks.rate)
    learned = Learned(done.filters, record, planned.reference, planned.leaves_residual)
    chosen = ChosenBlocks(blocks, planned.used)
    del x, planned  # and the spectra, before the next are made
    if not done.filters.source_model:
        return learned
    clock = time.perf_counter()
    if _refinable(done):
        filters, total = refined(done.filters, estimated(chosen, pieces, _sounds(done)), seconds)
        learned = replace(learned, filters=filters, statistics=total, following=record.movement is not None)
    learned = replace(learned, turns=_turns(learned.filters, chosen, pieces))
    times = {**record.seconds, "refine": round(time.perf_counter() - clock, 3)}
    return replace(learned, record=replace(record, seconds=times))


def _refinable(done: Unmixed) -> bool:
    """Whether there are good estimates of all sounds, whose variances better filters follow from."""
    return isinstance(done.filters.model, Demixing) and len(set(done.filters.mics)) == 1


def _sounds(done: Unmixed) -> np.ndarray:
    """(K, n) talkers and other sounds, in the order of the filters."""
    return done.sources if done.noise is None else np.concatenate((done.sources, done.noise))


def _turns(filters: Filters, blocks: Blocks, pieces: Pieces) -> Turns:
    assert filters.stft is not None  # as the source model follows spectra
    tracks = (linear(filters, span_of(blocks, filters.stft, *piece)) for piece in pieces)
    return turns.learn(np.concatenate([turns.band_powers(y, blocks.rate) for y in tracks], axis=2))
