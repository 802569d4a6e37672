"""`bss score`: exit codes of `--fail-under`, and of unsuitable files and arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from score_scene import N_SAMPLES, RATE, document, made, run, samples

from bss.signals.files.audio import write


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """truth/, mics/ and out/ in the working folder."""
    monkeypatch.chdir(tmp_path)
    return made(tmp_path)


GATES = {
    # name: (arguments, exit code, what the message says)
    "passed": (["truth", "out", "--fail-under", "15"], 0, ""),
    "too low": (["truth", "out", "--fail-under", "30"], 5, "below --fail-under 30"),
    "the mixture is no excuse": (["truth", "out", "--mixture", "mics", "--fail-under", "30"], 5, "below --fail-under 30"),
    "a talker without an estimate": (["truth", "out/source1.wav", "--fail-under", "15"], 5, "no score for anna.wav"),
    "a track is silent": (["truth", "dead", "--fail-under", "15"], 5, "no score for anna.wav"),
}


@pytest.mark.parametrize("name", GATES)
def test_fail_under_is_an_exit_code_after_the_table(scene: Path, name: str) -> None:
    arguments, code, text = GATES[name]
    write("dead/source1.wav", samples("out/source1.wav"), RATE)
    write("dead/source2.wav", np.zeros((1, N_SAMPLES)), RATE)
    result = run(*arguments)
    assert result.exit_code == code
    assert result.stdout.splitlines()[0].startswith("reference")
    assert text in result.stderr
    done = run(*arguments, "--json")
    assert done.exit_code == code
    assert document(done)["gate"]["passed"] == (code == 0)


WRONG = {
    # name: (arguments, exit code, what stderr says)
    "nothing": ([], 2, "expected two arguments, REFERENCES and ESTIMATES, but there are 0"),
    "one name": (["truth"], 2, "expected the true and the separated tracks"),
    "a glob that the shell expanded": (["truth/anna.wav", "truth/ben.wav", "out"], 2, "globs in quotes"),
    "missing": (["truth", "outt"], 3, "did you mean out?"),
    "a folder without audio": (["truth", "empty"], 3, "empty contains no audio"),
    "only a residual": (["truth", "out/residual.wav"], 3, "contains only a residual, no estimates"),
    "not audio": (["truth", "text.wav"], 3, "text.wav"),
    "NaN": (["truth", "nan.wav"], 3, "nan.wav contains 1 NaN or infinite samples"),
    "all references silent": (["silent.wav", "out"], 3, "the reference is silent"),
    "the mixture silent": (["truth", "out", "--mixture", "silent.wav"], 3, "the mixture is silent"),
    "too short": (["truth", "short.wav"], 3, "400 samples are too few for 2 references"),
    "no such microphone": (["truth", "out", "--reference-mic", "3"], 2, "truth/anna.wav has 2 channels"),
    "no such microphone of the mixture": (
        ["mono", "out", "--mixture", "mics", "--reference-mic", "3"], 2, "the mixture has 2 channels",
    ),
    "microphone 0": (["truth", "out", "--reference-mic", "0"], 2, "--reference-mic"),
    "no level": (["truth", "out", "--fail-under", "nan"], 2, "is not a level"),
    "stdin twice": (["-", "-"], 2, "- is used twice"),
    "frames longer than the recording": (["truth", "out", "--frames", "2"], 2, "frames of 2 s cannot be scored"),
    "frames of nothing": (["truth", "out", "--frames", "nan"], 2, "frames of nan s cannot be scored"),
    "the truth, and none": (["--no-reference", "truth", "out"], 2, "expected one argument, ESTIMATES, but there are 2"),
    "a gate without the truth": (["--no-reference", "out", "--fail-under", "3"], 2, "--fail-under is of scores against"),
    "frames without the truth": (["--no-reference", "out", "--frames", "1"], 2, "--frames is of scores against the truth"),
    "too short to be scored blind": (["--no-reference", "short.wav"], 3, "400 samples are too few"),
    "silence scored blind": (["--no-reference", "silent.wav"], 3, "every track is silent"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_input_is_one_message_and_an_exit_code(scene: Path, name: str, as_json: bool) -> None:
    arguments, code, text = WRONG[name]
    (scene / "empty").mkdir()
    (scene / "text.wav").write_text("not audio at all")
    write("mono/anna.wav", samples("truth/anna.wav")[0], RATE)
    write("silent.wav", np.zeros((1, N_SAMPLES)), RATE)
    write("short.wav", samples("out/source1.wav")[:, :400], RATE)
    with_nan(samples("out/source1.wav"), "nan.wav")
    result = run(*arguments, *(["--json"] if as_json else []))
    assert result.exit_code == code
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    if not as_json:
        assert result.stdout == ""
    else:
        assert document(result)["error"]["exit_code"] == code


def with_nan(x: np.ndarray, path: str) -> None:
    x = x.copy()
    x[0, 7] = np.nan
    soundfile.write(path, x.T, RATE, subtype="FLOAT")
