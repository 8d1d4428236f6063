"""Import: files are chosen, recognised, shown with what they would change, and taken in with one press.

One file goes into the open tile, whatever its name. Several, or a zip, go each into the tile that is named like it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.catalog.catalogue import tiles
from core.classes import CLASS_NAMES, UNLABELLED, ClassRaster
from core.errors import CancelledError, InputError
from core.labels import import_files, journal, tile_locks
from core.labels.formats.coco import tile_name
from core.labels.formats.placed import FORMAT_WORDS, Placed, Reading
from core.labels.formats.recognise import MAX_FILE_BYTES, SUFFIXES, read_file
from core.labels.import_files import Choice, Preview, TakenAs
from core.labels.import_many import ImportReport, import_labels
from core.labels.requests import RefusedError
from core.progress import SilentProgress
from core.screen_colours import raster_colours
from core.tables import Tile
from core.workspace import Workspace
from pages.components.class_palette import screen_palette
from pages.components.problems import plain

_MEANS = {**dict(enumerate(CLASS_NAMES)), UNLABELLED: "unlabelled"}
_INDEX = {name: index for index, name in _MEANS.items()}
_PICTURE_SIDE = 220
_READ = "label_files_read"
_ROUND = "label_files_round"  # a new number empties the uploader
_SAID_AT_MOST = 8


def labels_from_files(workspace: Workspace, tile: Tile, *, annotator: str, opinion: str) -> None:
    """Everything of the import tab."""
    files = st.file_uploader(
        f"A file for tile {tile.name}, or several files or a zip for the tiles that are named like them",
        type=[*SUFFIXES, ".zip"],
        accept_multiple_files=True,
        max_upload_size=MAX_FILE_BYTES // 2**20,
        key=f"label_files_{st.session_state.get(_ROUND, 0)}",
        help="DeepGlobe mask, class-index PNG, GeoTIFF, GeoJSON polygons, COCO annotations; told from the content.",
    )
    if not files:
        return
    if len(files) == 1 and not files[0].name.lower().endswith(".zip"):
        _one(workspace, tile, files[0], annotator=annotator, opinion=opinion)
    elif opinion:
        st.info("A second opinion takes one file at a time.", icon=":material/info:")
    else:
        _many(workspace, tile, files, annotator=annotator)


def _one(workspace: Workspace, tile: Tile, file: UploadedFile, *, annotator: str, opinion: str) -> None:
    try:
        reading = _read(file)
        st.markdown(f":material/check_circle: **{FORMAT_WORDS[reading.format]}**, {plain(reading.summary)}")
        _named_otherwise(workspace, tile, file.name)
        meanings = _meanings(reading)
        if not set(reading.keys) <= {*reading.meanings, *meanings}:
            return
        offset = _offset(reading, tile)
        taken_as, only_unlabelled = _how(allow_suggestion=not opinion)
        choice = Choice(meanings, offset, only_unlabelled, taken_as)
        laid = import_files.placed(reading, tile, choice)
    except InputError as error:
        _refuse(error)
        return
    if taken_as is TakenAs.SUGGESTION:
        _show(laid, f"Suggests classes for {_count(int((laid.raster != UNLABELLED).sum()))} pixels; no label changes.")
        nothing = False
    else:
        found = import_files.preview(
            journal.load(workspace, tile.id, opinion=opinion), laid, only_unlabelled=only_unlabelled
        )
        _show(laid, _sentence(found))
        nothing = found.nothing
    label = "Show as suggestion" if taken_as is TakenAs.SUGGESTION else f"Import into tile {tile.name}"
    if st.button(label, type="primary", icon=":material/upload:", disabled=nothing, key="label_files_import"):
        try:
            if taken_as is TakenAs.SUGGESTION:
                import_files.suggest(workspace, tile, laid, source=file.name)
            else:
                tile_locks.check_person(workspace, tile.id, opinion, annotator)
                import_files.apply(
                    workspace,
                    tile,
                    laid,
                    source=file.name,
                    only_unlabelled=only_unlabelled,
                    opinion=opinion,
                    annotator=annotator,
                )
        except (InputError, RefusedError) as error:
            _refuse(error)
            return
        _finish("The suggestion is shown." if taken_as is TakenAs.SUGGESTION else "Imported; undo takes it back.")


def _many(workspace: Workspace, tile: Tile, files: Sequence[UploadedFile], *, annotator: str) -> None:
    names = ", ".join(file.name for file in files[:4]) + (" and more" if files[4:] else "")
    st.markdown(f":material/folder_zip: {plain(names)}: each file goes into the tile that is named like it.")
    taken_as, only_unlabelled = _how(allow_suggestion=True)
    if not st.button("Import all", type="primary", icon=":material/upload:", key="label_files_import_all"):
        return
    choice = Choice(only_unlabelled=only_unlabelled, taken_as=taken_as)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                (Path(folder) / Path(file.name).name).write_bytes(file.getvalue())
            one_zip = len(files) == 1
            with st.spinner(f"Importing {len(files)} files ..."):
                report = import_labels(
                    workspace,
                    source=Path(folder) / Path(files[0].name).name if one_zip else Path(folder),
                    collection_id=tile.collection_id,
                    tile_names=(),
                    choice=choice,
                    progress=SilentProgress(),
                    annotator=annotator,
                    check_lock=tile_locks.check_person,
                )
    except (InputError, CancelledError) as error:
        _refuse(error)
        return
    _tell(report)


def _named_otherwise(workspace: Workspace, tile: Tile, file_name: str) -> None:
    """Warn where the file is named like another tile: the likeliest mistake of all."""
    name = tile_name(file_name)
    if name != tile.name and any(other.name == name for other in tiles(workspace, tile.collection_id)):
        st.warning(plain(f"{file_name} is named like tile {name}, and this is {tile.name}."), icon=":material/warning:")


def _read(file: UploadedFile) -> Reading:
    """The file as read, kept until another one is chosen."""
    kept = st.session_state.get(_READ)
    if kept is not None and kept[0] == file.file_id:
        return kept[1]
    with st.spinner(f"Reading {plain(file.name)} ..."), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(file.name).name
        path.write_bytes(file.getvalue())
        reading = read_file(path)
    st.session_state[_READ] = (file.file_id, reading)
    return reading


def _meanings(reading: Reading) -> Mapping[str, int]:
    """What the file's classes mean: nothing to add where it is plain, else a table to fill in."""
    unknown = [key for key in reading.keys if key not in reading.meanings]
    if reading.question is None and not unknown:
        return {}
    st.warning(
        plain(reading.question or "The file names classes that are not known here; say what each one means."),
        icon=":material/help:",
    )
    table = pd.DataFrame(
        {
            "In the file": list(reading.keys),
            "Count": list(reading.keys.values()),
            "Means": [_MEANS.get(reading.meanings.get(key, -1)) for key in reading.keys],
        }
    )
    filled = st.data_editor(
        table,
        hide_index=True,
        disabled=["In the file", "Count"],
        column_config={
            "Count": st.column_config.NumberColumn(format="localized"),
            "Means": st.column_config.SelectboxColumn(options=list(_INDEX), required=True),
        },
        key="label_files_meanings",
    )
    meanings = dict(zip(filled["In the file"], filled["Means"], strict=True))
    return {key: _INDEX[name] for key, name in meanings.items() if name in _INDEX}


def _offset(reading: Reading, tile: Tile) -> tuple[int, int]:
    """Where a smaller picture begins."""
    if reading.size is None or reading.size == (tile.width, tile.height):
        return (0, 0)
    room = tile.width - reading.size[0], tile.height - reading.size[1]
    if min(room) < 0:
        return (0, 0)  # laying it on the tile says why it does not fit
    st.caption(f"It is smaller than the tile ({tile.width} x {tile.height}): where does it begin?")
    left, right = st.columns(2)
    column = left.number_input("Column", 0, room[0], 0, disabled=room[0] == 0, key="label_files_column")
    row = right.number_input("Row", 0, room[1], 0, disabled=room[1] == 0, key="label_files_row")
    return int(column), int(row)


def _how(*, allow_suggestion: bool) -> tuple[TakenAs, bool]:
    words = {
        TakenAs.LABELS: "As labels",
        TakenAs.SUGGESTION: "As a suggestion, to accept by region",
    }
    options = list(words) if allow_suggestion else [TakenAs.LABELS]
    taken_as = st.radio("Take it", options, format_func=words.__getitem__, horizontal=True, key="label_files_as")
    if taken_as is TakenAs.SUGGESTION:
        return taken_as, False
    only = st.radio(
        "Into",
        [False, True],
        format_func=lambda only: "Only unlabelled pixels" if only else "Replace all labels",
        horizontal=True,
        key="label_files_only",
    )
    return taken_as, bool(only)


def _show(laid: Placed, sentence: str) -> None:
    """A small picture of the labels on the tile, what they would do, and what was noted."""
    left, right = st.columns([2, 3], vertical_alignment="center")
    left.image(_picture(laid.raster), width=_PICTURE_SIDE, caption="On the tile")
    right.markdown(sentence)
    for note in laid.notes:
        right.caption(plain(note))


def _picture(raster: ClassRaster) -> np.ndarray:
    step = max(1, -(-max(raster.shape) // (2 * _PICTURE_SIDE)))
    return raster_colours(screen_palette())[raster[::step, ::step]]


def _sentence(found: Preview) -> str:
    if found.nothing:
        return "It would change nothing: the tile holds these labels already."
    parts = []
    if found.labelled:
        parts.append(f"labels **{_count(sum(found.labelled.values()))}** pixels ({_shares(found.labelled)})")
    if found.changed:
        parts.append(f"changes the class of **{_count(sum(found.changed.values()))}** (to {_shares(found.changed)})")
    if found.removed:
        parts.append(f"removes the labels of **{_count(found.removed)}**")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _shares(pixels: Mapping[str, int]) -> str:
    total = sum(pixels.values())
    most_first = sorted(pixels.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {_share(count / total)}" for name, count in most_first)


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "under 1%"


def _count(pixels: int) -> str:
    """A number of pixels as a person reads it: ``1.2 M``, ``345 k``, ``67``."""
    if pixels >= 1_000_000:
        return f"{pixels / 1_000_000:.1f} M"
    return f"{pixels / 1000:.0f} k" if pixels >= 10_000 else f"{pixels:,}"


def _tell(report: ImportReport) -> None:
    taken = len(report.tiles)
    st.success(f"Imported labels into {taken} tile{'s' if taken != 1 else ''}.", icon=":material/check_circle:")
    _list(report.left_out, "left out")
    _list(report.notes, "noted")
    if st.button("Show them", icon=":material/refresh:", key="label_files_done"):
        _finish("")


def _list(sentences: Sequence[str], what: str) -> None:
    for sentence in sentences[:_SAID_AT_MOST]:
        st.caption(plain(f"{what.capitalize()}: {sentence}"))
    if sentences[_SAID_AT_MOST:]:
        st.caption(f"{len(sentences) - _SAID_AT_MOST} more {what}.")


def _refuse(error: Exception) -> None:
    st.error(plain(str(error)), icon=":material/error:")


def _finish(sentence: str) -> None:
    """Forget the file, and run the page anew, so that the canvas fetches what changed."""
    st.session_state.pop(_READ, None)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    if sentence:
        st.toast(sentence, icon=":material/check_circle:")
    st.rerun()
