"""Test voices: texts spoken by a synthesiser, each by a different speaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bss.errors import InputError, UsageError, check_choice, check_int
from bss.scenes import engines
from bss.signals.resample import resample

ENGINES = ("auto", "gtts", "espeak")
LEVEL = 0.06  # RMS of every voice
PEAK = 0.9

# speakers of espeak-ng: variant, words per minute, pitch. Neighbours differ in all three, and men and women alternate.
CAST = (
    ("m3", 160, 35),
    ("f2", 172, 55),
    ("m7", 148, 60),
    ("f5", 165, 70),
    ("m1", 178, 20),
    ("f4", 150, 40),
    ("m8", 168, 46),
    ("f3", 182, 75),
    ("m2", 155, 50),
    ("f1", 160, 30),
    ("m4", 175, 45),
    ("m6", 145, 70),
)
# accents of one language, so that speakers differ in more than pitch
ACCENTS = {"en": ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbcwmd")}
# gTTS has one speaker per language and country, selected by the Google domain of that country
DOMAINS = {
    "en": ("com", "co.uk", "com.au", "co.in", "ie", "co.za", "ca"),
    "fr": ("fr", "ca"),
    "pt": ("com.br", "pt"),
    "es": ("es", "com.mx", "us"),
}
SHIFTS = (1.0, 0.87, 1.14, 0.93, 1.07)  # factors on speed and pitch, when one gTTS voice serves as several speakers


@dataclass(frozen=True, eq=False)
class Spoken:
    """One spoken text: `x` (n,) float32 at `rate`, and its speaker."""

    x: np.ndarray
    rate: int
    text: str
    engine: str
    speaker: str


@dataclass(frozen=True, eq=False)
class Speech:
    """All texts, spoken by one engine; `note` explains why it is not the preferred one, or is empty."""

    spoken: tuple[Spoken, ...]
    engine: str
    note: str = ""


def speak(
    texts: Sequence[str],
    *,
    engine: str = "auto",
    languages: Sequence[str] = ("en",),
    voices: Sequence[str] = (),
    rate: int = 16_000,
) -> Speech:
    """Speak texts, each with a different voice, all at the same level.

    Parameters
    ----------
    texts : list of str
        The texts.
    engine : {"auto", "gtts", "espeak"}
        gTTS needs the network; "auto" falls back to espeak-ng when gTTS is not available, and notes it in `Speech.note`.
    languages : list of str
        Languages of the texts, used in turn, such as ``("en-us", "de")``.
    voices : list of str
        Voices of espeak-ng, LANGUAGE+VARIANT such as ``en-us+f3``, used in turn; chosen automatically by default.
    rate : int
        Samples per second.

    Returns
    -------
    Speech

    Raises
    ------
    UsageError
        There is no such engine, language or voice, or a text is empty.
    InputError
        A text contains nothing to speak.
    BssError
        No synthesiser is available.

    Examples
    --------
    >>> from bss.scenes.voices import speak
    >>> speech = speak(["Good morning.", "Guten Morgen."], engine="espeak", languages=["en", "de"])  # doctest: +SKIP
    """
    check_choice("engine", engine, ENGINES)
    check_int("rate", rate, 1000, 192_000)
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise UsageError("there is no text to speak", hint="at least one, in quotes")
    for k, text in enumerate(texts):
        if not text.strip():
            raise UsageError(f"text {k + 1} is empty", hint="words, in quotes")
    if not languages:
        raise UsageError("there is no language", hint="en")
    if voices and engine == "gtts":
        raise UsageError("voices can be chosen for espeak-ng only", "gTTS has one voice per language", "engine espeak")
    if engine == "espeak" or voices:
        return Speech(tuple(_by_espeak(texts, languages, voices, rate)), "espeak")
    try:
        return Speech(tuple(_by_google(texts, languages, rate)), "gtts")
    except engines.Unreachable as error:
        if engine == "gtts":
            raise
        note = f"using espeak-ng instead of gTTS: {error.what}" + (f" ({error.why})" if error.why else "")
        return Speech(tuple(_by_espeak(texts, languages, (), rate)), "espeak", note)


def _by_espeak(texts: Sequence[str], languages: Sequence[str], voices: Sequence[str], rate: int) -> list[Spoken]:
    for voice in voices or languages:
        engines.espeak_name(voice)  # check all of them before synthesising any
    spoken = []
    for k, text in enumerate(texts):
        again, k_cast = divmod(k, len(CAST))
        variant, speed, pitch = CAST[k_cast]
        # beyond the end of the cast: the same variants at other pitches and speeds
        speed, pitch = speed + (0, 14, -12)[again % 3], (pitch + 37 * again) % 100
        language = languages[k % len(languages)]
        accents = ACCENTS.get(language, (language,))
        voice = voices[k % len(voices)] if voices else f"{accents[k % len(accents)]}+{variant}"
        x, own_rate = engines.espeak_speech(text, voice, speed, pitch)
        speaker = f"{voice}, {speed} words per minute, pitch {pitch}"
        spoken.append(Spoken(_level(x, own_rate, rate, text), rate, text, "espeak", speaker))
    return spoken


def _by_google(texts: Sequence[str], languages: Sequence[str], rate: int) -> list[Spoken]:
    codes = [engines.check_google_language(language) for language in languages]
    used: dict[str, int] = {}
    spoken = []
    for k, text in enumerate(texts):
        code = codes[k % len(codes)]
        domains = DOMAINS.get(code, ("com",))
        again, k_domain = divmod(used.get(code, 0), len(domains))
        used[code] = used.get(code, 0) + 1
        shift = SHIFTS[again % len(SHIFTS)]
        x, own_rate = engines.google_speech(text, code, domains[k_domain])
        speaker = f"{code} of translate.google.{domains[k_domain]}" + (f", sped up by {shift:g}" if shift != 1 else "")
        spoken.append(Spoken(_level(x, round(own_rate * shift), rate, text), rate, text, "gtts", speaker))
    return spoken


def _level(x: np.ndarray, own_rate: int, rate: int, text: str) -> Any:
    """Trim the silence around the words, resample, and scale to LEVEL without clipping."""
    loud = np.flatnonzero(np.abs(x) > 0.005 * np.abs(x).max(initial=0))
    if loud.size == 0:
        raise InputError(f"the text {text!r} contains nothing to speak", "the synthesiser returned silence", "words")
    margin = own_rate // 20
    x = x[max(0, loud[0] - margin) : loud[-1] + margin]
    y = resample(x[None].astype(np.float32), own_rate, rate)[0]
    gain = min(LEVEL / np.sqrt(np.mean(y**2)), PEAK / np.abs(y).max())
    return (gain * y).astype(np.float32)
