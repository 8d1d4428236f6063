"""How the learning rate goes over the steps of a fit, as a share of the recipe's rate.

A schedule is a function of the step alone, so that a fit which goes on from a checkpoint needs no more than the
step's number.
"""

import math

ONE_CYCLE_RISE = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START * 1e-4
COSINE_RISE = 0.05
POLY_POWER = 0.9


def rate_share(schedule: str, step: int, steps: int) -> float:
    """The share of the highest rate at ``step`` (from 0) of ``steps``; at least 0, at most 1.

    'one-cycle' rises by a half cosine to the highest rate at three tenths and falls to nearly nothing (Smith and
    Topin 2018; the figures are those of torch's ``OneCycleLR``); 'cosine' rises straight over a twentieth and falls by
    a half cosine to 0 (Loshchilov and Hutter 2017); 'poly' falls as (1 - step / steps) ** 0.9 (Chen et al. 2018);
    'constant' stays. Raises ``ValueError`` for another name.
    """
    match schedule:
        case "one-cycle":
            peak = ONE_CYCLE_RISE * steps - 1
            if step <= peak:
                return _between(ONE_CYCLE_START, 1.0, step / peak)
            return _between(1.0, ONE_CYCLE_END, (step - peak) / (steps - 1 - peak)) if steps > 1 else 1.0
        case "cosine":
            rise = max(1, round(COSINE_RISE * steps))
            if step < rise:
                return (step + 1) / (rise + 1)
            return _between(1.0, 0.0, (step - rise) / max(steps - rise, 1))
        case "poly":
            return float((1 - step / steps) ** POLY_POWER)
        case "constant":
            return 1.0
    raise ValueError(f"there is no schedule {schedule!r}")


def _between(start: float, end: float, done: float) -> float:
    """From ``start`` to ``end`` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
