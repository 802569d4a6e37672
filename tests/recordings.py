"""Small recordings with known sources, made from the fixture voices, and helpers to run the commands on them."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from click.testing import CliRunner, Result
from scipy.signal import oaconvolve

import bss
from bss.metrics.assignment import assign
from bss.scenes.acoustics.rooms import Layout, respond
from bss.scenes.scene import Scene
from bss_cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
RATE = 16_000
NAMES = ("edward", "fiona", "carlos", "diane", "george", "helena", "arno", "bella")


@cache
def voice(name: str) -> np.ndarray:
    """(n,) float32: a fixture voice, about ten seconds at 16 kHz."""
    x, rate = soundfile.read(ROOT / "fixtures/voices" / f"{name}.flac", dtype="float32")
    assert rate == RATE
    x.flags.writeable = False
    return x


def voices(n_sources: int, seconds: float, *, first: int = 0) -> list[np.ndarray]:
    """`n_sources` fixture voices, cut from the middle, where all of them speak."""
    n = round(seconds * RATE)
    assert n <= 9.7 * RATE, "the shortest voice has 9.75 s"
    result = [voice(NAMES[(first + k) % len(NAMES)]) for k in range(n_sources)]
    return [v[(v.size - n) // 2 :][:n] for v in result]


def desk(n_sources: int = 2, seconds: float = 3.0, *, n_mics: int | None = None, seed: int = 0, snr_db: float = 40.0) -> Scene:
    """A mixture without delays."""
    talkers = voices(n_sources, seconds, first=seed)
    return bss.mix(talkers, RATE, n_mics=n_mics or n_sources, instantaneous=True, snr_db=snr_db, rng=seed)


def room(n_sources: int = 2, seconds: float = 3.0, *, n_mics: int | None = None, seed: int = 0, **options: Any) -> Scene:
    """A mixture in a simulated room; options as of `bss.mix`."""
    return bss.mix(voices(n_sources, seconds, first=seed), RATE, n_mics=n_mics or n_sources, rng=seed, **options)


def fixture_room(n_sources: int = 2, n_mics: int = 2, seconds: float = 6.0) -> np.ndarray:
    """(N, M, n) images in the room of fixtures/room; their sum over talkers is a recording."""
    images = []
    for k, v in enumerate(voices(n_sources, seconds)):
        rirs, _ = soundfile.read(ROOT / "fixtures/room" / f"talker{k + 1}.flac", dtype="float64")
        images.append([0.3 * oaconvolve(v, rirs[:, m])[: v.size] for m in range(n_mics)])
    return np.asarray(images, np.float32)


def own_mics(n: int = 3, seconds: float = 4.0, *, near: float = 0.3, apart: float = 1.5, rt60: float = 0.25) -> np.ndarray:
    """(N, M, n) images of talkers in a row, each with a close microphone at `near` metres, as for a podcast."""
    mics = np.array([[2.0 + apart * k, 2.5, 1.2] for k in range(n)])
    talkers = mics + np.array([0.05, near, 0.1])
    responses = respond(Layout((3.5 + apart * n, 5.0, 3.0), mics, talkers), rt60, RATE).rirs
    images = [[oaconvolve(v, rir)[: v.size] for rir in rirs] for v, rirs in zip(voices(n, seconds), responses, strict=True)]
    return np.asarray(images, np.float32) * np.float32(0.5 / np.abs(np.sum(images, axis=0)).max())


def hiss(shape: tuple[int, ...], level: float, seed: int = 0) -> np.ndarray:
    """White noise with an RMS of `level`, float32."""
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def fit(truth: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """(N, N') SI-SDR in dB of every track as every talker."""
    return np.asarray(bss.si_sdr(truth[:, None], estimates[None]))


def improvement(truth: np.ndarray, estimates: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """(N,) SI-SDR in dB of each talker (N, n) over that of the mixture (n,), at the best assignment."""
    scores = fit(truth, estimates)
    return np.asarray(scores[np.arange(len(truth)), assign(scores)] - bss.si_sdr(truth, mixture[None]))


def save(path: Path, x: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> str:
    """Write (n,) or (M, n) without the code under test; the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.atleast_2d(x).T
    if subtype == "PCM_16":  # libsndfile rounds differently for WAV and FLAC
        samples = np.clip(np.round(samples * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(path, samples, rate, subtype=subtype)
    return str(path)


def save_each(folder: Path, x: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> list[str]:
    """mic1.wav ... in the folder; their paths."""
    return [save(folder / f"mic{k + 1}.wav", row, rate, subtype) for k, row in enumerate(x)]


# click 8.2 always separates stdout and stderr, and dropped the option
_APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """`bss ARGUMENTS` in this process."""
    return CliRunner(**_APART).invoke(cli, [str(a) for a in arguments], input=stdin)


def unmix(*words: str | Path, code: int = 0, **options: Any) -> Result:
    """`bss unmix WORDS` in this process, which must exit with `code`."""
    done = run("unmix", *words, **options)
    assert done.exit_code == code, done.stderr
    return done


def document(folder: Path) -> dict[str, Any]:
    """The result.json in a folder."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result


def tracks(folder: Path) -> np.ndarray:
    """(N, n) float32, the sources in a folder."""
    return np.stack([soundfile.read(p, dtype="float32")[0] for p in sorted(folder.glob("source*.wav"))])


def listing(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


BSS = [sys.executable, "-c", "from bss_cli.main import main; main()"]


def spawn(
    *arguments: str | Path | bytes, env: dict[str, str] | None = None, cwd: Path | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """`bss ARGUMENTS` in a new process."""
    words = [os.fsencode(a) for a in arguments]
    command = [os.fsencode(word) for word in BSS]
    return subprocess.run(
        command + words, input=stdin, capture_output=True, check=False, env={**os.environ, **(env or {})}, cwd=cwd, timeout=120
    )
