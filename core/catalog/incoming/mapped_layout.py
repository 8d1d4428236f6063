"""Any folder of images and masks, named by two patterns: which files are tiles, and which mask belongs to which.

A pattern is a path below the folder. ``{id}`` stands for the tile's name, ``*`` for anything within one name, ``?``
for one character, ``**/`` for any folders: ``**/images_png/{id}.png``. Upper and lower case are the same.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.catalog.discover import IMAGE_SUFFIXES, Finding, check_folder, natural_key
from core.errors import InputError

MAX_FILES = 200_000
MAX_PATTERN = 500
ID = "{id}"

_PIECES = re.compile(r"\*\*/|\{id\}|\*|\?|[^*?{]+|\{")
_MEANS = {"**/": r"(?:.*/)?", ID: r"(?P<id>[^/]+)", "*": r"[^/]*", "?": r"[^/]"}


@dataclass(frozen=True, slots=True)
class Matches:
    """What two patterns find below a folder. ``tiles`` pairs each tile's name with its image and its mask, by name.

    ``lonely_masks`` have no image. ``findings`` are second files of one name, which are left out.
    """

    root: Path
    tiles: tuple[tuple[str, Path, Path | None], ...]
    lonely_masks: tuple[Path, ...]
    findings: tuple[Finding, ...]
    files: int
    """Images and masks below the folder, whether they match or not."""

    @property
    def with_mask(self) -> int:
        """How many tiles have a mask."""
        return sum(mask is not None for _, _, mask in self.tiles)


def match(root: Path, image_pattern: str, mask_pattern: str) -> Matches:
    """Find the files that the patterns name; ``mask_pattern`` may be empty. No file is opened.

    Raises ``InputError`` for a pattern without ``{id}`` or that leaves the folder, and for a folder that is missing,
    cannot be read, or holds more than ``MAX_FILES`` images.
    """
    image_matcher = compile_pattern(image_pattern, "image")
    mask_matcher = compile_pattern(mask_pattern, "mask") if mask_pattern.strip() else None
    root = root.expanduser().absolute()
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    findings: list[Finding] = []
    files = 0
    for path in picture_files(root):
        files += 1
        inside = path.relative_to(root).as_posix()
        for matcher, kept, what in ((mask_matcher, masks, "mask"), (image_matcher, images, "image")):
            found = matcher.fullmatch(inside) if matcher else None
            if found is None:
                continue
            name = found["id"]
            if name in kept:
                findings.append(_second(what, name, path, kept[name]))
            else:
                kept[name] = path
            break  # what is a mask is no image, though the image pattern be wide enough for it
    tiles = tuple((name, images[name], masks.get(name)) for name in sorted(images, key=natural_key))
    lonely = tuple(path for name, path in masks.items() if name not in images)
    return Matches(root, tiles, lonely, tuple(findings), files)


def compile_pattern(pattern: str, what: str) -> re.Pattern[str]:
    """A pattern as a regular expression with the group ``id``; ``what`` (image, mask) names it in the refusal.

    Raises ``InputError`` when it has not exactly one ``{id}``, is absolute, or goes up with ``..``.
    """
    written = pattern.strip().replace("\\", "/")
    if written.count(ID) != 1:
        raise InputError(
            f"The {what} pattern '{pattern}' needs {ID} exactly once, where the tile's name stands: images/{ID}.png."
        )
    if written.startswith(("/", "~")) or ".." in written.split("/") or len(written) > MAX_PATTERN:
        raise InputError(f"The {what} pattern '{pattern[:80]}' leaves the folder; write it as a path below the folder.")
    pieces = _PIECES.findall(written.removeprefix("./"))
    return re.compile("".join(_MEANS.get(piece, re.escape(piece)) for piece in pieces), re.IGNORECASE | re.DOTALL)


def picture_files(root: Path) -> Iterator[Path]:
    """The images below a folder by their endings, hidden ones left out, in the order of their paths.

    Raises ``InputError`` as ``match`` does.
    """

    def refuse(error: OSError) -> None:
        if error.filename == str(root):
            raise InputError(f"The folder {root} cannot be read ({error.strerror}); mend its permissions.") from error

    check_folder(root)
    count = 0
    for folder, subfolders, files in os.walk(root, onerror=refuse):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__")))
        for file in sorted(files):
            if file.startswith(".") or not file.lower().endswith(IMAGE_SUFFIXES):
                continue
            count += 1
            if count > MAX_FILES:
                raise InputError(
                    f"The folder {root} holds more than {MAX_FILES:,} images; give one of its sub-folders."
                )
            yield Path(folder, file)


def _second(what: str, name: str, path: Path, first: Path) -> Finding:
    sentence = f"{path} is a second {what} named {name}; {first} is used, so rename one of the two to have both."
    return Finding(name, path, "error", sentence)
