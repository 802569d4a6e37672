"""What separations cost: weights of the quantities in `costs.features`, fitted by `python tools/measure_costs.py`.

As in `calibration`, every number says its unit, what it was fitted on, how good it is, and when.
"""

from __future__ import annotations

from bss.pipeline.calibration import Fitted

DATA = (
    "14 recordings of 5 s to 4 min, 2 to 8 microphones, 2 to 4 talkers of fixtures/voices in echo of 0.25 s, 8 to 48 kHz, each "
    "separated by `bss unmix` in a process of its own on one thread. Least relative squares, no weight below zero"
)
IDLE = (
    ". The machine was busy with other programs: seconds are divided by 1.5 (those of the start by 2.5), so that calls of 10 s "
    "and of 2 min take what they take on two idle cores"
)

COST_UNIT: Fitted[float] = Fitted(
    1.0e-3,
    unit="s",
    meaning="time of `costs.unit` on the machine that the seconds were measured on",
    data="the least of 40, four times",
    error="up to 1.3e-3 while other programs ran",
    date="2026-11-30",
    checked="2026-11-30",
)
COST_PARALLEL: Fitted[float] = Fitted(
    0.75,
    unit="1",
    meaning="share of the time of one thread that more threads divide among them",
    data="calls of 10 s and of 2 min on two idle cores, beside the seconds on one thread",
    error="not known: with 0.6 or 0.9 the seconds on two cores change by 12 %",
    date="2026-11-30",
    checked="2026-11-30",
)
COST_WHOLE_BYTES: Fitted[tuple[float, ...]] = Fitted(
    (3.07e8, 0.0, 21.8, 14.25, 0.342),
    unit="B per unit of each quantity",
    meaning="memory of a separation as a whole",
    data=DATA,
    error="off by at most 14 %, but 23 % too little where 4 of 6 sounds were no talkers",
    date="2026-11-30",
    checked="2026-11-30",
)
COST_WHOLE_SECONDS: Fitted[tuple[float, ...]] = Fitted(
    (0.8, 4.84e-7, 4.73e-2, 0.0, 2.38e-8),
    unit="s per unit of each quantity",
    meaning="time of a separation as a whole, on one thread",
    data=DATA + ". Without the three in which the source model found no speech, which took less" + IDLE,
    error="off by at most 5 % before that",
    date="2026-11-30",
    checked="2026-11-30",
)
COST_PIECES_SECONDS: Fitted[tuple[float, ...]] = Fitted(
    (0.01, 4.0e-6),
    unit="s per unit of each quantity",
    meaning="time of applying what was learned in pieces, on one thread",
    data="five conversations of 3 to 10 min, 2 and 4 microphones, 16 and 48 kHz, less what COST_WHOLE_SECONDS says of learning"
    + IDLE,
    error="0.85 to 1.2 of the whole time before that",
    date="2026-11-30",
    checked="2026-11-30",
)
