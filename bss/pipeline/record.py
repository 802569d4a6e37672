"""The record of a run: result.json as dataclasses. docs/results.md says what each field means; a test compares the two."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bss.errors import InputError
from bss.pipeline.typed_json import from_json

SCHEMA = 2


@dataclass(frozen=True)
class CountRecord:
    """The count of the talkers, and its evidence."""

    n_sources: int
    sure: bool
    fewest: int
    most: int
    onset_shares: list[float]
    onset_share_needed: float
    reason: str


@dataclass(frozen=True)
class FindingRecord:
    """A fault of a channel."""

    channel: int | None
    kind: str
    severity: str
    message: str
    value: float | None
    other: int | None
    spans: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class EvidenceRecord:
    """The measurements by which the method was chosen."""

    residual_coherence: float | None
    delayed_coherence_over_chance: float | None
    delay_free_below: float
    largest_delay_ms: float
    trial_seconds: float
    own_mics_agreement: float | None = None


@dataclass(frozen=True)
class PairRecord:
    """What two tracks have in common in a band."""

    talkers: list[int]
    left_db: float
    log_misplaced: float
    apart: float
    together: float
    log_coherence: float


@dataclass(frozen=True)
class BandRecord:
    """A band of frequencies, and every pair of tracks in it."""

    hz: list[int]
    pairs: list[PairRecord]


@dataclass(frozen=True)
class SuccessRecord:
    """How well it was separated, estimated from the tracks."""

    predicted_si_sdr_gain_db: float | None
    sentence: str
    bands: list[BandRecord]


@dataclass(frozen=True)
class SourceModelRecord:
    """What the learned source model did."""

    applied: bool
    why: str
    speech: list[bool]
    speech_distance: list[float]
    speech_below: float
    voiced: list[float]
    voiced_above: float
    syllables: list[float]
    syllables_above: float
    looks: int
    change_db: list[float] | None = None
    change_below_db: float | None = None
    speech_score: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class TalkerMovementRecord:
    """When a talker moves, and how the delays between the microphones change."""

    span: list[float] | None
    alike_near: float
    alike_far: float
    delays_ms: list[list[float | None]]


@dataclass(frozen=True)
class MovementRecord:
    """Talkers who move."""

    times: list[float]
    talkers: list[TalkerMovementRecord]


@dataclass(frozen=True)
class TrackRecord:
    """Place, activity and level of a talker."""

    dominant_mic: str
    delays_ms: list[float]
    level_dbfs: float | None
    active_level_dbfs: float | None
    active_share: float
    active_spans: list[list[float]]
    mic: str | None = None


@dataclass(frozen=True)
class MicRecord:
    """The file and channel of a microphone."""

    mic: int
    file: str
    channel: int


@dataclass(frozen=True)
class SpanRecord:
    """A span of the recording, its usable microphones, and whether it could be separated."""

    start: float
    stop: float
    mics: list[str]
    separated: bool


@dataclass(frozen=True)
class DenoisedRecord:
    """How the tracks were denoised, and whether late echo was taken out before."""

    strength: float
    dereverb: bool = False


@dataclass(frozen=True)
class JumpRecord:
    """Samples that a recorder lost, or has too many of."""

    seconds: float
    missing: float


@dataclass(frozen=True)
class SyncRecord:
    """Where the clock of a microphone stood beside that of the reference."""

    mic: str
    found: bool
    changed: bool
    offset: float
    ppm: float
    jumps: list[JumpRecord]
    covered: list[list[float]]
    agreement: float | None = None


@dataclass(frozen=True)
class OthersRecord:
    """Which of the separated sounds are talkers."""

    n_sounds: int
    talker: list[bool]
    speech_score: list[float]


@dataclass(frozen=True)
class StreamRecord:
    """How a recording was separated in pieces."""

    learned_from: list[list[float]]
    following: bool


@dataclass(frozen=True)
class RunRecord:
    """One run of `bss unmix`. Fields that only the command or `save` sets are None otherwise."""

    method: str
    reason: str
    warnings: list[str]
    rate: int
    samples: int
    n_sources: int
    counting: CountRecord | None
    channels: list[str]
    used: list[str]
    reference: str
    per_mic: bool
    effort: str
    findings: list[FindingRecord]
    evidence: EvidenceRecord
    n_fft: int
    hop: int
    n_iter: int
    converged: bool
    message: str
    loss: dict[str, list[float]]
    success: SuccessRecord | None
    source_model: SourceModelRecord | None
    sources: list[TrackRecord]
    seconds: dict[str, float]
    seed: int
    versions: dict[str, str]
    device: str = "cpu"
    movement: MovementRecord | None = None
    denoised: DenoisedRecord | None = None
    sync: list[SyncRecord] | None = None
    spans: list[SpanRecord] | None = None
    others: OthersRecord | None = None
    stream: StreamRecord | None = None
    inputs: list[str] | None = None
    channel_map: list[MicRecord] | None = None
    repairs: list[str] | None = None
    options: dict[str, Any] | None = None
    gain: float | None = None
    subtype: str | None = None
    outputs: list[str] | None = None
    schema: int = field(default=SCHEMA)

    def to_dict(self) -> dict[str, Any]:
        """As a dict for result.json."""
        document = asdict(self)
        return {"schema": document.pop("schema"), **document}


def from_dict(document: Mapping[str, Any]) -> RunRecord:
    """The record in a document of this or the previous schema.

    Raises
    ------
    InputError
        A field is missing or has the wrong type.
    """
    if not isinstance(document, Mapping) or document.get("schema") not in (1, SCHEMA):
        raise InputError(
            "this is not a result of `bss unmix`", f"its schema is not one of 1, {SCHEMA}", "the result.json of a run"
        )
    return from_json(RunRecord, document, "result")


def read(path: str | os.PathLike[str]) -> RunRecord:
    """Read a result.json.

    Raises
    ------
    InputError
        The file does not exist, or is not a result.json.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", str(error), "the result.json of a run of `bss unmix`") from None
    return from_dict(document)
