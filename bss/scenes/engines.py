"""The two speech synthesisers: espeak-ng, a local program, and the Google Translate service through gTTS."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import BssError, InputError, UsageError
from bss.signals.files import audio

# People pause between words, espeak-ng does not. Without pauses voices are loud and quiet together so often that the
# differences in activity that every separation relies on are lost: 4 voices in a 0.3 s room gain 3 dB instead of 9.
WORD_GAP = 15  # in units of 10 ms at the default speed
TIMEOUT = (5.0, 30.0)  # seconds to wait for a connection, and for a response


class Unreachable(BssError):
    """A synthesiser is not installed, or does not respond."""


# ---------------------------------------------------------------- espeak-ng


def espeak_speech(text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[np.ndarray, int]:
    """`text` spoken by espeak-ng: (n,) float samples and their rate.

    `voice` is a language or LANGUAGE+VARIANT, `pitch` from 0 to 99.
    """
    program, name = _espeak(), espeak_name(voice)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "speech.wav")
        # the text is passed through stdin, so that a leading dash is not taken for an option
        options = ["-v", name, "-s", str(words_per_minute), "-p", str(pitch), "-g", str(WORD_GAP)]
        call = [program, "-b", "1", *options, "-w", str(file), "--stdin"]
        done = subprocess.run(call, input=text.encode(), capture_output=True, check=False)
        if done.returncode or not file.exists():
            raise InputError(f"espeak-ng cannot use the voice {voice}", done.stderr.decode(errors="replace").strip())
        x, rate = audio.read(file)
    return x[0], rate


def espeak_name(voice: str) -> str:
    """The name of `voice` (a language, or LANGUAGE+VARIANT) for espeak-ng; otherwise UsageError with the closest one.

    It is based on the voice file, because espeak-ng silently ignores an unknown variant, and every variant of a language
    that differs from its file name (en-gb, whose file is gmw/en).
    """
    language, plus, variant = voice.partition("+")
    files = _espeak_languages()
    if language.lower() not in files:
        raise UsageError(f"espeak-ng has no language {language!r}", hint=_closest(language, files, "espeak-ng --voices"))
    variants = _espeak_variants()
    if plus and variant not in variants:
        raise UsageError(
            f"espeak-ng has no voice variant {variant!r}", hint=_closest(variant, variants, "espeak-ng --voices=variant")
        )
    return files[language.lower()] + plus + variant


def _espeak() -> str:
    program = shutil.which("espeak-ng")
    if program is None:
        raise Unreachable(
            "espeak-ng is not installed", "it synthesises the voices when there is no network",
            "apt install espeak-ng (Debian, Ubuntu), dnf install espeak-ng (Fedora), brew install espeak-ng (macOS),"
            " winget install eSpeak-NG.eSpeak-NG (Windows)",
        )  # fmt: skip
    return program


@lru_cache(maxsize=1)
def _espeak_languages() -> dict[str, str]:
    """The voice file of each language, by its codes in lower case and by the file name."""
    # columns: priority, language, age/gender, name, file, then further languages that it covers, as (en 2)
    lines = [line for line in _espeak_list("--voices") if not line[4].startswith("mb/")]  # those need MBROLA
    others = {word.lstrip("(").lower(): line[4] for line in reversed(lines) for word in line[5:] if word.startswith("(")}
    names = {line[4].split("/")[-1].lower(): line[4] for line in lines}
    return others | names | {line[1].lower(): line[4] for line in reversed(lines)}


@lru_cache(maxsize=1)
def _espeak_variants() -> frozenset[str]:
    return frozenset(line[4].removeprefix("!v/") for line in _espeak_list("--voices=variant"))


def _espeak_list(option: str) -> list[list[str]]:
    done = subprocess.run([_espeak(), option], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return [words for words in map(str.split, done.stdout.decode(errors="replace").splitlines()[1:]) if len(words) > 4]


# ---------------------------------------------------------------- gTTS


def google_speech(text: str, language: str, domain: str) -> tuple[np.ndarray, int]:
    """`text` spoken by Google Translate in the accent of translate.google.`domain`: (n,) float samples and their rate.

    Raises
    ------
    Unreachable
        gTTS is not installed, there is no network, or the service refuses.
    """
    gtts = _gtts()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "speech.mp3")
        try:
            gtts.gTTS(text, lang=language, tld=domain, timeout=TIMEOUT).save(file)
        except AssertionError as error:  # raised by gTTS for a text without words
            raise InputError(f"the text {text!r} contains nothing to speak", str(error)) from error
        except gtts.gTTSError as error:
            raise Unreachable("the Google speech service is not available", str(error), "--engine espeak") from error
        try:
            x, rate = audio.read(file)
        except InputError as error:
            raise Unreachable("the Google speech service did not return MP3 audio", error.what, "--engine espeak") from error
    return x[0], rate


def check_google_language(language: str) -> str:
    """The code of `language` in gTTS (en for en-us); otherwise UsageError with the closest name."""
    _gtts()
    from gtts.lang import tts_langs

    known: set[str] = set(tts_langs())
    by_case = {code.lower(): code for code in known}
    for code in (language.lower(), language.lower().split("-")[0]):
        if code in by_case:
            return by_case[code]
    raise UsageError(f"gTTS has no language {language!r}", hint=_closest(language, known, "gtts-cli --all"))


def _gtts() -> Any:
    try:
        import gtts
    except ImportError as error:
        raise Unreachable("gTTS is not installed", hint='pip install "bss-toolkit[voices]", or --engine espeak') from error
    return gtts


def _closest(name: str, names: Iterable[str], listing: str) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"{listing} lists them all"
