import pytest
import torch
from torch import nn

from models.encoders import create_encoder
from models.same_padding import with_settled_padding


def same_layers(module):
    return [layer for layer in module.modules() if type(layer).__name__ == "Conv2dSame"]


@pytest.fixture(scope="module")
def encoder():
    return create_encoder("efficientnet-lite1", "none")


@pytest.mark.parametrize("sides", [(32, 32), (64, 96), (256, 32)])
def test_maps_of_sides_that_the_strides_divide_stay_the_same(encoder, sides):
    images = torch.randint(0, 256, (2, 3, *sides), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for found, wanted in zip(with_settled_padding(encoder)(images), encoder(images), strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_encoder_itself_keeps_its_layers_and_the_copy_has_none_of_them(encoder):
    before = len(same_layers(encoder))
    settled = with_settled_padding(encoder)
    assert before > 0
    assert len(same_layers(encoder)) == before
    assert not same_layers(settled)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 2, 1), (3, 1, 1), (3, 2, 2), (1, 2, 1)])
def test_a_layer_of_any_kernel_stride_and_dilation_pads_as_it_did(encoder, kernel, stride, dilation):
    same = type(same_layers(encoder)[0])(4, 6, kernel, stride, dilation=dilation, bias=True)
    image = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(with_settled_padding(nn.Sequential(same))(image), same(image))


def test_a_module_without_such_layers_is_copied_as_it_is():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1))
    copied = with_settled_padding(plain)
    assert copied is not plain
    assert copied[0].padding == (1, 1)
    torch.testing.assert_close(copied[0].weight, plain[0].weight)
