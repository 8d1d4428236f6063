"""Ray, where it is installed: an extra that only work on several machines or GPUs needs."""

import importlib
import os
from types import ModuleType

from core.errors import InputError

HOW_TO_INSTALL = "pip install -r requirements-ray.txt"

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's new way, asked for so that it does not warn of the old one
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths mean the same in every process
}


def import_ray(submodule: str = "") -> ModuleType:
    """Ray, or one of its modules ('job_submission', 'train.torch'), told to send no statistics.

    Imported when it is needed and never before: it is optional, and takes a second. Raises ``InputError`` where it is
    not installed, or not wholly.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module(f"ray.{submodule}" if submodule else "ray")
    except ImportError as error:
        raise InputError(
            f"Clusters and several workers need Ray, which is not installed here ({error}); install it with: "
            f"{HOW_TO_INSTALL}"
        ) from error
