"""What `bss mix` has made, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def description(info: dict[str, Any], rate: int) -> Iterator[str]:
    """Lines about a scene: who and what is in it, the room, what the talkers and the recorders do."""
    options = info["options"]
    names = [voice["name"] for voice in info["voices"]]
    counts = f"{_count(len(names), 'talker')} ({', '.join(names)}), {_count(options['n_mics'], 'microphone')}"
    yield f"{counts}, {info['samples'] / rate:.2f} s at {rate} Hz"
    measured = info.get("rt60_measured", [0.0])
    reverberation = f"reverberation time {sum(measured) / len(measured):.2f} s"
    if options["instantaneous"]:
        yield f"mixing desk, condition number {info['condition']:.2g}"
    elif "responses" in info:
        places = [Path(entry["file"]).name for entry in info["responses"][: len(names)]]
        yield f"measured responses ({', '.join(places)}), {reverberation}"
    else:
        size = "x".join(f"{side:g}" for side in options["room"])
        yield f"room of {size} m, {reverberation} ({options['rt60']:g} s requested)"
    if "noises" in info:
        sounds = ", ".join(dict.fromkeys(Path(entry["file"]).name for entry in info["noises"]))
        level, other = options["noise_snr_db"], _count(len(info["noises"]), "other sound")
        yield f"{other} ({sounds}), {abs(level):g} dB {'below' if level >= 0 else 'above'} the talkers"
    yield from _talkers(options.get("behaviour", ()), names, info["samples"] / rate)
    yield from _recorders(info)


def _talkers(behaviour: Any, names: list[str], seconds: float) -> Iterator[str]:
    for event in behaviour:
        who = names[event["talker"] - 1] if "talker" in event else ""
        start, end = event.get("start") or 0.0, seconds if event.get("end") is None else event["end"]
        if event["kind"] == "conversation":
            yield f"a conversation, turns of about {event['turn']:g} s"
        elif event["kind"] == "join":
            yield f"{who} is there from {_time(start)} to {_time(end)}"
        else:
            yield f"{who} walks {event['degrees']:g} degrees around the microphones from {_time(start)} to {_time(end)}"


def _recorders(info: dict[str, Any]) -> Iterator[str]:
    by_mic: dict[int, list[str]] = {}
    for fault in info.get("faults", ()):
        by_mic.setdefault(fault["mic"], []).append(_words(fault))
    for mic, said in sorted(by_mic.items()):
        yield f"mic{mic}: {', '.join(said)}"


def _words(fault: dict[str, Any]) -> str:
    kind = fault["kind"]
    if kind == "offset":
        return f"starts {abs(fault['seconds']):.3f} s {'later' if fault['seconds'] > 0 else 'earlier'}"
    if kind == "drift":
        return f"clock {fault['ppm']:+.1f} ppm" + (f" from {_time(fault['at'])} on" if fault["at"] else "")
    if kind == "gap":
        return f"{1000 * abs(fault['seconds']):g} ms {'missing' if fault['seconds'] > 0 else 'repeated'} at {_time(fault['at'])}"
    if kind == "dropout":
        return f"silent from {_time(fault['start'])} to {_time(fault['end'])}"
    if kind == "hum":
        return f"hears no talker, only hum of {fault['hertz']:g} Hz and noise"
    return "is a processed mix of the others (automatic gain)"


def _time(seconds: float) -> str:
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes:02d}:{tenths // 10:02d}.{tenths % 10}"


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
