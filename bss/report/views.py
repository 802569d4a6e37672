"""What the template shows: one `Side` for a result, two for a comparison, and a lane of the player for each track."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.pipeline.analysis.success import MIXED
from bss.pipeline.record import RunRecord
from bss.report import command, words
from bss.report.graphics.charts import HEIGHT, WIDTH, Chart, Line, Tick, chart, clock
from bss.report.graphics.measure import Measured, decibels
from bss.report.graphics.shared import Shared
from bss.report.material import TALKER, Material
from bss.scenes.description import description

SILENT_DB, SHOWN_DB = -90.0, 60.0  # of full scale; and what a chart of levels shows below the loudest moment
MEASURES = {
    "si_sdr": "SI-SDR",
    "si_sdr_improvement": "improvement of SI-SDR",
    "sdr": "SDR",
    "sir": "SIR",
    "sar": "SAR",
}
MUCH_DB = -8.0  # of shared sound: clearly heard
MOST_PLACES = 5


@dataclass(frozen=True)
class ScoreTable:
    """Scores against the truth, as text: the mean is the last row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Side:
    """What is said of one result."""

    title: str
    headline: str
    found: tuple[str, ...]
    success: str
    number: str
    advice: tuple[str, ...]
    faults: tuple[words.Fault, ...]
    clocks: tuple[str, ...]
    turns: tuple[words.Turn, ...]
    together: str
    charts: tuple[Chart, ...]
    mixed: Chart | None
    scores: ScoreTable | None
    command: str | None
    settings: tuple[tuple[str, str], ...]


def side(material: Material) -> Side:
    """What is said of a result, or of a scene."""
    record = material.record
    scores = None if material.scores is None else score_table(material.scores)
    title, headline = material.title, words.headline(material)
    if record is None:
        scene = material.scene or {}
        said = tuple(line[0].upper() + line[1:] + "." for line in description(scene, material.rate))
        rows = tuple((str(key), str(value)) for key, value in scene.get("options", {}).items() if value not in (None, [], ""))
        return Side(title, headline, said, "", "", (), (), (), (), "", (), None, scores, None, rows)
    sentence, number = words.success(record)
    names = [track.name for track in material.tracks if track.role == TALKER]
    charts = (movement_chart(record, material.seconds), clock_chart(record, material.seconds))
    return Side(
        title,
        headline,
        tuple(words.found(record)),
        sentence,
        number,
        tuple(words.advice(record)),
        tuple(words.faults(record)),
        tuple(words.clocks(record)),
        tuple(words.turns(record, names)),
        words.together(record, material.seconds),
        tuple(one for one in charts if one is not None),
        bands_chart(record),
        scores,
        command.command(record, material.title),
        tuple(command.settings(record)),
    )


def levels_chart(material: Material, measured: Measured) -> Chart | None:
    """The level of every track over time."""
    parts = measured.levels.shape[1]
    times = [(k + 0.5) * material.seconds / parts for k in range(parts)]
    series, said = [], []
    for track, levels in zip(material.tracks, decibels(measured.levels), strict=True):
        if levels.max() <= SILENT_DB:
            said.append(f"{track.label} is silent")
            continue
        series.append((track.label, times, list(map(float, levels))))
        said.append(f"{track.label} at most {levels.max():.0f} dB")
    lowest = max((max(levels) for _, _, levels in series), default=0.0) - SHOWN_DB
    return chart(
        "Level of every track", f"Over time, in dB of full scale: {', '.join(said)}.", "dB", series,
        seconds=material.seconds, least_span=20.0, lowest=lowest,
    )  # fmt: skip


def movement_chart(record: RunRecord, seconds: float) -> Chart | None:
    """How the delays change between the first microphone and the one where they change most, for each talker."""
    if record.movement is None:
        return None
    series = []
    for k, talker in enumerate(record.movement.talkers):
        delays = np.array([[math.nan if v is None else v for v in row] for row in talker.delays_ms], float)
        if delays.size and np.isfinite(delays).any():
            known = np.where(np.isfinite(delays), delays, 0.0)
            mic = int(np.argmax(known.std(0)))
            values = [None if math.isnan(v) else float(v) for v in delays[:, mic]]
            series.append((f"Talker {k + 1}", record.movement.times, values))
    moved = [f"talker {k + 1}" for k, talker in enumerate(record.movement.talkers) if talker.span is not None]
    summary = "How much later another microphone hears each talker than the first, in milliseconds: a line that is level is "
    summary += f"somebody who stays in place. Moving: {', '.join(moved) or 'nobody'}."
    return chart("Where talkers move", summary, "ms", series, seconds=seconds, least_span=0.1)


def clock_chart(record: RunRecord, seconds: float) -> Chart | None:
    """By how much each recorder was out of step, over time, beyond its start."""
    series = []
    for mic in record.sync or ():
        if mic.found and mic.changed:
            times = sorted({0.0, seconds, *(t for jump in mic.jumps for t in (jump.seconds, jump.seconds + 1e-3))})
            lost = [sum(jump.missing for jump in mic.jumps if jump.seconds < t) for t in times]
            late = [1e-3 * mic.ppm * t + 1e3 * gone for t, gone in zip(times, lost, strict=True)]
            series.append((words.short_name(mic.mic), times, late))
    summary = "How far each recorder ran away from the reference after its start, in milliseconds, as it was found and corrected."
    return chart("Clocks of the recorders", summary, "ms", series, seconds=seconds, least_span=1.0)


def bands_chart(record: RunRecord) -> Chart | None:
    """What the estimate of success finds left of another talker in each band; the horizontal axis is frequency."""
    bands = record.success.bands if record.success is not None else []
    if not bands or not all(band.pairs for band in bands):
        return None
    worst = [max(pair.left_db for pair in band.pairs) for band in bands]
    low, high = math.floor(min([*worst, -20.0]) / 5) * 5, math.ceil(max([*worst, 0.0]) / 5) * 5
    step = WIDTH / len(bands)

    def y(db: float) -> float:
        return round(HEIGHT * (high - db) / (high - low), 1)

    left = " ".join(f"{k * step:.1f},{y(v):.1f} {(k + 1) * step:.1f},{y(v):.1f}" for k, v in enumerate(worst))
    limit = f"0,{y(MIXED)} {WIDTH:.0f},{y(MIXED)}"
    lines = (Line("what is left, in the worst two tracks", (left,), 0), Line("above this line they count as mixed", (limit,), 1))
    columns = tuple(Tick(round(k * step, 1), _hertz(bands[k].hz[0])) for k in range(0, len(bands), 2))
    rows = tuple(Tick(y(db), str(db)) for db in range(low, high + 1, 5))
    at = int(np.argmax(worst))
    summary = f"Estimated from the tracks; most is left from {bands[at].hz[0]} to {bands[at].hz[1]} Hz."
    if record.source_model is not None and record.source_model.applied:
        summary += " The learned source model, which comes after this estimate, removes more of it."
    return Chart("What is left of another talker, by frequency", summary, "dB relative to the talker", lines, rows, columns)


def _hertz(hz: int) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else str(hz)


def shared_places(shared: Shared | None, seconds: float) -> list[str]:
    """Where two tracks clearly hold the same sound, the worst first."""
    if shared is None:
        return []
    places = []
    found = np.argwhere(shared.level_db > MUCH_DB)
    for p, b, w in sorted(found, key=lambda place: -shared.level_db[tuple(place)])[:MOST_PLACES]:
        i, j = (k + 1 for k in shared.pairs[p])
        when = f"{clock(w * shared.seconds)} to {clock(min((w + 1) * shared.seconds, seconds))}"
        what = f"{shared.edges[b]} to {shared.edges[b + 1]} Hz"
        places.append(f"Talkers {i} and {j}, {when}, {what}: common sound {-shared.level_db[p, b, w]:.0f} dB below the louder")
    if len(found) > MOST_PLACES:
        places.append(f"and {len(found) - MOST_PLACES} more places")
    return places


def score_table(document: dict[str, Any]) -> ScoreTable:
    """The document of `bss score --json` as text."""
    rows = document["scores"]
    measures = [name for name in MEASURES if any(isinstance(row.get(name), int | float) for row in rows)]
    lines = [(str(row["reference"]), str(row.get("estimate") or "-"), *(_db(row.get(name)) for name in measures)) for row in rows]
    mean = document.get("mean") or {}
    lines.append(("mean", "", *(_db(mean.get(name)) for name in measures)))
    return ScoreTable(("truth", "track", *(MEASURES[name] for name in measures)), tuple(lines))


def _db(value: Any) -> str:
    return f"{value:.1f} dB" if isinstance(value, int | float) else "-"
