import io
import stat
import zipfile

import pytest

from core.atomic import write_json
from core.catalog.images import fingerprint
from core.errors import InputError
from core.inference.run_offsets import OFFSETS, read_offsets
from core.inference.thresholds import FittedOffsets
from core.training import run_archive
from core.training.run_archive import archive_bytes, export_run, import_run
from core.training.runs import list_runs, read_head, read_metrics, read_recipe, read_run
from tests.core.training.run_files import write_run

FILES = ("recipe.toml", "weights.safetensors", "metrics.jsonl", "card.json")


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "here" / "runs" / "mine", ["l2=0.5"])


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere" / "runs"
    folder.parent.mkdir()
    return folder


def changed(content, *, leave_out=(), add=(), rename=None):
    """The archive with members left out, added or in another folder."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for member in old.infolist():
            name = member.filename.replace("mine/", f"{rename}/") if rename else member.filename
            if member.filename not in leave_out:
                new.writestr(name, old.read(member))
        for member, data in add:
            new.writestr(member, data)
    stream.seek(0)
    return stream


def refused(source, runs, words):
    with pytest.raises(InputError, match=words):
        import_run(source, runs)
    assert list_runs(runs) == []
    assert not [path for path in runs.parent.glob("*") if path != runs], "something was left behind"


def test_a_run_comes_back_whole(run, elsewhere, tmp_path):
    out = export_run(run, tmp_path / "mine.zip")
    taken = import_run(out, elsewhere)
    assert taken.card == read_run(run).card
    assert read_recipe(taken.folder) == read_recipe(run)
    assert read_metrics(taken.folder) == read_metrics(run)
    assert read_head(taken.folder).settings() == read_head(run).settings()
    assert all((taken.folder / name).read_bytes() == (run / name).read_bytes() for name in FILES)
    assert "# mine" in (taken.folder / "model-card.md").read_text()


def test_the_same_run_gives_the_same_archive(run):
    assert archive_bytes(run) == archive_bytes(run)


def test_a_run_of_that_name_is_never_overwritten(run, elsewhere):
    archive = archive_bytes(run)
    import_run(io.BytesIO(archive), elsewhere)
    with pytest.raises(InputError, match="a run 'mine' already; give the imported one another name"):
        import_run(io.BytesIO(archive), elsewhere)
    assert import_run(io.BytesIO(archive), elsewhere, name="theirs").name == "theirs"


def test_a_folder_that_is_no_whole_run_is_not_exported(run, tmp_path):
    with pytest.raises(InputError, match="is no run"):
        export_run(tmp_path / "nothing", tmp_path / "out.zip")
    (run / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no weights.safetensors"):
        export_run(run, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "mine/../../evil", "mine/deeper/recipe.toml", "mine/code.py", "mine/weights.pkl"]
)
def test_a_member_that_no_run_has_is_refused(run, elsewhere, name):
    refused(changed(archive_bytes(run), add=[(name, b"x")]), elsewhere, "which no run has")


def test_a_link_is_refused(run, elsewhere):
    link = zipfile.ZipInfo("mine/recipe.toml")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = changed(archive_bytes(run), leave_out=["mine/recipe.toml"], add=[(link, "/etc/passwd")])
    refused(archive, elsewhere, "a link or special file")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(run, elsewhere):
    refused(changed(archive_bytes(run), add=[("mine/card.json", b"{}")]), elsewhere, "twice")


def test_what_unpacks_to_more_than_a_run_has_is_refused(run, elsewhere, monkeypatch):
    monkeypatch.setitem(run_archive.LIMITS, "metrics.jsonl", 10)
    refused(io.BytesIO(archive_bytes(run)), elsewhere, "as no run's does")


@pytest.mark.parametrize("missing", ["recipe.toml", "weights.safetensors", "card.json"])
def test_an_archive_without_a_part_of_a_run_is_refused(run, elsewhere, missing):
    refused(changed(archive_bytes(run), leave_out=[f"mine/{missing}"]), elsewhere, f"lacks {missing}")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"a picture"])
def test_what_is_no_zip_is_refused(elsewhere, content):
    refused(io.BytesIO(content), elsewhere, "damaged or no zip")


def test_a_cut_archive_is_refused(run, elsewhere):
    content = bytearray(archive_bytes(run))
    at = content.find(b'"loss"') if b'"loss"' in content else 300
    content[at] ^= 0xFF
    refused(io.BytesIO(bytes(content)), elsewhere, "damaged|not fit|not written|safetensors|read")


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("weights.safetensors", b"\x80\x04pickle", "not a safetensors file"),
        ("card.json", b"{}", "not written by this Tilewright"),
        ("recipe.toml", b"speed = 3", "no key 'speed'"),
    ],
)
def test_a_run_that_cannot_be_read_is_refused_and_leaves_nothing(run, elsewhere, name, data, words):
    archive = changed(archive_bytes(run), leave_out=[f"mine/{name}"], add=[(f"mine/{name}", data)])
    refused(archive, elsewhere, words)


@pytest.mark.parametrize("name", ["..", "a b", "x" * 61, "a/b", ".hidden"])
def test_a_name_that_is_no_folder_name_is_refused(run, elsewhere, name):
    with pytest.raises(InputError, match="letters, digits, hyphens and underscores"):
        import_run(io.BytesIO(archive_bytes(run)), elsewhere, name=name)


def test_a_full_disk_leaves_nothing(run, elsewhere, monkeypatch):
    monkeypatch.setattr(run_archive.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(InputError, match="free some disk space"):
        import_run(io.BytesIO(archive_bytes(run)), elsewhere)
    assert list_runs(elsewhere) == []


def fitted(run, **changes):
    """Offsets in a run's folder, as ``fit-offsets`` keeps them."""
    told = {"offsets": (0.3, 0, 0, -0.2, 0, 0), "strength": 0.5, "before": 0.4, "after": 0.45, "pixels": 900}
    offsets = FittedOffsets(**told, tiles={"9": "f9"}, weights=fingerprint(run / "weights.safetensors"))
    write_json(run / OFFSETS, {**offsets.model_dump(mode="json"), **changes})


def test_fitted_offsets_travel_with_their_run(run, elsewhere):
    fitted(run)
    taken = import_run(io.BytesIO(archive_bytes(run)), elsewhere)
    assert read_offsets(taken.folder) == read_offsets(run)


def test_offsets_of_other_weights_stay_behind_and_are_refused_in_an_archive(run, elsewhere):
    fitted(run, weights="others")
    archive = archive_bytes(run)
    assert OFFSETS.encode() not in archive
    spoilt = changed(archive, add=[(f"mine/{OFFSETS}", (run / OFFSETS).read_bytes())])
    refused(spoilt, elsewhere, "offsets were fitted for other weights")


@pytest.mark.parametrize("content", [b"{}", b"no json", b'{"offsets": [9, 0, 0, 0, 0, 0]}'])
def test_spoilt_offsets_are_neither_exported_nor_taken_in(run, elsewhere, content):
    archive = archive_bytes(run)
    refused(changed(archive, add=[(f"mine/{OFFSETS}", content)]), elsewhere, "cannot be read; fit its offsets anew")
    (run / OFFSETS).write_bytes(content)
    with pytest.raises(InputError, match="fit its offsets anew"):
        archive_bytes(run)
