import zipfile
from io import BytesIO

import pytest

from core.catalog.splitting.lists import list_files, parse_lists, write_lists, zip_lists
from core.catalog.splitting.plans import Place
from core.errors import InputError

PLACES = {"10": Place("train"), "9": Place("train"), "Süd 1": Place("val"), "a,b": Place("test")}
FOLDS = {"1": Place("val", 0), "2": Place("train", 1), "3": Place("test")}


def _files(places):
    return [(name, content.encode()) for name, content in list_files(places).items()]


def test_lists_have_an_id_a_line_numbers_by_value_as_glnets_have():
    files = list_files(PLACES)
    assert files["train.txt"] == "9\n10\n"
    assert files["val.txt"] == "Süd 1\n"
    assert files["split.csv"].splitlines() == ["tile,split,fold", "9,train,", "10,train,", '"a,b",test,', "Süd 1,val,"]


def test_lists_table_and_zip_are_read_back_as_they_were(tmp_path):
    files = _files(PLACES)
    assert parse_lists(files[:3]) == PLACES
    assert parse_lists(files[3:]) == PLACES
    assert parse_lists([("split.zip", zip_lists(PLACES))]) == PLACES
    assert parse_lists([("split.zip", zip_lists(FOLDS))]) == FOLDS
    assert [path.name for path in write_lists(tmp_path, PLACES)] == [name for name, _ in files]


def test_the_same_split_gives_the_same_zip():
    assert zip_lists(PLACES) == zip_lists(dict(reversed(PLACES.items())))


def test_a_table_of_folds_without_val_is_judged_by_the_first():
    places = parse_lists([("s.csv", b"tile,split,fold\n1,train,2\n2,train,1\n")])
    assert places == {"1": Place("train", 1), "2": Place("val", 0)}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([("tiles.txt", b"1")], "does not say train, val or test"),
        ([("train.txt", b"1\n2"), ("val.txt", b"2")], "Tile 2 is in val.txt and in the list of train"),
        ([("train.txt", b"\n")], "name no tile"),
        ([("train.txt", b"\xff\xfe1")], "no text in UTF-8"),
        ([("a.csv", b"id,side\n1,train")], "no columns tile and split"),
        ([("a.csv", b"tile,split\n1,maybe")], "puts tile 1 on 'maybe'"),
        ([("a.csv", b"tile,split\n1,train\n1,val")], "names tile 1 twice"),
        ([("a.csv", b"tile,split,fold\n1,train,x")], "into fold 'x'"),
        ([("a.csv", b"tile,split,fold\n1,train,1\n2,val,")], "none to tile 2"),
        ([("a.csv", b"tile,split,fold\n1,val,1\n2,val,2")], "more than one fold"),
        ([("a.csv", b"tile,split\n1,train"), ("val.txt", b"2")], "whole split by itself"),
        ([("s.zip", b"no zip")], "damaged or no zip"),
    ],
)
def test_lists_that_do_not_do_are_refused_in_one_sentence(files, said):
    with pytest.raises(InputError, match=said):
        parse_lists(files)


def test_a_zip_that_unpacks_to_more_than_lists_ever_are_is_refused():
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.txt", bytes(17 * 2**20))
    with pytest.raises(InputError, match="larger than 16 MB"):
        parse_lists([("lists.zip", packed.getvalue())])
