import subprocess
import sys

import pytest
import torch

from models import torchvision_import


def test_torchvision_timm_and_smp_import_in_a_fresh_process():
    script = (
        "from models.torchvision_import import ensure_torchvision\n"
        "first, again = ensure_torchvision(), ensure_torchvision()\n"
        "import segmentation_models_pytorch, timm, torchvision.transforms\n"
        "print(first == again)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "True"


def test_nothing_is_declared_where_torchvision_imports_by_itself(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torchvision_import.importlib, "import_module", lambda _name: object())
    monkeypatch.setattr(torch.library, "Library", _must_not_be_called)
    assert torchvision_import.ensure_torchvision() is False


@pytest.mark.parametrize("error", [RuntimeError("operator torchvision::roi_align does not exist"), ImportError("gone")])
def test_any_other_import_error_is_passed_on_without_declaring(monkeypatch, error):
    def fail(_name):
        raise error

    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torchvision_import.importlib, "import_module", fail)
    monkeypatch.setattr(torch.library, "Library", _must_not_be_called)
    with pytest.raises(type(error), match=str(error)):
        torchvision_import.ensure_torchvision()


def _must_not_be_called(*_arguments):
    raise AssertionError("a schema was declared")
