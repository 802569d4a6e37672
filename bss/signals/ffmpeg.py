"""Audio that libsndfile does not read (m4a, wma, the sound of a video), decoded by the ffmpeg program when it is there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bss.errors import InputError

# what ffmpeg says when it ends well although part of a file is missing or damaged
DAMAGE = ("ended prematurely", "partial file", "input buffer exhausted", "invalid data found", "corrupt", "truncat")
# containers that know how long they last; of others ffprobe guesses it from the bit rate, 30 % and more beside the truth
TIMED = {"mov", "matroska", "asf", "wv", "tta", "ape", "caf", "wav", "aiff"}
INSTALL = "install ffmpeg (https://ffmpeg.org), or convert the file to WAV or FLAC"


@dataclass(frozen=True)
class Described:
    """What ffprobe says of a file; `seconds` is None where the container does not know."""

    rate: int
    channels: int
    seconds: float | None
    subtype: str


def decode(file: Path, label: str, reason: str, folder: Path) -> Path:
    """Decode all channels of `file`, at its own rate, into a float WAV file in `folder`.

    Raises
    ------
    InputError
        ffmpeg is not there, does not know the file, finds it damaged or cut, or finds several audio tracks in it.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        why = f"{reason}; ffmpeg, which reads more formats, is not installed"
        raise InputError(f"{label} cannot be read", why, INSTALL)
    target = folder / "decoded.wav"
    # -nostdin and an empty stdin: ffmpeg would eat what is piped to its caller. "file:" for names with a colon.
    # All tracks are asked for, of which WAV takes only one: a second one must not be dropped in silence.
    command = [program, "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-i", f"file:{file}", "-map", "0:a"]
    command += ["-c:a", "pcm_f32le", "-rf64", "auto", "-bitexact", "-f", "wav", str(target)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == 0 and not any(word in said.lower() for word in DAMAGE):
        return target
    if "exactly one stream" in said:
        why, hint = (
            "bss cannot know which of them to take",
            f"ffmpeg -i {shlex.quote(label)} -map 0:a:0 first.wav, and so on for the others",
        )
        raise InputError(f"{label} holds several audio tracks", why, hint)
    if "matches no streams" in said:
        raise InputError(f"{label} holds no audio", reason)
    last = said.splitlines()[-1] if said else f"it ended with code {done.returncode}"
    cut = target.exists() and target.stat().st_size > 4096
    what = f"{label} is truncated or damaged" if cut else f"{label} cannot be read as audio"
    hint = (
        f"ffmpeg -i {shlex.quote(label)} fixed.wav saves what can be saved"
        if cut
        else "look whether it plays, and export it as WAV"
    )
    raise InputError(what, f"{reason}; ffmpeg says: {last.replace('file:', '')}", hint)


def describe(file: Path) -> Described | None:
    """What ffprobe reads from the headers of `file`; None if it is not installed or finds no single audio track."""
    program = shutil.which("ffprobe")
    if program is None:
        return None
    fields = "stream=codec_name,sample_fmt,sample_rate,channels,bits_per_raw_sample,bits_per_sample,duration"
    fields += ":format=duration,format_name"
    command = [program, "-v", "error", "-select_streams", "a", "-show_entries", fields, "-of", "json", f"file:{file}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        return None
    found = json.loads(done.stdout)
    streams = found.get("streams", [])
    if len(streams) != 1 or not {"sample_rate", "channels"} <= streams[0].keys():
        return None
    stream = streams[0]
    container = found.get("format", {})
    timed = str(container.get("format_name", "")).split(",")[0] in TIMED
    seconds = stream.get("duration", container.get("duration")) if timed else None
    return Described(
        int(stream["sample_rate"]), int(stream["channels"]), None if seconds is None else float(seconds), _subtype(stream)
    )


def _subtype(stream: dict[str, Any]) -> str:
    """Lossless codecs by the samples they hold, as libsndfile would call them; others by their name."""
    codec = str(stream.get("codec_name", "unknown"))
    stated = (str(stream.get(key, "")) for key in ("bits_per_raw_sample", "bits_per_sample"))
    bits = next((int(b) for b in stated if b.isdigit() and b != "0"), 0)
    if str(stream.get("sample_fmt", "")).startswith(("flt", "dbl")):
        return "FLOAT" if bits in (32, 64) else codec.upper()  # lossy codecs decode to float, and state no bits
    return f"PCM_{bits}" if bits in (16, 24, 32) else codec.upper()
