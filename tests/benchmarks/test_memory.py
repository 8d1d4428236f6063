"""The peak of a measured process is its own."""

import subprocess
import sys

import numpy as np

from tests.benchmarks.memory import peak_mb


def test_a_small_process_that_a_large_one_starts_is_small():
    large = np.ones((300, 2**20), np.uint8)  # 300 MB, touched
    assert large[-1, -1] == 1
    assert peak_mb() > 300
    command = [sys.executable, "-c", "from tests.benchmarks.memory import peak_mb; print(peak_mb())"]
    assert float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) < 200
