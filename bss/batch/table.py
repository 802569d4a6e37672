"""The outcomes of a batch as a table: a row for each recording."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bss.batch.batches import DONE, FAILED, SKIPPED, Batch, Outcome

COLUMNS = (
    "recording", "state", "talkers", "success", "estimated_si_sdr_improvement_db", "method", "microphones", "audio_seconds",
    "rate_hz", "seconds", "warnings", "folder", "error", "why", "try",
)  # fmt: skip
REPORT = "report.html"


def row_of(outcome: Outcome, out: Path) -> dict[str, Any]:
    """A recording as values by column; None where there is none. `folder` is relative to `out`, with slashes."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    place = Path(os.path.relpath(outcome.folder, out)).as_posix()
    row |= {"recording": outcome.recording, "state": outcome.state, "folder": None if outcome.state == FAILED else place}
    if outcome.state == DONE:
        row["seconds"] = round(outcome.seconds, 2)
    if outcome.failure is not None:
        failure = outcome.failure
        row |= {"error": failure.what, "why": failure.why or None, "try": failure.hint or None}
    if outcome.record is not None:
        record, success = outcome.record, outcome.record.success
        row |= {
            "talkers": record.n_sources, "method": record.method, "microphones": len(record.used), "rate_hz": record.rate,
            "audio_seconds": round(record.samples / record.rate, 3), "warnings": len(record.warnings),
        }  # fmt: skip
        if success is not None:
            row |= {"success": success.sentence, "estimated_si_sdr_improvement_db": success.predicted_si_sdr_gain_db}
    return row


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as CSV with a header.

    Examples
    --------
    >>> print(as_csv([{"a": 1, "b": None}, {"a": "x, y", "b": 2}]).replace("\\r", ""), end="")
    a,b
    1,
    "x, y",2
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def counted(batch: Batch) -> str:
    """How many recordings ended how: "37 done, 3 failed"."""
    counts = Counter(outcome.state for outcome in batch.outcomes)
    words = {DONE: "done", SKIPPED: "done before", FAILED: "failed"}
    return ", ".join(f"{counts[state]} {word}" for state, word in words.items() if counts[state])
