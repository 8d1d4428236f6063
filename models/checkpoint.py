"""A head on disk: one safetensors file that also says what it is."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from models.errors import ModelError
from models.heads import HEADS, Head

FORMAT = "tilewright-head-1"


def pack_head(head: Head) -> bytes:
    """The head as the bytes of a safetensors file, its kind and settings in the file's metadata."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in head.state_dict().items()}
    metadata = {"format": FORMAT, "kind": head.kind, "settings": json.dumps(head.settings())}
    return bytes(save(tensors, metadata))


def load_head(path: Path) -> Head:
    """Read a head that ``pack_head`` wrote; in evaluation mode, on the CPU.

    Raises ``ModelError`` when the file is missing, is no safetensors file, or is somebody else's.
    """
    if not path.is_file():
        raise ModelError(f"There are no weights at {path}; choose the folder of a run that has ended.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}); choose a run that Tilewright made.") from error
    if metadata.get("format") != FORMAT or metadata.get("kind") not in HEADS:
        raise ModelError(f"{path} was not written by Tilewright; choose a run that it made.")
    try:
        settings: dict[str, Any] = json.loads(metadata["settings"])
        head = HEADS[metadata["kind"]](**settings)
        head.load_state_dict(tensors)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"The weights in {path} do not fit what the file says of them; train the run anew.") from error
    return head.eval()
