"""Check that mmcv's compiled operators give the results of torchvision's; ``setup_env.py`` runs this.

Operators compiled for another torch can be imported, but fail when called.
"""

import sys

import torch
import torchvision.ops as reference
from mmcv import ops
from torch import Tensor


def main() -> None:
    """Entry point: exit with the operators that disagree, if any."""
    torch.manual_seed(0)
    pairs = {
        "nms": nms(),
        "roi_align": roi_align(),
        "deform_conv2d": deform_conv2d(masked=False),
        "modulated_deform_conv2d": deform_conv2d(masked=True),
    }
    wrong = [name for name, (ours, theirs) in pairs.items() if not agree(ours, theirs)]
    if wrong:
        sys.exit(f"mmcv disagrees with torchvision: {', '.join(wrong)}")


def agree(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two vectors differ only by rounding: at most by a ten-thousandth of the largest value."""
    return ours.shape == theirs.shape and bool((ours - theirs).abs().max() <= 1e-4 * theirs.abs().max())


def random_boxes(number: int) -> Tensor:
    """Boxes (number, 4) as xyxy, within 40 x 40 pixels."""
    corner = torch.rand(number, 2) * 30
    return torch.cat([corner, corner + 1 + torch.rand(number, 2) * 9], dim=1)


def nms() -> tuple[Tensor, Tensor]:
    """The boxes that are kept among many overlapping ones."""
    boxes, scores = random_boxes(200), torch.rand(200)
    _, kept = ops.nms(boxes, scores, 0.5)
    return kept, reference.nms(boxes, scores, 0.5)


def roi_align() -> tuple[Tensor, Tensor]:
    """Features of boxes, and their gradients."""
    features = torch.rand(2, 3, 20, 20, requires_grad=True)
    rois = torch.cat([torch.arange(50).remainder(2)[:, None], random_boxes(50)], dim=1)
    return (
        with_gradients(ops.roi_align(features, rois, (7, 7), 0.5, 2, "avg", True), features),
        with_gradients(reference.roi_align(features, rois, (7, 7), 0.5, 2, aligned=True), features),
    )


def deform_conv2d(*, masked: bool) -> tuple[Tensor, Tensor]:
    """A deformable convolution with two groups of offsets, and the gradients of all its inputs."""
    features, weight = torch.rand(2, 4, 9, 8), torch.rand(6, 4, 3, 3)
    offset, mask = torch.randn(2, 2 * 2 * 9, 9, 8), torch.rand(2, 2 * 9, 9, 8) if masked else None
    inputs = [tensor.requires_grad_() for tensor in (features, offset, mask, weight) if tensor is not None]
    # the last: stride, padding, dilation, groups of channels, groups of offsets
    if masked:
        ours = ops.modulated_deform_conv2d(features, offset, mask, weight, None, 1, 1, 1, 1, 2)
    else:
        ours = ops.deform_conv2d(features, offset, weight, 1, 1, 1, 1, 2)
    theirs = reference.deform_conv2d(features, offset, weight, padding=1, mask=mask)
    return with_gradients(ours, *inputs), with_gradients(theirs, *inputs)


def with_gradients(output: Tensor, *inputs: Tensor) -> Tensor:
    """All values of an output and of its gradients, as one vector."""
    gradients = torch.autograd.grad(output.square().sum(), inputs)
    return torch.cat([tensor.flatten() for tensor in (output, *gradients)])


if __name__ == "__main__":
    main()
