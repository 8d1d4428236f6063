"""Many independent calls at once on a cluster: members of a run, tries of a study.

A call is a function of a module, given plain data and giving plain data back. One whose process or node dies is begun
again elsewhere, a few times; one that fails for good has a sentence in the place of its result, and the others go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from core.cluster.connection import ClusterUse, check_room, connected, gpus_each
from core.cluster.mailbox import Sender, SentProgress, open_mailbox
from core.cluster.ray_import import import_ray
from core.errors import CancelledError, InputError
from core.progress import Progress

MOST_RETRIES = 3
"""How often a call is begun again after its process or node died."""

_POLL_SECONDS = 0.2
_STOPPING_SECONDS = 30

Plain = dict[str, Any]
Call = Callable[[Plain, str, Progress], Plain]
"""``(request, device, progress)`` to a result: a function of a module, which a worker imports by its name. ``device``
is 'cpu' or 'cuda', as the call was given a GPU. May raise ``InputError``, and ``CancelledError`` from its progress."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave, or the sentence of why it gave nothing."""

    result: Plain | None
    failure: str | None = None


OnOutcome = Callable[[int, Outcome], None]
"""Is told the number of a call that has ended, from 0, and its outcome; in the order in which they end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call to be: what it is given, and its name for whoever watches."""

    request: Plain
    name: str


def fan_out(
    call: Call,
    asked: Sequence[Asked],
    *,
    cluster: ClusterUse,
    device: str,
    progress: Progress,
    on_outcome: OnOutcome,
) -> list[Outcome]:
    """Make all calls, as many at once as the cluster has room for; the outcomes in the order of ``asked``.

    With the same number of threads (``cluster.cpus``) a result on a CPU is that of the same call in this process, bit
    for bit. Raises ``InputError`` for a cluster that cannot be had, and ``CancelledError`` once the calls that ran have
    stopped; what had ended by then has been told to ``on_outcome``.
    """
    if not asked:
        return []
    with connected(cluster.address) as ray:
        gpus = gpus_each(ray, cluster, device)
        check_room(ray, cluster, gpus=gpus)
        calls = _Calls(ray, call, asked, cluster, gpus)
        try:
            return calls.wait(progress, on_outcome)
        except BaseException:
            calls.stop()
            raise


class _Calls:
    """The calls under way and those that wait."""

    def __init__(self, ray: ModuleType, call: Call, asked: Sequence[Asked], cluster: ClusterUse, gpus: float) -> None:
        self._ray, self._asked = ray, asked
        self._mailbox = open_mailbox(ray)
        make = ray.remote(num_cpus=cluster.cpus, num_gpus=gpus, max_retries=MOST_RETRIES)(_on_worker)
        shared = {"call": call, "device": "cuda" if gpus else "cpu", "threads": cluster.cpus, "mailbox": self._mailbox}
        self._numbers = {make.remote(one.request, number=number, **shared): number for number, one in enumerate(asked)}
        self._shares = [0.0] * len(asked)
        self._begun: set[int] = set()

    def wait(self, progress: Progress, on_outcome: OnOutcome) -> list[Outcome]:
        """Tell what they do until all have ended."""
        outcomes: dict[int, Outcome] = {}
        waiting = list(self._numbers)
        progress.update(0, len(self._asked), f"Waiting for the cluster to begin {self._asked[0].name}")
        while waiting:
            ended, waiting = self._ray.wait(waiting, num_returns=1, timeout=_POLL_SECONDS)
            self._tell(progress)
            for reference in ended:
                number = self._numbers[reference]
                outcomes[number] = self._outcome(reference, self._asked[number].name)
                self._shares[number] = 1.0
                on_outcome(number, outcomes[number])
                progress.update(sum(self._shares), len(self._asked), f"{self._asked[number].name} has ended")
        return [outcomes[number] for number in range(len(self._asked))]

    def stop(self) -> None:
        """Take back what waits, ask what runs to stop, and end by force what does not."""
        self._ray.get(self._mailbox.cancel.remote())
        self._begun |= {sender for sender, _, _ in self._ray.get(self._mailbox.take.remote())}
        for reference, number in self._numbers.items():
            if number not in self._begun:
                self._ray.cancel(reference, force=True)
        references = list(self._numbers)
        _, running = self._ray.wait(references, num_returns=len(references), timeout=_STOPPING_SECONDS)
        for reference in running:
            self._ray.cancel(reference, force=True)

    def _tell(self, progress: Progress) -> None:
        """Hand on the latest word of each call; between two of them one would not see the others."""
        latest = {sender: content for sender, _, content in self._ray.get(self._mailbox.take.remote())}
        self._begun |= set(latest)
        for number, (done, total, message) in latest.items():
            self._shares[number] = min(done / total, 1.0) if total else 0.0
            progress.update(sum(self._shares), len(self._asked), f"{self._asked[number].name}: {message}")

    def _outcome(self, reference: Any, name: str) -> Outcome:
        """Raises what a call raised that is a fault of ours, and ``CancelledError``."""
        exceptions = import_ray("exceptions")
        try:
            kind, content = self._ray.get(reference)
        except exceptions.OutOfMemoryError:
            return Outcome(None, f"{name} was given up: its node ran out of memory; take a larger --worker-cpus.")
        except (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.LocalRayletDiedError,
            exceptions.ObjectLostError,
        ):
            return Outcome(
                None, f"{name} was given up: its process died {MOST_RETRIES + 1} times; see to the cluster's nodes."
            )
        if kind == "cancelled":
            raise CancelledError
        return Outcome(None, content) if kind == "refused" else Outcome(content)


def _on_worker(request: Plain, *, call: Call, number: int, device: str, threads: int, mailbox: Any) -> tuple[str, Any]:
    """What a worker runs: the call, and how it ended."""
    import torch  # noqa: PLC0415  # takes seconds, and is for workers only

    torch.set_num_threads(threads)
    progress = SentProgress(Sender(import_ray(), mailbox, number))
    try:
        return "done", call(request, device, progress)
    except InputError as error:
        return "refused", str(error)
    except CancelledError:
        return "cancelled", None
