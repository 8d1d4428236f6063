"""Flips, quarter turns and changes of colour as operations on a whole batch, on the device that trains.

What becomes of a patch depends on its seed alone, as with ``core.training.augmentation``, whose presets' ranges these
are; the noise's numbers are also the device's own. Free angles and scales stay with the processor, which cuts the patch
by one resampling anyway. A preset's elastic bending, CLAHE and FancyPCA are not made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from core.training.patches import Move

_WIDEST = 3.0  # deviations to which a blur's window reaches


@dataclass(frozen=True, slots=True)
class Colours:
    """How far a preset changes colours, and how often: limits as albumentations has them."""

    brightness: float = 0.0
    contrast: float = 0.0
    brightness_chance: float = 0.0
    gamma: tuple[float, float] = (1.0, 1.0)
    gamma_chance: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    blur_chance: float = 0.0
    noise: tuple[float, float] = (0.0, 0.0)
    noise_chance: float = 0.0


COLOURS = {
    "none": Colours(),
    "light": Colours(0.1, 0.1, 0.5, (0.9, 1.1), 0.3),
    "medium": Colours(0.2, 0.2, 0.7, (0.8, 1.25), 0.4, (0.3, 1.2), 0.15, (0.01, 0.04), 0.25),
    "heavy": Colours(0.3, 0.3, 0.8, (0.7, 1.4), 0.5, (0.3, 2.0), 0.2, (0.01, 0.08), 0.3),
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be done to each of N patches.

    ``turns`` ``(N,)`` int64 in 0..7: quarter turns against the clock, plus 4 where mirrored left to right before. The
    rest is ``(N,)`` float32: grey levels become ``contrast * level + brightness``, then their shares of 255 are raised
    to ``gamma``, then blurred by a Gaussian of deviation ``blur`` pixels, then noise of deviation ``noise`` (a share of
    255) is added, drawn by ``seed``. 1, 0, 1, 0, 0 change nothing.
    """

    turns: Tensor
    contrast: Tensor
    brightness: Tensor
    gamma: Tensor
    blur: Tensor
    noise: Tensor
    seed: int

    def applied(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """The patches ``(N, 3, side, side)`` uint8 and their classes ``(N, side, side)``, changed, on their device."""
        images, classes = turned(images, self.turns), turned(classes, self.turns)
        return self._coloured(images), classes

    def _coloured(self, images: Tensor) -> Tensor:
        device = images.device
        contrast, brightness, gamma, noise = (
            values.to(device, non_blocking=True).view(-1, 1, 1, 1)
            for values in (self.contrast, self.brightness, self.gamma, self.noise)
        )
        levels = (images.float() * contrast + brightness).clamp(0, 255)
        levels = (levels / 255).pow(gamma) * 255
        blurred = self.blur.nonzero()[:, 0].tolist()
        for index in blurred:  # seldom, and each by a window of its own
            levels[index] = _blurred(levels[index], float(self.blur[index]))
        if bool(self.noise.any()):
            generator = torch.Generator(device).manual_seed(self.seed)
            drawn = torch.randn(levels.shape, generator=generator, device=device)
            levels = levels + drawn * noise * 255
        return levels.round().clamp(0, 255).byte()


def plan(preset: str, moves: Sequence[Move], seeds: Sequence[int]) -> Changes:
    """What the preset does to patches of these moves and seeds, but for what ``left_to_cut`` leaves to the cutting."""
    colours = COLOURS[preset]
    drawn = np.array([_drawn(colours, seed) for seed in seeds], np.float32)
    contrast, brightness, gamma, blur, noise = (torch.from_numpy(np.ascontiguousarray(own)) for own in drawn.T)
    turns = torch.tensor([move.quarter_turns % 4 + 4 * move.mirrored for move in moves])
    return Changes(turns, contrast, brightness, gamma, blur, noise, seeds[0])


def left_to_cut(move: Move) -> Move:
    """The move without its flip and quarter turns, such that these can follow it: mirrored, an angle turns around."""
    return Move(angle=-move.angle if move.mirrored else move.angle, scale=move.scale)


def turned(maps: Tensor, turns: Tensor) -> Tensor:
    """Square maps ``(N, ..., side, side)``, each moved by its turn in 0..7; whole pixels move and none changes."""
    result = torch.empty_like(maps)
    for turn in sorted(set(turns.tolist())):
        places = (turns == turn).nonzero()[:, 0].to(maps.device)
        own = maps[places]
        result[places] = torch.rot90(own.flip(-1) if turn >= 4 else own, turn % 4, (-2, -1))
    return result


def _drawn(colours: Colours, seed: int) -> list[float]:
    """Contrast, brightness, gamma, blur and noise of one patch."""
    generator = np.random.default_rng([seed, 2])
    chances = (colours.brightness_chance, colours.gamma_chance, colours.blur_chance, colours.noise_chance)
    bright, curved, soft, noisy = generator.random(4) < chances
    contrast = 1 + generator.uniform(-colours.contrast, colours.contrast)
    brightness = 255 * generator.uniform(-colours.brightness, colours.brightness)
    gamma, blur, noise = (generator.uniform(*limits) for limits in (colours.gamma, colours.blur, colours.noise))
    return [
        contrast if bright else 1.0,
        brightness if bright else 0.0,
        gamma if curved else 1.0,
        blur if soft else 0.0,
        noise if noisy else 0.0,
    ]


def _blurred(levels: Tensor, deviation: float) -> Tensor:
    """One patch ``(3, side, side)`` by a Gaussian, mirrored at its edges."""
    reach = max(1, round(_WIDEST * deviation))
    places = torch.arange(-reach, reach + 1, device=levels.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / deviation) ** 2)
    weights = (weights / weights.sum()).view(1, 1, 1, -1)
    padded = F.pad(levels[:, None], (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(F.conv2d(padded, weights), weights.transpose(-2, -1))[:, 0]
