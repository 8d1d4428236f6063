"""World files: the ground resolution of an image that cannot say it itself, in six lines of text beside it.

Only the size of a pixel is taken from one, since a world file names no coordinate reference system: what is between
a centimetre and a kilometre counts as metres, anything else (degrees, as a rule) is not used.
"""

import math
from pathlib import Path

from core.atomic import write_text

_ENDINGS = {".jpg": ".jgw", ".jpeg": ".jgw", ".png": ".pgw", ".tif": ".tfw", ".tiff": ".tfw"}
_SMALLEST, _LARGEST = 0.01, 1000.0


def world_file(image: Path) -> Path:
    """Where the world file of an image lies, by its suffix: ``.jgw``, ``.pgw`` or ``.tfw``; else ``.wld``."""
    return image.with_suffix(_ENDINGS.get(image.suffix.lower(), ".wld"))


def read_resolution(image: Path) -> tuple[float, float] | None:
    """Metres a pixel along x and y by an image's world file; None without one that can be used."""
    try:
        numbers = [float(line) for line in world_file(image).read_text("ascii").split()]
    except (OSError, ValueError):
        return None
    if len(numbers) != 6:
        return None
    x, y = math.hypot(numbers[0], numbers[1]), math.hypot(numbers[2], numbers[3])
    return (x, y) if min(x, y) >= _SMALLEST and max(x, y) <= _LARGEST else None


def write_resolution(image: Path, metres_per_pixel: float) -> None:
    """Write an image's world file: north up, its corner at the origin. Raises ``NotSavedError``."""
    half = metres_per_pixel / 2
    lines = (metres_per_pixel, 0.0, 0.0, -metres_per_pixel, half, -half)
    write_text(world_file(image), "".join(f"{line!r}\n" for line in lines))
