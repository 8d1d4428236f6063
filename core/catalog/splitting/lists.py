"""Splits as text: GLNet's form, one file a side with an id a line, and a table of tile, split and fold."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from core.atomic import write_text
from core.catalog.discover import natural_key
from core.catalog.splits import SPLITS, Split, split_of_folder
from core.catalog.splitting.plans import MOST_FOLDS, Place
from core.errors import InputError
from core.zip_reading import check_plain, reading_zip

TABLE = "split.csv"
MOST_BYTES = 16 * 2**20
_COLUMNS = ("tile", "split", "fold")
_TOO_LARGE = f"These lists are larger than {MOST_BYTES // 2**20} MB; give lists of tile names, one a line."


def list_files(places: Mapping[str, Place]) -> dict[str, str]:
    """The content of ``train.txt``, ``val.txt``, ``test.txt`` and ``split.csv`` by file name; folds count from 1."""
    names = sorted(places, key=natural_key)
    files = {f"{side}.txt": "".join(f"{n}\n" for n in names if places[n].split == side) for side in SPLITS}
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((n, places[n].split, "" if (fold := places[n].fold) is None else fold + 1) for n in names)
    return {**files, TABLE: table.getvalue()}


def zip_lists(places: Mapping[str, Place]) -> bytes:
    """The files in a zip, the same bytes for the same split."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in list_files(places).items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return packed.getvalue()


def write_lists(folder: Path, places: Mapping[str, Place]) -> list[Path]:
    """Write the files into a folder, each atomically. Raises ``NotSavedError`` where that fails."""
    written = []
    for name, content in list_files(places).items():
        write_text(folder / name, content)
        written.append(folder / name)
    return written


def parse_lists(files: Iterable[tuple[str, bytes]]) -> dict[str, Place]:
    """The places by tile name from one table, from lists whose file names speak of train, val or test, or from a zip.

    ``files`` are names and contents. Raises ``InputError`` for other files, a tile on two sides, and a table without
    the columns tile and split or with another word for a side.
    """
    given = [one for name, content in files for one in _unpacked(name, content)]
    if sum(len(content) for _, content in given) > MOST_BYTES:
        raise InputError(_TOO_LARGE)
    tables = [(name, content) for name, content in given if PurePosixPath(name).suffix.lower() == ".csv"]
    if tables and len(given) > 1:
        raise InputError(f"{tables[0][0]} is a whole split by itself; give it alone, or lists without it.")
    if tables:
        return _parse_table(*tables[0])
    places: dict[str, Place] = {}
    for name, content in given:
        side = split_of_folder(PurePosixPath(name).stem)
        if side is None:
            raise InputError(f"The name of {name} does not say train, val or test; rename it so that it says one.")
        for tile in filter(None, map(str.strip, _text(name, content).splitlines())):
            if places.get(tile, Place(side)).split != side:
                raise InputError(
                    f"Tile {tile} is in {name} and in the list of {places[tile].split}; take it out of one."
                )
            places[tile] = Place(side)
    if not places:
        raise InputError("These lists name no tile; give files with a tile's name on each line.")
    return places


def _unpacked(name: str, content: bytes) -> list[tuple[str, bytes]]:
    """A file as it is; of a zip the table in it, or else its lists."""
    if PurePosixPath(name).suffix.lower() != ".zip":
        return [(name, content)]
    with reading_zip(io.BytesIO(content), what=f"{name} could not be read", mend="export the split again") as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        members = [one for one in members if one.filename == TABLE] or members
        if sum(one.file_size for one in members) > MOST_BYTES:
            raise InputError(_TOO_LARGE)
        for one in members:
            check_plain(one)
        return [(one.filename, archive.read(one)) for one in members]


def _parse_table(name: str, content: bytes) -> dict[str, Place]:
    rows = csv.DictReader(io.StringIO(_text(name, content), newline=""))
    if not {"tile", "split"} <= set(rows.fieldnames or ()):
        raise InputError(f"{name} has no columns tile and split; write them into its first line.")
    places: dict[str, Place] = {}
    for row in rows:
        tile, side, fold = ((row.get(column) or "").strip() for column in _COLUMNS)
        if not tile:
            continue
        if tile in places:
            raise InputError(f"{name} names tile {tile} twice; take one of the lines out.")
        places[tile] = Place(_side(name, tile, side), _fold(name, tile, fold))
    if not places:
        raise InputError(f"{name} names no tile; write a line for each.")
    return _with_judge(name, places)


def _with_judge(name: str, places: Mapping[str, Place]) -> dict[str, Place]:
    """The places of a table, of folds with one that judges: the one whose tiles are val, else the first."""
    folds = {place.fold for place in places.values() if place.fold is not None}
    if not folds:
        return dict(places)
    bare = next((tile for tile, place in places.items() if place.fold is None and place.split != "test"), None)
    if bare is not None:
        raise InputError(f"{name} gives folds to some tiles and none to tile {bare}; only test tiles are in no fold.")
    judges = {place.fold for place in places.values() if place.fold is not None and place.split == "val"}
    if len(judges) > 1:
        raise InputError(f"{name} has tiles of more than one fold that validate; let one fold alone be val.")
    judge = judges.pop() if judges else min(folds)
    return {
        tile: place if place.fold is None else Place("val" if place.fold == judge else "train", place.fold)
        for tile, place in places.items()
    }


def _side(name: str, tile: str, word: str) -> Split:
    side = split_of_folder(word)
    if side is None:
        raise InputError(f"{name} puts tile {tile} on '{word}'; write train, val or test.")
    return side


def _fold(name: str, tile: str, word: str) -> int | None:
    if not word:
        return None
    if not word.isdecimal() or not 1 <= int(word) <= MOST_FOLDS:
        raise InputError(f"{name} puts tile {tile} into fold '{word}'; folds count from 1 to {MOST_FOLDS}.")
    return int(word) - 1


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is no text in UTF-8; save it as such.") from error
