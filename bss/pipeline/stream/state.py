"""Where a separation block by block stands: all that is needed to continue it, as bytes that are safe to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bss.errors import InputError
from bss.pipeline import record
from bss.pipeline.filters.files import filters_of
from bss.pipeline.stream.activities import Activities
from bss.pipeline.stream.fitting.learning import Learned
from bss.pipeline.stream.fitting.statistics import Statistics
from bss.pipeline.stream.gaps import Gap
from bss.pipeline.stream.made import Made
from bss.pipeline.stream.turns import Turns
from bss.signals.sync.alignment import Alignment, MicAlignment
from bss.signals.sync.clocks.clock import Clock, Jump, Piece
from bss.tensor_files import contents

SCHEMA = 1
NAMES = ("talkers", "linear", "others", "residual")


@dataclass(frozen=True)
class State:
    """A separation after some of its blocks.

    Attributes
    ----------
    learned : Learned
        The present filters.
    count : int
        Blocks that were made.
    tail : Made or None
        The last samples of the last block, which the next one is cross-faded with; None before the first.
    heard : Activities
        Of the talkers so far.
    seconds : dict
        Time that each step took so far.
    alignment : Alignment or None
        What puts the recorders in step; None if nothing does.
    gaps : tuple[Gap, ...]
        Where channels have nothing.
    """

    learned: Learned
    count: int
    tail: Made | None
    heard: Activities
    seconds: dict[str, float]
    alignment: Alignment | None = None
    gaps: tuple[Gap, ...] = ()

    def to_bytes(self) -> bytes:
        """As safetensors, since loading a pickle is not safe."""
        from safetensors.numpy import save

        learned = self.learned
        arrays = {"filters": np.frombuffer(learned.filters.to_bytes(), np.uint8), **_named("heard", self.heard.arrays())}
        if self.tail is not None:
            arrays |= _named("tail", dict(zip(NAMES, self.tail.parts, strict=True)))
        if learned.statistics is not None:
            arrays |= _named("statistics", learned.statistics.arrays())
        if learned.turns is not None:
            arrays |= _named("turns", learned.turns.arrays())
        header = {
            "schema": SCHEMA, "record": learned.record.to_dict(), "reference": learned.reference, "residual": learned.residual,
            "following": learned.following, "count": self.count, "samples": self.heard.n, "seconds": self.seconds,
            "alignment": None if self.alignment is None else asdict(self.alignment),
            "gaps": [[gap.start, gap.stop, list(gap.missing)] for gap in self.gaps],
        }  # fmt: skip
        return bytes(save({name: _real(a) for name, a in arrays.items()}, {"stream": json.dumps(header)}))


def from_bytes(data: bytes) -> State:
    """The inverse of `State.to_bytes`.

    Raises
    ------
    InputError
        The bytes are not a state of this version.
    """
    try:
        metadata, arrays = contents(data)
        header = json.loads(metadata["stream"])
        if header["schema"] != SCHEMA:
            raise ValueError(f"schema {header['schema']}")
        return _state(header, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InputError("the state of the unfinished run cannot be read", str(error), "no --resume, to begin anew") from error


def _state(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> State:
    filters = filters_of(arrays["filters"].tobytes())
    own = _unnamed("statistics", arrays)
    statistics = Statistics.of({**own, "covariances": own["covariances"].view(np.complex64)[..., 0]}) if own else None
    found = _unnamed("turns", arrays)
    turns = Turns.of(found) if found else None
    learned = Learned(
        filters, record.from_dict(header["record"]), header["reference"], header["residual"], statistics, turns,
        header["following"],
    )  # fmt: skip
    parts = _unnamed("tail", arrays)
    tail = Made(*(parts[name] for name in NAMES)) if parts else None
    heard = Activities.of(_unnamed("heard", arrays), int(header["samples"]), filters.rate)
    gaps = tuple(Gap(int(a), int(b), tuple(missing)) for a, b, missing in header["gaps"])
    return State(learned, int(header["count"]), tail, heard, dict(header["seconds"]), _alignment(header["alignment"]), gaps)


def _alignment(found: Mapping[str, Any] | None) -> Alignment | None:
    """The inverse of `asdict`, after JSON."""
    if found is None:
        return None
    mics = []
    for mic in found["mics"]:
        clock = mic["clock"] and Clock(tuple(Piece(**piece) for piece in mic["clock"]["pieces"]))
        jumps = tuple(Jump(**jump) for jump in mic["jumps"])
        spans = tuple((int(a), int(b)) for a, b in mic["covered"])
        mics.append(MicAlignment(**{**mic, "clock": clock, "jumps": jumps, "covered": spans, "cuts": tuple(mic["cuts"])}))
    return Alignment(**{**found, "mics": tuple(mics)})


def _named(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": a for name, a in arrays.items()}


def _unnamed(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{prefix}."): a for name, a in arrays.items() if name.startswith(f"{prefix}.")}


def _real(a: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs of real ones along a new last axis."""
    a = np.ascontiguousarray(a)
    return a.view(a.real.dtype).reshape(*a.shape, 2) if np.iscomplexobj(a) else a
