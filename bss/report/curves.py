"""The learning curve of a training as a picture."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from bss.errors import InputError


def draw(table: str | os.PathLike[str], picture: str | os.PathLike[str], *, title: str = "", unit: str = "loss") -> None:
    """Draw the learning curve in the CSV file of a training, as a PNG file that appears whole or not at all.

    Parameters
    ----------
    table : path
        With the columns step, train and validation.
    picture : path
        The file to write.
    title, unit : str
        Above the curve, and beside its vertical axis.

    Raises
    ------
    InputError
        The table holds no curve.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"step", "train", "validation"} <= rows[0].keys():
        raise InputError(f"{os.fspath(table)} holds no learning curve", hint="the .csv file that bss train wrote")
    steps = [int(row["step"]) for row in rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, label in (("train", "training"), ("validation", "validation")):
        axes.plot(steps, [float(row[name]) for row in rows], label=label, marker="." if len(rows) < 30 else None)
    axes.set(xlabel="step", ylabel=unit, title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    place = Path(picture)
    unfinished = place.with_name(f".{place.name}.part")
    figure.savefig(unfinished, format="png", dpi=120)
    unfinished.replace(place)
