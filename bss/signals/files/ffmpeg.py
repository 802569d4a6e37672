"""Decoding what libsndfile cannot read (m4a, wma, the sound of a video), with the ffmpeg program if it is installed."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bss.errors import InputError

# messages with which ffmpeg exits successfully although part of a file is missing or damaged
DAMAGE = ("ended prematurely", "partial file", "input buffer exhausted", "invalid data found", "corrupt", "truncat")
# containers that state their duration; for others ffprobe estimates it from the bit rate, with errors of 30 % and more
TIMED = {"mov", "matroska", "asf", "wv", "tta", "ape", "caf", "wav", "aiff"}
INSTALL = "install ffmpeg (https://ffmpeg.org), or convert the file to WAV or FLAC"


@dataclass(frozen=True)
class Described:
    """The properties of a file according to ffprobe; `seconds` is None where the container does not state it."""

    rate: int
    channels: int
    seconds: float | None
    subtype: str


def decode(file: Path, label: str, reason: str, folder: Path) -> Path:
    """Decode all channels of `file`, at its own rate, to a float WAV file in `folder`.

    Raises
    ------
    InputError
        ffmpeg is not installed, does not support the file, or finds it damaged, truncated or with several audio tracks.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        why = f"{reason}; ffmpeg, which supports more formats, is not installed"
        raise InputError(f"{label} cannot be read as audio", why, INSTALL)
    target = folder / "decoded.wav"
    # -nostdin and an empty stdin: ffmpeg would consume what is piped to its caller. "file:" for names with a colon.
    # All tracks are mapped although WAV can store only one: a second one is an error instead of being dropped silently.
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-i", f"file:{file}", "-map", "0:a"]
    command += ["-c:a", "pcm_f32le", "-rf64", "auto", "-bitexact", "-f", "wav", str(target)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    output = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == 0 and not any(word in output.lower() for word in DAMAGE):
        return target
    if "exactly one stream" in output:
        hint = f"ffmpeg -i {shlex.quote(label)} -map 0:a:0 first.wav, and so on for the others"
        raise InputError(f"{label} contains several audio tracks", "bss cannot know which of them to use", hint)
    if "matches no streams" in output:
        raise InputError(f"{label} contains no audio", reason)
    last = output.splitlines()[-1] if output else f"it exited with code {done.returncode}"
    cut = target.exists() and target.stat().st_size > 4096
    what = f"{label} is truncated or damaged" if cut else f"{label} cannot be read as audio"
    hint = (
        f"ffmpeg -i {shlex.quote(label)} fixed.wav, which recovers what it can"
        if cut
        else "check whether it plays, and export it as WAV"
    )
    raise InputError(what, f"{reason}; ffmpeg says: {last.replace('file:', '')}", hint)


def describe(file: Path) -> Described | None:
    """The properties of `file` according to ffprobe; None if it is not installed, or the file does not have one audio track."""
    program = shutil.which("ffprobe")
    if program is None:
        return None
    fields = "stream=codec_name,sample_fmt,sample_rate,channels,bits_per_raw_sample,bits_per_sample,duration"
    fields += ":format=duration,format_name"
    command = [program, "-v", "error", "-select_streams", "a", "-show_entries", fields, "-of", "json", f"file:{file}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        return None
    document = json.loads(done.stdout)
    streams = document.get("streams", [])
    if len(streams) != 1 or not {"sample_rate", "channels"} <= streams[0].keys():
        return None
    stream = streams[0]
    container = document.get("format", {})
    timed = str(container.get("format_name", "")).split(",")[0] in TIMED
    seconds = stream.get("duration", container.get("duration")) if timed else None
    return Described(
        int(stream["sample_rate"]), int(stream["channels"]), None if seconds is None else float(seconds), _subtype(stream)
    )


def _subtype(stream: dict[str, Any]) -> str:
    """The sample format of lossless codecs, under the names of libsndfile; the codec of others."""
    codec = str(stream.get("codec_name", "unknown"))
    stated = (str(stream.get(key, "")) for key in ("bits_per_raw_sample", "bits_per_sample"))
    bits = next((int(b) for b in stated if b.isdigit() and b != "0"), 0)
    if str(stream.get("sample_fmt", "")).startswith(("flt", "dbl")):
        return "FLOAT" if bits in (32, 64) else codec.upper()  # lossy codecs decode to float and do not state a number of bits
    return f"PCM_{bits}" if bits in (16, 24, 32) else codec.upper()
