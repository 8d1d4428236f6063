import torch
from torch import nn

from models.context_fusion import ScaleFusion, cut_box


def test_a_box_is_cut_out_of_a_map():
    maps = torch.randn(2, 3, 16, 32)
    boxes = torch.tensor([[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.5, 0.5]])
    found = cut_box(maps, boxes, (8, 16))
    assert torch.allclose(found[0], maps[0, :, 4:12, 16:], atol=1e-5)
    assert torch.allclose(found[1], maps[1, :, :8, :16], atol=1e-5)


def test_a_box_beyond_the_map_takes_its_border():
    maps = torch.randn(1, 3, 8, 8)
    found = cut_box(maps, torch.tensor([[0.0, 0.5, 1.0, 1.5]]), (8, 8))
    assert torch.allclose(found[..., :4], maps[..., 4:], atol=1e-5)
    assert torch.allclose(found[..., 4:], maps[..., -1:].expand(-1, -1, -1, 4), atol=1e-5)


def test_at_first_every_scale_has_the_same_say():
    fusion = ScaleFusion(channels=4, norm=lambda _: nn.Identity())
    nn.init.zeros_(fusion.enhance[0].weight)
    nn.init.zeros_(fusion.enhance[0].bias)
    own, twice, fourfold = (torch.randn(2, 4, 8, 8) for _ in range(3))
    middles = (
        cut_box(maps, torch.tensor([[a, a, 1 - a, 1 - a]] * 2), (8, 8))
        for maps, a in ((twice, 0.25), (fourfold, 0.375))
    )
    expected = (own + sum(middles)) / 3
    assert torch.allclose(fusion([own, twice, fourfold]), expected, atol=1e-5)


def test_the_weights_of_the_scales_are_learned_place_by_place():
    fusion = ScaleFusion(channels=4, norm=lambda _: nn.Identity())
    optimiser = torch.optim.Adam(fusion.parameters(), lr=0.02)
    generator = torch.Generator().manual_seed(0)
    first = last = 0.0
    for step in range(60):
        maps = [torch.randn(2, 4, 8, 8, generator=generator) for _ in range(3)]
        loss = (fusion(maps) - maps[0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        first = loss.item() if step == 0 else first
        last = loss.item()
    assert last < first / 2
