"""TensorFlow's 'same' padding with its amount settled, for graphs of images whose sides the strides divide.

timm's ``Conv2dSame`` works the padding out anew for every image, from its size. Written as ONNX that is a handful of
nodes and a padding that onnxruntime cannot merge into the convolution: a quarter of the time of EfficientNet-Lite.
"""

import copy
from typing import TypeVar

from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


def with_settled_padding(module: _Module) -> _Module:
    """A copy of a module whose 'same' convolutions pad by what they would for sides that their stride divides.

    The weights are copied as well; the module itself stays as it is.
    """
    settled = copy.deepcopy(module)
    for parent in list(settled.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "Conv2dSame":  # timm's; importing it here would take a second
                setattr(parent, name, _settled(child))  # type: ignore[arg-type]
    return settled


def _settled(same: nn.Conv2d) -> nn.Sequential:
    (above, below), (left, right) = (
        _amounts(kernel, stride, dilation)
        for kernel, stride, dilation in zip(same.kernel_size, same.stride, same.dilation, strict=True)
    )
    plain = nn.Conv2d(
        same.in_channels,
        same.out_channels,
        (same.kernel_size[0], same.kernel_size[1]),
        (same.stride[0], same.stride[1]),
        dilation=(same.dilation[0], same.dilation[1]),
        groups=same.groups,
        bias=same.bias is not None,
    )
    plain.weight, plain.bias = same.weight, same.bias
    return nn.Sequential(nn.ZeroPad2d((left, right, above, below)), plain)


def _amounts(kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Before and after, of an axis whose length the stride divides; the odd one comes after."""
    total = max((kernel - 1) * dilation + 1 - stride, 0)
    return total // 2, total - total // 2
