"""Putting weights into an encoder's backbone: from a state, a person's file, or the hub's file."""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import ModelError

# It names the classifier that a backbone leaves out, whenever weights are loaded; what is missing is found out here.
logging.getLogger("timm.models._builder").setLevel(logging.ERROR)


def load_weights_file(backbone: nn.Module, path: Path, *, name: str, timm_name: str | None) -> None:
    """Load a person's file: the state of such a backbone, or what the hub has for the encoder ``name``.

    ``timm_name`` is what timm calls it, None for one of smp's. Raises ``ModelError`` for a file that is not there, that
    is no safetensors file or that does not fit.
    """
    state = _read(path)
    if state.keys() == backbone.state_dict().keys():
        load_state(backbone, state, name=name, source=str(path))
    else:
        load_hub_file(backbone, path, name=name, timm_name=timm_name)


def load_hub_file(backbone: nn.Module, path: Path, *, name: str, timm_name: str | None) -> None:
    """Load what the libraries put on the hub: with a classifier at its end, and under names of their own.

    Raises ``ModelError`` as ``load_weights_file`` does.
    """
    state = _read(path)
    try:
        if timm_name is None:
            backbone.load_state_dict(state)  # smp's encoders leave the classifier out
            return
        # timm passes over what a file lacks: whatever two seeds draw differently did not come from it.
        loaded, again = (_timm_state(timm_name, path, seed=seed) for seed in (0, 1))
        lacking = [key for key, tensor in loaded.items() if not torch.equal(tensor, again[key])]
        if lacking:
            raise KeyError(f"it has no {lacking[0]}")
    except (RuntimeError, KeyError) as error:
        raise _unfit(str(path), name, error) from error
    backbone.load_state_dict(loaded)


def _timm_state(timm_name: str, path: Path, *, seed: int) -> dict[str, Tensor]:
    """The state of one of timm's backbones with a file's weights, and what that lacks drawn by ``seed``."""
    import timm  # noqa: PLC0415

    overlay = {"file": str(path), "custom_load": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = timm.create_model(timm_name, pretrained=True, features_only=True, pretrained_cfg_overlay=overlay)
    state: dict[str, Tensor] = model.state_dict()
    return state


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        raise ModelError(
            f"{path} is no source of weights; give 'packaged', 'hub', 'none' or the path of a .safetensors file."
        )
    if not path.is_file():
        raise ModelError(f"There is no file of weights {path}; mend the path (the recipe's weights).")
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights {path} cannot be read as safetensors ({error}); give another file.") from error


def load_state(backbone: nn.Module, state: Mapping[str, Tensor], *, name: str, source: str) -> None:
    """Load the state of such a backbone. Raises ``ModelError`` where it does not fit."""
    try:
        backbone.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise _unfit(source, name, error) from error


def _unfit(source: str, name: str, error: Exception) -> ModelError:
    """Of the many lines that torch says of a state that does not fit, the last one."""
    said = (str(error).strip("'").splitlines() or [type(error).__name__])[-1].strip()
    return ModelError(
        f"The weights in {source} do not fit the encoder {name} ({said}); choose the encoder that they were made for."
    )
