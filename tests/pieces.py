"""Pictures cut into tiles whose neighbours are known, and pictures that were changed a little."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.catalog.alike.looks import borders_of
from core.catalog.alike.neighbours import find_neighbours
from core.progress import SilentProgress

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Piece:
    """A tile that was cut out: the picture it is of, its row and column there, and its pixels, (H, W, 3) RGB."""

    picture: int
    row: int
    column: int
    image: Image

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it was."""
        return self.picture, self.row, self.column


@dataclass(frozen=True, slots=True)
class Found:
    """How well the neighbours of pieces were found: pairs that were found, that are right, and that there are."""

    pairs: int
    right: int
    there: int


def jpeg(image: Image, quality: int) -> Image:
    """The image as it comes back from a JPEG file."""
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def cut(image: Image, across: int, *, picture: int = 0, quality: int = 92) -> list[Piece]:
    """``across`` x ``across`` pieces of an image, each through JPEG, as DeepGlobe's tiles are."""
    height, width = image.shape[0] // across, image.shape[1] // across
    return [
        Piece(
            picture,
            row,
            column,
            jpeg(image[row * height : (row + 1) * height, column * width : (column + 1) * width], quality),
        )
        for row in range(across)
        for column in range(across)
    ]


def judge_neighbours(
    borders: NDArray[np.float16],
    places: Sequence[tuple[int, int, int]],
    continues: Callable[[tuple[int, int, int], str], tuple[int, int, int] | None] | None = None,
) -> Found:
    """Look for neighbours among pieces of one size, float16 (n, 4, samples, 3), and compare with where they were.

    ``continues`` knows the place to the right of or below a piece at the margin of its picture, where one is known.
    """
    found = find_neighbours(borders, np.ones((len(borders), 2), np.int64), SilentProgress())
    there = set()
    known = set(places)
    for picture, row, column in places:
        for side, inside in (("right", (picture, row, column + 1)), ("below", (picture, row + 1, column))):
            beyond = continues((picture, row, column), side) if continues else None
            other = inside if inside in known else beyond
            if other in known:
                there.add(((picture, row, column), other, side))
    pairs = [(places[pair.first], places[pair.second], pair.side) for pair in found]
    return Found(len(pairs), sum(pair in there for pair in pairs), len(there))


def judge_pieces(pieces: Sequence[Piece], seed: int) -> Found:
    """The same for pieces, shuffled."""
    shuffled = [pieces[number] for number in np.random.default_rng(seed).permutation(len(pieces))]
    return judge_neighbours(np.stack([borders_of(one.image) for one in shuffled]), [one.place for one in shuffled])


def cropped(image: Image, *, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Image:
    """An image without these shares of its sides."""
    height, width = image.shape[:2]
    return image[
        round(top * height) : height - round(bottom * height), round(left * width) : width - round(right * width)
    ]


def brightened(image: Image, factor: float, offset: float) -> Image:
    """An image in another brightness and contrast."""
    return np.clip(image.astype(np.float32) * factor + offset, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "JPEG at quality 75": lambda image: jpeg(image, 75),
    "JPEG at quality 50": lambda image: jpeg(image, 50),
    "2 % off the left": lambda image: cropped(image, left=0.02),
    "2 % off the top": lambda image: cropped(image, top=0.02),
    "2 % off right and bottom": lambda image: cropped(image, right=0.02, bottom=0.02),
    "2 % off all four sides": lambda image: cropped(image, left=0.02, top=0.02, right=0.02, bottom=0.02),
    "brighter": lambda image: brightened(image, 1.25, 10),
    "darker": lambda image: brightened(image, 0.7, -10),
    "more contrast": lambda image: brightened(image, 1.4, -50),
    "cropped, brighter, quality 50": lambda image: jpeg(
        brightened(cropped(image, left=0.02, bottom=0.02), 1.2, 10), 50
    ),
    "turned, cropped, quality 60": lambda image: jpeg(np.rot90(cropped(image, right=0.02)), 60),
    "mirrored, darker, quality 75": lambda image: jpeg(brightened(image[:, ::-1], 0.8, 0), 75),
}
"""What a near duplicate may have gone through."""
