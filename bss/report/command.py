"""The command that repeats a run, from what result.json says was asked for."""

from __future__ import annotations

import shlex
from typing import Any

from bss.pipeline.planning.options import UnmixOptions
from bss.pipeline.record import RunRecord

# names of the command's options -> their defaults; what only says how the run is done is left out
DEFAULTS: dict[str, Any] = {
    "sources": "auto", "method": "auto", "effort": "normal", "reference_mic": 1, "per_mic": False, "channels": "all",
    "sync": "auto", "device": "auto", "start": 0.0, "end": None, "subtype": "same", "clip": "common", "weights": None,
    "denoise": False, "strength": 1.0, "dereverb": False, "linear": False, "keep_noise": False, "seed": 0, "max_memory": None,
}  # fmt: skip


def command(record: RunRecord, folder: str) -> str | None:
    """`bss unmix ...` with these files and options; None for a separation of arrays, which have no names.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> record = SimpleNamespace(inputs=["my mics/a.wav"], options={"sources": "2", "seed": 0, "per_mic": True})
    >>> command(record, "sources")
    "bss unmix 'my mics/a.wav' --sources 2 --per-mic -o sources"
    """
    if not record.inputs:
        return None
    asked = _as_options(record.options or {})
    files = [f"./{name}" if name.startswith("-") and name != "-" else name for name in record.inputs]
    words = ["bss", "unmix", *files]
    for name, default in DEFAULTS.items():
        value = asked.get(name, default)
        if value == default:
            continue
        flag = "--" + name.replace("_", "-")
        words += [flag] if value is True else [flag, f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join([*words, "-o", folder])


def settings(record: RunRecord) -> list[tuple[str, str]]:
    """All settings of a run, as rows."""
    rows = [
        ("method", record.method),
        ("why this method", record.reason),
        ("reference microphone", record.reference),
        ("effort", record.effort),
        ("random seed", str(record.seed)),
        ("computed on", record.device),
    ]
    if record.n_fft:
        window = f"{1000 * record.n_fft / record.rate:.0f} ms ({record.n_fft} samples, every {record.hop} samples)"
        rows.append(("window of the analysis", window))
    rows.append(("iterations", f"{record.n_iter}; {record.message}" if record.message else str(record.n_iter)))
    if record.gain is not None and record.gain != 1:
        rows.append(("common gain against clipping", f"{record.gain:.4f}"))
    rows.append(("time it took", f"{sum(record.seconds.values()):.1f} s"))
    rows.append(("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())))
    return rows


def _as_options(asked: dict[str, Any]) -> dict[str, Any]:
    """Options by the names and counting of the command; those of `unmix_file` count from 0 and have other names."""
    if "n_sources" not in asked:
        return asked
    channels, strength = asked.get("channels"), asked.get("denoise")
    return {
        **asked,
        "sources": "auto" if asked["n_sources"] is None else str(asked["n_sources"]),
        "reference_mic": asked.get("reference_mic", UnmixOptions.reference_mic) + 1,
        "channels": "all" if channels is None else ",".join(str(k + 1) for k in channels),
        "seed": asked.get("rng", 0),
        "denoise": strength is not None,
        "strength": 1.0 if strength is None else strength,
    }
