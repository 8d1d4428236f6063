"""Encoding on the CPU by onnxruntime: each encoder's ONNX model, made once and kept in the user's cache."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock

import onnx
import torch
from torch import Tensor

from core.atomic import atomic_file
from core.errors import NotSavedError
from core.workspace import encoder_cache_folder
from models.encoders import Encoder
from models.errors import ModelError
from models.onnx_stages import GRAPH, OPSET, OnnxStages, export_stages

_logger = logging.getLogger(__name__)
_MOST = 4  # sessions that a process keeps: those of a recipe's encoders, and of the next one's
_SESSIONS: dict[tuple[str, int, int], OnnxStages | None] = {}
_counting = Lock()
_holders = 0


@contextmanager
def memory_held() -> Generator[None, None, None]:
    """Within it the memory for an encoder's maps passes from image to image, twice as fast as fresh memory.

    Given back when the last of those who hold it, in any thread, is done. It is process-wide, as the memory is.
    """
    global _holders  # noqa: PLW0603
    with _counting:
        _holders += 1
    try:
        yield
    finally:
        with _counting:
            _holders -= 1
            unused = [] if _holders else [session for session in _SESSIONS.values() if session]
        for session in unused:
            session.give_back_memory()


def encode(encoder: Encoder, images: Tensor, deepest: int | None = None) -> list[Tensor]:
    """The encoder's stages of images, as ``Encoder.forward`` gives them, up to the stage ``deepest`` or all.

    On the CPU by onnxruntime, where the encoder can be written as ONNX: the maps agree with torch's to float32's
    rounding. Elsewhere, and for an encoder that cannot, by torch. Call it within ``memory_held``.
    """
    count = deepest or len(encoder.card.channels)
    session = None if images.is_cuda else _session(encoder, count)
    return session(images) if session else encoder(images)[:count]


def _session(encoder: Encoder, count: int) -> OnnxStages | None:
    # By identity: every fit and every run that is opened loads an encoder of its own, and they are all the same.
    key = (encoder.identity, count, torch.get_num_threads())
    if key not in _SESSIONS:
        if len(_SESSIONS) >= _MOST:
            del _SESSIONS[next(iter(_SESSIONS))]
        _SESSIONS[key] = _loaded(encoder, count)
    return _SESSIONS[key]


def _loaded(encoder: Encoder, count: int) -> OnnxStages | None:
    try:
        return OnnxStages(_model(encoder, count), encoder, count)
    except ModelError as error:
        _logger.warning("%s It is run by torch instead, which is slower.", error)
        return None


def _model(encoder: Encoder, count: int) -> bytes:
    versions = f"graph{GRAPH}-opset{OPSET}-onnx{onnx.__version__}-torch{torch.__version__}"
    path = encoder_cache_folder() / f"{encoder.identity}-{count}stages-{versions}.onnx"
    try:
        return path.read_bytes()
    except OSError:
        model = export_stages(encoder, count)
    try:
        with atomic_file(path) as stream:
            stream.write(model)
    except NotSavedError as error:
        _logger.warning("%s The next process makes the encoder's ONNX model anew.", error)
    return model
