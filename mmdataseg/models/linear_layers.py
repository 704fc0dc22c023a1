"""Lets the linear layers and 1 x 1 convolutions of a network compute by `mmdataseg.ops.linear`."""

from mmcv.cnn.bricks import wrappers
from torch import Tensor, nn

from mmdataseg.ops.linear import convolution_1x1, linear


class _Linear:
    weight: Tensor
    bias: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class _Conv2d:
    def forward(self, x: Tensor) -> Tensor:
        return convolution_1x1(x, self.weight, self.bias) if _is_1x1(self) else super().forward(x)


class TorchLinear(_Linear, nn.Linear):
    """torch's layer, computed by `mmdataseg.ops.linear`."""


class MMCVLinear(_Linear, wrappers.Linear):
    """mmcv's layer, computed by `mmdataseg.ops.linear`."""


class TorchConv2d(_Conv2d, nn.Conv2d):
    """torch's layer, computed by `mmdataseg.ops.linear` if its kernel has one cell."""


class MMCVConv2d(_Conv2d, wrappers.Conv2d):
    """mmcv's layer, computed by `mmdataseg.ops.linear` if its kernel has one cell."""


_CLASSES = {
    nn.Linear: TorchLinear,
    wrappers.Linear: MMCVLinear,
    nn.Conv2d: TorchConv2d,
    wrappers.Conv2d: MMCVConv2d,
}


def use_faster_products(model: nn.Module) -> None:
    """Change the classes of a model's linear layers and convolutions, in place.

    Parameters, their names and the results stay the same, up to rounding. Subclasses of these layers are left as they
    are.

    Args:
        model: Any network.
    """
    for module in model.modules():
        faster = _CLASSES.get(type(module))
        if faster is not None:
            module.__class__ = faster


def _is_1x1(layer: nn.Conv2d) -> bool:
    plain = {"kernel_size": (1, 1), "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0), "groups": 1}
    return all(getattr(layer, name) == value for name, value in plain.items())
