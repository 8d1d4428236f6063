import copy

import pytest
import torch
from torch import nn

from core.training.weight_averaging import (
    even_average,
    exponential_average,
    pack_average,
    renew_statistics,
    restore_average,
)


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


def set_all(network, value):
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)


def test_the_moving_average_follows_quickly_at_first_and_slowly_in_the_end():
    network = small_network()
    average = exponential_average(network, 0.98)
    set_all(network, 0.0)
    average.update_parameters(network)  # the first is taken as it is
    expected = 0.0
    for step in range(1, 400):
        set_all(network, float(step))
        average.update_parameters(network)
        decay = min(0.98, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert next(average.module.parameters()).flatten()[0].item() == pytest.approx(expected, rel=1e-4)
    assert 340 < expected < 365  # some decay / (1 - decay) steps behind


def test_the_even_average_is_the_mean():
    network = small_network()
    average = even_average(network)
    for value in (1.0, 2.0, 6.0):
        set_all(network, value)
        average.update_parameters(network)
    assert next(average.module.parameters()).flatten()[0].item() == pytest.approx(3.0)


def test_renewed_statistics_are_those_of_the_batches():
    network = small_network().eval()
    batches = [torch.randn(4, 3, 8, 8) + 3 for _ in range(3)]
    with torch.no_grad():
        means = torch.stack([network[0](batch).mean(dim=(0, 2, 3)) for batch in batches])
    renew_statistics(network, [lambda n, b=batch: n(b) for batch in batches])
    torch.testing.assert_close(network[1].running_mean, means.mean(dim=0))
    assert network[1].momentum == 0.1
    assert not network.training


def test_layers_that_stay_in_evaluation_mode_keep_their_statistics():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            return super().train(False)

    network = nn.Sequential(Frozen(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), nn.BatchNorm2d(3))
    before = network[0][1].running_mean.clone()
    renew_statistics(network, [lambda n: n(torch.randn(2, 3, 4, 4) + 5)])
    assert torch.equal(network[0][1].running_mean, before)
    assert (network[1].running_mean.abs() > 0).any()


@pytest.mark.parametrize("make", [lambda n: exponential_average(n, 0.9), even_average])
def test_an_average_goes_on_from_its_tensors(make):
    network = small_network()
    average = make(network)
    for value in (1.0, 2.0):
        set_all(network, value)
        average.update_parameters(network)
    again = make(copy.deepcopy(network))
    restore_average(again, pack_average(average))
    set_all(network, 9.0)
    for one in (average, again):
        one.update_parameters(network)
    for a, b in zip(average.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(a, b)
