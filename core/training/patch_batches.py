"""Batches of patches for a network: made from draws alone, ahead of the training where it runs on a GPU."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.training.augmentation import Augmentation
from core.training.context_crops import make_tile_context
from core.training.device_augmentation import Changes, left_to_cut, plan
from core.training.patch_sampling import Draw
from core.training.patches import Move, WorkingTile, cut_patch
from core.training.recipe import Recipe
from models.network_context import Context, join_contexts

_MOST_WORKERS = 4

Part = TypeVar("Part")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Batch:
    """``images`` (N, 3, side, side) uint8 RGB, ``classes`` (N, side, side) uint8 with 255, and what surrounds them.

    ``changes`` are still to be made, on the device that the batch is brought to.
    """

    images: Tensor
    classes: Tensor
    context: Context | None
    changes: Changes | None = None

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> "Batch":
        """Some of its patches."""
        context = self.context
        if context is not None:
            images = None if context.images is None else context.images[start:stop]
            boxes, mean, deviation = context.boxes, context.mean, context.deviation
            context = Context(boxes[start:stop], mean[start:stop], deviation[start:stop], images)
        return Batch(self.images[start:stop], self.classes[start:stop], context)

    def to(self, device: torch.device) -> "Batch":
        """All of it on a device, changed as is still to be; copies from pinned memory do not wait."""
        context = None if self.context is None else self.context.to(device, non_blocking=True)
        images, classes = (part.to(device, non_blocking=True) for part in (self.images, self.classes))
        if self.changes is not None:
            images, classes = self.changes.applied(images, classes)
        return Batch(images, classes, context)

    def pinned(self) -> "Batch":
        """All of it in page-locked memory."""
        context = None if self.context is None else self.context.pinned()
        return Batch(self.images.pin_memory(), self.classes.pin_memory(), context, self.changes)


class PatchMaker:
    """Makes batches of draws: cut, moved and changed as the recipe says. May be used by several threads at once.

    ``place`` asks for each patch's surroundings, as the network needs them; ``side`` is that of a patch in pixels.
    """

    def __init__(self, tiles: Sequence[WorkingTile], recipe: Recipe, *, place: bool, side: int) -> None:
        self._tiles, self._recipe, self._side = tiles, recipe, side
        self._contexts = [make_tile_context(tile.image, recipe.surroundings) for tile in tiles] if place else None
        self._local = threading.local()

    def batch(self, draws: Sequence[Draw]) -> Batch:
        """The patches of these draws, in order."""
        patches, contexts = [], []
        augmentation, on_device = self._augmentation(), self._recipe.augment_on == "device"
        moves = [augmentation.move(draw.seed) for draw in draws]
        for draw, move in zip(draws, moves, strict=True):
            laid = left_to_cut(move) if on_device else move
            cut = cut_patch(self._tiles[draw.tile], row=draw.row, column=draw.column, side=self._side, move=laid)
            patches.append(cut if on_device else augmentation.change(*cut, draw.seed))
            if self._contexts is not None:
                contexts.append(self._context(draw, move))
        images = torch.from_numpy(np.stack([image for image, _ in patches])).permute(0, 3, 1, 2)
        classes = torch.from_numpy(np.stack([classes for _, classes in patches]))
        changes = plan(self._recipe.augmentation, moves, [draw.seed for draw in draws]) if on_device else None
        return Batch(images, classes, join_contexts(contexts) if contexts else None, changes)

    def _context(self, draw: Draw, move: Move) -> Context:
        """What surrounds a patch, enlarged and moved as the patch is; the colours are the tile's own."""
        assert self._contexts is not None  # noqa: S101
        side = self._side
        extent = round(side / move.scale)
        corner = (draw.row + (side - extent) // 2, draw.column + (side - extent) // 2)
        context = self._contexts[draw.tile].cut([corner], (extent, extent))
        if self._recipe.surroundings == "two-scales" and extent != side and context.images is not None:
            images = F.interpolate(context.images[0].float(), size=(side, side), mode="bilinear", antialias=True)
            context = context._replace(images=images.round().clamp(0, 255).byte()[None])
        return context.moved(move.quarter_turns, mirrored=move.mirrored)

    def _augmentation(self) -> Augmentation:
        made: Augmentation | None = getattr(self._local, "augmentation", None)
        if made is None:
            made = Augmentation(self._recipe)
            self._local.augmentation = made
        return made


def batches(maker: PatchMaker, draws: Sequence[Draw], *, size: int, device: torch.device) -> Iterator[Batch]:
    """All draws in batches of ``size`` on the device, in order.

    For a GPU they are made ahead by threads and pinned, so that it does not wait; a CPU has no cores to spare. The
    batches are the same either way.
    """
    parts = [draws[start : start + size] for start in range(0, len(draws), size)]
    if device.type != "cuda":
        for part in parts:
            yield maker.batch(part).to(device)
        return
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    for batch in ahead(lambda part: maker.batch(part).pinned(), parts, workers=workers):
        yield batch.to(device)


def ahead(make: Callable[[Part], Made], parts: Sequence[Part], *, workers: int) -> Iterator[Made]:
    """``make`` of each part, in order, by threads that are a few parts ahead of whoever takes them."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="patches")
    try:
        waiting: deque[Future[Made]] = deque()
        for part in parts:
            waiting.append(pool.submit(make, part))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
