"""The course of a network's fit: epoch after epoch, the best kept, and all of its state in a checkpoint.

It depends on the recipe, the tiles and the seed alone, and what goes on from a checkpoint takes the same steps, on a
CPU bit for bit.
"""

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from core.atomic import write_bytes
from core.classes import CLASS_COUNT, CLASS_NAMES
from core.errors import NotSavedError
from core.training.checkpoints import (
    NETWORK,
    Checkpoint,
    ingredients,
    pack_optimiser,
    random_state,
    restore_optimiser,
    restore_random_state,
    write_checkpoint,
)
from core.training.fitted import FitTask, Fitted
from core.training.network_judge import judge_network
from core.training.network_setup import make_learner, make_network, make_patches, make_sampler, memory_bytes
from core.training.patch_batches import Batch, batches
from core.training.patch_sampling import Draw
from core.training.patches import WorkingTile
from core.training.schedules import rate_share
from core.training.team import ALONE, Team
from core.training.validation import validation_scores
from core.training.weight_averaging import (
    even_average,
    exponential_average,
    pack_average,
    renew_statistics,
    restore_average,
)
from models.build import TrainableNetwork
from models.encoders import encoder_card

NAN_BATCH = "nan-batch.safetensors"
_RENEWING_BATCHES = 50
_LEAST_TILES, _FAR, _SCALED = 5, 3.0, 1.4826


class Course:
    """A fit under way: what has been trained so far, and the best of it.

    In a ``team`` every process has a course, and all are alike; that of rank 0 writes the files.
    """

    def __init__(self, task: FitTask, tiles: tuple[WorkingTile, ...], device: torch.device, team: Team = ALONE) -> None:
        recipe = task.recipe
        self._task, self._recipe, self._device, self._team = task, recipe, device, team
        network = make_network(recipe, tiles, seed=task.seed)
        self._sampler = make_sampler(recipe, tiles, seed=task.seed)
        self._maker = make_patches(recipe, tiles, network)
        self._steps = recipe.steps or math.ceil(self._sampler.labelled_windows / recipe.batch_size)
        self._learner = make_learner(
            network, recipe, shares=self._sampler.seen_shares(), device=device, tell=self._warn, team=team
        )
        self._network = self._learner.network
        self._ema = exponential_average(network, recipe.averaging) if recipe.averaging else None
        # Averaged evenly from here on, at least once where it is asked for.
        self._swa_from = min(math.ceil(recipe.swa_after * recipe.epochs), recipe.epochs - (recipe.swa_after < 1))
        self._swa: AveragedModel | None = None
        self._epoch, self._step, self._seconds, self._memory = 0, 0, 0.0, 0
        self._warnings: list[str] = []
        self._lines: list[dict[str, Any]] = []
        self._tile_losses: dict[str, float] = {}
        self._best_epoch = 0
        self._best_scores: dict[str, Any] | None = None
        self.best: Mapping[str, Tensor] = {}

    def run(self) -> None:
        """Train the epochs that are left."""
        team = self._team
        while self._epoch < self._recipe.epochs:
            started = time.perf_counter()
            loss, rate, images_per_second = self._train_epoch()
            candidate = self._candidate()
            for network in dict.fromkeys([self._network, candidate]):
                team.settle(network)
            judged = self._judge(candidate)
            self._keep(candidate, judged)
            self._epoch += 1
            self._memory = max(self._memory, memory_bytes(self._device))
            self._seconds += time.perf_counter() - started
            line: dict[str, Any] = {
                "epoch": self._epoch,
                "loss": round(loss, 6),
                "validation_miou": None if judged is None or judged["miou"] is None else round(judged["miou"], 4),
                "seconds": round(self._seconds, 2),
                "learning_rate": rate,
                "images_per_second": round(images_per_second, 2),
                "memory_bytes": self._memory,
            }
            if judged is not None:
                line["iou"] = {name: judged["iou"].get(name) for name in CLASS_NAMES}
            self._lines.append(line)
            if team.rank == 0:
                self._write_checkpoint()
                self._task.measured(line)

    def keep_batch(self, batch: Batch) -> str:
        """Save a batch whose loss is no number for a look, and say so in a sentence."""
        path = self._task.out / NAN_BATCH
        named = {"images": batch.images, "classes": batch.classes}
        tensors = {name: self._team.gather(own).flatten(0, 1).cpu().contiguous() for name, own in named.items()}
        where = {"epoch": self._epoch + 1, "step": self._step}
        try:
            if self._team.rank == 0:
                write_bytes(path, save(tensors, {"tilewright": json.dumps(where)}))
            kept = f"its batch is kept in {path}"
        except NotSavedError:
            kept = "its batch could not be kept, since the disk is full"
        return (
            f"The loss became infinite or no number in epoch {self._epoch + 1}, and the fit stopped; {kept}. Set a "
            f"smaller learning_rate (it is {self._recipe.learning_rate:g}), or precision to float32."
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on where the checkpoint was written."""
        parts, state = checkpoint.parts, checkpoint.state
        self._network.load_state_dict(parts[NETWORK])
        restore_optimiser(self._learner.optimiser, parts.get("optimiser", {}), state["optimiser"])
        if self._ema is not None:
            restore_average(self._ema, parts["ema"])
        if "swa" in parts:
            self._swa = even_average(self._network)
            restore_average(self._swa, parts["swa"])
        self._sampler.restore(state["sampler"])
        self._learner.micro_batch = min(state["micro_batch"], self._learner.micro_batch)
        self._epoch, self._step = state["epoch"], state["step"]
        self._seconds, self._memory = state["seconds"], state["memory_bytes"]
        self._warnings, self._lines = state["warnings"], state["lines"]
        self._best_epoch, self._best_scores = state["best_epoch"], state["best_scores"]
        self._tile_losses = state["tile_losses"]
        self.best = dict(parts["best"])
        if self._team.rank == 0:
            self._task.restore(self._lines)
        restore_random_state(parts["random"], state["random"])
        self._tell(f"Going on after epoch {self._epoch} of {self._recipe.epochs}")

    def fitted(self, *, cancelled: bool, failure: str | None, reading_seconds: float) -> Fitted:
        """The best network and what there is to say of it."""
        model = copy.deepcopy(self._network).cpu()
        model.load_state_dict(self.best)
        model.eval()
        card = encoder_card(self._recipe.encoder)
        everything = sum(p.numel() for p in model.parameters())
        frozen = sum(p.numel() for p in model.encoder_parameters()) if self._recipe.train == "decoder" else 0
        rates = sorted(line["images_per_second"] for line in self._lines)
        measured: dict[str, Any] = {
            "images_per_second": rates[len(rates) // 2],
            "memory_bytes": self._memory,
            "patches_at_once": self._learner.micro_batch,
            "epochs": self._epoch,
            "best_epoch": self._best_epoch,
            "steps_per_epoch": self._steps,
            "frozen_parameters": frozen,
            "tile_losses": self._tile_losses,
            "suspect_tiles": suspects(self._tile_losses),
        }
        if self._device.type == "cuda":
            free, total = torch.cuda.mem_get_info()
            measured["device_memory_bytes"] = total - free  # by all processes on it
        return Fitted(
            model=model,
            cancelled=cancelled,
            encoder_identity=model.encoder_identity,
            encoder_parameters=card.parameters,
            encoder_licence=card.licence,
            trained_parameters=everything - frozen,
            device=self._device.type,
            features_seconds=reading_seconds,
            training_seconds=self._seconds,
            validation=self._best_scores,
            measured=measured,
            warnings=tuple(self._warnings),
            failure=failure,
        )

    def _train_epoch(self) -> tuple[float, float, float]:
        """One epoch of steps: the mean loss, the last learning rate and the patches trained on in a second."""
        recipe, learner = self._recipe, self._learner
        learner.begin_epoch(self._epoch)
        self._team.begin_epoch(self._task.seed, self._epoch)
        draws = self._sampler.epoch(self._steps * recipe.batch_size)
        losses, patch_losses, rate = [], [], 0.0
        started = time.perf_counter()
        for batch in self._own_batches(draws):
            rate = learner.set_rate(self._rate_share())
            step = learner.step(batch)
            if self._ema is not None:
                self._ema.update_parameters(self._network)
            self._step += 1
            losses.append(step.loss)
            patch_losses += step.patch_losses
            self._tell(f"Training the network, epoch {self._epoch + 1} of {recipe.epochs}, loss {step.loss:.3f}")
        seconds = time.perf_counter() - started
        self._sampler.note_losses(draws, patch_losses)
        self._note_tiles(draws, patch_losses)
        if self._epoch >= self._swa_from:
            self._average_evenly(draws)
        return sum(losses) / len(losses), rate, len(draws) / seconds

    def _own_batches(self, draws: Sequence[Draw]) -> Iterator[Batch]:
        """The draws in batches of the recipe's size, as much of each as this process makes."""
        size = self._recipe.batch_size
        own = self._team.own(draws, batch_size=size)
        return batches(self._maker, own, size=size // self._team.size, device=self._device)

    def _note_tiles(self, draws: Sequence[Draw], patch_losses: Sequence[float]) -> None:
        """Keep the mean loss of each tile in its last epoch: what is labelled wrongly is learned last."""
        by_tile: dict[int, list[float]] = {}
        for draw, loss in zip(draws, patch_losses, strict=True):
            by_tile.setdefault(draw.tile, []).append(loss)
        names = [tile.name for tile in self._task.tiles.training]
        self._tile_losses |= {names[tile]: round(sum(own) / len(own), 4) for tile, own in by_tile.items()}

    def _rate_share(self) -> float:
        """The schedule's share; once weights are averaged evenly the rate stays, so that they go on moving."""
        first, last = self._learner.span(self._epoch)
        step = min(self._step, self._swa_from * self._steps) - first * self._steps
        return rate_share(self._recipe.schedule, step, (last - first) * self._steps)

    def _average_evenly(self, draws: Sequence[Draw]) -> None:
        if self._swa is None:
            self._swa = even_average(self._network)
        self._swa.update_parameters(self._network)
        averaged: TrainableNetwork = self._swa.module  # type: ignore[assignment]
        self._learner.freeze_alike(averaged)
        renew_statistics(averaged, self._calls(draws[: _RENEWING_BATCHES * self._recipe.batch_size]))

    def _calls(self, draws: Sequence[Draw]) -> Iterator[Callable[[nn.Module], object]]:
        """Calls that send a part of the draws' patches through a network."""
        for batch in self._own_batches(draws):
            self._tell("Renewing the statistics of the averaged network")
            for part in self._learner.micro_batches(batch):
                yield partial(self._learner.send, part)

    def _candidate(self) -> TrainableNetwork:
        averaged = self._swa or self._ema
        network: TrainableNetwork = self._network if averaged is None else averaged.module  # type: ignore[assignment]
        return network

    def _judge(self, network: TrainableNetwork) -> dict[str, Any] | None:
        """Scores on the validation tiles at full size, predicted as anybody would; None without such tiles."""
        tiles = self._task.tiles.validation
        if not tiles:
            return None
        network.eval()
        team = self._team
        matrices = np.zeros((len(tiles), CLASS_COUNT, CLASS_COUNT + 1), np.int64)
        for first in range(0, len(tiles), team.size):  # a tile for each process
            names = ", ".join(tile.name for tile in tiles[first : first + team.size])
            self._tell(f"Judging epoch {self._epoch + 1} on validation tile {names}")
            own = first + team.rank
            if own < len(tiles):
                matrices[own] = judge_network(network, tiles[own], recipe=self._recipe, device=self._device)
        return validation_scores({tile.name: matrix for tile, matrix in zip(tiles, team.total(matrices), strict=True)})

    def _keep(self, network: TrainableNetwork, judged: dict[str, Any] | None) -> None:
        """Keep the network if it is the best by validation; without validation tiles the last is."""
        if judged is not None and self._best_scores is not None and judged["miou"] <= self._best_scores["miou"]:
            return
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        self._best_epoch = self._epoch + 1
        if judged is not None:
            self._best_scores = judged

    def _write_checkpoint(self) -> None:
        tensors, groups = pack_optimiser(self._learner.optimiser)
        generators, generator_state = random_state()
        averages = {"ema": self._ema, "swa": self._swa}
        parts: dict[str, Mapping[str, Tensor]] = {
            NETWORK: self._network.state_dict(),
            "optimiser": tensors,
            "best": self.best,
            "random": generators,
            **{name: pack_average(average) for name, average in averages.items() if average is not None},
        }
        state = {
            "epoch": self._epoch,
            "step": self._step,
            "seconds": self._seconds,
            "memory_bytes": self._memory,
            "warnings": self._warnings,
            "lines": self._lines,
            "best_epoch": self._best_epoch,
            "best_scores": self._best_scores,
            "tile_losses": self._tile_losses,
            "micro_batch": self._learner.micro_batch,
            "optimiser": groups,
            "sampler": self._sampler.state(),
            "random": generator_state,
        }
        summary = {
            "epoch": self._epoch,
            "epochs": self._recipe.epochs,
            "best_epoch": self._best_epoch,
            "best_miou": None if self._best_scores is None else self._best_scores["miou"],
            "seconds": round(self._seconds, 2),
        }
        write_checkpoint(self._task.out, Checkpoint(parts, state, ingredients(self._task)), summary)

    def _tell(self, message: str) -> None:
        self._task.progress.update(self._step, self._recipe.epochs * self._steps, message)

    def _warn(self, sentence: str) -> None:
        self._warnings.append(sentence)
        self._tell(f"Warning: {sentence}")


def suspects(losses: Mapping[str, float]) -> list[str]:
    """Tiles whose loss stands out from the others', worst first: their labels are worth another look.

    Those more than three scaled median absolute deviations above the median (Leys et al. 2013); none of fewer than
    five tiles, which have no bulk to stand out from.
    """
    values = np.array(list(losses.values()))
    if len(values) < _LEAST_TILES:
        return []
    middle = np.median(values)
    limit = middle + _FAR * _SCALED * np.median(np.abs(values - middle))
    return sorted((name for name, loss in losses.items() if loss > limit), key=lambda name: -losses[name])
