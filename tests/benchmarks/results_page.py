"""RESULTS.md, chapter by chapter: one can be replaced and the others stay as they are.

A chapter begins with a comment that names it, which no reader of the page sees, and ends where the next one begins.
What stands before the first is the page's own.
"""

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path

from core.atomic import write_text

_MARK = re.compile(r"^<!-- chapter: (?P<name>[\w-]+) -->\n", re.MULTILINE)


def parse(page: str) -> tuple[str, dict[str, str]]:
    """What stands before the first chapter, and the chapters' texts by name in the page's order."""
    pieces = _MARK.split(page)
    return pieces[0].strip(), {name: text.strip() for name, text in zip(pieces[1::2], pieces[2::2], strict=True)}


def compose(head: str, chapters: dict[str, str]) -> str:
    """The page of its parts: ``parse`` gives them back."""
    return "\n\n".join([head, *(f"<!-- chapter: {name} -->\n{text.strip()}" for name, text in chapters.items())]) + "\n"


def replaced(page: str, name: str, text: str, *, order: Sequence[str], head: str) -> str:
    """The page with one chapter replaced, or added at its place in ``order``; chapters unknown there stay at the end.

    ``head`` opens a page that has nothing of its own yet.
    """
    own, chapters = parse(page)
    chapters[name] = text
    places = {known: place for place, known in enumerate(order)}
    return compose(own or head, dict(sorted(chapters.items(), key=lambda item: places.get(item[0], len(places)))))


def replace_chapter(path: Path, name: str, text: str, *, order: Sequence[str], head: str) -> None:
    """Write a chapter into the page at ``path``, whole or not at all; two that write at once take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)  # its lock needs no file that would be left over
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        page = path.read_text() if path.is_file() else ""
        write_text(path, replaced(page, name, text, order=order, head=head))
    finally:
        os.close(folder)
