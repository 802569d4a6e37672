"""Links to sounds become players, while mkdocs builds the site.

In a page a sound is a link, `[microphone](sounds/x.mp3)`. mkdocs checks that it leads somewhere and makes it relative,
and where the page is read as it is, in the repository, it still is a link to the sound.
"""

from __future__ import annotations

import re
from typing import Any

LINK = re.compile(r'<a href="([^"]+\.mp3)">([^<]*)</a>')
PLAYER = r'<span>\2<br><audio controls preload="none" src="\1" aria-label="\2"></audio></span>'


def on_page_content(html: str, **_: Any) -> str:
    """What mkdocs calls with the HTML of each page."""
    return LINK.sub(PLAYER, html)
