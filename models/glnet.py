"""GLNet (Chen et al. 2019), both branches, as its released code has them.

The whole tile, resized to 508 x 508, goes through one encoder and pyramid; patches of 508 x 508, overlapping by 50
pixels at least (36 of a tile of 2448, stride 388), through an encoder and a pyramid of their own, which at every step
reads the whole tile's maps at the patch's place. Then the whole tile is read once more, by a third encoder that begins
as a copy of the first and whose pyramid reads the merged maps of all patches. A 3 x 3 convolution on the joined maps
of patch and tile gives the classes at a quarter of the patch's size; they are enlarged to the nearest neighbour, and
averaged with equal weight where patches overlap. It is trained in three stages, one branch in each:
``core.training.glnet_learner``.

Where this differs from the released code, on purpose: 255 takes no part, where theirs has a seventh class for it; the
logits of overlapping patches are averaged, not summed, which leaves the classes as they are but not the confidence;
merged maps are divided by how many patches lie over each of their own places, not by a resized count of pixels; and
what a patch says is computed twice in the third stage instead of being kept, so that memory stays that of a patch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.encoders import EncoderCard, encoder_card, library_name
from models.errors import ModelError
from models.glnet_fpn import JOINED, STAGES, GlnetFpn, Readings, draw_as_glnet
from models.network_context import Context
from models.network_input import NetworkInput
from models.networks import CLASSES, QUARTER, NetworkOutput, Surroundings, load_encoder
from models.torchvision_import import ensure_torchvision

SIDE = 508
"""Pixels of a patch's side, and of the whole tile's as its branch sees it, as published."""
WHOLE, LOCAL, REFINED = 1, 2, 3
"""The stages of training; a network predicts as far as it has come."""
AT_ONCE = 6

_LEAST_OVERLAP = 50

Place = tuple[int, int]
"""Row and column of a patch's first pixel in its tile."""


class PatchReading(NamedTuple):
    """What the local branch says of N patches: logits ``(N, 6, h, w)`` of both branches together and of its own.

    ``joined`` and ``there`` are ``(N, 512, h, w)``, a quarter of the patches' sides: its own maps and the whole
    tile's at the patches' places.
    """

    logits: Tensor
    own: Tensor
    joined: Tensor
    there: Tensor


class Branch(nn.Module):
    """An encoder, its pyramid and a classifier."""

    def __init__(self, encoder: str, *, doubled: bool, classes: int) -> None:
        super().__init__()
        ensure_torchvision()
        import segmentation_models_pytorch as smp  # noqa: PLC0415

        self.encoder = smp.encoders.get_encoder(library_name(encoder), weights=None)
        channels = list(self.encoder.out_channels[-STAGES:])
        if len(channels) < STAGES or not all(channels):
            raise ModelError(f"GLNet needs an encoder with four stages, and {encoder} has not; choose resnet50.")
        self.pyramid = GlnetFpn(channels, lambda _width: nn.Identity(), doubled=doubled)
        self.classifier = nn.Conv2d(JOINED, classes, 3, padding=1)
        draw_as_glnet(self.classifier)

    def forward(self, seen: Tensor, other: Readings | None = None) -> Readings:
        """The readings of images ``(N, 3, h, w)``."""
        features = self.encoder(seen.contiguous(memory_format=torch.channels_last))
        return self.pyramid.read(features, other)


class GlnetNetwork(nn.Module):
    """The three branches; predicts with those of the stages that it has been trained in.

    Has what training and prediction ask of a ``SegmentationNetwork``. ``side``: pixels of a patch's side, and of the
    whole tile's as its branch sees it. ``whole_tile``: it wants a tile in one piece.
    """

    kind = "glnet"
    needs_context: Surroundings = "none"
    needs_place = at_training_size = False
    whole_tile = True
    alignment, smallest = QUARTER, 64
    stage: Tensor

    def __init__(
        self,
        *,
        encoder: str,
        side: int = SIDE,
        grey: bool = False,
        standardise: str = "none",
        encoder_state: Mapping[str, Tensor] | None = None,
        card: EncoderCard | None = None,
    ) -> None:
        super().__init__()
        if standardise == "tile":
            raise ModelError("GLNet has no standardising by each tile; set standardise to none, encoder or training.")
        self._settings: dict[str, object] = {
            "encoder": encoder,
            "side": side,
            "grey": grey,
            "standardise": standardise,
        }
        self.side = side
        self.encoder_card = card or encoder_card(encoder)
        self.encoder_identity = ""
        self.input = NetworkInput(
            mean=self.encoder_card.mean,
            std=self.encoder_card.std,
            standardise=standardise,
            grey=grey,
            extra_channels=(),
        )
        self.whole = Branch(encoder, doubled=False, classes=CLASSES)
        self.local = Branch(encoder, doubled=True, classes=CLASSES)
        self.refined = Branch(encoder, doubled=True, classes=CLASSES)
        if encoder_state is not None:
            for branch in self._branches():
                load_encoder(branch.encoder, encoder_state, name=encoder)
        self.ensemble = nn.Conv2d(2 * JOINED, CLASSES, 3, padding=1)
        draw_as_glnet(self.ensemble)
        self.register_buffer("stage", torch.tensor(WHOLE))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, context: Context | None = None) -> NetworkOutput:  # noqa: ARG002
        """Logits ``(N, 6, H, W)`` of whole tiles ``(N, 3, H, W)``, RGB in 0..255; in training those of the first stage.

        In training they are the whole-tile branch's, at a quarter of ``side``.
        """
        if self.training:
            return NetworkOutput(self.whole.classifier(self.read_whole(images).joined), [], None)
        return NetworkOutput(torch.cat([self._logits(image[None]) for image in images]), [], None)

    def read_whole(self, images: Tensor) -> Readings:
        """The first branch's readings of whole tiles ``(N, 3, H, W)``."""
        readings: Readings = self.whole(self._small(images))
        return readings

    def read_patches(self, image: Tensor, places: Sequence[Place], whole: Readings) -> PatchReading:
        """The local branch on patches of one tile ``(1, 3, H, W)``, which the first branch reads as ``whole``."""
        readings, there = self._local(image, places, whole)
        logits = self.ensemble(torch.cat([readings.joined, there], dim=1))
        return PatchReading(logits, self.local.classifier(readings.joined), readings.joined, there)

    @torch.no_grad()
    def merged_patches(self, image: Tensor, whole: Readings, *, at_once: int) -> Readings:
        """The local branch's maps of all patches of a tile as maps of the whole tile, each as large as ``whole``'s."""
        size = _size(image)
        total = whole.mapped(lambda maps: torch.zeros_like(maps, dtype=torch.float32))
        counts = [torch.zeros(maps.shape[-2:], device=maps.device) for maps in _flat(whole)]
        for places in chunks(all_places(size, self.side), at_once):
            readings, _ = self._local(image, places, whole)
            for maps, own, count in zip(_flat(total), _flat(readings), counts, strict=True):
                for index, place in enumerate(places):
                    box = self._box(place, size, _size(maps))
                    here = maps[:, :, box[0], box[1]]
                    here += F.interpolate(own[index : index + 1], size=_size(here), mode="bilinear")
                    count[box] += 1
        for maps, count in zip(_flat(total), counts, strict=True):
            maps.div_(count)
        return total

    def read_refined(self, images: Tensor, merged: Readings) -> tuple[Tensor, Tensor]:
        """The third branch on whole tiles: its logits ``(N, 6, h, w)`` and joined maps ``(N, 512, h, w)``."""
        readings: Readings = self.refined(self._small(images), merged)
        return self.refined.classifier(readings.joined), readings.joined

    def join_patches(self, joined: Tensor, whole: Tensor, places: Sequence[Place], size: tuple[int, int]) -> Tensor:
        """Logits of patches from the local branch's joined maps and a whole tile's ``(1, 512, ...)``."""
        there = F.interpolate(self._cut(whole, places, size), size=_size(joined), mode="bilinear")
        logits: Tensor = self.ensemble(torch.cat([joined, there], dim=1))
        return logits

    def enter(self, stage: int) -> None:
        """Begin a stage of training: in the third the tile is read by what the first has learned."""
        if stage == REFINED:
            self.refined.encoder.load_state_dict(self.whole.encoder.state_dict())
            self.refined.classifier.load_state_dict(self.whole.classifier.state_dict())
        self.settle(stage)

    def settle(self, stage: int) -> None:
        """Train what is trained in a stage, and keep the rest as it is."""
        self.stage.fill_(stage)
        trained = self._branches()[stage - 1]
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        for parameter in [*trained.parameters(), *(self.ensemble.parameters() if stage > WHOLE else ())]:
            parameter.requires_grad_(True)
        self.train(self.training)

    def train(self, mode: bool = True) -> "GlnetNetwork":
        """Training or evaluation mode; branches that are not trained in this stage stay in the latter."""
        super().train(mode)
        for number, branch in enumerate(self._branches(), start=1):
            branch.train(mode and number == int(self.stage))
        return self

    def freeze_encoder(self) -> None:
        """Refused: each stage of GLNet trains an encoder."""
        raise ModelError("GLNet trains its encoders; set train to whole.")

    def unfreeze_encoder(self) -> None:
        """Nothing is frozen but by the stage."""

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """The weights of all encoders."""
        for branch in self._branches():
            yield from branch.encoder.parameters()

    def other_parameters(self) -> Iterator[nn.Parameter]:
        """All other weights."""
        for branch in self._branches():
            yield from branch.pyramid.parameters()
            yield from branch.classifier.parameters()
        yield from self.ensemble.parameters()

    def set_statistics(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """For ``standardise`` 'training': mean and deviation of RGB in 0..255 over the training tiles; once."""
        self.input.set_statistics(mean, deviation)

    def settings(self) -> dict[str, object]:
        """What it takes to build this network again, besides its tensors."""
        return dict(self._settings)

    def _logits(self, image: Tensor) -> Tensor:
        """``(1, 6, H, W)`` of one tile ``(1, 3, H, W)``."""
        size, stage = _size(image), int(self.stage)
        whole = self.read_whole(image)
        if stage == WHOLE:
            logits: Tensor = self.whole.classifier(whole.joined).float()
            return F.interpolate(logits, size=size, mode="nearest-exact")
        tile = whole.joined
        if stage == REFINED:
            _, tile = self.read_refined(image, self.merged_patches(image, whole, at_once=AT_ONCE))
        total = torch.zeros((1, CLASSES, *size), device=image.device)
        count = torch.zeros(size, device=image.device)
        for places in chunks(all_places(size, self.side), AT_ONCE):
            readings, _ = self._local(image, places, whole)
            own = self.join_patches(readings.joined, tile, places, size).float()
            enlarged = F.interpolate(own, size=(min(self.side, size[0]), min(self.side, size[1])), mode="nearest-exact")
            for place, logits in zip(places, enlarged, strict=True):
                rows, columns = (slice(at, at + n) for at, n in zip(place, _size(logits), strict=True))
                total[0, :, rows, columns] += logits
                count[rows, columns] += 1
        return total / count

    def _local(self, image: Tensor, places: Sequence[Place], whole: Readings) -> tuple[Readings, Tensor]:
        size = _size(image)
        patches = torch.cat([image[:, :, top : top + self.side, left : left + self.side] for top, left in places])
        there = whole.mapped(lambda maps: self._cut(maps, places, size))
        readings: Readings = self.local(self.input(patches, None), there)
        return readings, F.interpolate(there.joined, size=_size(readings.joined), mode="bilinear")

    def _box(self, place: Place, size: tuple[int, int], maps: tuple[int, int]) -> tuple[slice, slice]:
        """The rows and columns of a map of the whole tile that show a patch, rounded to whole places as GLNet does."""
        found = []
        for start, length, cells in zip(place, size, maps, strict=True):
            extent = max(1, round(cells * min(self.side, length) / length))
            first = min(round(cells * start / length), cells - extent)
            found.append(slice(first, first + extent))
        return found[0], found[1]

    def _cut(self, maps: Tensor, places: Sequence[Place], size: tuple[int, int]) -> Tensor:
        """``(N, C, h, w)``: what a map ``(1, C, ...)`` of the whole tile shows at each place."""
        boxes = (self._box(place, size, _size(maps)) for place in places)
        return torch.cat([maps[:, :, rows, columns] for rows, columns in boxes])

    def _small(self, images: Tensor) -> Tensor:
        """Whole tiles made small, bilinear over all pixels under each, as PIL does it."""
        small = F.interpolate(images.float(), size=(self.side, self.side), mode="bilinear", antialias=True)
        seen: Tensor = self.input(small, None)
        return seen

    def _branches(self) -> tuple[Branch, Branch, Branch]:
        return self.whole, self.local, self.refined


def build_glnet(settings: Mapping[str, Any], *, refused: Mapping[str, Any]) -> GlnetNetwork:
    """A network of ``settings``. Raises ``ModelError`` where one of ``refused``, which GLNet does not have, is set."""
    for name, value in refused.items():
        if value and value != "none":
            raise ModelError(f"GLNet has no {name} to choose; leave it at {'none' if isinstance(value, str) else 0}.")
    return GlnetNetwork(**settings)


def all_places(size: tuple[int, int], side: int = SIDE) -> list[Place]:
    """Where the patches of a tile of ``size`` (height, width) begin."""
    rows, columns = (_starts(length, side) for length in size)
    return [(top, left) for top in rows for left in columns]


def chunks(places: Sequence[Place], count: int) -> Iterator[Sequence[Place]]:
    """The places, so many at a time."""
    for start in range(0, len(places), count):
        yield places[start : start + count]


def _starts(length: int, side: int) -> list[int]:
    count = -(-length // side)
    while count > 1 and side - (length - side) / (count - 1) < _LEAST_OVERLAP * side / SIDE:
        count += 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)] if count > 1 else [0]


def _flat(readings: Readings) -> list[Tensor]:
    """The maps that the other branch reads."""
    return [maps for step in readings.steps() for maps in step]


def _size(maps: Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]
