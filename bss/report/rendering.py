"""From the material of a report to the text of its page: the template and the player are files in assets/."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from bss.report import views, words
from bss.report.graphics.charts import clock
from bss.report.graphics.measure import Measured
from bss.report.material import MICROPHONE, TALKER, Material, Track
from bss.report.sound import Sound
from bss.report.spans import overlaps

SCRIPTS = ("wavesurfer.min.js", "engine.js", "player.js")
MARKED_HZ = (250, 1000, 4000, 10_000)


@dataclass(frozen=True)
class Lane:
    """A track in the player."""

    label: str
    name: str
    role: str
    picture: str
    bars: tuple[tuple[float, float], ...]  # where it is active: left and width, in per cent
    sound: str  # base64, or the address of a file
    side: str


def render(material: Material, measured: Measured, heard: Sound, addresses: list[str]) -> str:
    """The page: `addresses` are the sound of each track, in base64 or as the address of a file."""
    from bss.report.graphics import images

    pictures = images.spectrograms(measured.spectrogram)
    lanes = [_lane(*parts, material) for parts in zip(material.tracks, pictures, addresses, strict=True)]
    sides = [views.side(one) for one in (material.others or (material,))]
    text: str = _template().render(
        title=" and ".join(side.title for side in sides),
        sides=sides,
        lanes=lanes,
        notes=material.notes,
        scene=material.record is None,
        seconds=material.seconds,
        clock=clock,
        levels=views.levels_chart(material, measured),
        overlap=_overlap(material),
        marks=_marks(measured),
        **_shared(material, measured),
        **_sound(heard),
        **_code(),
        data=_data(lanes, material, measured, heard),
    )
    return text


def _shared(material: Material, measured: Measured) -> dict[str, Any]:
    """What the template shows of sound that tracks share."""
    from bss.report.graphics import images

    shared = measured.shared
    picture = None if shared is None else images.shared_map(shared)
    return {"pairs": shared is not None, "shared_picture": picture, "places": views.shared_places(shared, material.seconds)}


def _sound(heard: Sound) -> dict[str, Any]:
    return {"inside": heard.inside, "lossless": heard.kind == "FLAC", "gain_db": 20 * float(np.log10(heard.gain))}


def _code() -> dict[str, Any]:
    """Style and scripts, and what browsers know the scripts by."""
    from markupsafe import Markup

    texts = [_asset(name) for name in SCRIPTS]
    texts[0] = f"/*\n{_asset('wavesurfer.LICENSE.txt')}*/\n{texts[0]}"  # which everybody who passes it on has to pass on, too
    return {
        "style": Markup(_asset("report.css")),
        "code": [Markup(text) for text in texts],
        "hashes": " ".join(map(_hash, texts)),
    }


def _data(lanes: list[Lane], material: Material, measured: Measured, heard: Sound) -> dict[str, Any]:
    """What the player reads."""
    scene = material.record is None
    return {
        "seconds": material.seconds,
        "rate": heard.rate,
        "inside": heard.inside,
        "peak": max(measured.peak, 1e-6),
        # a scene begins with its first microphone, a result with its talkers; of a comparison, with the first result
        "lanes": [{"label": visible(lane.label), "quiet": _quiet(k, lane, lanes, scene)} for k, lane in enumerate(lanes)],
        "peaks": [[round(float(v), 4) for v in row] for row in measured.peaks],
    }


def _quiet(k: int, lane: Lane, lanes: list[Lane], scene: bool) -> bool:
    if scene:
        return k > 0
    first = next((other.side for other in lanes if other.side), "")
    return lane.role == MICROPHONE or lane.side != first


def _lane(track: Track, picture: str, address: str, material: Material) -> Lane:
    bars: tuple[tuple[float, float], ...] = ()
    records = {one.title: one.record for one in material.others} if material.others else {"": material.record}
    record = records.get(track.side)
    if record is not None and track.role == TALKER and track.number is not None:
        spans = words.activity(record)[track.number]
        bars = tuple((100 * a / material.seconds, 100 * (b - a) / material.seconds) for a, b in spans)
    return Lane(track.label, track.name, track.role, picture, bars, address, track.side)


def _overlap(material: Material) -> list[tuple[float, float]]:
    """Where talkers speak at the same time: left and width in per cent."""
    if material.record is None:
        return []
    spans = overlaps(words.activity(material.record))
    return [(100 * a / material.seconds, 100 * (b - a) / material.seconds) for a, b in spans]


def _marks(measured: Measured) -> list[tuple[float, str]]:
    """Frequencies to be named beside spectrograms, and how high they are in per cent."""
    rows = measured.frequencies
    return [
        (100 * float(np.interp(hz, rows, np.arange(len(rows)))) / len(rows), f"{hz / 1000:g} kHz")
        for hz in MARKED_HZ
        if hz < 0.9 * rows[-1]
    ]


def visible(text: str) -> str:
    """Text of a name or message, in which control characters and bytes that are no text are spelled out.

    Examples
    --------
    >>> visible("a\\x1b[31m.wav")
    'a\\\\x1b[31m.wav'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _finalize(value: Any) -> Any:
    from markupsafe import Markup

    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, finalize=_finalize, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html")


def _asset(name: str) -> str:
    return (resources.files("bss.report") / "assets" / name).read_text(encoding="utf-8")


def _hash(code: str) -> str:
    """Of a script, so that browsers run this one and no other."""
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
