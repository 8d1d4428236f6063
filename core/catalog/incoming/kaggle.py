"""What a page may know of DeepGlobe on Kaggle without asking anything: size, account, what is here already.

The download itself is in ``core.catalog.incoming.download``, which loads kagglehub and is for the job's process alone.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from core.workspace import Workspace

OWNER, DATASET = "balraj98", "deepglobe-land-cover-classification-dataset"
PAGE = f"kaggle.com/datasets/{OWNER}/{DATASET}"
ARCHIVE_BYTES = 2_700_000_000
"""About what Kaggle sends; it says the exact size when it is asked."""
UNPACKED_SHARE = 1.05
"""About what the archive unpacks to, of its own size: pictures are packed already."""
IMPORT_NAME = "deepglobe"


def found_credentials(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where Kaggle's own tools would find the user's account, in words; no key is read. None: nowhere."""
    if environment.get("KAGGLE_API_TOKEN"):
        return "the environment (KAGGLE_API_TOKEN)"
    if environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY"):
        return "the environment (KAGGLE_USERNAME and KAGGLE_KEY)"
    home = Path(environment.get("HOME", "~")).expanduser() / ".kaggle"
    for file in (home / "access_token", Path(environment.get("KAGGLE_CONFIG_DIR", home)) / "kaggle.json"):
        if file.is_file():
            return str(file)
    return None


def download_folder(workspace: Workspace) -> Path:
    """Where an unfinished download lies."""
    return workspace.root / "downloads"


def downloaded_bytes(workspace: Workspace) -> int:
    """How much of an unfinished download is there."""
    return sum(path.stat().st_size for path in download_folder(workspace).rglob("*.archive"))


def prepare_environment(workspace: Workspace) -> None:
    """Set what kagglehub reads of the environment when it is loaded: where it writes, and that it keeps quiet."""
    os.environ["KAGGLEHUB_CACHE"] = str(download_folder(workspace))
    os.environ["KAGGLEHUB_VERBOSITY"] = "critical"
    os.environ["TQDM_DISABLE"] = "1"  # its bar would fill the job's log
