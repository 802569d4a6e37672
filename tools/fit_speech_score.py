"""Fit the score that tells talkers from other sounds (bss/networks/weights/speech-score.safetensors) anew.

    python tools/fit_speech_score.py --speech SPEECH SYNTHETIC --noise NOISE NOISE2 --tracks 6000 -o speech-score.safetensors

Folders of speech have a folder for each speaker, those of noise folders or files for each kind of sound; of several folders of
speech each has the same share. Of the speakers every fifth, and of the kinds every fourth, is kept out of a first fit and judged
by it; the second fit, of everything, is what is written.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

import numpy as np
from safetensors.numpy import save
from speech_score.fitting import fit
from speech_score.sounds import groups
from speech_score.tracks import Files, measured, track

from bss.networks.source_model import speech_score
from bss.networks.source_model.speech_score import SpeechScore

TENSORS = ("mean", "scale", "hidden", "hidden_bias", "output", "output_bias")


def main(arguments: list[str] | None = None) -> None:
    """Make tracks, fit, judge, write."""
    options = parsed(arguments)
    speakers, kinds = [groups([folder]) for folder in options.speech], groups(options.noise)
    known, unknown = (
        examples(options.seed + kept, count, [part(those, 5, kept=kept) for those in speakers], part(kinds, 4, kept=kept))
        for kept, count in ((False, options.tracks), (True, max(options.tracks // 4, 8)))
    )
    print(judged(fit(*known), *unknown))
    rows, talker = (np.concatenate(pair) for pair in zip(known, unknown, strict=True))
    score = fit(rows, talker)
    words = {"bss": speech_score.KIND, "config": f'{{"tracks": {len(rows)}, "date": "{date.today().isoformat()}"}}'}
    tensors = {name: np.asarray(getattr(score, name), np.float32) for name in TENSORS}
    options.output.write_bytes(save(tensors, words))


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", type=Path, nargs="+", required=True, help="with a folder for each speaker")
    parser.add_argument("--noise", type=Path, nargs="+", required=True, help="folders of sounds that are no talkers")
    parser.add_argument("--tracks", type=int, default=6000, help="how many to learn from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True, help="where to write the score")
    return parser.parse_args(arguments)


def part(files: Files, every: int, *, kept: bool) -> Files:
    """The groups that are kept out of the first fit, or the others."""
    return {name: files[name] for k, name in enumerate(sorted(files)) if (k % every == 0) == kept}


def examples(seed: int, count: int, speakers: list[Files], kinds: Files) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (K, D) of tracks, and which are talkers, (K,)."""
    rng = np.random.default_rng(seed)
    rows, talkers = [], []
    for k in range(count):
        y, is_talker = track(rng, speakers[k % len(speakers)], kinds)
        rows.append(measured(y))
        talkers.append(is_talker)
        if k % 100 == 0:
            print(f"{k} of {count} tracks", file=sys.stderr)
    return np.array(rows), np.array(talkers)


def judged(score: SpeechScore, rows: np.ndarray, talker: np.ndarray) -> str:
    """How often the score is wrong about tracks it was not fitted to."""
    scores = np.array([score(row) for row in rows])
    missed, false = np.mean(scores[talker] < 0), np.mean(scores[~talker] > 0)
    return f"speakers and sounds left out: {100 * missed:.1f} % of talkers below 0, {100 * false:.1f} % of other sounds above"


if __name__ == "__main__":
    main()
