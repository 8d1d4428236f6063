"""Finding tiles and their masks in a folder, by name and header alone; no pixel is decoded here.

Three layouts are known. *DeepGlobe*: ``<id>_sat.jpg`` beside ``<id>_mask.png``. *Split folders*: sub-folders named
train, valid (or val), test, as on Kaggle, or land-train and the like. *Images*: any other JPEG, PNG or TIFF, named
by its stem, with its mask beside it as ``<stem>_mask.png`` or in ``masks/`` or ``labels/``. Sub-folders are
searched in all of them.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from core.catalog.images import read_info
from core.catalog.splits import Split, SplitSource, glnet_splits, split_by_rule, split_of_folder
from core.errors import InputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
MASK_SUFFIXES = (".png", ".tif", ".tiff")
MASK_FOLDERS = ("masks", "labels")
IMAGE_FOLDERS = ("images", "image", "sat")
MAX_DEPTH = 4
MAX_FILES = 200_000

_IMAGE_ENDING, _MASK_ENDING = "_sat", "_mask"

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a file, in one plain sentence.

    ``error``: the file at ``path`` is left out; ``warning``: it is used, with this caveat.
    """

    tile_name: str | None
    path: Path
    severity: Severity
    sentence: str


@dataclass(frozen=True, slots=True)
class TileFile:
    """One image that can be used, its mask if it has one, and its split."""

    name: str
    image_path: Path
    mask_path: Path | None
    split: Split
    split_source: SplitSource


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a folder holds. ``tiles`` is never empty and is sorted by name, numbers by value."""

    root: Path
    layout: str
    tiles: tuple[TileFile, ...]
    findings: tuple[Finding, ...]


def discover(root: Path) -> Discovery:
    """Find the tiles under ``root``.

    A file that cannot be used becomes a finding and is left out; the others are kept.
    Raises ``InputError`` when the folder is missing or cannot be read, and when it holds no usable image.
    """
    root = root.expanduser().absolute()
    images, masks = _list_files(root)
    if not images:
        what = f"only masks ({len(masks):,}) and no image" if masks else "no image"
        raise InputError(
            f"The folder {root} holds {what}; it should hold <id>_sat.jpg files, or other JPEG, PNG or TIFF images."
        )
    tiles: dict[str, TileFile] = {}
    findings: list[Finding] = []
    claimed: set[Path] = set()
    known = {str(path).lower(): path for path in masks}
    for path in images:
        name = tile_name(path)
        mask = find_mask(path.parent, name, known)
        claimed.update([mask] if mask else [])
        if name in tiles:
            findings.append(_duplicate(name, path, tiles[name].image_path))
            continue
        tile, troubles = _examine(name, path, mask)
        findings.extend(troubles)
        if tile:
            tiles[name] = tile
    if not tiles:
        raise InputError(f"No image in {root} can be used ({len(images)} found); the first: {findings[0].sentence}")
    findings.extend(_orphan(mask) for mask in masks if mask not in claimed)
    split = _assign_splits(root, sorted(tiles.values(), key=lambda tile: natural_key(tile.name)))
    return Discovery(root, _layout(root, split), tuple(split), tuple(findings))


def find_mask(folder: Path, name: str, known: Mapping[str, Path] | None = None) -> Path | None:
    """The mask of tile ``name`` that lies in ``folder``, in its ``masks/`` or ``labels/``, or beside ``images/``.

    ``known`` are masks that were listed, by their paths in small letters: among these, upper and lower case are the
    same. Without it only the file's ending may be in capitals.
    """
    places = [folder / f"{name}{_MASK_ENDING}"]
    parents = [folder, folder.parent] if folder.name.lower() in IMAGE_FOLDERS else [folder]
    places += [
        parent / sub / stem for parent in parents for sub in MASK_FOLDERS for stem in (f"{name}{_MASK_ENDING}", name)
    ]
    for place in places:
        for suffix in MASK_SUFFIXES:
            listed = known.get(f"{place}{suffix}".lower()) if known else None
            if listed is not None:
                return listed
            for spelling in (suffix, suffix.upper()):
                candidate = place.with_name(place.name + spelling)
                if candidate.is_file():
                    return candidate
    return None


def tile_name(path: Path) -> str:
    """A tile's name: its file's stem, less DeepGlobe's ``_sat``."""
    stem = path.stem
    return stem[: -len(_IMAGE_ENDING)] if stem.lower().endswith(_IMAGE_ENDING) and stem != _IMAGE_ENDING else stem


def natural_key(name: str) -> tuple[int, int, str]:
    """A sort key: numbers by value and first, other names by letter."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name.casefold())


def check_folder(root: Path) -> None:
    """Raise ``InputError`` when ``root`` is no folder or cannot be read; a quick look, nothing below it."""
    try:
        if not root.is_dir():
            what = "is a file, not a folder" if root.exists() else "does not exist"
            raise InputError(f"The folder {root} {what}; give the folder that holds the images.")
        os.scandir(root).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"The folder {root} cannot be read ({reason}); mend its permissions.") from error


def _list_files(root: Path) -> tuple[list[Path], list[Path]]:
    """The image files and the mask files under ``root``, each sorted."""
    check_folder(root)
    images: list[Path] = []
    masks: list[Path] = []
    for path in _walk(root):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            (masks if _is_mask(path, root) else images).append(path)
        if len(images) + len(masks) > MAX_FILES:
            raise InputError(f"The folder {root} holds more than {MAX_FILES:,} images; open one of its sub-folders.")
    return sorted(images, key=lambda path: (str(path.parent), natural_key(path.stem))), sorted(masks)


def _walk(root: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        if error.filename == str(root):
            raise InputError(f"The folder {root} cannot be read ({error.strerror}); mend its permissions.") from error

    for folder, subfolders, files in os.walk(root, onerror=refuse):
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        hidden = [name for name in subfolders if name.startswith((".", "__"))]
        subfolders[:] = [] if depth >= MAX_DEPTH else sorted(set(subfolders) - set(hidden))
        yield from (here / file for file in files if not file.startswith("."))


def _is_mask(path: Path, root: Path) -> bool:
    folders = {part.lower() for part in path.relative_to(root).parts[:-1]}
    return path.stem.lower().endswith(_MASK_ENDING) or bool(folders.intersection(MASK_FOLDERS))


def _examine(name: str, path: Path, mask_path: Path | None) -> tuple[TileFile | None, list[Finding]]:
    """Check the headers of an image and of its mask; the split is filled in later."""
    try:
        name.encode()
        image = read_info(path)
    except UnicodeEncodeError:
        shown = Path(os.fsencode(path).decode(errors="replace"))
        return None, [Finding(None, shown, "error", f"The name of {shown} is not UTF-8; rename the file.")]
    except InputError as error:
        return None, [Finding(name, path, "error", str(error))]
    tile = TileFile(name, path, mask_path, "train", "rule")
    placeless = [Finding(name, path, "warning", image.caveat)] if image.caveat else []
    if mask_path is None:
        return tile, placeless
    try:
        mask = read_info(mask_path)
    except InputError as error:
        return replace(tile, mask_path=None), [*placeless, Finding(name, mask_path, "error", str(error))]
    if (mask.width, mask.height) == (image.width, image.height):
        return tile, placeless
    sentence = (
        f"The mask {mask_path} is {mask.width} x {mask.height} pixels but its image is "
        f"{image.width} x {image.height}; it is left out until it has the size of its image."
    )
    return replace(tile, mask_path=None), [*placeless, Finding(name, mask_path, "error", sentence)]


def _duplicate(name: str, path: Path, first: Path) -> Finding:
    sentence = f"{path} is a second image named {name}; {first} is used, so rename one of the two to have both."
    return Finding(name, path, "error", sentence)


def _orphan(mask: Path) -> Finding:
    sentence = f"The mask {mask} has no image beside it; add the image of the same name, or take the mask away."
    return Finding(None, mask, "warning", sentence)


def _assign_splits(root: Path, tiles: list[TileFile]) -> list[TileFile]:
    known = glnet_splits()
    by_folder = {tile.name: _folder_split(root, tile) for tile in tiles}
    # A lone train folder says nothing about what to validate on: folders count where they tell tiles apart.
    folders_count = len({split for split in by_folder.values() if split}) > 1
    assigned: dict[str, tuple[Split, SplitSource]] = {}
    for tile in tiles:
        listed = known.get(tile.name) if _is_deepglobe(tile.image_path) else None
        folder = by_folder[tile.name]
        if listed:
            assigned[tile.name] = (listed, "glnet")
        elif folder and folders_count:
            assigned[tile.name] = (folder, "folder")
    # Pairs and images without a mask are dealt separately, so that some of the pairs always validate.
    for group in (True, False):
        rest = [tile.name for tile in tiles if tile.name not in assigned and (tile.mask_path is not None) is group]
        assigned.update({name: (split, "rule") for name, split in split_by_rule(rest).items()})
    return [replace(tile, split=assigned[tile.name][0], split_source=assigned[tile.name][1]) for tile in tiles]


def _folder_split(root: Path, tile: TileFile) -> Split | None:
    parts = tile.image_path.relative_to(root).parts[:-1]
    return next((split for part in parts if (split := split_of_folder(part))), None)


def _is_deepglobe(path: Path) -> bool:
    return path.stem.lower().endswith(_IMAGE_ENDING)


def _layout(root: Path, tiles: list[TileFile]) -> str:
    if len({_folder_split(root, tile) for tile in tiles} - {None}) > 1:
        return "split folders"
    return "DeepGlobe folder" if all(_is_deepglobe(tile.image_path) for tile in tiles) else "images"
