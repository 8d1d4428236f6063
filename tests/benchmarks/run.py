"""Measure against peers, side by side in one run, and write RESULTS.md, chapter by chapter: ``make bench``.

    python -m tests.benchmarks.run [--only CHAPTER]... [--kept DIR] [--results FILE] [--quick]

Every chapter is measured in a process of its own and replaces its part of the page as soon as it is done; the others
stay as they are, and a chapter that fails leaves its last figures. Machines are noisy: quote the ratios and medians,
not the seconds. Chapters on real DeepGlobe tiles need them beside the project; where they are absent, they say so.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from tests.benchmarks import ablation, basics, compare_page, few_labels, intervals
from tests.benchmarks.amount import Amount
from tests.benchmarks.browse import neighbours, pages, tile_route
from tests.benchmarks.inference import report as inference
from tests.benchmarks.labelling import report as labelling
from tests.benchmarks.results_page import replace_chapter

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = (
    "# Results\n\nWritten by `make bench`, chapter by chapter; below each stands when, on what and beside how much "
    "other work it was measured. Seconds on a shared machine: read the ratios."
)
CHAPTERS: dict[str, Callable[[Amount], str]] = {
    "sample": basics.sample,
    "confusion": basics.confusion,
    "intervals": intervals.chapter,
    "refinement": basics.refinement,
    "one-tile": inference.tile,
    "leave-one-out": few_labels.leave_out,
    "ablation": ablation.chapter,
    "cached-features": few_labels.cached,
    "lightgbm": few_labels.against_lightgbm,
    "monai-windows": inference.windows,
    "dense-crf": inference.crf,
    "speed-paths": inference.speed,
    "cuda": inference.cuda,
    "big-raster": inference.raster,
    "switches": inference.switches,
    "resize-against-patches": inference.sights,
    "network-presets": inference.networks,
    "compare-page": compare_page.chapter,
    "neighbours": neighbours.chapter,
    "tile-route": tile_route.chapter,
    "browse-page": pages.chapter,
    # These take as long as people do: they have no quick setting.
    "labelling-waiting": lambda _: labelling.waiting(),
    "labelling-annotator": lambda _: labelling.annotator(),
    "labelling-together": lambda _: labelling.together(),
    "labelling-killed": lambda _: labelling.killed(),
}


def main() -> None:
    """Measure all chapters, or those of ``--only``; ends with status 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=tuple(CHAPTERS), metavar="CHAPTER", help=", ".join(CHAPTERS))
    parser.add_argument(
        "--kept", type=Path, help="a folder for what may be used again (features, what heads said, cells of a table)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the page")
    parser.add_argument("--quick", action="store_true", help="just enough to see that chapters run; needs --results")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process, for one chapter
    options = parser.parse_args()
    if options.quick and options.results.resolve() == RESULTS:
        parser.error("figures of --quick are none for RESULTS.md: name another page with --results")
    if options.here:
        _write(options.only[0], options)
        return
    with tempfile.TemporaryDirectory() as scratch:
        options.kept = options.kept or Path(scratch)
        failed = [name for name in options.only or CHAPTERS if _in_a_process(name, options)]
    if failed:
        sys.exit(f"These chapters failed and have their last figures: {', '.join(failed)}")


def _in_a_process(name: str, options: argparse.Namespace) -> int:
    """Measure one chapter; its exit status."""
    print(f"{datetime.now(UTC):%H:%M} {name} ...", file=sys.stderr, flush=True)
    began = time.perf_counter()
    command = [sys.executable, "-m", "tests.benchmarks.run", "--here", "--only", name]
    command += ["--kept", str(options.kept), "--results", str(options.results)]
    status = subprocess.run([*command, *(["--quick"] if options.quick else [])], check=False).returncode
    done = f"failed with status {status}" if status else f"written to {options.results}"
    print(f"{name} {done} after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return status


def _write(name: str, options: argparse.Namespace) -> None:
    load, began = os.getloadavg()[0], datetime.now(UTC)
    text = CHAPTERS[name](Amount(options.kept, quick=options.quick))
    told = _measured(began, load)
    replace_chapter(options.results, name, f"{text}\n\n{told}", order=tuple(CHAPTERS), head=HEAD)


def _measured(began: datetime, load: float) -> str:
    """When, on what, how long, and the machine's load before and after."""
    minutes = (datetime.now(UTC) - began).total_seconds() / 60
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"*{began:%Y-%m-%d %H:%M} UTC, {minutes:.1f} min; {platform.machine()}, {os.cpu_count()} cores, {gpu}, "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, torch {torch.__version__}; load of "
        f"the machine {load:.1f} before and {os.getloadavg()[0]:.1f} at the end.*"
    )


if __name__ == "__main__":
    main()
