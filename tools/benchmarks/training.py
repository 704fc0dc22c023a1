"""`train-step` and `inference`: whole networks, and the parts that are ours."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmcv.ops import MultiScaleDeformableAttention
from torch import Tensor, nn

from mmdataseg.errors import UserError
from mmdataseg.models import TimmBackbone
from mmdataseg.models.heads.pixel_decoder import DeformableAttention, deformops_is_installed
from mmdataseg.models.linear_layers import use_faster_products
from tools.benchmarks import networks
from tools.benchmarks.comparing import Comparison, Missing, Setting
from tools.benchmarks.whole_path import whole_paths

LEVELS = (32, 16, 8)  # strides of the pixel decoder's encoder
HEADS, CHANNELS, POINTS = 8, 32, 4


class _Given(nn.Module):
    """Replaces a pixel decoder: gives maps that were made before."""

    def __init__(self, decoder: nn.Module, features: list[Tensor]) -> None:
        super().__init__()
        self.num_encoder_levels = decoder.num_encoder_levels
        with torch.no_grad():
            self.maps = decoder(features)

    def forward(self, _: Any) -> tuple[Tensor, list[Tensor]]:
        mask_features, levels = self.maps
        return mask_features.requires_grad_(), [level.requires_grad_() for level in levels]


class _GivenFeatures(nn.Module):
    """Replaces a backbone."""

    def __init__(self, features: list[Tensor]) -> None:
        super().__init__()
        self.features = features

    def forward(self, _: Any) -> list[Tensor]:
        return self.features


def train_steps(setting: Setting) -> list[Comparison]:
    """The comparisons of `train-step`."""
    sizes = f"{setting.size} x {setting.size}, batch {setting.batch}, {setting.targets} targets"
    against = "mmdet Mask2Former"
    return [
        Comparison("whole step, masks", against, lambda: _steps(setting, "panoptic"), sizes),
        Comparison("whole step, boxes", against, lambda: _steps(setting, "boxes"), sizes),
        Comparison("decoder and losses, masks", against, lambda: _steps(setting, "panoptic", given=True), sizes),
        Comparison("decoder and losses, boxes", against, lambda: _steps(setting, "boxes", given=True), sizes),
        Comparison("whole step, masks", "transformers Mask2Former", lambda: _against_transformers(setting), sizes),
        Comparison("deformable attention, both ways", "mmcv", lambda: _attention(setting), sizes),
        Comparison("deformable attention, both ways", "deformops", lambda: _against_deformops(setting), sizes),
        Comparison("deformable attention by Triton, both ways", "grid_sample", lambda: _by_triton(setting), sizes),
        *(
            Comparison(f"{name}, channels-last, both ways", "contiguous", partial(_channels_last, setting, name), sizes)
            for name in ("mobilenetv2_100", "resnet50")
        ),
        Comparison(
            "whole step, masks, compiled backbone", "ours, eager", lambda: _compiled(setting), sizes, in_all=False
        ),
    ]


def inferences(setting: Setting) -> list[Comparison]:
    """The comparisons of `inference`."""
    sizes = f"{setting.size} x {setting.size}, batch {setting.batch}"
    return [
        Comparison("image to panoptic answer", "mmdet Mask2Former", lambda: _predictions(setting), sizes),
        Comparison("image to panoptic answer, bfloat16", "ours, float32", lambda: _in_bfloat16(setting), sizes),
        Comparison(
            "image to panoptic answer, compiled backbone",
            "ours, eager",
            lambda: _compiled(setting, train=False),
            sizes,
            in_all=False,  # compiling took 14 s (docs/benchmarks.md), and 47 s for the training step
        ),
        Comparison("deformable attention, forward", "mmcv", lambda: _attention(setting, backward=False), sizes),
        *whole_paths(setting),
    ]


def _steps(setting: Setting, source: str, *, given: bool = False) -> dict[str, Callable[[], Any]]:
    models = {"ours": networks.our_model(setting), "theirs": networks.mmdets_model(setting, our_attention=given)}
    images, our_samples, their_samples = networks.batch(setting, source)
    if given:
        ours, theirs = models["ours"], models["theirs"]
        with torch.no_grad():
            features = ours.backbone(images)
        decoder = _Given(ours.panoptic_head.pixel_decoder, features)
        for model in (ours, theirs):
            model.backbone = _GivenFeatures(features)
            model.panoptic_head.pixel_decoder = copy.copy(decoder)
    samples = {"ours": our_samples, "theirs": their_samples}
    return {side: _step(models[side], images, samples[side]) for side in models}


def _step(model: nn.Module, images: Tensor, samples: list[Any]) -> Callable[[], None]:
    return lambda: networks.train_step(model, images, samples)


def _predictions(setting: Setting) -> dict[str, Callable[[], Any]]:
    images, samples, _ = networks.batch(setting, "panoptic")
    calls = {}
    for side, build in (("ours", networks.our_model), ("theirs", networks.mmdets_model)):
        calls[side] = _prediction(build(setting).eval(), images, copy.deepcopy(samples))
    return calls


def _in_bfloat16(setting: Setting) -> dict[str, Callable[[], Any]]:
    images, samples, _ = networks.batch(setting, "panoptic")
    models = {"ours": networks.our_model(setting, inference_dtype="bfloat16"), "theirs": networks.our_model(setting)}
    return {side: _prediction(model.eval(), images, copy.deepcopy(samples)) for side, model in models.items()}


def _compiled(setting: Setting, *, train: bool = True) -> dict[str, Callable[[], Any]]:
    images, samples, _ = networks.batch(setting, "panoptic")
    calls = {}
    try:
        for side, compile in (("ours", {"parts": ["backbone"]}), ("theirs", None)):
            model = networks.our_model(setting, compile=compile).train(train)
            call = _step if train else _prediction
            calls[side] = call(model, images, copy.deepcopy(samples))
        calls["ours"]()  # compiles
    except UserError as error:
        raise Missing(str(error)) from error
    return calls


def _prediction(model: nn.Module, images: Tensor, samples: list[Any]) -> Callable[[], Any]:
    @torch.no_grad()
    def predict() -> Any:
        return model.predict(images, samples, rescale=True)

    return predict


def _against_transformers(setting: Setting) -> dict[str, Callable[[], Any]]:
    theirs = networks.transformers_model(setting)
    images, samples, _ = networks.batch(setting, "panoptic")
    masks = [networks.masks_from_id_map(s.gt_id_map.data[0], len(s.gt_instances.labels)).float() for s in samples]
    labels = [sample.gt_instances.labels for sample in samples]

    def their_step() -> None:
        theirs(pixel_values=images, mask_labels=masks, class_labels=labels).loss.sum().backward()
        theirs.zero_grad()

    return {"ours": _step(networks.our_model(setting), images, samples), "theirs": their_step}


def _channels_last(setting: Setting, name: str) -> dict[str, Callable[[], Any]]:
    """A backbone of timm, with random weights, in both layouts of memory."""
    images = torch.randn(setting.batch, 3, setting.size, setting.size, generator=torch.Generator().manual_seed(0))
    calls = {}
    for side, layout in (("ours", torch.channels_last), ("theirs", torch.contiguous_format)):
        backbone = TimmBackbone(model=name, out_indices=(1, 2, 3, 4)).train()
        use_faster_products(backbone)  # as in a DaTaSeg
        backbone.to(setting.device, memory_format=layout)
        calls[side] = _backbone_step(backbone, images.to(setting.device, memory_format=layout))
    return calls


def _backbone_step(backbone: nn.Module, images: Tensor) -> Callable[[], None]:
    def step() -> None:
        sum(features.square().mean() for features in backbone(images)).backward()
        backbone.zero_grad()

    return step


def _by_triton(setting: Setting) -> Mapping[str, Callable[[], Any]]:
    if setting.device == "cpu":
        raise Missing("its kernels need a GPU")
    sides = [partial(DeformableAttention, gpu_attention=name) for name in ("triton", "grid_sample")]
    return _attention(setting, sides=sides)


class _ByDeformops(DeformableAttention):
    """By deformops, also on a CPU."""

    def way(self, _: Tensor) -> str:
        return "deformops"


def _against_deformops(setting: Setting) -> Mapping[str, Callable[[], Any]]:
    """The sparse product on a CPU, Triton's kernels on a GPU."""
    if not deformops_is_installed():
        raise Missing("not installed; it needs Python 3.12 or 3.13, and torch >= 2.11")
    return _attention(setting, sides=(partial(DeformableAttention, gpu_attention="triton"), _ByDeformops))


def _attention(
    setting: Setting,
    *,
    backward: bool = True,
    sides: Sequence[Callable[..., nn.Module]] = (DeformableAttention, MultiScaleDeformableAttention),
) -> Mapping[str, Callable[[], Any]]:
    """One layer of the encoder's attention, points near each query."""
    generator = torch.Generator().manual_seed(0)
    sizes = [(setting.size // stride,) * 2 for stride in LEVELS]
    options = {"embed_dims": HEADS * CHANNELS, "num_heads": HEADS, "num_levels": len(LEVELS), "num_points": POINTS}
    torch.manual_seed(0)
    modules = [side(**options, batch_first=True) for side in sides]
    modules[1].load_state_dict(modules[0].state_dict())
    centres = []
    for height, width in sizes:
        y, x = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
        centres.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1))
    references = torch.cat(centres)[None, :, None].expand(setting.batch, -1, len(sizes), -1).to(setting.device)
    query = torch.randn(*references.shape[:2], HEADS * CHANNELS, generator=generator).to(setting.device)
    shapes = torch.tensor(sizes, device=setting.device)
    starts = torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]])
    context = {"reference_points": references, "spatial_shapes": shapes, "level_start_index": starts}
    return {
        side: _attend(module.to(setting.device), query, context, backward)
        for side, module in zip(("ours", "theirs"), modules, strict=True)
    }


def _attend(module: nn.Module, query: Tensor, context: Mapping[str, Tensor], backward: bool) -> Callable[[], None]:
    def call() -> None:
        with torch.set_grad_enabled(backward):
            answer = module(query.clone().requires_grad_(backward), **context)
        if backward:
            answer.square().mean().backward()
            module.zero_grad()

    return call
