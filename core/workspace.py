"""A workspace: one folder that holds a database and files, and nothing else is state.

workspace.db                       catalogue, strokes, jobs
sample/                            the synthetic sample, when it was drawn
imports/<name>/                    what was uploaded, downloaded, or taken in by a mapping
downloads/                         a download that is not finished
labels/removed/<name>-<time>/      the labels of a collection that was removed
labels/<collection id>/<tile>_mask.png   the class raster of each labelled tile, in the DeepGlobe palette
opinions/<collection id>/<annotator>/<tile>_mask.png   second opinions
suggestions/<collection id>/<tile id>/   what the model would paint, shown over the tile
looks/<collection id>/             which tiles belong together, and the orders that lay like tiles side by side
features/                          cached encoder features
superpixels/                       pieces of like colour of each tile
embeddings/                        what click-to-mask has seen of each tile
thumbnails/                        small JPEGs
recipes/                           recipes that a job could not be given on its command line
forecasts/                         what fits would take, as measured
runs/<run>/                        recipe.toml, weights.safetensors, metrics.jsonl, card.json
predictions/<run>/<switches>/      <tile>_mask.png
evaluations/                       scores that were computed
exports/                           labels that were packed to be downloaded
jobs/<job id>/                     log.jsonl, result.json
"""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from core.database import Database
from core.errors import InputError

WORKSPACE_VARIABLE = "TILEWRIGHT_WORKSPACE"
CACHE_VARIABLE = "TILEWRIGHT_CACHE"


@dataclass(frozen=True)
class Workspace:
    """An open workspace: the paths in it and its database."""

    root: Path
    database: Database = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """What a person calls it: the folder's name."""
        return self.root.name

    @property
    def sample(self) -> Path:
        """Where the synthetic sample is drawn."""
        return self.root / "sample"

    @property
    def imports(self) -> Path:
        """Where uploads, downloads and mapped layouts become folders of tiles."""
        return self.root / "imports"

    @property
    def features(self) -> Path:
        """Cached encoder features."""
        return self.root / "features"

    @property
    def superpixels(self) -> Path:
        """Cached superpixels."""
        return self.root / "superpixels"

    @property
    def embeddings(self) -> Path:
        """Cached embeddings of click-to-mask."""
        return self.root / "embeddings"

    @property
    def thumbnails(self) -> Path:
        """Cached thumbnails."""
        return self.root / "thumbnails"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.root / "runs"

    @property
    def predictions(self) -> Path:
        """Kept predictions."""
        return self.root / "predictions"

    @property
    def evaluations(self) -> Path:
        """Kept scores."""
        return self.root / "evaluations"

    @property
    def jobs(self) -> Path:
        """Logs and results of jobs."""
        return self.root / "jobs"

    @property
    def exports(self) -> Path:
        """Labels that were packed to be downloaded."""
        return self.root / "exports"

    def labels(self, collection_id: int) -> Path:
        """The labels of one collection, as a folder that ``fit --labels`` takes."""
        return self.root / "labels" / str(collection_id)

    def opinions(self, collection_id: int, annotator: str) -> Path:
        """One annotator's second opinions on one collection; ``annotator`` is a folder name."""
        return self.root / "opinions" / str(collection_id) / annotator

    def suggestions(self, collection_id: int) -> Path:
        """What the model would paint on the tiles of one collection."""
        return self.root / "suggestions" / str(collection_id)

    def looks(self, collection_id: int) -> Path:
        """What was found by comparing the tiles of one collection."""
        return self.root / "looks" / str(collection_id)


DATABASE_NAME = "workspace.db"


@lru_cache(maxsize=8)
def _open(root: Path) -> Workspace:
    return Workspace(root, Database(root / DATABASE_NAME))


def open_workspace(root: Path | None = None) -> Workspace:
    """Open (or make) the workspace in ``root``; by default the one that ``TILEWRIGHT_WORKSPACE`` names.

    Raises ``InputError`` when the folder cannot be made or written.
    """
    folder = (root or Path(os.environ.get(WORKSPACE_VARIABLE, "workspace"))).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The workspace {folder} cannot be made ({error.strerror}); choose another folder.") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"The workspace {folder} cannot be written to; choose another folder or mend its permissions.")
    if not (folder / DATABASE_NAME).exists():
        _open.cache_clear()  # one that was deleted would still be written to, and nobody would find it again
    return _open(folder)


def feature_cache_folder() -> Path:
    """Where features are cached: ``TILEWRIGHT_CACHE``, else the user's cache folder."""
    if CACHE_VARIABLE in os.environ:
        return Path(os.environ[CACHE_VARIABLE])
    return _user_cache() / "features"


def encoder_cache_folder() -> Path:
    """Where encoders are kept in other forms: the user's cache folder, for all workspaces alike."""
    return _user_cache() / "encoders"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "tilewright"
