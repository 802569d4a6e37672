"""`bss score` on the files that `bss mix` and `bss unmix` write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from score_scene import N_SAMPLES, RATE, document, made, run, samples, some_record, unmix_result

import bss
from bss.signals.files.audio import write


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """truth/, mics/ and out/ in the working folder."""
    monkeypatch.chdir(tmp_path)
    return made(tmp_path)


def test_the_document_holds_the_numbers_of_the_library(scene: Path) -> None:
    scores = document(run("truth", "out", "--mixture", "mics", "--json"))
    references = np.stack([samples(f"truth/{name}.wav")[0] for name in ("anna", "ben")])
    estimates, mixture = np.concatenate([samples(f"out/source{k}.wav") for k in (1, 2)]), samples("mics/mic1.wav")
    expected = bss.score(references, estimates, mixture).to_dict()
    assert [row["estimate"] for row in scores["scores"]] == ["source2.wav", "source1.wav"]
    assert [row["reference"] for row in scores["scores"]] == ["anna.wav", "ben.wav"]
    for measure in ("si_sdr", "sdr", "sir", "sar", "si_sdr_improvement", "sdr_improvement", "sir_improvement"):
        assert [row[measure] for row in scores["scores"]] == expected[measure]
    for key in ("mean", "permutation", "definitions"):
        assert scores[key] == expected[key]
    assert scores["inputs"]["mixture"] == [{"file": "mics/mic1.wav", "channel": 1}]
    assert (scores["rate"], scores["samples"], scores["seconds"]) == (RATE, N_SAMPLES, 1.0)
    assert scores["warnings"] == []
    assert scores["gate"] is None


def test_the_table_has_a_row_for_each_talker_and_the_mean(scene: Path) -> None:
    result = run("truth", "out", "--mixture", "mics")
    assert result.exit_code == 0
    header, anna, ben, mean, unit = result.stdout.splitlines()
    assert header.split() == ["reference", "estimate", "SI-SDR", "SDR", "SIR", "SAR", "SI-SDRi", "SDRi", "SIRi"]
    assert anna.split()[:2] == ["anna.wav", "source2.wav"]
    assert ben.split()[:2] == ["ben.wav", "source1.wav"]
    values = [[float(word) for word in row.split()[-7:]] for row in (anna, ben, mean)]
    np.testing.assert_allclose(np.mean(values[:2], axis=0), values[2], atol=0.011)
    assert 18 < values[0][0] < 22  # a tenth of the other talker
    assert unit == "in dB; i: improvement over the mixture"
    assert "residual.wav" in result.stderr
    assert "residual.wav" not in run("truth", "out", "-q").stderr
    assert len(run("truth", "out").stdout.splitlines()[0].split()) == 6  # no improvements without a mixture


@pytest.mark.parametrize(
    ("references", "estimates"),
    [
        ("truth/*.wav", "out/source?.wav"),
        ("truth", "out/source*.wav"),
        ("truth", "both.wav"),
        ("mono", "out"),
    ],
)
def test_folders_globs_and_files_of_many_channels(scene: Path, references: str, estimates: str) -> None:
    write("both.wav", np.concatenate([samples("out/source1.wav"), samples("out/source2.wav")]), RATE)
    for name in ("anna", "ben"):
        write(f"mono/{name}.wav", samples(f"truth/{name}.wav")[0], RATE)
    scores = document(run(references, estimates, "--json"))
    assert scores["permutation"] == [1, 0]
    assert scores["mean"]["si_sdr"] == pytest.approx(document(run("truth", "out", "--json"))["mean"]["si_sdr"])


def test_the_reference_microphone_is_that_channel(scene: Path) -> None:
    for k, name in enumerate(("ben", "anna")):
        write(f"at2/source{k + 1}.wav", samples(f"truth/{name}.wav")[1], RATE)
    at = {mic: document(run("truth", "at2", "--mixture", "mics", "--reference-mic", mic, "--json")) for mic in (1, 2)}
    assert at[2]["mean"]["si_sdr"] == 120.0
    assert at[1]["mean"]["si_sdr"] < 0
    assert at[2]["inputs"]["mixture"] == [{"file": "mics/mic2.wav", "channel": 1}]
    assert at[2]["inputs"]["references"][0] == {"file": "truth/anna.wav", "channel": 2}


def test_without_permuting_files_are_paired_in_order(scene: Path) -> None:
    scores = document(run("truth", "out", "--no-permute", "--json"))
    assert scores["permutation"] == [0, 1]
    assert scores["mean"]["si_sdr"] < 0


def test_another_rate_is_converted_and_said(scene: Path) -> None:
    from bss.signals.resample import resample

    for k in (1, 2):
        write(f"fast/source{k}.wav", resample(samples(f"out/source{k}.wav"), RATE, 2 * RATE), 2 * RATE)
    result = run("truth", "fast", "--json")
    assert "estimates are resampled from 16000 Hz to the 8000 Hz of the references" in result.stderr
    assert document(result)["mean"]["si_sdr"] == pytest.approx(document(run("truth", "out", "--json"))["mean"]["si_sdr"], abs=0.2)


@pytest.mark.parametrize("longer", ["estimates", "references", "mixture"])
def test_the_longer_is_trimmed_and_said(scene: Path, longer: str) -> None:
    before = document(run("truth", "out", "--mixture", "mics", "--json"))["mean"]
    folder = {"estimates": "out", "references": "truth", "mixture": "mics"}[longer]
    for file in sorted(Path(folder).glob("*.wav")):
        write(file, np.pad(samples(str(file)), ((0, 0), (0, 80)), constant_values=0.5), RATE, overwrite=True)
    result = run("truth", "out", "--mixture", "mics", "--json")
    verb = "is" if longer == "mixture" else "are"
    warning = f"the {longer} {verb} 80 samples (0.010 s) longer, which are not scored"
    assert f"warning: {warning}" in result.stderr
    scores = document(result)
    assert scores["warnings"] == [warning]
    assert scores["samples"] == N_SAMPLES
    assert scores["mean"] == pytest.approx(before)


def test_tracks_of_an_earlier_run_are_left_out(scene: Path) -> None:
    unmix_result(scene)
    write("out/source3.wav", samples("truth/ben.wav")[0], RATE)  # it would match better than the tracks of this run
    result = run("truth", "out", "--json")
    assert "source3.wav left out: not listed in out/result.json" in result.stderr
    assert document(result)["permutation"] == [1, 0]


@pytest.mark.parametrize(("made_at", "asked", "warned"), [(1, 1, False), (2, 1, True), (2, 2, False)])
def test_tracks_of_another_microphone_are_noticed(scene: Path, made_at: int, asked: int, warned: bool) -> None:
    unmix_result(scene, reference_mic=made_at)
    result = run("truth", "out", "--reference-mic", asked)
    assert ("use --reference-mic 2" in result.stderr) == warned


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"outputs": 3}', '{"outputs": [], "options": 3}'])
def test_a_strange_result_json_is_not_fatal_and_not_silent(scene: Path, text: str) -> None:
    (scene / "out/result.json").write_text(text)
    result = run("truth", "out", "--json")
    assert result.exit_code == 0
    assert "out/result.json is ignored: it was not written by bss unmix" in result.stderr
    assert document(result)["permutation"] == [1, 0]


def test_a_silent_talker_has_no_score_and_a_reason(scene: Path) -> None:
    write("truth/carla.wav", np.zeros((2, N_SAMPLES)), RATE)
    result = run("truth", "out", "--json", "--fail-under", "15")
    assert result.exit_code == 0  # silence cannot be separated
    row = document(result)["scores"][2]
    assert (row["estimate"], row["si_sdr"], row["sdr"]) == (None, None, None)
    assert "carla.wav: the reference is silent" in result.stderr
    assert run("truth", "out").stdout.splitlines()[3].split() == ["carla.wav", "-", "-", "-", "-", "-"]


def test_one_talker_has_no_sir(scene: Path) -> None:
    result = run("truth/anna.wav", "out", "--json")
    row = document(result)["scores"][0]
    assert row["sir"] is None
    assert row["reason"] == "the SIR is undefined, as there is only one talker"
    assert row["estimate"] == "source2.wav"
    assert document(result)["notes"][-2] == "not assigned to a reference: source1.wav"


def test_estimates_from_stdin(scene: Path) -> None:
    write("both.wav", np.concatenate([samples("out/source1.wav"), samples("out/source2.wav")]), RATE)
    program = [sys.executable, "-c", "from bss_cli.main import main; main()", "score", "truth", "-", "--json"]
    with Path("both.wav").open("rb") as both:
        result = subprocess.run(program, stdin=both, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert [row["estimate"] for row in json.loads(result.stdout)["scores"]] == ["stdin[2]", "stdin[1]"]


def test_names_that_are_the_same_keep_their_folders(scene: Path) -> None:
    for name in ("anna", "ben"):
        write(f"takes/{name}/voice.wav", samples(f"truth/{name}.wav"), RATE)
    scores = document(run("takes/*/voice.wav", "out", "--json"))
    assert [row["reference"] for row in scores["scores"]] == ["takes/anna/voice.wav", "takes/ben/voice.wav"]


def test_help_shows_an_example_of_each_kind() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert result.output.count("  bss score ") == 4


def test_frames_are_a_table_of_quantiles_and_each_in_json(scene: Path) -> None:
    burst = samples("out/source1.wav").copy()
    burst[0, 6000:] += samples("truth/anna.wav")[0, 6000:]  # in the last quarter ben's track holds as much of anna
    write("out/source1.wav", burst, RATE, overwrite=True)
    result = run("truth", "out", "--frames", "0.25")
    header, anna, ben, unit = result.stdout.splitlines()[-4:]
    assert header.split() == ["reference", "5", "%", "25", "%", "50", "%", "75", "%", "95", "%"]
    assert (anna.split()[0], ben.split()[0]) == ("anna.wav", "ben.wav")
    assert unit == "SI-SDR in dB below which so many of the frames of 0.25 s are, where the talker speaks"
    scored = document(run("truth", "out", "--frames", "0.25", "--json"))
    assert scored["frames"]["starts"] == [0.0, 0.25, 0.5, 0.75]
    frames = scored["scores"][1]["frames"]
    assert min(frames[:3]) > 15
    assert frames[3] < 5
    assert scored["scores"][1]["quantiles"] == pytest.approx(np.quantile(frames, scored["frames"]["quantiles"]))
    assert [float(word) for word in ben.split()[1:]] == pytest.approx(scored["scores"][1]["quantiles"], abs=0.006)


def test_the_same_from_python(scene: Path) -> None:
    scored = bss.score_files("truth", Path("out"), mixture=["mics/mic1.wav", "mics/mic2.wav"], frame_seconds=0.5)
    command = document(run("truth", "out", "--mixture", "mics", "--frames", "0.5", "--json"))
    assert scored.to_dict() == {key: value for key, value in command.items() if key not in ("schema", "gate")}
    assert scored.matched == ["source2.wav", "source1.wav"]
    with pytest.raises(bss.UsageError, match=r"anna\.wav has 2 channels"):
        bss.score_files("truth", "out", reference_mic=2)


def test_without_the_truth_the_table_says_what_is_in_common_and_was_predicted(scene: Path) -> None:
    unmix_result(scene)
    result = run("--no-reference", "out", "--mixture", "mics")
    assert result.exit_code == 0, result.stderr
    header, first, second, unit, *rest = result.stdout.splitlines()
    assert header.split() == ["track", "in", "common"]
    assert (first.split()[0], second.split()[0]) == ("source1.wav", "source2.wav")
    assert unit.startswith("in common: what another track predicts of this one, in dB beyond chance")
    success = some_record().success
    assert success is not None
    assert len(rest) == (success.predicted_si_sdr_gain_db is not None)
    blind = document(run("--no-reference", "out", "--json"))
    assert blind["predicted_si_sdr_gain_db"] == success.predicted_si_sdr_gain_db
    assert blind["predicted"] == success.sentence
    assert blind["tracks"] == ["source1.wav", "source2.wav"]
    expected = bss.score_blind(np.concatenate([samples(f"out/source{k}.wav") for k in (1, 2)]), RATE)
    assert blind["blind"] == expected.to_dict()
