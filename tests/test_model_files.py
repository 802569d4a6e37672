"""Files of weights that are damaged, or from somebody who does not mean well."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

import bss
from bss.networks import files, fitting

KINDS = [name.removesuffix(".safetensors") for name in files.SHIPPED]
WEIGHTS = Path(files.__file__).parent / "weights"
CONFIG = {"rate": 16_000, "n_fft": 64, "hop": 32, "hidden": 8, "layers": 1, "ahead": 1, "bottleneck": 0}


def denoiser(config: Any = CONFIG, **changes: Any) -> bytes:
    rng = np.random.default_rng(0)
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in fitting.denoiser(CONFIG).items()}
    return save({**tensors, **changes}, {"bss": "denoiser", "config": json.dumps(config)})


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(bss.InputError) as raised:
        bss.denoise(np.ones((1, 4000), np.float32), 16_000, weights=path)
    return raised.value.why


def test_a_good_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(denoiser())
    assert np.isfinite(bss.denoise(0.1 * np.ones((1, 4000), np.float32), 16_000, weights=tmp_path / "good")).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", 0),
        ("rate", 1e12),
        ("rate", 1e308),
        ("rate", None),
        ("n_fft", 63),
        ("hop", 64),
        ("layers", 1 << 40),
        ("hidden", [8]),
    ],
)
def test_sizes_out_of_range_are_named(tmp_path: Path, name: str, value: Any) -> None:
    assert name in refused(tmp_path / "odd", denoiser({**CONFIG, name: value}))


@pytest.mark.parametrize("config", [None, [], 1, "x", [1, 2]])
def test_a_configuration_that_is_none(tmp_path: Path, config: Any) -> None:
    assert "configuration" in refused(tmp_path / "odd", denoiser(config))


def test_shapes_and_values_are_checked(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    assert "encode.bias has shape (9,), expected (8,)" in refused(odd, denoiser(**{"encode.bias": np.zeros(9, np.float32)}))
    assert "encode.bias holds values" in refused(odd, denoiser(**{"encode.bias": np.full(8, np.nan, np.float32)}))
    assert "encode.bias holds values" in refused(odd, denoiser(**{"encode.bias": np.full(8, 1e30, np.float32)}))
    assert "encode.bias holds bool" in refused(odd, denoiser(**{"encode.bias": np.zeros(8, bool)}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_ships_has_its_checksum(kind: str) -> None:
    path = WEIGHTS / f"{kind}.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == files.SHIPPED[path.name]


def test_what_ships_and_is_damaged_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / "denoiser.safetensors"
    shutil.copy(WEIGHTS / path.name, path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "files.py"))
    with pytest.raises(bss.InputError, match="is damaged"):
        files.read(path, "denoiser")


@pytest.mark.parametrize("kind", ["denoiser", "source-model"])
def test_the_shapes_are_those_of_what_ships(kind: str) -> None:
    path = WEIGHTS / f"{kind}.safetensors"
    config, _ = files.read(path, kind)
    tensors = load(path.read_bytes())
    shapes = fitting.denoiser(config) if kind == "denoiser" else fitting.source_model(config, len(tensors["likeness.mean"]))
    assert {name: tensor.shape for name, tensor in tensors.items()} == shapes
