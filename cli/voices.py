"""`bss voices`: synthetic test voices."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .support.common import Output, command


@command("voices")
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option("-o", "--output", default="voices", show_default=True, help="Folder for the voices.")
@click.option("--engine", type=click.Choice(("auto", "gtts", "espeak")), default="auto", show_default=True,
              help="gTTS needs the network; auto falls back to espeak-ng.")  # fmt: skip
@click.option("--language", "languages", multiple=True, default=("en",), show_default=True,
              help="Language, such as en-us or de; several are used in turn, one per text.")  # fmt: skip
@click.option("--voice", "voices", multiple=True,
              help="Voice of espeak-ng, such as en-us+f3; several are used in turn [a different one per text].")  # fmt: skip
@click.option("--rate", type=click.IntRange(1000, 192_000), default=16_000, show_default=True, help="Sample rate in Hz.")
@click.option("--format", "suffix", type=click.Choice(("wav", "flac")), default="wav", show_default=True, help="File format.")
@click.option("--overwrite", "-y", is_flag=True, help="Replace existing voices.")
def voices(
    out: Output,
    texts: tuple[str, ...],
    output: str,
    engine: str,
    languages: tuple[str, ...],
    voices: tuple[str, ...],
    rate: int,
    suffix: str,
    overwrite: bool,
) -> None:
    """Synthesise speech, each text with a different voice: talkers for bss mix.

    Writes voice1.wav ... and voices.json, which lists texts and speakers.

    \b
    Examples:
      bss voices "The tide is out." "Who took my tea?" -o voices/
      bss voices "Guten Morgen." "Buenos dias." --language de --language es
      bss voices "One." "Two." --engine espeak --voice en-us+f3 --voice en-gb+m7 --format flac
    """
    from bss.errors import UsageError
    from bss.scenes.voices import speak
    from bss.signals.files.writing import output_folder

    if output == "-":
        raise UsageError("-o - means stdout, but there are several files to write", hint="a folder")
    names = [f"voice{k + 1}.{suffix}" for k in range(len(texts))]
    folder = Path(output)
    with output_folder(folder, [*names, "voices.json"], overwrite=overwrite) as place:
        speech = speak(texts, engine=engine, languages=languages, voices=voices, rate=rate)
        for name, spoken in zip(names, speech.spoken, strict=True):
            place.audio(name, spoken.x[None], rate, subtype="PCM_16")
        entries = [
            {"file": name, "text": one.text, "speaker": one.speaker, "seconds": round(len(one.x) / rate, 3)}
            for name, one in zip(names, speech.spoken, strict=True)
        ]
        document = {"engine": speech.engine, "rate": rate, "note": speech.note, "voices": entries}
        place.text("voices.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if speech.note:
        out.warn(speech.note)
    for entry in entries:
        out.say(f"{folder / str(entry['file'])}: {entry['seconds']} s, {entry['speaker']}")
    out.say(f"next: bss mix {output} -o mixed")
    out.emit({**document, "folder": folder})
