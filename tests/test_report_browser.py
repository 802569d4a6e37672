"""The listening report in a browser: tracks stay in step, everything can be reached, and no request leaves the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import RATE, run, save, voices
from report_pages import FAULTY, change, replace_tracks, result

import bss
from bss.report import sound
from bss.report.page import report

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

SECONDS = 4.0
OPTIONS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
# All sources go into one node, which hands over the same moment of each: what is compared was heard together. The last channel
# is the first source 20 ms later, so that a comparison which sees nothing would be noticed.
LISTEN = """() => {
  const { engine } = bssPlayer, context = engine.context, n = engine.sources.length;
  const merger = context.createChannelMerger(n + 1), later = context.createDelay(1);
  const ear = context.createScriptProcessor(4096, n + 1, 1);
  later.delayTime.value = 0.02;
  engine.sources.forEach((source, k) => source.connect(merger, 0, k));
  engine.sources[0].connect(later).connect(merger, 0, n);
  merger.connect(ear).connect(context.destination);
  const start = context.currentTime;
  window.lags = [];
  ear.onaudioprocess = (event) => {
    const first = event.inputBuffer.getChannelData(0), lags = [];
    let power = 0;
    for (let i = 1000; i < 1512; i++) power += first[i] * first[i];
    if (power < 0.1) return; // before the beginning, or behind the end
    for (let k = 1; k <= n; k++) {
      const other = event.inputBuffer.getChannelData(k);
      let best = -Infinity, lag = null;
      for (let d = -500; d <= 500; d++) {
        let sum = 0;
        for (let i = 1000; i < 1512; i++) sum += first[i] * other[i + d];
        if (sum > best) [best, lag] = [sum, d];
      }
      lags.push(lag / context.sampleRate);
    }
    window.lags.push({ at: engine.time(), elapsed: context.currentTime - start, lags });
  };
}"""
# the levels of all tracks as they are heard, behind solo and mute
LEVELS = """async () => {
  const { engine } = bssPlayer;
  const taps = engine.gains.map((gain) => {
    const tap = engine.context.createAnalyser();
    tap.fftSize = 2048;
    gain.connect(tap);
    return tap;
  });
  await new Promise((done) => setTimeout(done, 500));
  return taps.map((tap) => {
    const heard = new Float32Array(2048);
    tap.getFloatTimeDomainData(heard);
    return Math.sqrt(heard.reduce((sum, v) => sum + v * v, 0) / 2048);
  });
}"""


class Opened:
    """A page in a browser, and what it said and asked for."""

    def __init__(self, tab: Any) -> None:
        self.tab, self.said, self.asked = tab, [], []  # type: ignore[var-annotated]
        tab.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: self.said.append(str(error)))
        tab.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("request", lambda request: self.asked.append(request.url))

    def go(self, path: Path) -> None:
        self.tab.goto(path.resolve().as_uri())
        self.tab.wait_for_selector("#play:not([disabled])", timeout=60_000)

    def ask(self, code: str) -> Any:
        return self.tab.evaluate(code)

    def until(self, condition: str, seconds: float = 60.0) -> None:
        for _ in range(round(10 * seconds)):
            if self.ask(condition):
                return
            self.tab.wait_for_timeout(100)
        raise AssertionError(f"never: {condition}; the page said {self.said}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    import shutil

    from playwright.sync_api import sync_playwright

    with sync_playwright() as start:
        browser = start.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, path: Path, *, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    with chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = Opened(context.new_page())
        page.go(path)
        yield page
        assert page.said == []
        assert {url.split("?")[0] for url in page.asked if not url.startswith(("data:", "blob:"))} == {path.resolve().as_uri()}


def hiss(seconds: float = SECONDS) -> np.ndarray:
    return (0.05 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result whose three tracks are the same noise."""
    folder = result(tmp_path_factory.mktemp("alike"), 3.0)
    replace_tracks(folder, *[hiss()] * 3)
    return folder


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a result with everything that can be said."""
    place = tmp_path_factory.mktemp("usual")
    folder = result(
        place, SECONDS, channels=["mic1.wav", "mic2.wav"], used=["mic1.wav", "mic2.wav"], reference="mic1.wav", **FAULTY
    )
    return report(folder).path


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_tracks_stay_in_step(kind: str, alike: Path, tmp_path: Path, chromium: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "MP3":
        monkeypatch.setattr(sound, "LOSSLESS_SAMPLES", 0)
    made = report(alike, tmp_path / "a.html")
    with opened(chromium, made.path) as page:
        page.tab.click("#play")
        page.ask(LISTEN)
        page.until("lags.length >= 6")
        page.ask("bssPlayer.choose(0.5, 1.5)")  # every source is made anew: listen to the new ones
        page.ask(LISTEN)
        page.until("lags.length >= 6")
        heard = page.ask("lags")
        assert all(0.5 <= moment["at"] <= 1.5 for moment in heard)
        page.ask("bssPlayer.repeat(false)")
        page.ask("bssPlayer.seek(2.5)")
        page.ask(LISTEN)
        page.until("lags.length >= 2")
        heard += page.ask("lags")
    assert all(len(moment["lags"]) == len(made.tracks) for moment in heard)
    assert np.abs([moment["lags"][:-1] for moment in heard]).max() <= 0.0001
    assert np.allclose([moment["lags"][-1] for moment in heard], 0.02, atol=0.0001), "a track that is late would be seen"


def test_position_follows_the_sound(alike: Path, tmp_path: Path, chromium: Any) -> None:
    """What is heard at the end of a seek is what the picture shows there."""
    y = hiss()
    made = report(alike, tmp_path / "a.html")
    with opened(chromium, made.path) as page:
        buffers = page.ask(
            "bssPlayer.engine.buffers.map((b) => [b.length, b.sampleRate, [...b.getChannelData(0).slice(32000, 32500)]])"
        )
        for length, rate, samples in buffers[1:]:
            assert (length, rate) == (y.size, RATE)
            assert np.allclose(samples, y[32_000:32_500], atol=2**-14)
        page.tab.click("#play")
        page.until("bssPlayer.engine.time() > 0.3")
        page.ask("bssPlayer.seek(2)")
        first, clock = page.ask("[bssPlayer.engine.time(), bssPlayer.engine.context.currentTime]")
        page.tab.wait_for_timeout(800)
        second, later = page.ask("[bssPlayer.engine.time(), bssPlayer.engine.context.currentTime]")
        assert 2 <= first < 2.2
        assert abs((second - first) - (later - clock)) < 0.05
        page.until("!bssPlayer.engine.playing")
        assert page.tab.text_content("#play") == "Play"
        assert page.ask("bssPlayer.engine.time()") == 0


def test_files_beside_the_page_play_together(alike: Path, tmp_path: Path, chromium: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "LOSSLESS_SAMPLES", 0)
    monkeypatch.setattr(sound, "INSIDE_BYTES", 0)
    made = report(alike, tmp_path / "a.html")
    assert len(made.files) == 4
    with chromium.new_context() as context:
        page = Opened(context.new_page())
        page.go(made.path)
        page.tab.click("#play")
        page.until("bssPlayer.engine.time() > 1")
        spread = (
            "(() => { const t = bssPlayer.engine.elements.map((e) => e.currentTime); return Math.max(...t) - Math.min(...t); })()"
        )
        apart = []
        for _ in range(10):
            apart.append(page.ask(spread))
            page.tab.wait_for_timeout(100)
        assert np.median(apart) < 0.05
        page.ask("bssPlayer.seek(3)")
        page.until("bssPlayer.engine.elements.every((e) => Math.abs(e.currentTime - 3) < 0.5)")
        assert page.said == []
        folder = tmp_path.resolve().as_uri(), alike.resolve().as_uri()
        assert all(url.startswith(folder) for url in page.asked)


def test_solo_and_mute_are_heard(usual: Path, chromium: Any) -> None:
    with opened(chromium, usual) as page:
        page.tab.click("#play")
        page.until("bssPlayer.engine.playing")
        page.ask("bssPlayer.choose(0, 4)")

        def sounding() -> list[bool]:
            return [level > 1e-5 for level in page.ask(LEVELS)]

        assert sounding() == [False, True, True], "the microphone begins silent"
        page.tab.click(".solo >> nth=0")
        assert sounding() == [True, False, False]
        assert page.tab.get_attribute(".solo >> nth=0", "aria-pressed") == "true"
        page.tab.click(".solo >> nth=0")
        page.tab.click(".mute >> nth=1")
        assert sounding() == [False, False, True]


def test_by_keyboard_alone(usual: Path, chromium: Any) -> None:
    with opened(chromium, usual) as page:
        press = page.tab.keyboard.press
        press("Tab")
        assert page.ask("document.activeElement.id") == "play"
        assert page.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        press("Enter")
        page.until("bssPlayer.engine.playing")
        page.ask("document.activeElement.blur()")
        press("Space")
        page.until("!bssPlayer.engine.playing")
        press("Home")
        press("Shift+ArrowRight")
        assert page.ask("bssPlayer.engine.time()") == 1
        press("BracketLeft")
        press("Shift+ArrowRight")
        press("BracketRight")
        assert page.ask("bssPlayer.engine.part") == [1, 2]
        assert page.tab.input_value("#from") == "1.00"
        press("l")
        assert page.ask("bssPlayer.engine.part") is None
        press("2")
        assert [page.ask(f"bssPlayer.heard({k})") for k in range(3)] == [False, True, False]
        press("2")
        press("Shift+Digit3")
        assert [page.ask(f"bssPlayer.heard({k})") for k in range(3)] == [False, True, False]
        before = page.ask("document.getElementById('plane').clientWidth")
        press("=")
        assert page.ask("document.getElementById('plane').clientWidth") > before
        page.tab.uncheck("#keys")
        page.ask("document.activeElement.blur()")
        press("Home")
        assert page.ask("bssPlayer.engine.time()") == 1, "without keys nothing happens"


def test_click_and_drag_in_the_pictures(usual: Path, chromium: Any) -> None:
    with opened(chromium, usual) as page:
        page.tab.locator(".wave").nth(1).scroll_into_view_if_needed()
        box = page.tab.locator(".wave").nth(1).bounding_box()
        mouse, y = page.tab.mouse, box["y"] + 20
        mouse.click(box["x"] + box["width"] / 2, y)
        assert abs(page.ask("bssPlayer.engine.time()") - SECONDS / 2) < 0.02
        mouse.move(box["x"] + box["width"] / 4, y)
        mouse.down()
        mouse.move(box["x"] + box["width"] * 3 / 4, y, steps=5)
        mouse.up()
        assert np.allclose(page.ask("bssPlayer.engine.part"), [SECONDS / 4, SECONDS * 3 / 4], atol=0.02)
        assert page.tab.locator("#chosen").is_visible()
        page.tab.uncheck("#pictures")
        assert not page.tab.locator(".picture").first.is_visible()


def test_waveforms_are_drawn(usual: Path, chromium: Any) -> None:
    count = """() => [...document.querySelectorAll('.wave')].map((wave) => {
      const canvas = wave.firstElementChild.shadowRoot.querySelector('canvas');
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return pixels.filter((v, i) => i % 4 === 3 && v > 0).length / (pixels.length / 4);
    })"""
    with opened(chromium, usual) as page:
        assert all(0.02 < share < 0.9 for share in page.ask(count))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_everybody_can_read_it(width: int, scheme: str, usual: Path, chromium: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with opened(chromium, usual, width=width, scheme=scheme) as page:
        page.ask("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert page.ask("document.documentElement.scrollWidth") <= width
        found = Axe().run(page.tab).response["violations"]
        assert [(one["id"], one["impact"], one["nodes"][0]["html"]) for one in found] == []


def test_odd_names_are_shown_and_not_run(tmp_path: Path, chromium: Any) -> None:
    names = ['"><script>alert(1)<!--', "\x1b[31mred"]
    folder = result(tmp_path)
    for old, new in zip(("source1", "source2"), names, strict=True):
        (folder / f"{old}.wav").rename(folder / f"{new}.wav")
    inputs = [f'mics/{names[0]}</script><script>alert("2")</script>.wav']
    change(folder, outputs=[f"{name}.wav" for name in names], per_mic=True, warnings=[f"{names[0]} is silent"], inputs=inputs)
    made = report(folder)
    with opened(chromium, made.path) as page:
        text = page.tab.inner_text("main")
        assert names[0] in text
        assert "\\x1b[31mred" in text
        assert '</script><script>alert("2")</script>.wav' in text


CASES = {  # how the recording of a page is made
    "clean": ["--mics", "2", "--rt60", "0.2"],
    "noisy": ["--mics", "3", "--rt60", "0.2", "--snr", "10"],
    "moving": ["--mics", "2", "--rt60", "0.2", "--move", "1:60"],
    "unsynchronised": ["--mics", "2", "--rt60", "0.2", "--offset", "2:0.3", "--drift", "2:60"],
}


@pytest.mark.parametrize("case", CASES)
def test_from_a_recording_to_its_page(case: str, tmp_path: Path, chromium: Any) -> None:
    files = [save(tmp_path / "voices" / f"{name}.wav", v) for name, v in zip(("anna", "ben"), voices(2, SECONDS), strict=True)]
    assert run("mix", *files, *CASES[case], "-o", tmp_path / "scene", "-q").exit_code == 0
    done = run("unmix", tmp_path / "scene/mics", "-n", 2, "--effort", "fast", "-o", tmp_path / "sources", "--report")
    assert done.exit_code == 0, done.stderr
    run("report", tmp_path / "scene")
    for path in (tmp_path / "sources/report.html", tmp_path / "scene/report.html"):
        with opened(chromium, path) as page:
            page.tab.click("#play")
            page.until("bssPlayer.engine.time() > 0.5")
            assert page.ask("bssPlayer.engine.sources.length") >= 3
    both = run("report", "--compare", tmp_path / "sources", tmp_path / "sources", "-o", tmp_path / "both.html", "--truth",
               tmp_path / "scene")  # fmt: skip
    assert both.exit_code == 0, both.stderr
    with opened(chromium, tmp_path / "both.html") as page:
        assert re.search(r"Scores against the truth: sources \(2\)", page.tab.inner_text("main"))


def test_of_arrays_at_another_rate(tmp_path: Path, chromium: Any) -> None:
    x = np.stack(voices(2, 3.0))
    done = bss.unmix(np.array([[1, 0.5], [0.4, 1]], np.float32) @ x, 44_100, n_sources=2)
    with opened(chromium, done.report(tmp_path / "a.html")) as page:
        assert page.ask("bssPlayer.engine.buffers[0].sampleRate") == 44_100
