"""Full scale and sample formats of what is written."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from bss.errors import SolverError
from bss.signals.files import encode
from bss.signals.files.writing import common_gain, writable_subtype

X = (0.1 * np.random.default_rng(0).standard_normal((2, 4000))).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "VORBIS"])
@pytest.mark.parametrize("loudest", [1.0000001, 1.1, 7.3, 1e6])
def test_common_gain_prevents_clipping(subtype: str, loudest: float) -> None:
    tracks = [X[0] / np.abs(X[0]).max() * np.float32(loudest), -X[1]]
    gain = common_gain(iter(tracks), subtype)
    peak = max(np.abs(track * np.float32(gain)).max() for track in tracks)
    bits = encode.BITS.get(subtype, 16)
    assert 1 - 2.0 ** (2 - min(bits, 23)) <= peak < 1
    top = (1 << bits - 1) - 1
    assert np.abs(encode.to_pcm(tracks[0] * np.float32(gain), bits).astype(np.int64) >> 32 - bits).max() <= top
    assert common_gain(tracks, "FLOAT") == common_gain(tracks, "DOUBLE") == 1.0


def test_common_gain_without_need() -> None:
    assert common_gain([], "PCM_16") == 1.0
    assert common_gain([np.zeros(4), np.array([1.0, -1.0])], "PCM_16") == 1.0
    assert common_gain([np.array([[0.5, 0.2], [0.1, -2.0]])], "PCM_16") == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16"])
def test_common_gain_refuses_what_is_not_finite(bad: float, subtype: str) -> None:
    with pytest.raises(SolverError, match="track 2"):
        common_gain([np.ones(3), np.array([0.1, bad, 0.2])], subtype)


@pytest.mark.parametrize(
    ("kind", "subtype", "container", "expected"),
    [
        ("WAV", "PCM_16", "WAV", "PCM_16"),
        ("WAV", "PCM_24", "WAV", "PCM_24"),
        ("WAVEX", "PCM_32", "WAV", "PCM_32"),
        ("RF64", "FLOAT", "WAV", "FLOAT"),
        ("W64", "DOUBLE", "WAV", "DOUBLE"),
        ("WAV", "PCM_U8", "WAV", "PCM_16"),
        ("WAV", "ULAW", "WAV", "PCM_16"),
        ("WAV", "IMA_ADPCM", "WAV", "PCM_16"),
        ("FLAC", "PCM_24", "WAV", "PCM_24"),
        ("FLAC", "PCM_S8", "WAV", "PCM_16"),
        ("CAF", "ALAC_24", "WAV", "PCM_24"),
        ("OGG", "VORBIS", "WAV", "PCM_16"),
        ("MP3", "MPEG_LAYER_III", "WAV", "PCM_16"),
        ("M4A", "AAC", "WAV", "PCM_16"),
        ("WV", "UNKNOWN", "WAV", "PCM_16"),
        ("WAV", "FLOAT", "flac", "PCM_24"),
        ("WAV", "PCM_32", "FLAC", "PCM_24"),
        ("WAV", "PCM_16", "FLAC", "PCM_16"),
        ("WAV", "PCM_16", "OGG", "VORBIS"),
        ("WAV", "PCM_16", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_writable_subtype(kind: str, subtype: str, container: str, expected: str) -> None:
    assert writable_subtype(kind, subtype, container=container) == (container.upper(), expected)
    assert sf.check_format(container, expected)
