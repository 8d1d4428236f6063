"""Make torchvision importable where its compiled operators do not load.

torchvision's usual wheel links CUDA libraries that a CPU build of torch lacks. Its operators then stay
unregistered and ``import torchvision`` (hence timm and segmentation_models_pytorch) dies with "operator
torchvision::nms does not exist". Its Python side needs no more than the operators' schemas: transforms, models
and datasets are plain Python. So the schemas are declared here, but only after the import failed in just that
way, since beside a matching torchvision the declaration would clash with the real operators.
"""

import importlib
import sys

import torch

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_UNGUARDED_OPERATORS = ("nms", "qnms")  # the ones that torchvision 0.28's Python side names without a check

# A Library takes its schemas with it when it is collected, so it lives as long as the process.
_declared: list[torch.library.Library] = []


def ensure_torchvision() -> bool:
    """Import torchvision, declaring its operators' schemas first if that is what it lacks.

    Call it before timm or segmentation_models_pytorch is imported. Returns whether schemas had to be declared.
    Any other import error is passed on unchanged.
    """
    if "torchvision" in sys.modules:
        return bool(_declared)
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
    else:
        return False
    _forget_half_imported()
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in _UNGUARDED_OPERATORS:
        library.define(operator + _SCHEMA)  # type: ignore[no-untyped-call]
    _declared.append(library)
    importlib.import_module("torchvision")
    return True


def _forget_half_imported() -> None:
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]
