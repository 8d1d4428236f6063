import logging
from pathlib import Path

import pytest
import torch

from core.training import onnx_encoder
from core.training.onnx_encoder import encode, memory_held
from models.encoders import create_encoder
from models.errors import ModelError

IMAGES = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(onnx_encoder, "_SESSIONS", {})
    return create_encoder("efficientnet-lite0", "none")


def agree(found, wanted):
    return all(torch.allclose(one, other, atol=1e-3, rtol=1e-3) for one, other in zip(found, wanted, strict=True))


def test_stages_up_to_the_deepest_that_is_asked_for_are_those_of_the_encoder(encoder):
    assert agree(encode(encoder, IMAGES, 2), encoder(IMAGES)[:2])


def test_without_a_deepest_stage_all_are_given(encoder):
    assert agree(encode(encoder, IMAGES), encoder(IMAGES))


def test_the_model_is_kept_for_the_next_process(encoder, tmp_path, monkeypatch):
    encode(encoder, IMAGES, 2)
    kept = list((tmp_path / "tilewright" / "encoders").iterdir())
    assert len(kept) == 1
    onnx_encoder._SESSIONS.clear()
    monkeypatch.setattr(onnx_encoder, "export_stages", lambda *_: pytest.fail("it was made anew"))
    assert agree(encode(encoder, IMAGES, 2), encoder(IMAGES)[:2])


def test_a_damaged_model_in_the_cache_is_told_and_torch_does_the_work(encoder, tmp_path, caplog):
    encode(encoder, IMAGES, 2)
    (kept,) = (tmp_path / "tilewright" / "encoders").iterdir()
    kept.write_bytes(b"damaged")
    onnx_encoder._SESSIONS.clear()
    with caplog.at_level(logging.WARNING):
        assert agree(encode(encoder, IMAGES, 2), encoder(IMAGES)[:2])
    assert "run by torch instead" in caplog.text


def test_an_encoder_that_cannot_be_written_as_onnx_is_run_by_torch(encoder, monkeypatch, caplog):
    def refuse(*_):
        raise ModelError("It has a twist.")

    monkeypatch.setattr(onnx_encoder, "export_stages", refuse)
    onnx_encoder._SESSIONS.clear()
    with caplog.at_level(logging.WARNING):
        assert agree(encode(encoder, IMAGES, 3), encoder(IMAGES)[:3])
    assert "It has a twist. It is run by torch instead" in caplog.text


def test_where_nothing_can_be_kept_the_model_is_used_all_the_same(encoder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    onnx_encoder._SESSIONS.clear()
    assert agree(encode(encoder, IMAGES, 2), encoder(IMAGES)[:2])


def test_all_that_load_one_encoder_share_one_session_and_few_are_kept(encoder):
    for count in range(1, 6):
        encode(encoder, IMAGES, count)
        encode(create_encoder("efficientnet-lite0", "none"), IMAGES, count)
    assert len(onnx_encoder._SESSIONS) == 4


def given_back(monkeypatch):
    told = []
    for session in onnx_encoder._SESSIONS.values():
        monkeypatch.setattr(session, "give_back_memory", lambda: told.append("given back"))
    return told


def test_memory_is_given_back_when_the_last_who_holds_it_is_done(encoder, monkeypatch):
    encode(encoder, IMAGES, 2)
    told = given_back(monkeypatch)
    with memory_held():
        with memory_held():
            encode(encoder, IMAGES, 2)
        assert told == []
    assert told == ["given back"]


def test_memory_is_given_back_after_an_error(encoder, monkeypatch):
    encode(encoder, IMAGES, 2)
    told = given_back(monkeypatch)
    with pytest.raises(RuntimeError, match="no tile"), memory_held():
        raise RuntimeError("no tile")
    assert told == ["given back"]


def test_what_is_given_back_is_far_less_afterwards(encoder):
    image = torch.zeros(1, 3, 1024, 1024, dtype=torch.uint8)
    with memory_held():
        encode(encoder, image, 2)
        held = resident_bytes()
    assert held - resident_bytes() > 100e6
    assert agree(encode(encoder, IMAGES, 2), encoder(IMAGES)[:2])


def resident_bytes():
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024
