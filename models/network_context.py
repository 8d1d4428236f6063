"""What a network knows of a patch besides its pixels: where in its tile it lies, and what surrounds it.

``Context`` is the one layout of it, made by ``core.training.context_crops`` for training and for prediction alike.
``models.context_fusion`` holds the two ways to read the surroundings.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

GLOBAL_SIDE = 256
"""Side in pixels of the whole tile made small."""

SCALES = (2, 4)
"""How many times larger than the patch the surroundings of 'two-scales' are, on each side."""


class Context(NamedTuple):
    """What N patches are read with.

    ``boxes`` is ``(N, 4)`` float32: top, left, bottom and right of the patch as shares of its tile's height and width.
    ``mean`` and ``deviation`` are ``(N, 3)`` float32: of the tile's RGB in 0..255. ``images`` is uint8 RGB or float in
    0..255: for 'global' ``(N, 3, 256, 256)``, the whole tile made small (squeezed to a square where it is none); for
    'two-scales' ``(N, 2, 3, H, W)`` with the patch's own H and W in pixels, showing what lies in 2 and in 4 times its
    extent around the same centre, mirrored where that is outside the tile; None for 'none'.
    """

    boxes: Tensor
    mean: Tensor
    deviation: Tensor
    images: Tensor | None = None

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "Context":
        """All of it on a device."""
        images = None if self.images is None else self.images.to(device, non_blocking=non_blocking)
        boxes, mean, deviation = (part.to(device, non_blocking=non_blocking) for part in self[:3])
        return Context(boxes, mean, deviation, images)

    def pinned(self) -> "Context":
        """All of it in page-locked memory, from which copies to a GPU need not wait."""
        images = None if self.images is None else self.images.pin_memory()
        boxes, mean, deviation = (part.pin_memory() for part in self[:3])
        return Context(boxes, mean, deviation, images)

    def moved(self, quarter_turns: int, *, mirrored: bool) -> "Context":
        """The context of the patches after the tile was mirrored left to right (or not) and turned against the clock.

        The same symmetry as ``core.inference.tta.Dihedral`` and ``torch.rot90(patch, quarter_turns, (-2, -1))`` after
        ``flip(-1)``; images must be square for odd turns, as patches are.
        """
        images, boxes = self.images, self.boxes
        top, left, bottom, right = boxes.unbind(1)
        if mirrored:
            left, right = 1 - right, 1 - left
            images = None if images is None else images.flip(-1)
        for _ in range(quarter_turns % 4):  # a turn takes the right side to the top and the top to the left
            top, left, bottom, right = 1 - right, top, 1 - left, bottom
        if images is not None:
            images = torch.rot90(images, quarter_turns % 4, (-2, -1))
        return Context(torch.stack([top, left, bottom, right], dim=1), self.mean, self.deviation, images)


def join_contexts(parts: Sequence[Context]) -> Context:
    """The contexts of several lots of patches as one, in order."""
    images = [part.images for part in parts if part.images is not None]
    if images and len(images) != len(parts):
        raise ValueError("either all contexts have images or none has")
    return Context(
        torch.cat([part.boxes for part in parts]),
        torch.cat([part.mean for part in parts]),
        torch.cat([part.deviation for part in parts]),
        torch.cat(images) if images else None,
    )
