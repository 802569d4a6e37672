"""Times in the pieces that filters are learned from, laid end to end, as times of the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bss.pipeline.analysis.movement import FOLLOWED
from bss.pipeline.analysis.preflight.channel_rules import clock
from bss.pipeline.record import RunRecord


def in_recording(seconds: float, pieces: Sequence[tuple[int, int]], rate: int) -> float:
    """When in the recording a time in the pieces is."""
    for start, stop in pieces:
        if seconds <= (stop - start) / rate:
            return start / rate + seconds
        seconds -= (stop - start) / rate
    return pieces[-1][1] / rate


def of_recording(record: RunRecord, pieces: Sequence[tuple[int, int]], rate: int) -> RunRecord:
    """The record of what pieces were separated, with movements at the times of the recording."""
    movement = record.movement
    if movement is None:
        return record
    talkers = [
        replace(talker, span=talker.span and [round(in_recording(t, pieces, rate), 1) for t in talker.span])
        for talker in movement.talkers
    ]
    times = [round(in_recording(t, pieces, rate), 2) for t in movement.times]
    said = [
        f"talker {k + 1} moves between {clock(talker.span[0])} and {clock(talker.span[1])}{FOLLOWED}"
        for k, talker in enumerate(talkers)
        if talker.span is not None
    ]
    warnings = [warning for warning in record.warnings if not warning.endswith(FOLLOWED)]
    return replace(record, warnings=[*warnings, *said], movement=replace(movement, times=times, talkers=talkers))
