"""The names of the people who label."""

import hashlib
import re

DEFAULT_ANNOTATOR = "local"
"""Who labels, where nobody gave a name."""

MAX_NAME_LETTERS = 40


def annotator_name(text: str) -> str:
    """A name as it is kept: one line without control characters, at most 40 letters; 'local' for an empty one."""
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return name[:MAX_NAME_LETTERS].strip() or DEFAULT_ANNOTATOR


def folder_name(annotator: str) -> str:
    """A folder name of a person's own that every file system takes: what is plain in the name, and eight hex digits."""
    slug = re.sub(r"[^a-z0-9]+", "-", annotator.lower()).strip("-")
    digest = hashlib.sha256(annotator.encode()).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest
