"""Results and scenes to be reported on, small and made without a separation in a room; and what a page holds."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from recordings import RATE, desk, document, run, save

FAULTY: dict[str, Any] = {  # what a record says of a difficult recording
    "method": "moving",
    "findings": [
        {"channel": 1, "kind": "dead_span", "severity": "warning", "message": "mic2.wav is dead for a while", "value": 0.5,
         "other": None, "spans": [[0.5, 1.0], [61.0, 62.0]]},
    ],
    "warnings": ["mic2.wav is dead for a while", "talker 1 moves"],
    "success": {
        "predicted_si_sdr_gain_db": 8.2, "sentence": "partly separated: talkers 1 and 2 are still mixed below 500 Hz",
        "bands": [
            {"hz": [100, 500], "pairs": [{"talkers": [1, 2], "left_db": -2.0, "log_misplaced": 0.0, "apart": 0.0,
                                          "together": 0.0, "log_coherence": 0.0}]},
            {"hz": [500, 8000], "pairs": [{"talkers": [1, 2], "left_db": -12.0, "log_misplaced": 0.0, "apart": 0.0,
                                           "together": 0.0, "log_coherence": 0.0}]},
        ],
    },
    "movement": {
        "times": [0.5, 1.0, 1.5],
        "talkers": [
            {"span": [0.4, 1.6], "alike_near": 0.9, "alike_far": 0.2, "delays_ms": [[0.0, 0.1], [0.0, None], [0.0, 0.4]]},
            {"span": None, "alike_near": 0.9, "alike_far": 0.9, "delays_ms": [[0.0, -0.1], [0.0, -0.1], [0.0, -0.1]]},
        ],
    },
    "sync": [
        {"mic": "mic1.wav", "found": True, "changed": False, "offset": 0.0, "ppm": 0.0, "jumps": [], "covered": [[0.0, 3.0]],
         "agreement": 1.0},
        {"mic": "mic2.wav", "found": True, "changed": True, "offset": 0.25, "ppm": -31.5,
         "jumps": [{"seconds": 1.5, "missing": 0.01}], "covered": [[0.25, 3.0]], "agreement": 0.9},
    ],
}  # fmt: skip


def result(folder: Path, seconds: float = 3.0, **changes: Any) -> Path:
    """folder/sources, as `bss unmix` leaves it beside folder/mics; `changes` are made in its result.json."""
    made = desk(2, seconds)
    files = [save(folder / "mics" / f"mic{k + 1}.wav", row) for k, row in enumerate(made.mixture)]
    done = run("unmix", *files, "-n", 2, "-o", folder / "sources", "-q")
    assert done.exit_code == 0, done.stderr
    change(folder / "sources", **changes)
    return folder / "sources"


def change(folder: Path, **changes: Any) -> None:
    """Change fields of a result.json."""
    record = {**document(folder), **changes}
    (folder / "result.json").write_text(json.dumps(record), encoding="utf-8")


def replace_tracks(folder: Path, *signals: np.ndarray) -> None:
    """Other sound in the tracks of a result, which has as many talkers then."""
    record = document(folder)
    names = [f"source{k + 1}" for k in range(len(signals))]
    for name, signal in zip(names, signals, strict=True):
        save(folder / f"{name}.wav", signal, RATE)
    sources = [record["sources"][0]] * len(names)
    change(folder, outputs=[f"{name}.wav" for name in names], sources=sources, samples=len(signals[0]), inputs=None)


def noise(n: int, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


class Page(HTMLParser):
    """The words of a page, its tags and attributes, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source, self.words, self.attributes, self.scripts = text, [], [], []  # type: ignore[var-annotated]
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._in = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """What people read."""
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def data(self) -> dict[str, Any]:
        """What the player reads."""
        text = next(script for script in self.scripts if script.startswith("{"))
        read: dict[str, Any] = json.loads(html.unescape(text) if "&" in text else text)
        return read


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))
