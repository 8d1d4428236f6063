import pytest

from tests.core.labels.painting import new_workspace


@pytest.fixture
def one(tmp_path):
    """A workspace and its only tile, of 40 x 60 pixels, unlabelled."""
    workspace, [tile] = new_workspace(tmp_path)
    return workspace, tile
