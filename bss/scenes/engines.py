"""The two speech synthesisers: espeak-ng, a program on this machine, and Google Translate's service through gTTS."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bss.errors import BssError, InputError, UsageError
from bss.signals import audio

TIMEOUT = (5.0, 30.0)  # seconds to wait for a connection, and for an answer


class Unreachable(BssError):
    """A synthesiser is not there, or does not answer."""


# ---------------------------------------------------------------- espeak-ng


def espeak_says(text: str, voice: str, words_per_minute: int, pitch: int) -> tuple[np.ndarray, int]:
    """`text` spoken by espeak-ng: (n,) float samples and their rate. `pitch` is from 0 to 99."""
    program = _espeak()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "speech.wav")
        # the text goes in through stdin: one that begins with a dash is no option
        call = [program, "-b", "1", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "-w", str(file), "--stdin"]
        done = subprocess.run(call, input=text.encode(), capture_output=True, check=False)
        if done.returncode or not file.exists():
            raise InputError(f"espeak-ng cannot speak with the voice {voice}", done.stderr.decode(errors="replace").strip())
        x, rate = audio.read(file)
    return x[0], rate


def check_espeak_voice(voice: str) -> str:
    """`voice` (a language, or LANGUAGE+VARIANT) if espeak-ng has it, or UsageError with the closest name.

    espeak-ng itself takes an unknown variant for none, without a word.
    """
    language, _, variant = voice.partition("+")
    languages, files = _espeak_list("--voices")
    if language not in languages | files:
        raise UsageError(f"espeak-ng has no language {language!r}", hint=_closest(language, languages, "espeak-ng --voices"))
    variants = {file.removeprefix("!v/") for file in _espeak_list("--voices=variant")[1]}
    if "+" in voice and variant not in variants:
        raise UsageError(
            f"espeak-ng has no voice variant {variant!r}", hint=_closest(variant, variants, "espeak-ng --voices=variant")
        )
    return voice


def _espeak() -> str:
    program = shutil.which("espeak-ng")
    if program is None:
        raise Unreachable(
            "espeak-ng is not installed", "it is the program that speaks when there is no network",
            "apt install espeak-ng (Debian, Ubuntu), dnf install espeak-ng (Fedora), brew install espeak-ng (macOS),"
            " winget install eSpeak-NG.eSpeak-NG (Windows)",
        )  # fmt: skip
    return program


@lru_cache(maxsize=4)
def _espeak_list(option: str) -> tuple[frozenset[str], frozenset[str]]:
    """Languages and voice files of espeak-ng's own list."""
    done = subprocess.run([_espeak(), option], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    lines = [line.split() for line in done.stdout.decode(errors="replace").splitlines()[1:]]
    # Pty Language Age/Gender VoiceName File Other; also the other languages that a voice stands for: (en 2)
    others = {word.lstrip("(") for line in lines for word in line[5:] if word.startswith("(")}
    return frozenset({line[1] for line in lines} | others), frozenset(line[4] for line in lines if len(line) > 4)


# ---------------------------------------------------------------- gTTS


def google_says(text: str, language: str, domain: str) -> tuple[np.ndarray, int]:
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
            gtts.gTTS(text, lang=language, tld=domain, lang_check=False, timeout=TIMEOUT).save(file)
        except AssertionError as error:  # how gTTS says that a text has no words
            raise InputError(f"there is nothing to speak in the text {text!r}", str(error)) from error
        except gtts.gTTSError as error:
            raise Unreachable("Google's speech service cannot be used", str(error), "--engine espeak") from error
        try:
            x, rate = audio.read(file)
        except InputError as error:
            raise Unreachable("Google's speech service sent something else than MP3", error.what, "--engine espeak") from error
    return x[0], rate


def check_google_language(language: str) -> str:
    """The code by which gTTS knows `language` (en-us is en there), or UsageError with the closest name."""
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


def _closest(name: str, names: set[str] | frozenset[str], listing: str) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1)
    return (f"did you mean {close[0]!r}? " if close else "") + f"{listing} shows them all"
