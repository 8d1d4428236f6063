import pytest
import torch

from core.training.recipe import Recipe
from core.training.schedules import rate_share

NAMES = ("one-cycle", "cosine", "poly", "constant")


def torchs_one_cycle(steps):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=steps)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("steps", [7, 50])
def test_one_cycle_goes_as_torchs_own(steps):
    assert [rate_share("one-cycle", step, steps) for step in range(steps)] == pytest.approx(torchs_one_cycle(steps))


def test_poly_falls_by_the_power_of_nine_tenths():
    assert [rate_share("poly", step, 4) for step in range(4)] == pytest.approx([1, 0.75**0.9, 0.5**0.9, 0.25**0.9])


def test_cosine_rises_for_a_twentieth_and_falls_to_nothing():
    shares = [rate_share("cosine", step, 100) for step in range(100)]
    assert shares[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert shares[5] == 1
    assert shares == [*shares[:5], *sorted(shares[5:], reverse=True)]
    assert shares[-1] < 0.001


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 30])
def test_a_share_is_never_negative_nor_over_one_and_some_step_has_most_of_the_rate(name, steps):
    shares = [rate_share(name, step, steps) for step in range(steps)]
    assert all(0 <= share <= 1 for share in shares)
    assert max(shares) >= 0.5


def test_every_schedule_of_the_recipe_is_known():
    for name in Recipe.model_json_schema()["properties"]["schedule"]["enum"]:
        rate_share(name, 0, 10)
    with pytest.raises(ValueError, match="no schedule 'steep'"):
        rate_share("steep", 0, 10)
