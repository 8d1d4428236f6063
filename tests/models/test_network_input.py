import pytest
import torch
from torch import nn

from models.errors import ModelError
from models.network_input import WidenedConvolution, excess_green, local_deviation, positions, widen


def test_excess_green_is_two_for_green_and_nought_for_grey_and_black():
    colours = torch.tensor([[0.0, 200, 0], [90, 90, 90], [0, 0, 0], [100, 0, 0]]).T.view(1, 3, 1, 4)
    assert torch.allclose(excess_green(colours).flatten(), torch.tensor([2.0, 0, 0, -1]))


def test_the_local_deviation_is_that_of_the_pixels_around_and_inside():
    colours = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    found = local_deviation(colours)[0, 0]
    brightness = colours.mean(dim=1)[0] / 255
    assert found[6, 6].item() == pytest.approx(brightness[2:11, 2:11].std(correction=0).item() * 10, rel=1e-3)
    assert found[0, 0].item() == pytest.approx(brightness[:5, :5].std(correction=0).item() * 10, rel=1e-3)


def test_positions_run_from_edge_to_edge_of_the_tile():
    whole = positions(torch.tensor([[0.0, 0, 1, 1]]), 4, 8)
    assert torch.allclose(whole[0, 0, :, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    part = positions(torch.tensor([[0.5, 0.25, 1.0, 0.75]]), 2, 4)
    assert torch.allclose(part[0], whole[0, :, 2:, 2:6])


def test_a_widened_convolution_is_one_over_all_channels():
    known = nn.Conv2d(3, 8, 3, stride=2, padding=1)
    wide = WidenedConvolution(known, 2)
    seen = torch.randn(2, 5, 16, 16)
    assert torch.equal(wide(seen), known(seen[:, :3]))
    wide.added.weight.data.normal_()
    weight = torch.cat([known.weight, wide.added.weight], dim=1)
    expected = nn.functional.conv2d(seen, weight, known.bias, stride=2, padding=1)
    assert torch.allclose(wide(seen), expected, atol=1e-5)


def test_a_network_without_a_convolution_on_colours_cannot_be_widened():
    with pytest.raises(ModelError, match="no first convolution"):
        widen(nn.Sequential(nn.Linear(3, 4)), 1)
