"""What two processes do as a team over gloo, without Ray around them; each writes what it saw to a file of its own."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from core.classes import UNLABELLED
from core.errors import CancelledError
from core.training.distributed_team import BeginAnewError, Ranks, TeamProgress
from core.training.feature_cache import FeatureCache
from core.training.fitted import FitTask
from core.training.network_fit import fit_network
from core.training.network_learner import LossNotFiniteError
from core.training.network_setup import make_learner, make_network, make_patches, make_sampler
from core.training.patches import WorkingTile
from core.training.recipe import Recipe, load_recipe
from core.training.team import ALONE
from core.training.training_data import gather
from models.checkpoint import pack_head
from tests.core.training.scenes import only_a_patch, scene

CPU = torch.device("cpu")
BATCH = 4
SMALL = {"encoder": "efficientnet-lite0", "weights": "none", "decoder": "fpn", "patch": 64, "batch_size": BATCH}
SMALL |= {"train": "decoder", "decoder_norm": "groupnorm"}
STEPS = {
    "cross-entropy": {},
    "classes weighted": {"balance": 1.0},
    "lovasz": {"loss": "lovasz"},
    "dice": {"loss": "cross-entropy+dice"},
    "hard pixels of focal": {"loss": "focal", "hard_pixels": 0.3},
    "further heads": {"decoder": "unet", "presence": 0.5, "deep_supervision": 0.4},
    "unused weights": {"decoder": "pspnet", "patch": 96, "train": "whole"},
    "some at a time": {"loss": "focal"},
}
LABELS = ("all", "few on the second", "none on the second", "none")
FIT = ["encoder=efficientnet-lite0", "weights=none", "patch=64", "batch_size=2", "steps=2", "epochs=3", "swa_after=0.3"]
FIT += ["validation_tiles=3", "hard_patches=0.5", "train=whole", "augmentation=heavy", "decoder_norm=batchnorm"]


class Said:
    """A sender that keeps what is sent; it is told to stop at the ``steps``-th step of training."""

    def __init__(self, steps=10**9):
        self.cancelled, self.metrics, self._left = False, [], steps

    def progress(self, done, total, message):
        self._left -= message.startswith("Training")
        self.cancelled = self._left <= 0

    def send(self, kind, content):
        self.metrics.append(content)


def make(values, team, labels="all"):
    """A learner, without dropout and with fixed BatchNorm, and its first batch as one process has it."""
    recipe = Recipe(**{**SMALL, **values})
    image, classes = scene(0, size=192)
    tiles = (WorkingTile("a", image, only_a_patch(classes)),)
    network = make_network(recipe, tiles, seed=0)
    sampler = make_sampler(recipe, tiles, seed=0)
    learner = make_learner(network, recipe, shares=sampler.seen_shares(), device=CPU, tell=print, team=team)
    learner.begin_epoch(0)
    for module in network.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.BatchNorm2d):
            module.eval()
    learner.set_rate(0.0)  # so that a second step begins where the first did
    batch = make_patches(recipe, tiles, network).batch(sampler.epoch(BATCH))
    if labels == "none":
        batch.classes[:] = UNLABELLED
    elif labels == "none on the second":
        batch.classes[BATCH // 2 :] = UNLABELLED
    elif labels == "few on the second":
        batch.classes[BATCH // 2 :, 4:] = UNLABELLED
    return learner, batch


def step(learner, batch):
    """What a step comes to: the loss, that of each patch, and the gradients as one vector."""
    done = learner.step(batch)
    gradients = [p.grad.flatten() for p in learner.network.parameters() if p.grad is not None]
    unused = sum(p.requires_grad and p.grad is None for p in learner.network.parameters())
    return {"loss": done.loss, "patches": done.patch_losses, "unused": unused, "gradient": torch.cat(gradients)}


def compare(values, labels, team, at_once):
    """The greatest differences between a step of the team and one of a process alone, as shares of what there is."""
    alone, batch = make(values, ALONE, labels)
    shared, _ = make(values, team, labels)
    alone.micro_batch, shared.micro_batch = at_once, at_once // team.size
    share = BATCH // team.size
    found = {}
    for again in (1, 2):  # the second after the wrapping has been settled
        one, both = step(alone, batch), step(shared, batch.part(team.rank * share, (team.rank + 1) * share))
        size = float(one["gradient"].abs().max())
        found[again] = {
            "loss": [one["loss"], both["loss"]],
            "patches": [one["patches"], both["patches"]],
            "unused": [one["unused"], both["unused"]],
            "size": size,
            "difference": float((one["gradient"] - both["gradient"]).abs().max()) if size else 0.0,
        }
    return found


def train(data, out, team, sender, *, resume=False):
    recipe = load_recipe("decoder", FIT)
    task = FitTask(
        recipe=recipe,
        tiles=gather(data, None, recipe),
        out=out,
        seed=3,
        device="cpu",
        cache=FeatureCache(out.parent / "cache"),
        progress=TeamProgress(team, sender),
        resume=resume,
    )
    try:
        fitted = fit_network(task, team)
    except CancelledError:
        return {"ended": "cancelled"}
    (out.parent / f"{out.name}-{team.rank}.safetensors").write_bytes(pack_head(fitted.model))
    return {
        "ended": "kept" if fitted.cancelled else "whole",
        "validation": fitted.validation,
        "metrics": [[line["loss"], line["validation_miou"]] for line in sender.metrics],
        "tile_losses": fitted.measured["tile_losses"],
    }


def not_finite(team):
    """The second process alone gets weights that are no number, after a step that was well."""
    learner, batch = make({}, team)
    own = batch.part(team.rank * 2, team.rank * 2 + 2)
    learner.step(own)
    if team.rank == 1:
        next(learner.network.other_parameters()).data.fill_(float("nan"))
    try:
        learner.step(own)
    except LossNotFiniteError:
        return "not finite"
    return "went on"


def out_of_memory(team):
    """The second process alone runs out of memory; the first would wait for it, so it is left out."""
    if team.rank == 0:
        return None
    learner, batch = make({}, team)

    def send(batch, network=None):
        raise RuntimeError("DefaultCPUAllocator: not enough memory")

    learner.send = send
    learner._team.gather = lambda tensor: tensor[None].expand(2, *tensor.shape)
    learner._wrapped = learner.network
    try:
        learner.step(batch.part(0, 2))
    except BeginAnewError as error:
        return error.patches_at_once
    return "went on"


def run(rank, port, data, folder):
    """Everything, as one of two processes."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    dist.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=60))
    data, folder = Path(data), Path(folder)
    team = Ranks(CPU, limit=None, timeout=timedelta(seconds=60))
    seen = {
        "steps": {
            name: compare(values, "few on the second", team, 2 if name == "some at a time" else BATCH)
            for name, values in STEPS.items()
        },
        "labels": {labels: compare({"loss": "lovasz"}, labels, team, BATCH) for labels in LABELS},
        "not finite": not_finite(team),
        "whole": train(data, folder / "whole", team, Said()),
        "again": train(data, folder / "again", team, Said()),
        "cut early": train(data, folder / "early", team, Said(1)),
        "cut": train(data, folder / "cut", team, Said(3)),
        "resumed": train(data, folder / "cut", team, Said(), resume=True),
        "out of memory": out_of_memory(Ranks(CPU, limit=None, timeout=timedelta(seconds=60))),
    }
    (folder / f"{rank}.json").write_text(json.dumps(seen))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    port, data, folder, rank = sys.argv[1:]
    run(int(rank), int(port), data, folder)
