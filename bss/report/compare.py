"""Two results of one recording as one material, their talkers matched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from bss.errors import InputError
from bss.report.material import TALKER, Material, Track, blocks_of

LEAST_ALIKE = 0.2  # correlation of the sums of all talkers: of one recording it is nearly 1, of two hardly more than 0
TINY = 1e-20


def together(a: Material, b: Material) -> Material:
    """Both results: the microphone of the first, and every talker of the first followed by the same talker of the second.

    Raises
    ------
    InputError
        They are not of the same recording, or one is a scene.
    """
    for one in (a, b):
        if one.record is None:
            raise InputError(f"{one.title} is a scene", "two separations are compared", "folders that bss unmix wrote")
    if (a.n, a.rate) != (b.n, b.rate):
        raise InputError(
            f"{a.title} and {b.title} are not of the same recording",
            f"{a.n} samples at {a.rate} Hz, and {b.n} samples at {b.rate} Hz",
            "two separations of one recording",
        )
    if a.title == b.title:
        a, b = replace(a, title=f"{a.title} (1)"), replace(b, title=f"{b.title} (2)")
    first, second = (_talkers(one) for one in (a, b))
    tracks: list[Track] = [a.tracks[0]]
    left = list(range(len(second)))
    matches, alike = _match(first, second, a.n)
    for track, matched in zip(first, matches, strict=True):
        tracks.append(track)
        if matched is not None:
            tracks.append(second[matched])
            left.remove(matched)
    tracks += [second[k] for k in left]
    strange = () if alike > LEAST_ALIKE else (_STRANGE,)
    return replace(a, tracks=tuple(tracks), others=(a, b), notes=tuple(dict.fromkeys((*strange, *a.notes, *b.notes))))


def scored(material: Material, score: Callable[[Material], dict[str, Any]]) -> Material:
    """The material, or both of a comparison, with scores."""
    if not material.others:
        return replace(material, scores=score(material))
    return replace(material, others=tuple(replace(one, scores=score(one)) for one in material.others))


def _talkers(material: Material) -> list[Track]:
    return [replace(track, side=material.title) for track in material.tracks if track.role == TALKER]


_STRANGE = "The two results have hardly any sound in common: they may be of different recordings, or at microphones far apart."


def _match(first: list[Track], second: list[Track], n: int) -> tuple[list[int | None], float]:
    """For each track of the first the one of the second that is most like it, each at most once; and how alike the sums are."""
    products = np.zeros((len(first) + len(second),) * 2)
    for block in blocks_of([*first, *second], n):
        products += block.astype(np.float64) @ block.T.astype(np.float64)
    power = np.sqrt(np.maximum(np.diag(products), TINY))
    alike = np.abs(products / power[:, None] / power)[: len(first), len(first) :]
    rows, columns = linear_sum_assignment(-alike)
    found = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    one, two = (slice(None, len(first)), slice(len(first), None))
    sums = products[one, two].sum() / np.sqrt(max(products[one, one].sum() * products[two, two].sum(), TINY))
    return [found.get(k) for k in range(len(first))], float(abs(sums))
