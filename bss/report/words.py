"""What a report says in words, for readers who are no engineers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from bss.pipeline.record import RunRecord, SyncRecord
from bss.report.graphics.charts import clock
from bss.report.material import MICROPHONE, TRUTH, Material
from bss.report.spans import Spans, overlaps, total

SOFT_METHODS = ("fastica", "infomax", "picard-o", "jade")  # for mixtures without delays
METHODS = {
    "none": "Nothing had to be separated.",
    "moving": "Talkers move, so the separation followed them from moment to moment.",
    "fdica-per-mic": "Every talker has a microphone of their own: each track is that microphone without the other talkers.",
}
STEP_SECONDS = 0.001  # by which recorders are out of step so that anybody should know
STEP_PPM = 0.5


@dataclass(frozen=True)
class Fault:
    """Something wrong with a microphone, or with all."""

    name: str
    said: str
    when: str = ""


@dataclass(frozen=True)
class Turn:
    """When a talker speaks, as a row of a table."""

    name: str
    file: str
    share: str
    turns: int
    longest: str
    level: str
    nearest: str


def plural(n: int, thing: str) -> str:
    """`1 talker`, `2 talkers`."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


def length(seconds: float) -> str:
    """A length of time in words: 32 seconds, 10 min 5 s."""
    if seconds < 90:
        return f"{seconds:.0f} seconds" if seconds >= 10 else f"{seconds:.1f} seconds"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if rest else f"{minutes} min"


def short_name(name: str) -> str:
    """The name of a microphone without its folders."""
    return PurePath(name).name or name


def headline(material: Material) -> str:
    """The first sentence of the page."""
    record = material.record
    if record is None:
        truth = sum(track.role == TRUTH for track in material.tracks)
        mics = sum(track.role == MICROPHONE for track in material.tracks)
        return (
            f"A simulated recording of {plural(truth, 'talker')} with {plural(mics, 'microphone')}, {length(material.seconds)}."
        )
    n = len(record.sources)
    return (
        f"{plural(n, 'talker')} {'was' if n == 1 else 'were'} separated from {length(material.seconds)} of a recording with "
        f"{plural(len(record.channels), 'microphone')}."
    )


def success(record: RunRecord) -> tuple[str, str]:
    """How well it worked: the sentence, and the number behind it."""
    if record.success is None:
        return "There is no estimate of how well it worked: listen to the tracks.", ""
    sentence, gain = record.success.sentence, record.success.predicted_si_sdr_gain_db
    words = sentence[0].upper() + sentence[1:] + ("" if sentence.endswith((".", "!")) else ".")
    if gain is None:
        return words, ""
    number = f"Estimated from the tracks alone: each talker is about {gain:.0f} dB clearer than at the microphone"
    return words, f"{number} (improvement of SI-SDR)."


def found(record: RunRecord) -> list[str]:
    """What was found out about the recording."""
    lines = [_count(record), _place(record)]
    lines += [METHODS[record.method]] if record.method in METHODS else []
    if len(record.used) < len(record.channels):
        out = [short_name(name) for name in record.channels if name not in record.used]
        lines.append(f"Not used: {', '.join(out)} (the reasons are below).")
    if record.others is not None and not all(record.others.talker):
        lines.append(f"{plural(record.others.talker.count(False), 'other sound')} that is no talker was kept apart.")
    if record.movement is not None:
        for k, talker in enumerate(record.movement.talkers):
            if talker.span is not None:
                lines.append(f"Talker {k + 1} moved between {clock(talker.span[0])} and {clock(talker.span[1])}.")
    if record.stream is not None:
        lines.append("The recording was longer than the memory allowed, so it was separated in pieces.")
    if record.denoised is not None:
        lines.append("Noise was removed from the talkers' tracks.")
    return lines


def _count(record: RunRecord) -> str:
    n, counting = len(record.sources), record.counting
    if counting is None:
        return f"{plural(n, 'talker')}, as was asked for."
    if counting.sure:
        return f"{plural(n, 'talker')}: they were counted, and the count is sure."
    return f"{plural(n, 'talker')}: they were counted, but it may be from {counting.fewest} to {counting.most}."


def _place(record: RunRecord) -> str:
    if record.method in SOFT_METHODS:
        return "It comes from a mixing desk, or from microphones in one place: sound reaches all channels at once, without echo."
    if record.method == "none":
        return "The microphones share no sound."
    return f"It was made in a room: sound reaches the microphones up to {record.evidence.largest_delay_ms:.2g} ms apart."


def faults(record: RunRecord) -> list[Fault]:
    """What is wrong with the recording: by name, and when."""
    rows = []
    for finding in record.findings:
        name = "All microphones" if finding.channel is None else short_name(record.channels[finding.channel])
        when = ", ".join(f"{clock(a)} to {clock(b)}" for a, b in finding.spans[:6])
        when += f" and {len(finding.spans) - 6} more times" if len(finding.spans) > 6 else ""
        rows.append(Fault(name, finding.message, when))
    rows += [Fault("The files", repair) for repair in record.repairs or ()]
    return rows


def advice(record: RunRecord) -> list[str]:
    """Warnings that are not about a fault which is listed already."""
    listed = {finding.message for finding in record.findings}
    return [warning for warning in record.warnings if not any(message in warning for message in listed)]


def clocks(record: RunRecord) -> list[str]:
    """How each recorder was put in step."""
    lines = []
    for mic in record.sync or ():
        name = short_name(mic.mic)
        if not mic.found:
            lines.append(f"{name} shares no sound with {short_name(record.reference)}, so it was left as it is.")
        elif mic.changed:
            lines.append(f"{name} {_clock(mic)}. This was corrected.")
    return lines


def _clock(mic: SyncRecord) -> str:
    said = []
    if abs(mic.offset) >= STEP_SECONDS:
        said.append(f"started {abs(mic.offset):.3f} s {'later' if mic.offset > 0 else 'earlier'}")
    if abs(mic.ppm) >= STEP_PPM:
        said.append(f"has a clock that is {abs(mic.ppm):.1f} parts per million {'fast' if mic.ppm > 0 else 'slow'}")
    for jump in mic.jumps:
        lost = "lost" if jump.missing > 0 else "repeated"
        said.append(f"{lost} {1000 * abs(jump.missing):.1f} ms at {clock(jump.seconds)}")
    return ", ".join(said) or "was a little out of step"


def turns(record: RunRecord, names: list[str]) -> list[Turn]:
    """A row for each talker."""
    rows = []
    for k, (source, name) in enumerate(zip(record.sources, names, strict=False)):
        spans = [b - a for a, b in source.active_spans]
        level = "silent" if source.active_level_dbfs is None else f"{source.active_level_dbfs:.0f} dB"
        longest = length(max(spans)) if spans else "-"
        share = f"{100 * source.active_share:.0f} %"
        rows.append(Turn(f"Talker {k + 1}", name, share, len(spans), longest, level, short_name(source.dominant_mic)))
    return rows


def activity(record: RunRecord) -> list[Spans]:
    """For each talker from when to when they are active."""
    return [[(float(a), float(b)) for a, b in source.active_spans] for source in record.sources]


def together(record: RunRecord, seconds: float) -> str:
    """How much talkers speak at the same time."""
    spans = activity(record)
    if len(spans) < 2:
        return ""
    share = total(overlaps(spans)) / seconds
    if share < 0.005:
        return "They hardly ever speak at the same time."
    return f"Two or more speak at the same time for {100 * share:.0f} % of the recording."
