import math
import subprocess
import sys
from pathlib import Path

import pytest

from core import system

PROJECT = Path(__file__).resolve().parents[2]
GIB = 2**30


def put(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def limits(tmp_path, own):
    (tmp_path / "own").write_text(own)
    return system.container_limits(tmp_path / "groups", tmp_path / "own")


def test_the_system_line_tells_what_this_process_may_use():
    line = system.system_line()
    assert line.cores > 0
    assert 0 <= line.memory_free <= line.memory_total
    assert line.processor
    assert line.device


def test_work_can_always_use_the_processor():
    assert system.devices()[0] == "cpu"
    assert set(system.devices()) <= {"cpu", "cuda"}


def test_looking_at_the_machine_does_not_import_torch():
    code = (
        "import sys; from core.system import devices, system_line\n"
        "system_line(); devices(); print('torch' in sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_whether_torch_has_cuda_is_told_without_importing_it_as_torch_itself_does():
    import torch

    assert system.torch_has_cuda() == (torch.version.cuda is not None)


def test_a_version_2_group_limits_cores_and_memory_and_gives_up_old_file_pages(tmp_path):
    put(
        tmp_path / "groups" / "box",
        cpu__max="150000 100000",
        memory__max=4 * GIB,
        memory__current=3 * GIB,
        memory__stat=f"anon 5\ninactive_file {GIB}\nactive_file 7",
    )
    found = limits(tmp_path, "0::/box\n")
    assert (found.cores, found.memory, found.memory_used) == (1.5, 4 * GIB, 2 * GIB)


def test_a_version_1_group_is_read_below_its_controllers(tmp_path):
    groups = tmp_path / "groups"
    put(groups / "cpu,cpuacct" / "box", cpu__cfs_quota_us=200000, cpu__cfs_period_us=100000)
    put(groups / "memory", memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=9 * GIB)
    put(groups / "memory" / "box", memory__limit_in_bytes=2 * GIB, memory__usage_in_bytes=GIB)
    found = limits(tmp_path, "5:memory:/box\n2:cpu,cpuacct:/box\n1:pids:/box\n")
    assert (found.cores, found.memory, found.memory_used) == (2.0, 2 * GIB, GIB)


def test_a_group_that_is_mounted_as_the_root_is_found(tmp_path):
    put(tmp_path / "groups", cpu__max="max 100000", memory__max=GIB, memory__current=0)
    found = limits(tmp_path, "0::/\n")
    assert (found.cores, found.memory) == (math.inf, GIB)


@pytest.mark.parametrize("own", ["", "0::/box\n", "nonsense\n"])
def test_without_limits_the_whole_machine_is_usable(tmp_path, own):
    put(tmp_path / "groups" / "box", cpu__max="max 100000", memory__max="max", memory__current=5)
    found = limits(tmp_path, own)
    assert (found.cores, found.memory, found.memory_used) == (math.inf, math.inf, 0)


@pytest.mark.parametrize(
    ("told", "gpu"),
    [
        ("NVIDIA H100 80GB HBM3, 80000, 81559\n", system.Gpu("NVIDIA H100 80GB HBM3", 80000 * 2**20, 81559 * 2**20)),
        ("A, 1, 2\nB, 3, 4\n", system.Gpu("A", 2**20, 2 * 2**20)),
        ("NVIDIA A100 MIG, [N/A], [Insufficient Permissions]\n", system.Gpu("NVIDIA A100 MIG", None, None)),
        ("Odd, name, 5, 6\n", system.Gpu("Odd, name", 5 * 2**20, 6 * 2**20)),
        ("", None),
        ("No devices were found\n", None),
    ],
)
def test_the_first_gpu_is_read_from_what_the_driver_says(told, gpu):
    assert system.parse_gpu(told) == gpu


def test_the_sentence_names_the_machine_its_memory_and_a_gpu_that_cannot_be_used(monkeypatch):
    plain = system.SystemLine("AMD EPYC", 2, 3 * GIB // 2, 4 * GIB, None)
    assert plain.sentence == "AMD EPYC · 2 cores · 1.5 of 4.0 GiB free · no GPU"
    with_gpu = system.SystemLine("AMD EPYC", 1, GIB, GIB, system.Gpu("H100", GIB, 80 * GIB))
    monkeypatch.setattr(system, "torch_has_cuda", lambda: True)
    assert with_gpu.sentence == "AMD EPYC · 1 core · 1.0 of 1.0 GiB free · H100 · 1.0 of 80.0 GiB free"
    assert with_gpu.device == "H100"
    monkeypatch.setattr(system, "torch_has_cuda", lambda: False)
    assert "without CUDA" in with_gpu.sentence
    assert with_gpu.device == "AMD EPYC"
