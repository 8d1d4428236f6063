"""Requests and fitted models as plain data, to cross from one process to another: text, numbers, and safetensors."""

import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from core.training.feature_cache import FeatureCache
from core.training.fit import FitRequest
from core.training.fitted import Fitted
from core.training.recipe import Recipe
from models.checkpoint import load_head, pack_head


def pack_request(request: FitRequest) -> dict[str, Any]:
    """A request as JSON; its paths are absolute, so that they mean the same wherever the disk is shared."""
    return {
        "data": str(request.data.resolve()),
        "out": str(request.out.resolve()),
        "recipe": request.recipe.model_dump(mode="json"),
        "labels": None if request.labels is None else str(request.labels.resolve()),
        "seed": request.seed,
        "device": request.device,
        "cache": None if request.cache is None else [str(request.cache.folder.resolve()), request.cache.limit_bytes],
        "resume": request.resume,
    }


def unpack_request(parcel: dict[str, Any]) -> FitRequest:
    """The request that ``pack_request`` packed; without a cache it is the user's own, on the machine that unpacks."""
    cache = parcel["cache"]
    return FitRequest(
        data=Path(parcel["data"]),
        out=Path(parcel["out"]),
        recipe=Recipe.model_validate(parcel["recipe"]),
        labels=None if parcel["labels"] is None else Path(parcel["labels"]),
        seed=parcel["seed"],
        device=parcel["device"],
        cache=None if cache is None else FeatureCache(Path(cache[0]), cache[1]),
        resume=parcel["resume"],
    )


def pack_fitted(fitted: Fitted) -> dict[str, Any]:
    """What a fit handed back: the model as the bytes of a safetensors file, all else as JSON."""
    said = {field.name: getattr(fitted, field.name) for field in fields(fitted) if field.name != "model"}
    return {**said, "warnings": list(fitted.warnings), "model": pack_head(fitted.model)}


def unpack_fitted(parcel: dict[str, Any]) -> Fitted:
    """What ``pack_fitted`` packed; the model is in evaluation mode, on the CPU."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(parcel["model"])
        file.flush()
        model = load_head(Path(file.name))
    return Fitted(**{**parcel, "model": model, "warnings": tuple(parcel["warnings"])})
