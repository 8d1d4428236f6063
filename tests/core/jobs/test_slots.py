import pytest

from core.errors import InputError
from core.jobs.slots import SLOTS_VARIABLE, Slots, parse_slots, set_slots, slots
from core.workspace import open_workspace


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv(SLOTS_VARIABLE, raising=False)
    opened = open_workspace(tmp_path)
    yield opened
    opened.database.close()


def test_a_device_has_one_slot_until_the_workspace_says_otherwise(workspace):
    assert slots(workspace, "cpu") == Slots(1, "default")
    set_slots(workspace, "cpu", 3)
    set_slots(workspace, "cuda", 2)
    assert slots(workspace, "cpu") == Slots(3, "workspace")
    assert slots(workspace, "cuda") == Slots(2, "workspace")


def test_the_environment_overrides_the_workspace_and_the_first_gpu_has_two_names(workspace, monkeypatch):
    set_slots(workspace, "cpu", 3)
    monkeypatch.setenv(SLOTS_VARIABLE, "cpu=2, cuda:0=4,cuda:1=1")
    assert slots(workspace, "cpu") == Slots(2, "environment")
    assert slots(workspace, "cuda") == slots(workspace, "cuda:0") == Slots(4, "environment")
    assert slots(workspace, "cuda:1") == Slots(1, "environment")
    assert slots(workspace, "cuda:2") == Slots(1, "default")


@pytest.mark.parametrize("text", ["cpu", "cpu=", "cpu=0", "cpu=17", "=2", "cpu=two", "cpu=-1"])
def test_a_setting_that_cannot_be_read_is_reported(text):
    with pytest.raises(InputError, match=SLOTS_VARIABLE):
        parse_slots(text)


def test_no_setting_is_no_slots():
    assert parse_slots("") == parse_slots(" , ") == {}


@pytest.mark.parametrize("count", [0, 17])
def test_a_count_out_of_range_is_refused(workspace, count):
    with pytest.raises(ValueError, match="slots"):
        set_slots(workspace, "cpu", count)
