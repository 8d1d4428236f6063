"""The order in which files of tests are handed to pytest-xdist's workers, and fixtures that several folders share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LONGEST_FIRST = (
    "core/training/test_distributed.py",
    "core/cluster/test_on_a_cluster.py",
    "browser/test_label_safety.py",
    "browser/test_whole_loop.py",
    "core/training/test_network_fit.py",
    "browser/test_paint_canvas.py",
    "core/training/test_distributed_team.py",
    "browser/test_region_tools.py",
    "core/cluster/test_fan_out.py",
    "browser/test_train_form.py",
    "browser/test_predict.py",
    "browser/test_jobs_page.py",
    "models/test_networks.py",
    "core/training/test_cross_validation.py",
    "core/training/test_network_members.py",
    "core/training/test_glnet_learner.py",
    "core/training/test_forecast.py",
    "core/jobs/test_worker.py",
    "core/labels/test_journal_crashes.py",
)
"""The files that take longest, by measurement: begun last, one would keep a worker busy while the others have nothing
left. The many short ones then fill up what is uneven (``--dist loadfile --no-loadscope-reorder``)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files in the order above, then all others as they come."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Where what is computed is tiny: on busy cores, threads that wait for each other are many times slower."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def narrow_glnet(one_thread: None) -> Iterator[None]:
    """Pyramids of few channels, and one thread: what is tested does not depend on their width."""
    from models import glnet, glnet_fpn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(glnet_fpn, "PYRAMID", 16)
        patch.setattr(glnet_fpn, "LEVEL", 8)
        patch.setattr(glnet_fpn, "JOINED", 32)
        patch.setattr(glnet, "JOINED", 32)
        yield
