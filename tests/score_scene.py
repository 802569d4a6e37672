"""A scene and its tracks in small files, for the tests of `bss score`, and the command on them."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
from click.testing import CliRunner, Result
from recordings import desk

import bss
from bss.pipeline.record import RunRecord
from bss.signals.files.audio import write
from bss_cli.main import cli

RATE = 8000
N_SAMPLES = 8000

# click 8.2 always separates stdout and stderr, and dropped the option
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments: object) -> Result:
    return CliRunner(**APART).invoke(cli, ["score", *map(str, arguments)])


def document(result: Result) -> dict[str, Any]:
    """The JSON document on stdout; anything else on stdout is a failure."""
    parsed = json.loads(result.stdout)
    assert isinstance(parsed, dict)
    assert parsed["schema"] == 1
    return parsed


def made(tmp_path: Path) -> Path:
    """truth/ of two talkers at two microphones, mics/, and out/ as `bss unmix` writes it, in a different order."""
    rng = np.random.default_rng(0)
    s = scipy.signal.lfilter(scipy.signal.firwin(101, 0.5), 1, 0.1 * rng.standard_normal((2, N_SAMPLES)))
    images = np.stack([s, 0.5 * np.roll(s, 3, axis=1)], axis=1)  # (N, M, n)
    mics, noise = images.sum(0), 0.002 * rng.standard_normal((2, N_SAMPLES))
    for name, image in zip(("anna", "ben"), images, strict=True):
        write(tmp_path / f"truth/{name}.wav", image, RATE)
    for m, x in enumerate(mics):
        write(tmp_path / f"mics/mic{m + 1}.wav", x, RATE)
    write(tmp_path / "out/source1.wav", images[1, 0] + 0.1 * images[0, 0] + noise[0], RATE)
    write(tmp_path / "out/source2.wav", images[0, 0] + 0.1 * images[1, 0] + noise[1], RATE)
    write(tmp_path / "out/residual.wav", noise[0], RATE)
    return tmp_path


@cache
def some_record() -> RunRecord:
    """Of any run."""
    return bss.unmix(desk(2, 1.0).mixture, 16_000).record


def unmix_result(scene: Path, **options: Any) -> None:
    outputs = ["source1.wav", "source2.wav", "residual.wav"]
    entry = replace(some_record(), outputs=outputs, options=options)
    (scene / "out/result.json").write_text(json.dumps(entry.to_dict()))


def samples(path: str) -> np.ndarray:
    return bss.read(path)[0]
