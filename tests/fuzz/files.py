"""Files of every format that bss reads, each with something wrong in its structure."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from pathlib import Path

import contract
import numpy as np
from values import Rng, mutated_json, pick

import bss

RATE = 8000


@lru_cache(maxsize=1)
def voices() -> np.ndarray:
    """(2, n) half a second of two sounds."""
    return np.random.default_rng(1).laplace(0, 0.05, size=(2, 4000)).astype(np.float32)


def bytes_of(rng: Rng, data: bytes) -> bytes:
    """Bytes of which some are cut off, changed, doubled or put in."""
    for _ in range(int(rng.integers(1, 4))):
        at, more = int(rng.integers(len(data) + 1)), int(rng.integers(1, 64))
        change = int(rng.integers(5))
        if change == 0:
            data = data[:at]
        elif change == 1 and data:
            data = data[:at] + bytes(rng.integers(0, 256, min(more, len(data) - at), dtype=np.uint8)) + data[at + more :]
        elif change == 2:
            data = data[:at] + data[max(0, at - more) : at] + data[at:]
        elif change == 3:
            data = data[:at] + bytes(rng.integers(0, 256, more, dtype=np.uint8)) + data[at:]
        elif data:
            k = min(at, len(data) - 1)
            data = data[:k] + bytes([data[k] ^ 1 << int(rng.integers(8))]) + data[k + 1 :]
    return data


RATES = [0, 1, 100, 8000, 8000, 8000, 44_100, 48_000, 2_000_000_000, 0xFFFFFFFF]
FORMATS = [
    (1, 16),
    (1, 16),
    (1, 16),
    (1, 8),
    (1, 24),
    (1, 32),
    (3, 32),
    (3, 64),
    (1, 0),
    (1, 7),
    (1, 64),
    (2, 4),
    (6, 8),
    (7, 8),
    (0xFFFE, 16),
    (99, 16),
]
SIZES = [0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0]


def wave(rng: Rng) -> bytes:
    """A WAV whose header says what it should, or nearly."""
    kind, bits = pick(rng, FORMATS)
    channels = pick(rng, [2, 2, 2, 1, 3, 0, 255, 65535])
    if kind == 3:
        samples = voices().T.astype("<f4" if bits == 32 else "<f8") * pick(rng, [1, 1, 1e10, 1e20, 1e30, np.nan, np.inf, 1e-40])
        body = samples.tobytes()
    else:
        body = (voices().T * 30000).astype("<i2").tobytes()
    align = pick(rng, [channels * bits // 8] * 4 + [0, 1, 65535]) & 0xFFFF
    rate = pick(rng, RATES)
    head = struct.pack("<HHIIHH", kind, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    size = pick(rng, [len(body)] * 5 + SIZES + [len(body) + 100, len(body) - 100])
    chunks = [b"fmt " + struct.pack("<I", pick(rng, [len(head)] * 6 + SIZES)) + head]
    if rng.random() < 0.2:
        chunks.insert(int(rng.integers(2)), b"LIST" + struct.pack("<I", pick(rng, [4, 5, *SIZES])) + b"abcd")
    chunks.append(b"data" + struct.pack("<I", size) + body)
    if rng.random() < 0.1:
        chunks.reverse()
    whole = b"WAVE" + b"".join(chunks)
    data = pick(rng, [b"RIFF"] * 6 + [b"RF64", b"RIFX", b"FORM"]) + struct.pack("<I", pick(rng, [len(whole)] * 5 + SIZES)) + whole
    return bytes_of(rng, data) if rng.random() < 0.3 else data


@lru_cache(maxsize=4)
def other_format(suffix: str) -> bytes:
    """The voices in another format."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a{suffix}")
        bss.write(path, voices(), RATE)
        return path.read_bytes()


def audio(rng: Rng, folder: Path) -> str:
    """An audio file, read and checked."""
    suffix = pick(rng, [".wav"] * 6 + [".flac", ".ogg", ".mp3", ".aiff"])
    path = folder / "in" / f"a{suffix}"
    path.parent.mkdir()
    path.write_bytes(wave(rng) if suffix == ".wav" else bytes_of(rng, other_format(suffix)))
    words = pick(
        rng,
        [
            ["check"],
            ["check", "--json"],
            ["unmix", "--dry-run", "--json"],
            ["sync", "--dry-run"],
            ["score", str(path)],
            ["unmix", "--method", "fastica", "-o", str(folder / "out")],
            ["denoise", "-o", str(folder / "out")],
            ["mix", "--instantaneous", "--rt60", "0", "-o", str(folder / "out")],
        ],
    )
    return f"{suffix} {words[0]}: {contract.command([words[0], str(path), *words[1:]], path.parent, folder / 'out')}"


def scene(rng: Rng, folder: Path) -> str:
    """A scene.json, made again."""
    made = folder / "in"
    made.mkdir()
    for k, voice in enumerate(voices()):
        bss.write(made / f"v{k}.wav", voice, RATE)
    from recordings import run

    words = ["mix", made / "v0.wav", made / "v1.wav", "--rt60", "0", "-o", made / "scene"]
    done = run(*words, *pick(rng, [["--instantaneous"], ["--conversation", "0.2"], ["--offset", "2:0.1"]]))
    assert done.exit_code == 0, done.stderr
    path = made / "scene" / "scene.json"
    if rng.random() < 0.15:
        path.write_bytes(bytes_of(rng, path.read_bytes()))
    else:
        path.write_text(json.dumps(mutated_json(rng, json.loads(path.read_text()))))
    return contract.command(["mix", "--scene", str(path), "--json", "-o", str(folder / "out")], made, folder / "out")


@lru_cache(maxsize=1)
def filters_bytes() -> bytes:
    """Filters of a small recording."""
    s = voices()
    return bss.unmix(np.array([[1, 0.5], [0.4, 1]], np.float32) @ s, RATE, method="fastica").filters.to_bytes()


def model_bytes(kind: str) -> bytes:
    """A small network of this kind, as `bss train` writes it."""
    from safetensors.numpy import save

    from bss.networks import fitting

    if kind == "denoiser":
        config = {"rate": RATE, "n_fft": 64, "hop": 32, "hidden": 8, "layers": 1, "ahead": 1, "bottleneck": 0}
        shapes = fitting.denoiser(config)
    else:
        config = {
            "rate": RATE,
            "n_fft": 64,
            "hop": 32,
            "patch_bins": 4,
            "patch_frames": 2,
            "channels": 8,
            "blocks": 1,
            "groups": 2,
            "cycle": 2,
        }
        from bss.networks.source_model import speech

        shapes = fitting.source_model(config, speech.n_statistics())
    rng = np.random.default_rng(0)
    tensors = {name: np.abs(rng.normal(0, 0.1, shape)).astype(np.float32) for name, shape in shapes.items()}
    return save(tensors, {"bss": kind, "config": json.dumps(config)})


def odd_tensors(rng: Rng, data: bytes, key: str) -> bytes:
    """A file of tensors with something else in its metadata, its header, or its numbers."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    what = int(rng.integers(5))
    if what == 0:
        return bytes_of(rng, data)
    if what == 1:
        header = mutated_json(rng, header)
    elif what == 2:
        header["__metadata__"][key] = json.dumps(mutated_json(rng, json.loads(header["__metadata__"][key])))
    elif what == 3:
        header["__metadata__"][key] = pick(rng, ["", "null", "[]", "{}", "{", "1", "[" * 10_000, '"x"', "9" * 5000])
    else:
        values = np.frombuffer(body, np.float32).copy()
        where = rng.integers(0, len(values), max(1, len(values) // 50))
        values[where] = pick(rng, [np.nan, np.inf, -np.inf, 1e30, 1e38, 0, -1, 1e-40])
        body = bytearray(values.tobytes())
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def tensors(rng: Rng, folder: Path) -> str:
    """Weights and filters, in the command that reads them."""
    made = folder / "in"
    made.mkdir()
    bss.write(made / "a.wav", voices() + 0.5 * voices()[::-1], RATE)
    kind = pick(rng, ["filters", "denoiser", "source-model"])
    data = filters_bytes() if kind == "filters" else model_bytes(kind)
    (made / "file").write_bytes(odd_tensors(rng, data, "filters" if kind == "filters" else "config"))
    x, file, out = str(made / "a.wav"), str(made / "file"), str(folder / "out")
    words: dict[str, list[str]] = {
        "filters": ["apply", file, x, "-o", out, "--json"],
        "denoiser": ["denoise", x, "--weights", file, "-o", out],
        "source-model": ["unmix", x, "--weights", file, "--method", "fastica", "--sources", "2", "-o", out],
    }
    return f"{kind}: {contract.command(words[kind], made, folder / 'out')}"
