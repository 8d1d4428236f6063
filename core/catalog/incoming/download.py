"""Downloading DeepGlobe's land-cover tiles from Kaggle: through kagglehub, resumable, and cancelled for real.

kagglehub downloads one archive, goes on where it broke off, and unpacks it; it says nothing on the way that a page
could show. So it works in a thread here, and what it has written is looked at. Nothing else of this program asks
outside. Call ``kaggle.prepare_environment`` before this module is imported.
"""

import errno
import fcntl
import os
import shutil
import sys
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import kagglehub
import requests
from kagglehub import config
from kagglehub.clients import build_kaggle_client
from kagglehub.exceptions import DataCorruptionError, handle_call
from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

from core.catalog.incoming.kaggle import (
    ARCHIVE_BYTES,
    DATASET,
    IMPORT_NAME,
    OWNER,
    PAGE,
    UNPACKED_SHARE,
    download_folder,
    downloaded_bytes,
    found_credentials,
)
from core.errors import InputError
from core.progress import Progress
from core.workspace import Workspace

_LOOK_SECONDS = 0.5
_GIGABYTE = 1e9


def download_deepglobe(workspace: Workspace, progress: Progress, typed: Mapping[str, str] | None = None) -> Path:
    """Download and unpack DeepGlobe into ``imports/deepglobe`` and return that folder; nothing if it is there.

    ``typed`` holds ``key`` and, but for Kaggle's newer tokens, ``username``; without it the account is taken from where
    Kaggle's tools keep it. A cancel (``CancelledError``) keeps what has come, and the next call goes on there.

    Raises ``InputError`` without credentials, when Kaggle refuses them or the data set, without network, without room
    on the disk, when the archive is damaged, and when another download runs.
    """
    target = workspace.imports / IMPORT_NAME
    if target.exists():
        return target
    if typed is None and found_credentials() is None:
        raise InputError(
            "There are no Kaggle credentials on this machine; set KAGGLE_USERNAME and KAGGLE_KEY, put kaggle.json into "
            "~/.kaggle, or type them on the Start page (an API token is made in Kaggle's account settings)."
        )
    with _sole_download(workspace):
        work = _KagglePart(download_folder(workspace), typed)
        progress.update(0, ARCHIVE_BYTES, "Asking Kaggle")
        total, version = work.ask()
        _check_room(workspace, total)
        unpacked = _watched(work, version, total, progress)
        target.parent.mkdir(parents=True, exist_ok=True)
        unpacked.rename(target)
    shutil.rmtree(download_folder(workspace), ignore_errors=True)
    return target


def _watched(work: "_KagglePart", version: int, total: int, progress: Progress) -> Path:
    """Run the download in a thread and tell how far it is; a cancel leaves the thread to end with the process."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["path"] = work.download(version)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, name="kagglehub", daemon=True)
    thread.start()
    while thread.is_alive():
        progress.update(*work.how_far(version, total))
        thread.join(_LOOK_SECONDS)
    if "error" in outcome:
        raise outcome["error"]
    return Path(outcome["path"])


class _KagglePart:
    """All that is asked of kagglehub, in its own words; its errors become sentences."""

    def __init__(self, cache: Path, typed: Mapping[str, str] | None) -> None:
        config.clear_kaggle_credentials()
        if typed:
            os.environ.pop("KAGGLE_API_TOKEN", None)  # it would be taken before what was typed
        if typed and typed.get("username"):
            config.set_kaggle_credentials(typed["username"], typed["key"])
        elif typed:
            config.set_kaggle_api_token(typed["key"])
        self._cache = cache

    def ask(self) -> tuple[int, int]:
        """The archive's size in bytes and the data set's newest version; this is also where credentials are tried."""
        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = OWNER, DATASET
        with _plainly(), redirect_stdout(sys.stderr), build_kaggle_client() as client:
            found = handle_call(lambda: client.datasets.dataset_api_client.get_dataset(request))
        return found.total_bytes or ARCHIVE_BYTES, found.current_version_number or 1

    def download(self, version: int) -> str:
        """Download what is missing of the archive and unpack it; where the files lie."""
        with _plainly(), redirect_stdout(sys.stderr):  # it may print, and the last line of stdout is the job's result
            try:
                return str(kagglehub.dataset_download(f"{OWNER}/{DATASET}/versions/{version}"))
            except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
                self._archive(version).unlink(missing_ok=True)
                raise InputError(
                    "The archive from Kaggle is damaged and was removed; start the download again."
                ) from error

    def how_far(self, version: int, total: int) -> tuple[float, float, str]:
        """Bytes done, bytes in all (archive and unpacked), and what is going on."""
        unpacked = sum(path.stat().st_size for path in self._unpacked(version).rglob("*") if path.is_file())
        whole = total * (1 + UNPACKED_SHARE)
        if unpacked:
            return min(total + unpacked, whole), whole, f"Unpacked {unpacked / _GIGABYTE:.2f} GB"
        archive = self._archive(version)
        here = archive.stat().st_size if archive.exists() else 0
        return min(here, total), whole, f"Downloaded {here / _GIGABYTE:.2f} of {total / _GIGABYTE:.2f} GB"

    def _archive(self, version: int) -> Path:
        return self._cache / "datasets" / OWNER / DATASET / f"{version}.archive"

    def _unpacked(self, version: int) -> Path:
        return self._cache / "datasets" / OWNER / DATASET / "versions" / str(version)


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what kagglehub and the network raise into one sentence that names no credentials."""
    kept = "what has come is kept, and the next start goes on there"
    try:
        yield
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else None
        raise InputError(_REFUSALS.get(status or 0, f"Kaggle answered {status}; try again later; {kept}.")) from None
    except (requests.RequestException, ConnectionError) as error:
        reason = "it did not answer in time" if isinstance(error, requests.Timeout) else "no connection"
        raise InputError(f"Kaggle cannot be reached ({reason}); check the network or its proxy; {kept}.") from None
    except DataCorruptionError:
        raise InputError("The archive from Kaggle arrived damaged and was removed; start the download again.") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else f"{error.strerror}"
        raise InputError(f"The download cannot be written ({reason}); free some space; {kept}.") from error
    except ValueError as error:
        if "credentials" not in str(error).lower():
            raise
        raise InputError(
            "Kaggle's kaggle.json cannot be read; download it anew in Kaggle's account settings."
        ) from None


_REFUSALS = {
    401: "Kaggle does not know this user name and key; make a new API token in Kaggle's account settings and use that.",
    403: (
        "Kaggle refuses the data set to this account, or does not know the key; sign in there, open "
        f"{PAGE}, accept its terms, and try again."
    ),
    404: f"Kaggle has no data set {PAGE} any more; download DeepGlobe by hand and open its folder.",
    429: "Kaggle asks to wait (too many requests); try again in some minutes; what has come is kept.",
}


def _check_room(workspace: Workspace, total: int) -> None:
    needed = total * (1 + UNPACKED_SHARE) - downloaded_bytes(workspace)
    free = shutil.disk_usage(workspace.root).free
    if needed > free:
        raise InputError(
            f"The download needs about {needed / _GIGABYTE:.1f} GB, archive and pictures, but {workspace.root} has "
            f"{free / _GIGABYTE:.1f} GB left; free some disk space and start it again."
        )


@contextmanager
def _sole_download(workspace: Workspace) -> Iterator[None]:
    """Hold the download's lock: two that append to one archive would spoil it. Raises ``InputError``."""
    folder = download_folder(workspace)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(f"The download cannot be written to {folder} ({error.strerror}); mend that.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "Another download of DeepGlobe runs in this workspace; wait for it, or cancel it."
            ) from None
        yield
