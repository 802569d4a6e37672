"""`bss voices`: different speakers, and failures: no network, no program, invalid options."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import bss
from bss.errors import BssError, InputError, UsageError
from bss.scenes import engines
from bss.scenes.voices import CAST, speak
from bss_cli.main import cli

TEXT = "The gulls will know where to bring the gossip from the harbour."


def run(*words: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main(["voices", *map(str, words)], prog_name="bss")
    assert isinstance(end.value.code, int)
    return end.value.code, out.getvalue(), err.getvalue()


def pitch(x: np.ndarray, rate: int) -> float:
    """Median pitch in Hz, from the autocorrelation of loud frames."""
    size = rate // 20
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(float), 2 * size)[::size]
    frames = frames[frames.std(1) > x.std()]
    spectra = np.abs(np.fft.rfft(frames * np.hanning(2 * size), 4 * size)) ** 2
    lags = np.fft.irfft(spectra)[:, rate // 400 : rate // 60]
    return float(np.median(rate / (rate // 400 + lags.argmax(1))))


# ---------------------------------------------------------------- espeak-ng


@pytest.mark.needs("espeak-ng")
def test_speakers_differ_and_are_equally_loud() -> None:
    speech = speak([TEXT] * len(CAST), engine="espeak")
    assert (speech.engine, speech.note) == ("espeak", "")
    assert len({one.speaker for one in speech.spoken}) == len(CAST)
    for one in speech.spoken:
        assert one.x.dtype == np.float32
        assert one.rate == 16_000
        assert 3 < len(one.x) / one.rate < 8
        assert np.sqrt(np.mean(one.x**2)) == pytest.approx(0.06, rel=0.01)
        assert np.abs(one.x).max() <= 0.9
    heights = [pitch(one.x, one.rate) for one in speech.spoken]
    men = [height for height, (variant, *_) in zip(heights, CAST, strict=True) if variant.startswith("m")]
    women = [height for height, (variant, *_) in zip(heights, CAST, strict=True) if variant.startswith("f")]
    assert max(men) < 135 < min(women)
    assert np.ptp(men) > 30
    assert np.ptp(women) > 60


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize("language", ["en-gb", "en-us", "fr-fr", "fr", "de", "EN-US", "pt-br", "en"])
def test_variants_are_heard_in_every_language(language: str) -> None:
    """espeak-ng ignores a variant of a language that it does not know by the name of its file."""
    man, woman = (pitch(*engines.espeak_speech(TEXT, f"{language}+{variant}", 160, 50)) for variant in ("m1", "f2"))
    assert woman > 1.5 * man


@pytest.mark.needs("espeak-ng")
def test_the_same_text_gives_the_same_samples() -> None:
    first, second = (speak([TEXT, TEXT], engine="espeak") for _ in range(2))
    for a, b in zip(first.spoken, second.spoken, strict=True):
        np.testing.assert_array_equal(a.x, b.x)


@pytest.mark.needs("espeak-ng")
def test_more_texts_than_speakers() -> None:
    speech = speak(["Yes."] * (len(CAST) + 2), engine="espeak")
    assert len({one.speaker for one in speech.spoken}) == len(CAST) + 2


@pytest.mark.needs("espeak-ng")
def test_words_are_separate() -> None:
    """Without pauses, synthetic voices do not separate like human ones."""
    x = speak([TEXT], engine="espeak").spoken[0].x
    frames = np.sqrt(np.mean(x[: len(x) // 320 * 320].reshape(-1, 320) ** 2, axis=1))
    assert 0.2 < np.mean(frames < 0.1 * frames.max()) < 0.6


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_rate(rate: int) -> None:
    (one,) = speak([TEXT], engine="espeak", rate=rate).spoken
    reference = speak([TEXT], engine="espeak").spoken[0]
    assert len(one.x) / rate == pytest.approx(len(reference.x) / 16_000, abs=0.01)


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize(("options", "error", "said"), [
    ({"languages": ["tlh-x"]}, UsageError, "no language"),
    ({"languages": ["en-uss"]}, UsageError, "did you mean 'en-us'"),
    ({"voices": ["en+f99"]}, UsageError, "no voice variant 'f99'"),
    ({"voices": ["xx+f1"]}, UsageError, "no language 'xx'"),
    ({"languages": []}, UsageError, "there is no language"),
])  # fmt: skip
def test_wrong_voices(options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        speak([TEXT], engine="espeak", **options)


@pytest.mark.parametrize(("texts", "options", "said"), [
    ([], {}, "no text"),
    (["Hello.", " "], {}, "text 2 is empty"),
    ([TEXT], {"engine": "expeak"}, "did you mean 'espeak'"),
    ([TEXT], {"rate": 10}, "rate=10"),
    ([TEXT], {"engine": "gtts", "voices": ["en+f1"]}, "espeak-ng only"),
])  # fmt: skip
def test_wrong_options(texts: list[str], options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        speak(texts, **options)


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize("text", ["...", "\u200b"])
def test_nothing_to_speak(text: str) -> None:
    with pytest.raises(InputError, match="nothing to speak"):
        speak([text], engine="espeak")


def test_without_espeak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engines._espeak_languages.cache_clear()
    code, _, err = run(TEXT, "--engine", "espeak", "-o", tmp_path / "voices")
    assert code == 3
    assert "espeak-ng is not installed" in err
    assert "apt install espeak-ng" in err
    assert not (tmp_path / "voices").exists()


# ---------------------------------------------------------------- gTTS, with a stub in place of its service


@dataclass
class Service:
    """A stub of the Google service: receives requests like the network, and replies as recorded."""

    mp3: bytes = b""
    status: int = 200
    down: bool = False
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # host, text, language

    def send(self, request, **_: object):  # type: ignore[no-untyped-def]
        import requests

        if self.down:
            raise requests.exceptions.ConnectionError("Failed to resolve 'translate.google.com'")
        body = urllib.parse.parse_qs(request.body)["f.req"][0]
        text, language, *_ = json.loads(json.loads(body)[0][0][1])
        self.asked.append((urllib.parse.urlsplit(request.url).netloc, text, language))
        # a response of the service: a length, then records whose third field is JSON in a string
        said = json.dumps([base64.b64encode(self.mp3).decode()])
        row = json.dumps(["wrb.fr", "jQ1olc", said, None, None, None, "generic"], separators=(",", ":"))
        response = requests.Response()
        response.status_code, response.reason = self.status, {200: "OK", 429: "Too Many Requests"}[self.status]
        response.request, response.url = request, request.url
        response.raw = io.BytesIO(f")]}}'\n\n{len(row) + 2}\n[{row}]\n".encode())
        return response

    def close(self) -> None:
        """Part of an adapter."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Service:
    pytest.importorskip("gtts", reason="gTTS is not installed")
    import requests

    stub = Service(mp3=request.getfixturevalue("mp3"))
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: stub)
    return stub


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Speech in the format of the service: 24 kHz, one channel, MP3."""
    import soundfile

    t = np.arange(24_000) / 24_000
    buzz = 0.3 * np.sign(np.sin(2 * np.pi * 200 * t)) * (np.sin(2 * np.pi * 3 * t) > 0)
    file = tmp_path_factory.mktemp("mp3") / "speech.mp3"
    soundfile.write(file, buzz, 24_000)
    return file.read_bytes()


def test_gtts(service: Service) -> None:
    speech = speak(["Good morning.", "Guten Morgen.", "Good night."], engine="gtts", languages=["en-us", "de", "en"])
    assert (speech.engine, speech.note) == ("gtts", "")
    assert service.asked == [
        ("translate.google.com", "Good morning.", "en"),
        ("translate.google.com", "Guten Morgen.", "de"),
        ("translate.google.co.uk", "Good night.", "en"),  # another speaker
    ]
    for one in speech.spoken:
        assert one.rate == 16_000
        assert 0.5 < len(one.x) / 16_000 < 1.2
        assert np.sqrt(np.mean(one.x**2)) == pytest.approx(0.06, rel=0.01)
        assert pitch(one.x, 16_000) == pytest.approx(200, rel=0.03)


def test_gtts_plays_another_speaker_where_it_has_but_one(service: Service) -> None:
    speech = speak(["Eins.", "Zwei.", "Drei."], engine="gtts", languages=["de"])
    assert [pitch(one.x, 16_000) for one in speech.spoken] == pytest.approx([200, 174, 228], rel=0.03)
    assert len({one.speaker for one in speech.spoken}) == 3


def test_auto_takes_gtts_where_it_answers(service: Service) -> None:
    assert speak([TEXT]).engine == "gtts"


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize(("trouble", "said"), [
    ({"down": True}, "Failed to connect"),
    ({"status": 429}, "429"),
    ({"mp3": b""}, "the Google speech service"),
    ({"mp3": b"no sound at all"}, "did not return MP3"),
])  # fmt: skip
def test_auto_falls_back_and_says_why(service: Service, trouble: dict, said: str, tmp_path: Path) -> None:
    vars(service).update(trouble)
    code, out, err = run("Hello.", "How are you?", "-o", tmp_path / "voices", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["engine"] == "espeak"
    assert "using espeak-ng instead of gTTS" in document["note"]
    assert said in document["note"]
    assert document["note"] in err


@pytest.mark.parametrize(("trouble", "said"), [({"down": True}, "Failed to connect"), ({"status": 429}, "429")])
def test_gtts_alone_fails_with_a_way_out(service: Service, trouble: dict, said: str, tmp_path: Path) -> None:
    vars(service).update(trouble)
    code, _, err = run("Hello.", "--engine", "gtts", "-o", tmp_path / "voices")
    assert code == 3
    assert said in err
    assert "--engine espeak" in err
    assert not (tmp_path / "voices").exists()


def test_gtts_with_a_wrong_language(service: Service) -> None:
    with pytest.raises(UsageError, match="no language 'tlh'"):
        speak([TEXT], engine="gtts", languages=["tlh"])


def test_gtts_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gtts", None)
    with pytest.raises(BssError, match="gTTS is not installed") as error:
        speak([TEXT], engine="gtts")
    assert "bss-toolkit[voices]" in error.value.hint


# ---------------------------------------------------------------- the command


@pytest.mark.needs("espeak-ng")
def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flac = ("--engine", "espeak", "--format", "flac")
    assert run("Hello.", "-5 Grad.", *flac)[0] == 2  # there is no option -5
    code, out, err = run(*flac, "--language", "en-us", "--language", "de", "--", "Hello.", "-5 Grad.")
    assert (code, out) == (0, "")
    assert {p.name for p in (tmp_path / "voices").iterdir()} == {"voice1.flac", "voice2.flac", "voices.json"}
    document = json.loads((tmp_path / "voices/voices.json").read_text())
    assert [(v["file"], v["text"]) for v in document["voices"]] == [("voice1.flac", "Hello."), ("voice2.flac", "-5 Grad.")]
    assert "de+f2" in document["voices"][1]["speaker"]
    assert "bss mix voices" in err
    x, rate = bss.read("voices/voice2.flac")
    assert (rate, len(x)) == (16_000, 1)
    assert run("Hello.", *flac)[0] == 3  # files are replaced only on request
    assert run("Hello.", *flac, "--overwrite")[0] == 0


@pytest.mark.needs("espeak-ng")
@pytest.mark.parametrize(("words", "code", "said"), [
    ((), 2, "TEXT"),
    (("",), 2, "text 1 is empty"),
    (("Hi.", "--language", "xx"), 2, "no language 'xx'"),
    (("Hi.", "--voice", "en+zz"), 2, "no voice variant 'zz'"),
    (("Hi.", "--engine", "siri"), 2, "--engine"),
    (("Hi.", "--rate", "1"), 2, "--rate"),
    (("Hi.", "-o", "-"), 2, "stdout"),
    (("...",), 3, "nothing to speak"),
])  # fmt: skip
def test_wrong_input(words: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = () if "--engine" in words else ("--engine", "espeak")
    ended, _, err = run(*words, *engine)
    assert ended == code, err
    assert said in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs("espeak-ng")
def test_voices_can_be_mixed(tmp_path: Path) -> None:
    assert run("One, two, three.", "Four, five, six.", "--engine", "espeak", "-o", tmp_path / "voices")[0] == 0
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as end:
        cli.main(["mix", str(tmp_path / "voices"), "--rt60", "0", "-o", str(tmp_path / "mixed"), "--json"])
    assert end.value.code == 0
    assert [voice["name"] for voice in json.loads(out.getvalue())["voices"]] == ["voice1", "voice2"]


def test_help_has_three_examples() -> None:
    assert sum(line.startswith("    bss voices ") for line in run("--help")[1].splitlines()) == 3
