import pytest

from core.labels.annotators import annotator_name, folder_name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  Ada   Lovelace ", "Ada Lovelace"),
        ("Ada\n\x00\u202eLovelace", "Ada Lovelace"),
        ("", "local"),
        (" \n", "local"),
    ],
)
def test_a_name_is_kept_as_one_line_and_nobody_is_called_local(sent, kept):
    assert annotator_name(sent) == kept


def test_a_long_name_is_cut():
    assert annotator_name("a" * 100) == "a" * 40


def test_names_that_look_alike_have_folders_of_their_own():
    names = ["Ada", "ada", "Ada!", "../../etc", "Łukasz", "Łucja", "CON", "a/b"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all(folder.replace("-", "").isalnum() and folder.isascii() for folder in folders)
