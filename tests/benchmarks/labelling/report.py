"""All that issue 3 wants shown, as chapters for RESULTS.md: ``make bench`` runs this, or by itself, in half an hour:

python -m tests.benchmarks.labelling.report

Latencies want a machine that does nothing else.
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.labelling import latencies, simulated_annotator
from tests.benchmarks.labelling.four_people import FourPeople
from tests.benchmarks.labelling.kill_nine import KillingSpree
from tests.benchmarks.labelling.scratch_tiles import REAL_TILES

KILLS, WHOLE_APP_KILLS = 50, 3
SECONDS_TOGETHER = 180
ABSENT = "The real tiles are not beside the project; nothing was measured."


def parts() -> list[str]:
    """The chapters, in Markdown."""
    return [waiting(), killed(), together(), annotator()]


def waiting() -> str:
    """How long a person waits."""
    title = "## Labelling: how long a person waits\n\n"
    if not REAL_TILES.is_dir():
        return title + ABSENT
    table = latencies.table(latencies.measure())
    return (
        title
        + f"Real Chromium, headless: it draws in software, on the same {os.cpu_count()} cores as the server. "
        + f"Real tiles of 2448 x 2448.\n\n{table}"
    )


def killed() -> str:
    """Kill -9 of the server."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        spree = KillingSpree(Path(folder))
        spree.run(KILLS)
        report = spree.run(WHOLE_APP_KILLS, whole_app=True)
    problems = "; ".join(report.problems) or "none"
    return (
        "## Labelling: kill -9 of the server while three people paint\n\n"
        f"{report.kills} kills at random moments ({WHOLE_APP_KILLS} of them of the whole app). "
        f"{report.answered} operations were answered; all are in raster and journal unless named below. "
        f"{report.unanswered} were in the air: {report.unanswered_there} were there after the start, wholly, and the "
        f"others not at all; {report.sent_again} were sent again and counted once. {report.files_opened} mask files "
        f"were opened before anything could mend them, {report.leftover_temporaries} temporaries lay beside them. "
        f"{report.undo_and_redo_steps} undo and redo steps were compared. Problems: {problems}."
    )


def together() -> str:
    """Four browsers at once."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        report = FourPeople(Path(folder)).run(SECONDS_TOGETHER)
    shown = json.dumps({name: value for name, value in asdict(report).items() if name != "problems"})
    problems = "; ".join(report.problems) or "none"
    return (
        f"## Labelling: four browsers at once for {SECONDS_TOGETHER} s\n\n"
        f"`{shown}`\n\nSaved operations, replayed in the journal's order, against the rasters on disk. "
        f"Problems: {problems}."
    )


def annotator() -> str:
    """mIoU against clicks."""
    title = "## Labelling: what a click is worth\n\n"
    if not REAL_TILES.is_dir():
        return title + ABSENT
    return title + simulated_annotator.table(simulated_annotator.measure())


def main() -> None:
    """Print the chapters."""
    for part in (waiting, killed, together, annotator):
        print(part(), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
