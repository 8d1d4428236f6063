"""A head, or a whole network, on disk: one safetensors file that also says what it is."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.build import NETWORKS, TrainableNetwork
from models.errors import ModelError
from models.heads import HEADS, Head
from models.network_ensemble import NetworkEnsemble, empty_ensemble

TrainedNetwork = TrainableNetwork | NetworkEnsemble
"""What sees an image's pixels: an encoder with its decoder, or several."""

Trained = Head | TrainedNetwork
"""What a fit trains: a head on an encoder's features, or a network."""

FORMAT = "tilewright-head-1"
_KEY = "tilewright"


def pack_head(head: Trained) -> bytes:
    """The head as the bytes of a safetensors file, its kind and settings in the file's metadata.

    Of a network everything is kept, a frozen encoder too, so that reading it asks neither a package nor a hub.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in head.state_dict().items()}
    # One key only: safetensors writes several in random order, and equal heads should be equal files.
    metadata = {_KEY: json.dumps({"format": FORMAT, "kind": head.kind, "settings": head.settings()})}
    return bytes(save(tensors, metadata))


def load_head(path: Path) -> Trained:
    """Read a head that ``pack_head`` wrote; in evaluation mode, on the CPU.

    Raises ``ModelError`` when the file is missing, is no safetensors file, or is somebody else's.
    """
    if not path.is_file():
        raise ModelError(f"There are no weights at {path}; choose the folder of a run that has ended.")
    try:
        with safe_open(path, framework="pt") as file:
            described: str = (file.metadata() or {}).get(_KEY, "")
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}); choose a run that Tilewright made.") from error
    if not described:
        raise ModelError(f"{path} was not written by Tilewright; choose a run that it made.")
    try:
        description: dict[str, Any] = json.loads(described)
        if description["format"] != FORMAT:
            raise ModelError(f"{path} is of another version of Tilewright ({description['format']}); train it anew.")
        head = _empty(description["kind"], description["settings"])
        head.load_state_dict(tensors)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"The weights in {path} do not fit what the file says of them; train the run anew.") from error
    return head.eval()


def _empty(kind: str, settings: dict[str, Any]) -> Trained:
    if kind in HEADS:
        return HEADS[kind](**settings)
    with torch.random.fork_rng(devices=[]):  # the weights that it is built with are drawn, and thrown away
        return empty_ensemble(**settings) if kind == NetworkEnsemble.kind else NETWORKS[kind](**settings)
