"""Every number that was fitted on recordings with a known truth: its unit, what it was fitted on, how good it is, and when.

What a measurement means for a decision or a message stands here: regressions, and limits between two kinds of recordings. A
change of FD-ICA, ILRMA or the source model changes the measurements, and with them what these numbers should be. `python
tools/calibrate.py` fits all of them anew and prints old beside new. Windows, iterations and bands are no fits: they stand with
the code that they shape, and docs/methods.md has the tables that they were chosen by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")


@dataclass(frozen=True)
class Fitted(Generic[V]):
    """A number from data.

    Attributes
    ----------
    value : float or tuple of float
    unit : str
    meaning : str
        What it stands for; of a tuple, of each of its numbers.
    data : str
        What it was fitted on, and by which method.
    error : str
        How far off it is there.
    date : str
        Of the fit, as year-month-day.
    checked : str
        What the last run of tools/calibrate.py said: the error of the value as it is, and of a new one, in scenes left out.
    """

    value: V
    unit: str
    meaning: str
    data: str
    error: str
    date: str
    checked: str


def fitted() -> dict[str, Fitted[float] | Fitted[tuple[float, ...]]]:
    """All of them, by name."""
    return {name: value for name, value in globals().items() if isinstance(value, Fitted)}


# The estimate of success (`success`)

SUCCESS_GAIN: Fitted[tuple[float, ...]] = Fitted(
    (-2.493, 22.46, -26.21, 0.8269, 0.1004, -3.267, -0.8488, -3.168),
    unit="dB per unit of each feature; dB",
    meaning="gain of SI-SDR over the microphone, mean over talkers, from the logarithm of the share misplaced, apart, together, "
    "the logarithms of the coherence and of the local share, by how much the latter is above CLEARLY_SHARED, the floor, and 1",
    data="102 scenes: 60 rooms of 10 s, simulated and measured, 2 to 4 talkers and microphones, as many parts of 2 to 5 s, the "
    "same before ILRMA at a weight of 0.4, 15 by AuxIVA; 42 of 20 s with a talker who walks, a drifting clock, noise, babble, "
    "0.8 s of echo, a talker too many, or a conversation, separated as if nothing were wrong. Weighted least squares, ridge 1e-3",
    error="mean absolute error 2.1 dB with scenes left out in turn",
    date="2026-11-30",
    checked="2026-11-30, the same scenes",
)
SUCCESS_PARTS: Fitted[tuple[float, ...]] = Fitted(
    (-3.394, 13.54, 17.13, -1.103, -21.151),
    unit="dB per unit of each feature; dB",
    meaning="the same of parts of a few seconds in which nothing is wrong, from the first four features, and 1: it decides "
    "whether filters that follow the talkers separate better than those of the whole recording",
    data="448 separations: 128 rooms of 10 s, simulated and measured, 2 to 4 talkers and microphones; as many parts of 2 to 5 "
    "s; the same before ILRMA, at a weight of 0.4; 32 by AuxIVA, which mostly fails there. Weighted least squares, ridge 1e-3 "
    "of the variance",
    error="mean absolute error 1.9 dB with rooms left out in turn, 1.5 dB in those of 10 s",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 2.07 dB; 2.06 with (-2.765, 13.11, 10.61, -1.587, -18.28) in its place; not clearly better",
)
SUCCESS_RANGE: Fitted[tuple[float, ...]] = Fitted(
    (-6.5, 22.8),
    unit="dB",
    meaning="smallest and largest gain that is predicted: what is outside was not seen",
    data="the range of the true gains of the same separations",
    error="none",
    date="2026-11-30",
    checked="2026-11-30, the same scenes",
)
SUCCESS_LEARNED: Fitted[tuple[float, ...]] = Fitted(
    (0.776, -4.14, -0.867, -0.272, -0.034, -8.123, 1.77),
    unit="1; dB; 1; 1; 1; dB; dB",
    meaning="gain behind the learned source model, from that predicted for its input, the overlap of its tracks, the SI-SDR of "
    "the microphone against them, what of it is none of them, their floor, whether the filters follow the talkers, and 1",
    data="128 recordings of 5 to 40 s, two runs of the group `whole` of tools/calibration: still rooms, turns, noise, six voices "
    "around, talkers who walk, 0.8 s of echo, a soft talker, one who joins; separated by default, with the number of talkers "
    "given. Least squares, ridge 1e-3, errors above 1 dB by their size",
    error="mean absolute error 2.4 dB with recordings left out in turn, 6 of them more than 6 dB too high, as a noise was taken "
    "for a talker; in 105 recordings of another simulator and other voices 1.9 dB, and at most 3.5 dB too high",
    date="2026-12-01",
    checked="2026-12-01, the same scenes",
)
SUCCESS_LEARNED_RANGE: Fitted[tuple[float, ...]] = Fitted(
    (-7.6, 33.9),
    unit="dB",
    meaning="smallest and largest gain that is predicted behind the learned source model",
    data="the range of the true gains of the same scenes",
    error="none",
    date="2026-12-01",
    checked="2026-12-01, the same scenes",
)
SUCCESS_LEFT: Fitted[tuple[float, ...]] = Fitted(
    (1.34, -10.8, -0.6396, 0.7941, 5.11),
    unit="dB per unit of each feature; dB",
    meaning="power of the other of two talkers against the one who is meant, in a band, where it is 0 dB in the recording; "
    "from the first four features of SUCCESS_GAIN",
    data="the bands and pairs of talkers of 60 rooms, simulated and measured, against the regression of the powers of the "
    "tracks on those of the true talkers",
    error="1.9 dB with rooms left out in turn",
    date="2026-11-30",
    checked="2026-11-30, 60 scenes: 2.75 dB with (1.36, -6.37, -8.53, 0.34, 7.15), the fit before",
)
SUCCESS_MIXED: Fitted[float] = Fitted(
    -4.4,
    unit="dB",
    meaning="more than that left, by SUCCESS_LEFT, and two talkers are called mixed in the band",
    data="the same bands: the lowest limit above which nine of ten truly keep -6 dB or more",
    error="one of ten bands named keeps less",
    date="2026-11-30",
    checked="2026-11-30, 52 scenes: 35 % of the bands wrong; 43 % with the fits before",
)
SUCCESS_DESK_COHERENCE: Fitted[float] = Fitted(
    0.05,
    unit="magnitude-squared coherence",
    meaning="two tracks of plain ICA that share more are of a room",
    data="16 delay-free mixtures of 2 and 5 s, 0.011 at most; 16 rooms, 0.12 at least",
    error="none wrong",
    date="2026-11-23",
    checked="2026-11-30, 54 scenes: 2 % of the scenes wrong; 4 % with 0.08988 in its place; not clearly better",
)

# The number of talkers (`counting`)

COUNTING_RISE: Fitted[float] = Fitted(
    2.0,
    unit="1",
    meaning="factor by which the power in a frame exceeds that of the frame before, at an onset",
    data="160 simulated and measured rooms, 1 to 4 talkers, 4 microphones: the most numbers right",
    error="92 % right there; 91 % in 128 other rooms",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 10 % of the scenes wrong; 14 % with 3 in its place; not clearly better",
)
COUNTING_ABOVE_FLOOR: Fitted[float] = Fitted(
    8.0,
    unit="1",
    meaning="factor by which the power at an onset exceeds that of the quiet frames of its bin",
    data="as COUNTING_RISE",
    error="as COUNTING_RISE",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 10 % of the scenes wrong; 10 % with 4 in its place; not clearly better",
)
COUNTING_OWNED: Fitted[float] = Fitted(
    0.75,
    unit="1",
    meaning="share of the power at an onset from which it counts as the output's own",
    data="as COUNTING_RISE",
    error="as COUNTING_RISE",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 10 % of the scenes wrong; 12 % with 0.75 in its place; not clearly better",
)
COUNTING_FEWEST: Fitted[float] = Fitted(
    100,
    unit="1",
    meaning="onsets needed for counting",
    data="speech of 2 s has hundreds, steady noise a dozen",
    error="none wrong",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 0 % of the scenes wrong; 0 % with 25 in its place; not clearly better",
)
COUNTING_NEEDED: Fitted[float] = Fitted(
    0.0185,
    unit="1",
    meaning="share of all onsets from which an output counts as a talker",
    data="as COUNTING_RISE",
    error="as COUNTING_RISE",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 10 % of the scenes wrong; 10 % with 0.009769 in its place; not clearly better",
)
COUNTING_DOUBT: Fitted[float] = Fitted(
    2.6,
    unit="1",
    meaning="factor on COUNTING_NEEDED, either way, within which the number is called unsure",
    data="16 rooms of the fixture voices, 1 to 4 talkers, 4 microphones, with the threshold relative to the largest output: at "
    "2.0, the fit to the rule before, 2 of 14 called sure were wrong, at 2.6 none",
    error="not measured for 2.6; at 2.0, by the rule before, 108 of 115 called sure were right",
    date="2026-11-30",
    checked="2026-11-30, 16 rooms: none of those called sure wrong by the shares measured there, 2 of 14 with 2.0",
)

# The choice of the method (`choose`, `close_mics`)

CHOICE_DELAY_FREE: Fitted[float] = Fitted(
    1.2,
    unit="1",
    meaning="delayed coherence of the outputs of plain ICA, relative to that of independent signals: below, the mixture is "
    "instantaneous",
    data="700 delay-free mixtures (2 to 4 talkers, real and synthetic, 0.5 to 12 s, noise down to 15 dB under them) and 700 "
    "rooms (measured and simulated, 0 to 0.6 s of reverberation, 1 cm to 1 m between microphones)",
    error="above in 3 of the 700 mixtures, none longer than 2 s; below in 6 of the 700 rooms, noisy ones of 1 or 2 s; below "
    "in none of 160 in which every talker had a microphone",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 2 % of the scenes wrong; 2 % with 1.303 in its place; not clearly better",
)
CLOSE_MICS_AGREEMENT: Fitted[float] = Fitted(
    0.88,
    unit="1",
    meaning="share of sources and bins in which levels and activity indicate the same talker: from there on every talker has a "
    "microphone",
    data="80 rooms with two or three talkers 30 cm from a microphone each, 0.93 or more; 48 where no talker has one, "
    "microphones 5 or 50 cm apart, 0.83 or less",
    error="none wrong; 0.89 or more in 20 others",
    date="2026-11-23",
    checked="2026-11-30, 84 scenes: 0 % of the scenes wrong; 0 % with 0.8306 in its place; not clearly better",
)

# Whether the source model is applied (`analysis.speech`, `methods.neural`)

SPEECH_DISTANCE: Fitted[float] = Fitted(
    1.2,
    unit="Mahalanobis distance over the root of the dimension",
    meaning="distance from speech, at most",
    data="100 rooms (40 with talkers that nothing was trained on): 1.08 at most for the best track. Sneezes come to 0.7, "
    "clocks and fires to 1.0; voices of espeak-ng are at 0.8 to 1.4 in rooms of 10 s",
    error="all of the 100 rooms pass",
    date="2026-11-26",
    checked="2026-11-30, 108 scenes: 2 % of the scenes wrong; 0 % with 0.9775 in its place; not clearly better",
)
SPEECH_VOICED: Fitted[float] = Fitted(
    0.36,
    unit="1",
    meaning="share of loud neighbouring frames through which one period glides, at least",
    data="the 100 rooms: 0.45 or more for the best track in 98. 118 rooms with noises: at most 0.34 where a track was as near "
    "to speech, but for saws; a dog at 0.34 is close to the limit. Noise less than 15 dB under the speech hides the voice, too",
    error="98 of 100 rooms pass; of the noises only saws do",
    date="2026-11-27",
    checked="2026-11-30, 110 scenes: 3 % of the scenes wrong; 5 % with 0.3675 in its place; not clearly better",
)
SPEECH_SYLLABLES: Fitted[float] = Fitted(
    0.2,
    unit="1",
    meaning="share of the rhythm that syllables are, at least",
    data="the 100 rooms: 0.44 or more for the best track; 0.11 or less for the two saws that were as near to speech and as "
    "voiced, though others have up to 0.45",
    error="none of the 118 rooms with noises passes all three",
    date="2026-11-27",
    checked="2026-11-30, 85 scenes: 2 % of the scenes wrong; 2 % with 0.3 in its place; not clearly better",
)
SPEECH_CHANGE: Fitted[float] = Fitted(
    -4.5,
    unit="dB",
    meaning="power that the model would take from a track against that of the track, at most: beyond, it was not separated, "
    "or is no speech",
    data="the rooms of SPEECH_DISTANCE",
    error="not written down",
    date="2026-11-26",
    checked="2026-11-30, 85 scenes: 0.08 dB lost; 0.01 with -2 in its place; not clearly better",
)
