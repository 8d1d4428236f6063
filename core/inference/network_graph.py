"""Trained networks on the CPU by onnxruntime: each one's ONNX model, made once and kept in the user's cache."""

import hashlib
import json
import logging

import onnx
import torch

from core.atomic import write_bytes
from core.errors import NotSavedError
from core.workspace import encoder_cache_folder
from models.checkpoint import TrainedNetwork
from models.errors import ModelError
from models.onnx_network import GRAPH, OPSET, OnnxNetwork, export_network

_logger = logging.getLogger(__name__)

KEPT = 8
"""Models that stay in the cache: those of the networks that were used last."""


def network_graph(network: TrainedNetwork, device: torch.device) -> OnnxNetwork | None:
    """The network as a graph that was tried against it, or None where torch is to run it.

    On the CPU alone, and for networks that can be written as ONNX; the log says of one that cannot.
    """
    if device.type != "cpu":
        return None
    try:
        return OnnxNetwork(_model(network), network)
    except ModelError as error:
        _logger.warning("%s It is run by torch instead, which is slower.", error)
        return None


def _model(network: TrainedNetwork) -> bytes:
    folder = encoder_cache_folder() / "networks"
    path = folder / f"{_digest(network)}-graph{GRAPH}-opset{OPSET}-onnx{onnx.__version__}-torch{torch.__version__}.onnx"
    try:
        model = path.read_bytes()
        path.touch()  # used last
    except OSError:
        model = export_network(network)
    else:
        return model
    try:
        write_bytes(path, model)
        for old in sorted(folder.glob("*.onnx"), key=lambda kept: kept.stat().st_mtime, reverse=True)[KEPT:]:
            old.unlink(missing_ok=True)
    except (NotSavedError, OSError) as error:
        _logger.warning("%s The next process makes the network's ONNX model anew.", error)
    return model


def _digest(network: TrainedNetwork) -> str:
    """Tells a network's settings and weights from those of any other."""
    digest = hashlib.sha256(json.dumps([network.kind, network.settings()], sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
