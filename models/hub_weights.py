"""Encoders' weights on the Hugging Face hub: what is needed, whether it is here by now, and fetching it.

Everything goes through the hub's own cache, so that weights fetched by other programs serve too, and a machine without
a network can be given that folder. What is cached is used without asking the network. A file comes into the cache whole
or not at all. Only safetensors are read.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from models.errors import ModelError

# The hub's other way of transfer reports now and then and cannot be stopped midway. Read when its client is imported.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

REACH_SECONDS = 4.0
"""How long the hub may take to answer: its client's own tries go on for most of a minute."""
WEIGHTS, CONFIG = "model.safetensors", "config.json"
_CHUNK = 1 << 20  # bytes between two reports, each of which may cancel; the client's own are ten times as many

Tell = Callable[[int, int], None]
"""Takes the bytes that have come and those of the whole file; what it raises ends the download."""


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one encoder: ``names`` in ``repository`` (owner/name) at ``revision`` (a commit or a branch)."""

    repository: str
    revision: str
    names: tuple[str, ...]

    @property
    def page(self) -> str:
        """Where a person finds them."""
        return f"{urlsplit(_hub().constants.ENDPOINT).netloc}/{self.repository}"

    def path(self, name: str) -> Path | None:
        """Where a file lies on this machine, None where it has not been fetched."""
        found = _hub().try_to_load_from_cache(self.repository, name, revision=self.revision)
        return Path(found) if isinstance(found, str) else None

    def missing(self) -> list[str]:
        """The names of the files that have not been fetched."""
        return [name for name in self.names if self.path(name) is None]


def fetch(files: HubFiles, tell: Tell | None = None) -> None:
    """Fetch what is missing. Nothing is asked where everything is here.

    Raises ``ModelError`` with half a sentence that says why it cannot be had, after ``REACH_SECONDS`` where the hub
    does not answer; and what ``tell`` raises.
    """
    missing = files.missing()
    if not missing:
        return
    hub = _hub()
    try:
        for name in missing:
            where = hub.hf_hub_url(files.repository, name, revision=files.revision)
            hub.get_hf_file_metadata(where, timeout=REACH_SECONDS)  # tries once only
            bar = partial(_Teller, tell if name == WEIGHTS else None)
            hub.hf_hub_download(files.repository, name, revision=files.revision, tqdm_class=bar)
    except Exception as error:
        reason = _reason(error, files)
        if reason is None:
            raise
        raise ModelError(reason) from error


def _hub() -> Any:
    """The hub's client, imported late."""
    import huggingface_hub  # noqa: PLC0415
    from huggingface_hub import constants  # noqa: PLC0415

    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    return huggingface_hub


def _reason(error: Exception, files: HubFiles) -> str | None:
    """Why a file could not be had, None for what is no matter of the hub or the disk."""
    import httpx2  # noqa: PLC0415
    from huggingface_hub import errors  # noqa: PLC0415

    host = urlsplit(_hub().constants.ENDPOINT).netloc
    nothing_there = (errors.RemoteEntryNotFoundError, errors.RepositoryNotFoundError, errors.RevisionNotFoundError)
    reasons: tuple[tuple[Any, str], ...] = (  # the first that fits: those below are wider
        (errors.OfflineModeIsEnabled, "HF_HUB_OFFLINE is set, which forbids asking the network"),
        (errors.GatedRepoError, f"{files.page} asks for an account that has accepted its terms"),
        (nothing_there, f"{files.page} does not offer them as safetensors"),
        (errors.HfHubHTTPError, f"{host} refused ({_first_line(error)})"),
        (httpx2.TimeoutException, f"{host} did not answer in time"),
        ((httpx2.HTTPError, errors.LocalEntryNotFoundError), f"{host} cannot be reached"),
        (OSError, f"they could not be read or saved ({_first_line(error)})"),
    )
    return next((reason for kind, reason in reasons if isinstance(error, kind)), None)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Teller:
    """Stands where the client would show a bar, and tells of every part that comes."""

    def __init__(self, tell: Tell | None, *, total: float | None = None, **_options: Any) -> None:
        self._tell, self._total, self._come = tell, int(total or 0), 0

    def __enter__(self) -> "_Teller":
        return self

    def __exit__(self, *_raised: object) -> None:
        """There is nothing to close."""

    def update(self, count: float = 1) -> None:
        """Another ``count`` bytes are here."""
        self._come += int(count)
        if self._tell is not None:
            self._tell(self._come, self._total)
