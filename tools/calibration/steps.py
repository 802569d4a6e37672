"""Every fitted number of bss, with the fit that it comes from: a number that is not here, or not there, fails a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration import inside
from calibration.fits import Step, Values, limit, plateau, regression, robust_regression
from calibration.measures import Arrays, onset_rules

NEEDED = np.geomspace(0.003, 0.1, 200)
DOUBTS = np.geomspace(1.0, 6.0, 60)
SURE = 0.95  # share of the numbers called sure that shall be right
NAMED = 0.9  # share of the bands called mixed that shall be so
KEPT_DB, MUCH_DB = -6.0, -3.0  # left of another talker: a band with less is not mixed, one with more should be named
MIXED = np.arange(-12.0, 2.0, 0.1)
CHANGES = np.arange(-20.0, 0.5, 0.5)
FEWEST = 8  # scenes that a regression is fitted on
USUAL_DB = 1.0  # error of a prediction; larger ones are of scenes in which another sound was taken for a talker
GATES = ("SPEECH_DISTANCE", "SPEECH_VOICED", "SPEECH_SYLLABLES")
SIGNS = np.array([-1.0, 1.0, 1.0])  # of the evidence of speech: a small distance, much else


def current() -> Values:
    """The values as they are."""
    return {name: number.value for name, number in inside.fitted().items()}


def fit_success(scenes: Sequence[Arrays]) -> Values:
    """Regressions on what tracks have in common, the range that they were seen in, and the limit for a band that is mixed."""
    runs, bands = (np.concatenate([scene[name] for scene in scenes if name in scene]) for name in ("runs", "bands"))
    values: Values = {
        "SUCCESS_GAIN": regression(runs[:, 3:], runs[:, 2], runs[:, 0]),
        "SUCCESS_PARTS": _fit_parts(scenes),
        "SUCCESS_RANGE": (float(runs[:, 2].min()), float(runs[:, 2].max())),
        "SUCCESS_LEFT": regression(bands[:, 1:], bands[:, 0], np.ones(len(bands))),
    }
    left = _linear(bands[:, 1:], values["SUCCESS_LEFT"])
    named = left > MIXED[:, None]
    right = (named & (bands[:, 0] > KEPT_DB)).sum(1) / np.maximum(named.sum(1), 1)
    values["SUCCESS_MIXED"] = float(MIXED[np.argmax(right >= min(NAMED, right.max()))])
    return values


def _fit_parts(scenes: Sequence[Arrays]) -> tuple[float, ...]:
    """The regression on the first four features, of scenes in which nothing is wrong."""
    runs = np.concatenate([scene["runs"] for scene in scenes if "bands" in scene])
    return regression(runs[:, 3:7], runs[:, 2], runs[:, 0])


def success_errors(values: Values, scenes: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """dB off, dB out of the range, and share of the bands named wrongly, or that should be named; NaN where nothing is known."""
    errors = [{**dict.fromkeys(SUCCESS.units, np.nan), **_success_error(values, scene)} for scene in scenes]
    return {name: np.array([error[name] for error in errors]) for name in SUCCESS.units}


def _success_error(values: Values, scene: Arrays) -> dict[str, float]:
    errors: dict[str, float] = {}
    if "runs" in scene:
        weight, true = scene["runs"][:, 0], scene["runs"][:, 2]
        predicted = np.array([_gain(read, values) for read in scene["runs"][:, 3:]])
        errors["SUCCESS_GAIN"] = float(np.average(np.abs(predicted - true), weights=weight))
        errors["SUCCESS_RANGE"] = float(np.abs(true - np.clip(true, *values["SUCCESS_RANGE"])).max())
    if "bands" in scene:
        parts = np.clip(_linear(scene["runs"][:, 3:7], values["SUCCESS_PARTS"]), *values["SUCCESS_RANGE"])
        errors["SUCCESS_PARTS"] = float(np.average(np.abs(parts - true), weights=weight))
        left = _linear(scene["bands"][:, 1:], values["SUCCESS_LEFT"])
        kept, named = scene["bands"][:, 0], left > values["SUCCESS_MIXED"]
        wrong = np.where(named, kept < KEPT_DB, kept > MUCH_DB)[named | (kept > MUCH_DB)]
        errors["SUCCESS_LEFT"] = float(np.abs(left - kept).mean())
        errors["SUCCESS_MIXED"] = float(wrong.mean()) if len(wrong) else np.nan
    return errors


def _linear(read: np.ndarray, coefficients: object) -> np.ndarray:
    slopes = np.asarray(coefficients)
    return np.asarray(read @ slopes[:-1] + slopes[-1])


def _gain(read: np.ndarray, values: Values) -> float:
    lowest, highest = values["SUCCESS_RANGE"]
    return min(max(float(_linear(read, values["SUCCESS_GAIN"])), lowest), highest)


SUCCESS = Step(
    ("rooms", "faulty"),
    {
        "SUCCESS_GAIN": "dB", "SUCCESS_PARTS": "dB", "SUCCESS_RANGE": "dB beyond",
        "SUCCESS_LEFT": "dB", "SUCCESS_MIXED": "share of bands wrong",
    },
    fit_success, success_errors,
)  # fmt: skip


def fit_enhanced(scenes: Sequence[Arrays]) -> Values:
    """The regression on what tracks tell, those behind the source model, too, and the range that it was seen in."""
    seen = np.array([scene["whole"] for scene in scenes if "whole" in scene])
    if len(seen) < FEWEST:
        return {name: current()[name] for name in ENHANCED.units}
    return {
        "SUCCESS_LEARNED": robust_regression(seen[:, 1:], seen[:, 0], USUAL_DB),
        "SUCCESS_LEARNED_RANGE": (float(seen[:, 0].min()), float(seen[:, 0].max())),
    }


def enhanced_errors(values: Values, scenes: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """dB off, and dB out of the range; NaN where the source model is not applied."""
    unknown = np.full(np.size(values["SUCCESS_LEARNED"]), np.nan)  # a gain, and as many features as there are slopes
    seen = np.array([scene.get("whole", unknown) for scene in scenes])
    lowest, highest = values["SUCCESS_LEARNED_RANGE"]  # type: ignore[misc]
    predicted = np.clip(_linear(seen[:, 1:], values["SUCCESS_LEARNED"]), lowest, highest)
    beyond = np.abs(seen[:, 0] - np.clip(seen[:, 0], lowest, highest))
    return {"SUCCESS_LEARNED": np.abs(predicted - seen[:, 0]), "SUCCESS_LEARNED_RANGE": beyond}


ENHANCED = Step(("whole",), {"SUCCESS_LEARNED": "dB", "SUCCESS_LEARNED_RANGE": "dB beyond"}, fit_enhanced, enhanced_errors)


def fit_counting(scenes: Sequence[Arrays]) -> Values:
    """The rule and the share with which most numbers are right; doubt so that most of those called sure are."""
    rules, talkers = onset_rules(), np.array([scene["talkers"] for scene in scenes])
    right = np.array([[np.mean(_counted(scenes, v, share) == talkers) for share in NEEDED] for v in range(len(rules))])
    needed = [plateau(NEEDED, merit) for merit in right]
    best = right.max(1)
    many, few = np.array([scene["begun"] for scene in scenes]).T
    values: Values = {"COUNTING_NEEDED": needed[0], "COUNTING_FEWEST": float(np.sqrt(max(few.max(), 1) * max(many.min(), 1)))}
    for axis, name in enumerate(("COUNTING_RISE", "COUNTING_ABOVE_FLOOR", "COUNTING_OWNED")):
        tried = [0, *range(1 + 4 * axis, 5 + 4 * axis)]
        chosen = tried[int(np.argmax(best[tried]))]
        values |= {name: rules[chosen][axis], f"{name} with": (float(chosen), needed[chosen])}
    for doubt in DOUBTS:
        values["COUNTING_DOUBT"] = float(doubt)
        wrong = counting_errors(values, scenes)["COUNTING_DOUBT"]
        if np.isfinite(wrong).any() and np.nanmean(wrong) <= 1 - SURE:
            break
    return values


def counting_errors(values: Values, scenes: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Whether the number is wrong; of those called sure, whether it is; whether speech passes for noise, or noise for speech."""
    talkers = np.array([scene["talkers"] for scene in scenes])
    needed = float(values["COUNTING_NEEDED"])
    counted = _counted(scenes, 0, needed)
    doubt = float(values["COUNTING_DOUBT"]) * 2.0 ** np.array([scene["halved"] for scene in scenes])
    sure = _counted(scenes, 0, needed * doubt) == _counted(scenes, 0, needed / doubt)
    errors = {"COUNTING_NEEDED": (counted != talkers) * 1.0, "COUNTING_DOUBT": np.where(sure, counted != talkers, np.nan)}
    for name in ("COUNTING_RISE", "COUNTING_ABOVE_FLOOR", "COUNTING_OWNED"):
        variant, share = values.get(f"{name} with", (0.0, needed))
        errors[name] = (_counted(scenes, int(variant), share) != talkers) * 1.0
    begun = np.array([scene["begun"] for scene in scenes])
    errors["COUNTING_FEWEST"] = ((begun[:, 0] < values["COUNTING_FEWEST"]) + (begun[:, 1] >= values["COUNTING_FEWEST"])) / 2
    return errors


def _counted(scenes: Sequence[Arrays], variant: int, needed: float | np.ndarray) -> np.ndarray:
    """How many talkers each scene has, at least one, by a rule."""
    shares = np.array([scene["shares"][variant] for scene in scenes])
    return np.maximum(1, (shares > np.broadcast_to(needed, len(scenes))[:, None]).sum(1))


COUNTING = Step(
    ("counting",),
    {
        "COUNTING_RISE": "share wrong", "COUNTING_ABOVE_FLOOR": "share wrong", "COUNTING_OWNED": "share wrong",
        "COUNTING_FEWEST": "share wrong", "COUNTING_NEEDED": "share wrong", "COUNTING_DOUBT": "share of the sure wrong",
    },
    fit_counting, counting_errors,
)  # fmt: skip


def _parting(group: str, name: str, measure: str, kind: str, *, ratio: bool = False, above: bool = False) -> Step:
    """A limit on a measure: scenes of a kind are below it (`above`: above it), all others are on the other side."""

    def split(scenes: Sequence[Arrays]) -> tuple[np.ndarray, np.ndarray]:
        return np.array([scene[measure] for scene in scenes]), np.array([bool(scene[kind]) != above for scene in scenes])

    def fit(scenes: Sequence[Arrays]) -> Values:
        values, low = split(scenes)
        return {name: limit(values[low], values[~low], ratio=ratio)}

    def errors(values: Values, scenes: Sequence[Arrays]) -> dict[str, np.ndarray]:
        measured, low = split(scenes)
        return {name: np.where(np.isfinite(measured), (measured < values[name]) != low, np.nan)}

    return Step((group,), {name: "share wrong"}, fit, errors)


def model_applies(scene: Arrays) -> bool:
    """Whether the source model goes on by the limits as they are."""
    limits = current()
    return bool(_passing(scene["speech"], limits).any()) and bool(scene["model"][2] <= limits["SPEECH_CHANGE"])


def _passing(evidence: np.ndarray, limits: Values, *, but: str = "") -> np.ndarray:
    """(N,) whether each track of the evidence (3, N) is speech by the limits, or by all but one of them."""
    passed = [s * row > s * limits[name] for s, row, name in zip(SIGNS, evidence, GATES, strict=True) if name != but]
    return np.all(passed, axis=0)


def _best(scenes: Sequence[Arrays], gate: int) -> np.ndarray:
    """Of each scene the evidence of the track that is most like speech, of those that pass the other limits; NaN without one."""
    limits = current()
    best = []
    for scene in scenes:
        passed = SIGNS[gate] * scene["speech"][gate][_passing(scene["speech"], limits, but=GATES[gate])]
        best.append(SIGNS[gate] * passed.max() if len(passed) else np.nan)
    return np.array(best)


def fit_speech(scenes: Sequence[Arrays]) -> Values:
    """Limits between rooms with talkers and rooms with other sounds; the change up to which the model's tracks are better."""
    talkers = np.array(["runs" in scene for scene in scenes])
    values: Values = {}
    for gate, name in enumerate(GATES):
        best = SIGNS[gate] * _best(scenes, gate)
        parted = SIGNS[gate] * limit(best[~talkers], best[talkers])
        values[name] = float(parted) if np.isfinite(parted) else current()[name]
    models = [scene["model"] for scene in scenes if _passing(scene["speech"], current()).any()]
    without, behind, change = np.array(models).T if models else np.zeros((3, 1))
    merit = np.array([np.where(change <= most, behind, without).mean() for most in CHANGES])
    values["SPEECH_CHANGE"] = plateau(CHANGES, merit)
    return values


def speech_errors(values: Values, scenes: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Whether a scene is on the wrong side, with the other limits as they are; dB lost by applying the model, or not."""
    talkers = np.array(["runs" in scene for scene in scenes])
    errors = {}
    for gate, name in enumerate(GATES):
        best = SIGNS[gate] * _best(scenes, gate)
        errors[name] = np.where(np.isfinite(best), (best > SIGNS[gate] * values[name]) != talkers, np.nan)
    speech = np.array([_passing(scene["speech"], current()).any() for scene in scenes])
    without, behind, change = np.array([scene["model"] for scene in scenes]).T
    kept = np.where(change <= values["SPEECH_CHANGE"], behind, without)
    errors["SPEECH_CHANGE"] = np.where(speech, np.maximum(without, behind) - kept, np.nan)
    return errors


STEPS = {
    "success": SUCCESS,
    "enhanced": ENHANCED,
    "desk": _parting("choice", "SUCCESS_DESK_COHERENCE", "shared", "desk", ratio=True),
    "counting": COUNTING,
    "choice": _parting("choice", "CHOICE_DELAY_FREE", "delayed", "desk", ratio=True),
    "close_mics": _parting("close_mics", "CLOSE_MICS_AGREEMENT", "agreement", "close", above=True),
    "speech": Step(
        ("rooms", "noise"), {**dict.fromkeys(GATES, "share wrong"), "SPEECH_CHANGE": "dB lost"}, fit_speech, speech_errors
    ),
}
