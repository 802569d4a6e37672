"""A table of recordings: CSV or JSON, a row for each file; checked before anything is separated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bss.batch import settings
from bss.batch.recordings import Input, Recording
from bss.errors import BssError, InputError, UsageError
from bss.pipeline.planning.options import channel_numbers

OWN = ("recording", "file", "channel", "gain")  # all other columns are options
DELIMITERS = ",;\t"
MOST_FAULTS = 10  # that are listed
MOST_GAIN_DB = 120


@dataclass
class _Rows:
    """What the rows say of one recording."""

    numbers: list[int] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


def read_manifest(path: str | Path) -> list[Recording]:
    """The recordings in a CSV or JSON file.

    Each row is a file of a recording. Columns: `recording` (its name; by default that of the file), `file` (relative to the
    manifest; a folder or a glob stands for the files in it), `channel` (from 1, such as 1-4,6), `gain` (dB), and options of
    `bss unmix`, written as there without dashes in front. Rows of one recording need not follow each other, and an option may
    stand in any of them. JSON is a list of objects with these names, or an object with that list as "recordings"; `file` may be
    a list.

    Parameters
    ----------
    path : path
        With the suffix .csv, .tsv or .json. In CSV, columns whose name begins with # are ignored.

    Returns
    -------
    list of Recording
        In the order in which they first appear. That files exist is checked when they are read.

    Raises
    ------
    InputError
        The file cannot be read, or rows of it are invalid: all such rows are named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = Path(folder, "meetings.csv")
    ...     _ = table.write_text("recording,file,sources\\nmonday,a.wav,3\\nmonday,b.wav,\\n")
    ...     [(r.name, len(r.inputs), dict(r.options)) for r in read_manifest(table)]
    [('monday', 2, {'n_sources': 3})]
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read", error.strerror or "", "check its name") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", str(error), "save it as CSV in UTF-8") from None
    rows = _of_json(text, path) if path.suffix.lower() == ".json" else _of_csv(text, path)
    found: dict[str, _Rows] = {}
    faults: list[str] = []
    for number, row in rows:
        try:
            _take(row, number, path.parent, found)
        except BssError as error:
            faults.append(f"row {number}: {error.what}" + (f" ({error.why})" if error.why else ""))
    recordings = [] if faults else list(_recordings(found, path, faults))
    _refuse(path, faults)
    if not recordings:
        raise InputError(f"{path} lists no recordings", "", "a row for each file: recording,file")
    return recordings


def _refuse(path: Path, faults: Sequence[str]) -> None:
    if faults:
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        rows = "1 row" if len(faults) == 1 else f"{len(faults)} rows"
        raise InputError(f"{path}: {rows} cannot be used", "; ".join(faults[:MOST_FAULTS]) + more, "correct them, or delete them")


def _of_csv(text: str, path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(line, cells by column) of each row that is not empty; the header is line 1."""
    header = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=header.count), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}", "this is not CSV", "check its quotes") from None
    if not lines:
        raise InputError(f"{path} is empty", "", "a header such as recording,file, and a row for each file")
    names = [cell.strip().lower() for cell in lines[0][1]]
    _check_columns(names, path)
    for number, cells in lines[1:]:
        if len(cells) > len(names):
            why = f"it has {len(cells)} cells for {len(names)} columns"
            raise InputError(f"{path}, row {number}: {why}", hint="quotes around cells that contain the separator")
    return [
        (
            number,
            {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name[:1] not in ("", "#") and cell.strip()},
        )
        for number, cells in lines[1:]
    ]


def _check_columns(names: Sequence[str], path: Path) -> None:
    known = [*OWN, *settings.columns()]
    for name in names:
        if name[:1] not in ("", "#") and name.replace("_", "-") not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {close[0]}? " if close else ""
            ) + f"columns are {', '.join(known)}; one that begins with # is ignored"
            raise InputError(f"{path}: the column {name} is not known", "what it says would be ignored", hint)
        if name and names.count(name) > 1:
            raise InputError(f"{path}: there are two columns {name}", hint="one of them")
    if "file" not in names:
        raise InputError(f"{path} has no column file", f"its columns are {', '.join(names)}", "a header such as recording,file")


def _of_json(text: str, path: Path) -> list[tuple[int, dict[str, Any]]]:
    """(number from 1, entries) of each row."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON", str(error)) from None
    rows = document.get("recordings") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"{path} is no list of recordings", "expected a list of objects", '[{"recording": "monday", "file": "a.wav"}]'
        )
    _check_columns(
        ["file", *dict.fromkeys(str(name).lower() for row in rows for name in row if str(name).lower() != "file")], path
    )
    return [(k, {str(name).lower(): value for name, value in row.items() if value is not None}) for k, row in enumerate(rows, 1)]


def _take(row: Mapping[str, Any], number: int, folder: Path, found: dict[str, _Rows]) -> None:
    """Add a row to the recording that it belongs to."""
    files = _files(row)
    name = str(row.get("recording") or Path(files[0]).stem)
    channels = channel_numbers(_as_text(row["channel"]), "channel") if "channel" in row else None
    gain = _gain(row.get("gain", 0))
    inputs = [Input(str((folder / file).absolute()), channels, gain) for file in files]
    Recording(name, tuple(inputs))  # its name is checked
    rows = found.setdefault(name, _Rows())
    for column, value in row.items():
        if column not in OWN:
            keyword, read = settings.value_of(column, _as_text(value))
            if rows.options.get(keyword, read) != read:
                raise UsageError(f"{column} is {value}, but another value in row {rows.numbers[0]}", f"both are of {name}")
            rows.options[keyword] = read
    settings.checked(rows.options)
    rows.numbers.append(number)
    rows.inputs += inputs


def _files(row: Mapping[str, Any]) -> list[str]:
    value = row.get("file")
    given: list[Any] = value if isinstance(value, list) else [value]
    files = [file for file in given if isinstance(file, str) and file]
    if not files or len(files) < len(given):
        raise UsageError("there is no file" if not value else f"file is {value!r}, which is no name")
    return files


def _gain(value: Any) -> float:
    try:
        gain = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"gain is {value!r}", "expected a number of dB") from None
    if not abs(gain) <= MOST_GAIN_DB:
        raise UsageError(f"gain is {value}", f"expected a number of dB within +-{MOST_GAIN_DB}")
    return gain


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _recordings(found: Mapping[str, _Rows], path: Path, faults: list[str]) -> Iterator[Recording]:
    for name, rows in found.items():
        first, last = rows.numbers[0], rows.numbers[-1]
        if rows.options.get("channels") is not None and any(one.channels is not None for one in rows.inputs):
            faults.append(f"row {first}: {name} has both channel, of one file, and channels, of the recording")
        where = (
            f"row {first}"
            if first == last
            else f"rows {', '.join(map(str, rows.numbers))}"
            if len(rows.numbers) < 5
            else f"rows {first}-{last}"
        )
        yield Recording(name, tuple(rows.inputs), rows.options, f"{path.name}, {where}")
