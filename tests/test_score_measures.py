"""Scores by other people's packages are theirs, frames are where they say, and blind scores tell the separated from the mixed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pystoi
import pytest
import scipy.signal
from click.testing import CliRunner

import bss
from bss.metrics.frames import frame_scores
from bss.metrics.perceptual import PERCEPTUAL, PESQ_SECONDS, perceptual_scores
from bss.signals.resample import resample
from bss_cli.main import cli

try:
    import pesq
except ImportError:  # it has no wheels, and a bare machine no compiler
    pesq = None

RATE = 16_000
LOOK = 144_320  # samples that DNSMOS looks at once: it repeats what is shorter

missing = pytest.mark.skipif(pesq is None, reason="pesq is NOT installed, as it needs a compiler: perceptual scores go UNTESTED")


def with_pesq(test: Any) -> Any:
    """Skips without it; among those that CI runs once more where it is there."""
    return pytest.mark.programs(missing(test))


@pytest.fixture(scope="module")
def talkers(voice_files: list[Path]) -> np.ndarray:
    """Two voices, 4 s."""
    return np.stack([bss.read(file)[0][0, 8000 : 8000 + 4 * RATE] for file in voice_files[:2]])


@pytest.fixture(scope="module")
def tracks(talkers: np.ndarray) -> np.ndarray:
    """Of the talkers, in another order, with a tenth of the other and some noise."""
    return talkers[::-1] + 0.1 * talkers + np.random.default_rng(0).normal(0, 0.002, talkers.shape).astype(np.float32)


def at(rate: int, *signals: np.ndarray) -> list[np.ndarray]:
    return [resample(signal[None], RATE, rate)[0] for signal in signals]


@with_pesq
@pytest.mark.parametrize("rate", [8_000, 10_000, 16_000, 44_100])
def test_are_those_of_the_packages(rate: int, talkers: np.ndarray, tracks: np.ndarray) -> None:
    """Exactly at the rate of a measure; elsewhere PESQ takes no files, and STOI has a resampler of its own."""
    s, e = at(rate, talkers[0], tracks[1])
    found, reasons = perceptual_scores(s, e, rate)
    if rate >= 16_000:
        wide = (resample(x[None], rate, 16_000)[0] for x in (s, e))
        assert found["pesq_wb"] == pytest.approx(pesq.pesq(16_000, *wide, "wb"))
        assert reasons == []
    else:
        assert np.isnan(found["pesq_wb"])
        assert reasons == ["wide-band PESQ compares up to 7 kHz, and the recording has less"]
    narrow = (resample(x[None], rate, 8_000)[0] for x in (s, e))
    assert found["pesq_nb"] == pytest.approx(pesq.pesq(8_000, *narrow, "nb"))
    for name in ("stoi", "estoi"):
        theirs = pystoi.stoi(s, e, rate, extended=name == "estoi")
        # what is above 4 kHz is all that 8 kHz lacks, and where the two resamplers differ
        assert found[name] == pytest.approx(theirs, abs=0 if rate == 10_000 else 0.01)


@with_pesq
def test_a_score_with_more_measures_has_the_same_assignment(talkers: np.ndarray, tracks: np.ndarray) -> None:
    plain, scores = (bss.score(talkers, tracks, talkers.sum(0), **more) for more in ({}, {"rate": RATE, "perceptual": True}))
    assert scores.permutation.tolist() == plain.permutation.tolist() == [1, 0]
    assert list(scores.columns) == [*plain.columns, *PERCEPTUAL, *(f"{name}_improvement" for name in PERCEPTUAL)]
    for j, k in enumerate((1, 0)):
        after, before = (perceptual_scores(talkers[j], x, RATE)[0] for x in (tracks[k], talkers.sum(0)))
        for name in PERCEPTUAL:
            assert scores.perceptual[name][j] == pytest.approx(after[name])  # sums of other alignments round otherwise
            assert scores.perceptual[f"{name}_improvement"][j] == pytest.approx(after[name] - before[name])
            assert after[name] > before[name]
    assert set(PERCEPTUAL) < set(scores.definitions)
    assert not set(PERCEPTUAL) & set(plain.definitions)
    json.dumps(scores.to_dict(), allow_nan=False)


@with_pesq
def test_a_talker_without_speech_has_reasons(talkers: np.ndarray) -> None:
    click = np.zeros(4 * RATE, np.float32)
    click[RATE : RATE + 200] = 0.5
    noise = np.random.default_rng(0).normal(0, 0.01, (2, 4 * RATE)).astype(np.float32)
    scores = bss.score([talkers[0], click], np.stack([talkers[0], click]) + noise, rate=RATE, perceptual=True)
    assert np.isfinite([column[0] for column in scores.perceptual.values()]).all()
    assert np.isnan(scores.perceptual["stoi"][1])
    assert "STOI needs 0.4 s of speech" in scores.perceptual_reasons[1]
    assert scores.perceptual_reasons[0] == ""


@with_pesq
def test_silence_between_or_instead_is_scored(talkers: np.ndarray) -> None:
    half = talkers[0].copy()
    half[2 * RATE :] = 0
    assert perceptual_scores(talkers[0], half, RATE)[0]["pesq_wb"] < 3
    with pytest.raises(bss.UsageError, match="the rate is missing"):
        bss.score(talkers, talkers, perceptual=True)


@with_pesq
@pytest.mark.slow
def test_pesq_survives_more_utterances_than_its_code_can_keep(talkers: np.ndarray) -> None:
    """Its memory is for fifty; the code does not look, and writes on."""
    speech = np.tile(np.concatenate([talkers[0, RATE : RATE + 9600], np.zeros(9600, np.float32)]), 60)
    assert len(speech) / RATE == 72
    noisy = speech + np.random.default_rng(0).normal(0, 0.003, len(speech)).astype(np.float32)
    found, _ = perceptual_scores(speech, noisy, RATE)
    count = -(-len(speech) // int(PESQ_SECONDS * RATE))
    pieces = zip(np.array_split(speech, count), np.array_split(noisy, count), strict=True)
    assert found["pesq_wb"] == pytest.approx(np.mean([pesq.pesq(RATE, s, e, "wb") for s, e in pieces]))


def test_frames_say_where_it_fails(talkers: np.ndarray) -> None:
    broken = talkers.copy()
    broken[0, RATE : 2 * RATE] += talkers[1, RATE : 2 * RATE]
    frames = bss.score(talkers, broken, permute=False, rate=RATE, frame_seconds=1.0).frames
    assert frames is not None
    assert frames.starts.tolist() == [0, 1, 2, 3]
    assert frames.si_sdr[0, 1] == pytest.approx(bss.si_sdr(talkers[0, RATE : 2 * RATE], broken[0, RATE : 2 * RATE]))
    assert np.nanmin(np.delete(frames.si_sdr[0], 1)) == 120
    quantiles = frames.quantiles()
    assert quantiles.shape == (2, 5)
    assert quantiles[0, 0] < 30
    assert quantiles[0, 2] == 120


FRAMES = [  # what, samples of the talker, of the track, the scores
    ("silence of the talker", [0, 1], [1, 1], [None, 120]),
    ("a pause of the talker", [1e-3, 1], [1e-3, 1], [None, 120]),
    ("silence of the track", [1, 1], [0, 1], [-120, 120]),
    ("no track", [1, 1], [np.nan, np.nan], [None, None]),
]


@pytest.mark.parametrize(("talker", "track", "expected"), [f[1:] for f in FRAMES], ids=[f[0] for f in FRAMES])
def test_frames_of_silence(talker: list[float], track: list[float], expected: list[Any]) -> None:
    s = np.random.default_rng(0).normal(size=200).reshape(2, 100)
    frames = frame_scores((s * np.array(talker)[:, None]).reshape(1, -1), (s * np.array(track)[:, None]).reshape(1, -1), 100, 1)
    assert frames.to_dict()["si_sdr"] == [expected]


@pytest.mark.parametrize(("n", "starts"), [(250, [0, 1]), (270, [0, 1, 2]), (100, [0]), (149, [0])])
def test_every_sample_is_in_a_frame(n: int, starts: list[int]) -> None:
    s = np.random.default_rng(0).normal(size=(1, n))
    e = s.copy()
    e[0, -1] += 1
    frames = frame_scores(s, e, 100, 1.0)
    assert frames.starts.tolist() == starts
    assert frames.si_sdr[0, -1] < 60  # the last sample counts


def test_what_tracks_have_in_common(talkers: np.ndarray, tracks: np.ndarray) -> None:
    echo = scipy.signal.lfilter([1, *[0] * 99, 0.5], 1, talkers[0]).astype(np.float32)
    clean = bss.score_blind(talkers, RATE)
    leaking = bss.score_blind([talkers[0], talkers[1] + 0.3 * echo], RATE)
    early = bss.score_blind([echo, np.roll(talkers[1] + 0.3 * echo, -100)], RATE)
    assert clean.excess_db.max() < 2
    assert leaking.excess_db.min() > 3
    assert early.excess_db.min() > 3  # filters reach both ways
    assert leaking.excess_db.max() > 8
    assert np.isnan(np.diag(clean.dependence_db)).all()
    assert bss.score_blind(tracks, RATE).excess_db.min() > 4
    silent = bss.score_blind([talkers[0], 0 * talkers[0], talkers[1]], RATE)
    np.testing.assert_allclose(silent.excess_db[[0, 2]], clean.excess_db)
    assert np.isnan(silent.excess_db[1])


def test_dnsmos_is_that_of_the_package(talkers: np.ndarray) -> None:
    from speechmos import dnsmos

    clean = np.resize(talkers[0], LOOK)
    noisy = clean + np.random.default_rng(0).normal(0, 0.03, LOOK).astype(np.float32)
    scores = bss.score_blind([4 * clean / np.abs(clean).max(), noisy, 0 * clean], RATE, perceptual=True)  # beyond full scale
    expected = dnsmos.run(noisy, RATE)
    assert scores.dnsmos["dnsmos_ovrl"][1] == expected["ovrl_mos"]
    assert scores.dnsmos["dnsmos_p808"][1] == pytest.approx(expected["p808_mos"])
    assert scores.dnsmos["dnsmos_bak"][0] > scores.dnsmos["dnsmos_bak"][1] + 0.5
    assert np.isnan(scores.dnsmos["dnsmos_sig"][2])
    json.dumps(scores.to_dict(), allow_nan=False)


@pytest.mark.parametrize(("packages", "arguments"), [(["pesq", "pystoi"], ["truth"]), (["speechmos.dnsmos"], [])])
def test_missing_packages_are_an_error_that_names_the_extra(
    packages: list[str], arguments: list[str], talkers: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    for folder in ("truth", "out"):
        bss.write(f"{folder}/anna.wav", talkers[0], RATE)
    mode = [] if arguments else ["--no-reference"]
    result = CliRunner().invoke(cli, ["score", *arguments, "out", *mode, "--perceptual"])
    assert result.exit_code == 3
    assert "pip install 'bss-toolkit[metrics]'" in result.output
    assert CliRunner().invoke(cli, ["score", *arguments, "out", *mode]).exit_code == 0


def stand_in(*_: Any) -> float:
    """A score, in the place of pesq's, where it is not installed: what is tested is which measures are made, not their values."""
    return 3.0


@pytest.mark.parametrize(
    ("missing", "there", "line", "unit"),
    [
        ("pesq", ["stoi", "estoi"], "PESQ is left out, as the package pesq is not installed: pip install 'bss-toolkit[pesq]'",
         "STOI up to 1"),
        ("pystoi", ["pesq_wb", "pesq_nb"], "STOI and extended STOI are left out, as the package pystoi is not installed",
         "PESQ as MOS-LQO, 1 to 4.6"),
    ],
)  # fmt: skip
def test_what_is_installed_is_scored_and_a_line_says_what_is_not(
    missing: str, there: list[str], line: str, unit: str, talkers: np.ndarray, tracks: np.ndarray, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        sys.modules, "pesq", SimpleNamespace(pesq=stand_in, NoUtterancesError=OSError, BufferTooShortError=OSError)
    )
    monkeypatch.setitem(sys.modules, missing, None)
    for j in range(2):
        bss.write(f"truth/{'ab'[j]}.wav", talkers[j], RATE)
        bss.write(f"out/source{j + 1}.wav", tracks[j], RATE)
    result = CliRunner().invoke(cli, ["score", "truth", "out", "--perceptual"])
    assert result.exit_code == 0, result.output
    assert [said for said in result.output.splitlines() if line in said] != []
    assert result.output.count("left out") == 1
    header, *_, unit_line = result.stdout.splitlines()[-5:]
    assert header.split() == ["reference", "estimate", *(name.upper().replace("_", "-") for name in there)]
    assert unit_line == unit
    scores = bss.score(talkers, tracks, talkers.sum(0), rate=RATE, perceptual=True)
    assert list(scores.perceptual) == [*there, *(f"{name}_improvement" for name in there)]
    assert np.isfinite(list(scores.perceptual.values())).all()
    assert [said for said in scores.left_out if line in said] == [*scores.left_out]
    assert set(PERCEPTUAL) & set(scores.definitions) == set(there)


@with_pesq
def test_the_tables_of_the_command(
    talkers: np.ndarray, tracks: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for j in range(2):
        bss.write(f"truth/{'ab'[j]}.wav", talkers[j], RATE)
        bss.write(f"out/source{j + 1}.wav", tracks[j], RATE)
    lines = CliRunner().invoke(cli, ["score", "truth", "out", "--perceptual"]).stdout.splitlines()
    assert lines[5].split() == ["reference", "estimate", "PESQ-WB", "PESQ-NB", "STOI", "ESTOI"]
    assert lines[6].split()[2] == f"{pesq.pesq(RATE, *(bss.read(f)[0][0] for f in ('truth/a.wav', 'out/source2.wav')), 'wb'):.2f}"
    assert lines[-1] == "PESQ as MOS-LQO, 1 to 4.6; STOI up to 1"
    for name, track in (("one/source1", tracks[0]), ("mic", talkers.sum(0))):
        bss.write(f"{name}.wav", np.resize(track, LOOK), RATE)
    blind = CliRunner().invoke(cli, ["score", "--no-reference", "one", "--mixture", "mic.wav", "--perceptual", "-q"])
    header, first, mixture, *rest = blind.stdout.splitlines()
    assert header.split() == ["track", "in", "common", "DNSMOS-OVRL", "DNSMOS-SIG", "DNSMOS-BAK", "DNSMOS-P808"]
    assert first.split()[0] == "source1.wav"
    assert mixture.split()[:3] == ["the", "mixture", "-"]
    assert len(rest) == 2
