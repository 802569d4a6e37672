"""result.json as dataclasses: every field documented, read back, and what does not fit refused."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from recordings import RATE, ROOT, desk, own_mics, room, run, save_each

import bss
from bss.errors import InputError
from bss.pipeline import record
from bss.pipeline.record import RunRecord

PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
SECTIONS = {
    "The run": record.RunRecord, "`counting`": record.CountRecord, "`findings`": record.FindingRecord,
    "`evidence`": record.EvidenceRecord, "`success`": record.SuccessRecord, "`source_model`": record.SourceModelRecord,
    "`sources`": record.TrackRecord, "`sync`": record.SyncRecord, "`movement`": record.MovementRecord,
    "`talkers` of `movement`": record.TalkerMovementRecord,
    "`others`": record.OthersRecord, "`stream`": record.StreamRecord,
}  # fmt: skip


@pytest.mark.parametrize("section", SECTIONS)
def test_page_describes_every_field(section: str) -> None:
    text = re.split(r"^## ", PAGE.split(f"## {section}\n")[1], flags=re.M)[0]
    named = {name for row in re.findall(r"^\| (`[^|]*) \|", text, flags=re.M) for name in re.findall(r"`(\w+)`", row)}
    assert named == {field.name for field in fields(SECTIONS[section])}


def test_page_has_a_section_for_every_record() -> None:
    nested = {
        record.SpanRecord, record.JumpRecord, record.PairRecord, record.BandRecord, record.MicRecord, record.DenoisedRecord,
    }  # fmt: skip
    kinds = {kind for kind in vars(record).values() if isinstance(kind, type) and is_dataclass(kind)}
    assert kinds == set(SECTIONS.values()) | nested


RESULTS = {
    "a room": lambda: bss.unmix(room(2, 3.0).mixture, RATE, effort="fast"),
    "the source model": lambda: bss.unmix(room(2, 3.0).mixture, RATE).denoised(0.5),
    "a desk with a dead channel": lambda: bss.unmix(_with_silence(), RATE),
    "close microphones": lambda: bss.unmix(own_mics(2, 3.0).sum(0), RATE, per_mic=True),
    "masks": lambda: bss.unmix(room(3, 2.0, n_mics=2).mixture, RATE, n_sources=3),
    "one talker": lambda: bss.unmix(room(1, 9.0, n_mics=2, seed=4, rt60=0.3).mixture, RATE),
}


def _with_silence() -> Any:
    import numpy as np

    x = desk(2, 2.0).mixture
    return np.concatenate([x, np.zeros_like(x[:1])])


@pytest.mark.parametrize("kind", RESULTS)
def test_written_and_read_back(kind: str, tmp_path: Path) -> None:
    result = RESULTS[kind]()
    document = result.save(tmp_path / "out")
    again = record.read(tmp_path / "out/result.json")
    assert again.to_dict() == document == json.loads(json.dumps(document))
    assert again == replace(result.record, gain=again.gain, subtype=again.subtype, outputs=again.outputs)
    assert result.info == result.record.to_dict()


def test_the_command_writes_what_only_it_knows(tmp_path: Path) -> None:
    files = save_each(tmp_path / "mics", desk(2, 1.0).mixture)
    assert run("unmix", *files, "-o", tmp_path / "out").exit_code == 0
    entry = record.read(tmp_path / "out/result.json")
    assert entry.inputs == files
    assert entry.channel_map is not None
    assert [mic.file for mic in entry.channel_map] == files
    assert entry.options is not None
    assert entry.options["method"] == "auto"
    assert set(entry.seconds) == {"read", "check", "sync", "choose", "separate"}


def document() -> dict[str, Any]:
    return bss.unmix(desk(2, 1.0).mixture, RATE).info


def test_schema_1_is_read() -> None:
    """It had no device, and left out what was empty."""
    old = {key: value for key, value in document().items() if value is not None and key != "device"}
    old["counting"] = old["success"] = old["source_model"] = None
    assert record.from_dict({**old, "schema": 1}).schema == 1


def test_fields_of_a_later_version_are_left_out() -> None:
    assert isinstance(record.from_dict({**document(), "weather": "fine"}), RunRecord)


DAMAGED: list[tuple[str, Any, str]] = [
    ("schema", 7, "not a result of `bss unmix`"),
    ("schema", None, "not a result of `bss unmix`"),
    ("rate", "16k", "result.rate is str"),
    ("rate", None, "result.rate is NoneType"),
    ("converged", 1, "result.converged is int"),
    ("n_sources", True, "result.n_sources is bool"),
    ("sources", [3], r"result.sources\[0\] is int"),
    ("evidence", {}, "result.evidence is incomplete"),
    ("loss", {"fastica": [1, "x"]}, r"result.loss.fastica\[1\] is str"),
]


@pytest.mark.parametrize(("field", "value", "words"), DAMAGED)
def test_what_does_not_fit_is_refused(field: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        record.from_dict({**document(), field: value})


@pytest.mark.parametrize("content", ["", "[]", "3", "{", '{"schema": 2}'])
def test_what_is_no_result(content: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(InputError):
        record.read(tmp_path / "result.json")
    with pytest.raises(InputError, match="cannot be read"):
        record.read(tmp_path / "nowhere.json")
