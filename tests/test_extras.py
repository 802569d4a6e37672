"""What needs a package of an extra says which, and all else does without it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_imports import PROJECT

# as where they are not installed, whatever the test's own environment holds
WITHOUT = """
import importlib.metadata, sys

GONE = {"librosa", "pyroomacoustics"}


class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in GONE:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


find = importlib.metadata.version


def version(name):
    if name in GONE:
        raise importlib.metadata.PackageNotFoundError(name)
    return find(name)


sys.meta_path.insert(0, Gone())
importlib.metadata.version = version
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def bss(*words: str) -> subprocess.CompletedProcess[str]:
    return python("from bss_cli.main import main\nsys.exit(main(sys.argv[1:]))", *words)


def test_a_room_names_the_extra_and_writes_nothing(tmp_path: Path, voice_files: list[Path]) -> None:
    words = ["mix", *map(str, voice_files[:2]), "--seconds", "1", "-o", str(tmp_path / "scene")]
    done = bss(*words)
    assert done.returncode == 3
    assert "pyroomacoustics is not installed" in done.stderr
    assert "pip install 'bss-toolkit[simulate]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_mixing_desk_and_its_separation_need_no_extra(tmp_path: Path, voice_files: list[Path]) -> None:
    scene = tmp_path / "scene"
    done = bss("mix", *map(str, voice_files[:2]), "--seconds", "2", "--instantaneous", "-o", str(scene))
    assert done.returncode == 0, done.stderr
    versions = json.loads((scene / "scene.json").read_text())["versions"]
    assert "numpy" in versions
    assert "pyroomacoustics" not in versions
    done = bss("unmix", str(scene / "mics"), "--method", "fastica", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/source1.wav").exists()


def test_sound_of_an_autoencoder_names_the_extra() -> None:
    code = """
import numpy as np
from bss.networks.autoencoder.features import FeatureConfig, Features
features = Features(FeatureConfig(), np.zeros(257, np.float32), 1.0)
try:
    features.sound(np.zeros((8, 257), np.float32))
except Exception as error:
    print(type(error).__name__, error)
"""
    said = python(code).stdout
    assert "InputError librosa is not installed" in said
    assert "bss-toolkit[autoencoder]" in said


def test_all_is_every_extra_that_users_need() -> None:
    """But `pesq`, which takes a compiler."""
    extras: dict[str, Any] = PROJECT["project"]["optional-dependencies"]
    (line,) = extras["all"]
    assert set(line.split("[")[1].rstrip("]").split(",")) == set(extras) - {"all", "dev", "docs", "pesq", "release"}


@pytest.mark.parametrize("package", ["librosa", "pyroomacoustics", "torch", "matplotlib"])
def test_the_core_is_small(package: str) -> None:
    assert not [line for line in PROJECT["project"]["dependencies"] if line.startswith(package)]
