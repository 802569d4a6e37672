"""The options of `bss mix` that say what goes wrong: [MIC:]VALUE[@TIME], as values of the library."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bss.scenes.behaviour import Behaviour
    from bss.scenes.faults import Fault

NUMBER = r"[+-]?(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})"
WHO = r"\d{1,4}"
TIME = r"(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})"
SPAN = rf"(?:@(?P<start>{TIME})(?:-(?P<end>{TIME}))?)?"
# what may be written, and an example
FORMS = {
    "--offset": (rf"(?:(?P<who>{WHO}):)?(?P<value>{NUMBER})", "[MIC:]SECONDS", "2, or 2:1.284 for microphone 2"),
    "--drift": (
        rf"(?:(?P<who>{WHO}):)?(?P<value>{NUMBER})(?:@(?P<start>{TIME}))?",
        "[MIC:]PPM[@TIME]",
        "80, 2:41.3, or 2:-20@60",
    ),
    "--gap": (rf"(?P<who>{WHO}):(?P<value>{NUMBER})(?:@(?P<start>{TIME}))?", "MIC:SECONDS[@TIME]", "2:0.01, or 2:0.01@10"),
    "--dropout": (rf"(?P<who>{WHO}){SPAN}", "MIC[@TIME[-TIME]]", "3, 3@8, or 3@8-12"),
    "--hum": (rf"(?P<who>{WHO})(?::(?P<value>{TIME}))?", "MIC[:HERTZ]", "3, or 3:60"),
    "--agc": (rf"(?P<who>{WHO})", "MIC", "2"),
    "--move": (rf"(?P<who>{WHO}):(?P<value>{NUMBER}){SPAN}", "TALKER:DEGREES[@TIME[-TIME]]", "1:70, or 1:-40@10-20"),
    "--join": (rf"(?P<who>{WHO})@(?P<start>{TIME})(?:-(?P<end>{TIME}))?", "TALKER@TIME[-TIME]", "3@20, or 3@20-40"),
}


def faults(options: dict[str, Any]) -> list[Fault]:
    """The faults of the recorders, taken out of the options."""
    from bss.scenes import faults as kinds

    makers: dict[str, Callable[[_Words], Fault]] = {
        "offset": lambda w: kinds.Offset(w.needed, w.who),
        "drift": lambda w: kinds.Drift(w.needed, w.who, w.start or 0.0),
        "gap": lambda w: kinds.Gap(w.number, w.needed, w.start),
        "dropout": lambda w: kinds.Dropout(w.number, w.start, w.end),
        "hum": lambda w: kinds.Hum(w.number, kinds.MAINS if w.value is None else w.value),
        "agc": lambda w: kinds.Agc(w.number),
    }
    return [make(words) for name, make in makers.items() for words in _read(f"--{name}", options.pop(name))]


def behaviour(options: dict[str, Any]) -> list[Behaviour]:
    """What the talkers do, taken out of the options."""
    from bss.scenes.behaviour import Conversation, Join, Move

    moves = [Move(words.number, words.needed, words.start, words.end) for words in _read("--move", options.pop("move"))]
    joins = [Join(words.number, words.start or 0.0, words.end) for words in _read("--join", options.pop("join"))]
    turn = options.pop("conversation")
    return [*moves, *joins, *([] if turn is None else [Conversation(turn)])]


class _Words:
    """The parts of what was given to an option; microphones and talkers count from 0 here."""

    def __init__(self, match: re.Match[str]) -> None:
        self._parts = match.groupdict()

    def _seconds(self, key: str) -> float | None:
        return None if self._parts.get(key) is None else float(self._parts[key])

    @property
    def start(self) -> float | None:
        return self._seconds("start")

    @property
    def end(self) -> float | None:
        return self._seconds("end")

    @property
    def who(self) -> int | None:
        return None if self._parts["who"] is None else self.number

    @property
    def number(self) -> int:
        """The microphone or talker, in forms that demand one."""
        return int(self._parts["who"]) - 1

    @property
    def value(self) -> float | None:
        return None if self._parts["value"] is None else self.needed

    @property
    def needed(self) -> float:
        """The value, in forms that demand one."""
        return float(self._parts["value"])


def _read(option: str, texts: Sequence[str]) -> list[_Words]:
    from bss.errors import UsageError

    pattern, form, example = FORMS[option]
    matches = [(text, re.fullmatch(pattern, text.strip())) for text in texts]
    for text, match in matches:
        if match is None or match.groupdict().get("who") == "0":
            counted = "talkers" if "TALKER" in form else "microphones"
            raise UsageError(f"{option} {text} is invalid", f"expected {form}, with {counted} counted from 1", example)
    return [_Words(match) for _, match in matches if match is not None]
