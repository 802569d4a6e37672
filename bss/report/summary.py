"""The summary of a batch as a page: a table that any browser shows, with nothing but its own text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: .35em .8em; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.failed td { background: #fbe9e7; }
tr.skipped td { color: #666; }
""".strip()
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{lead}</p>
<table>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""


def summary_page(
    title: str, lead: str, rows: Sequence[Mapping[str, Any]], *, links: Sequence[Mapping[str, str]] | None = None
) -> str:  # fmt: skip
    """A page with one table.

    Parameters
    ----------
    title, lead : str
        Heading, and the sentence below it.
    rows : sequence of mapping
        Values by column; all rows have the columns of the first. None is an empty cell, and the class of a row is its "state".
    links : sequence of mapping, optional
        For each row, by column, where the text of the cell leads: a relative path with slashes.

    Returns
    -------
    str
        HTML, in which every text is escaped.

    Examples
    --------
    >>> page = summary_page("2 < 3", "all done", [{"recording": "a&b", "talkers": 2}], links=[{"recording": "a&b/report.html"}])
    >>> "<h1>2 &lt; 3</h1>" in page, '<td><a href="a%26b/report.html">a&amp;b</a></td><td class="number">2</td>' in page
    (True, True)
    """
    columns = list(rows[0]) if rows else []
    lines = [_row(row, columns, links[k] if links else {}) for k, row in enumerate(rows)]
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    return PAGE.format(title=escape(title), lead=escape(lead), style=STYLE, head=head, body="\n".join(lines))


def _row(row: Mapping[str, Any], columns: Sequence[str], links: Mapping[str, str]) -> str:
    cells = "".join(_cell(row[column], links.get(column)) for column in columns)
    return f'<tr class="{escape(str(row.get("state", "")))}">{cells}</tr>'


def _cell(value: Any, link: str | None) -> str:
    if value is None:
        return "<td></td>"
    text = escape(f"{value:.6g}" if isinstance(value, float) else str(value))
    if link is not None:
        text = f'<a href="{escape(quote(link))}">{text}</a>'
    return f'<td class="number">{text}</td>' if isinstance(value, int | float) else f"<td>{text}</td>"
