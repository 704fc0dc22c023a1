"""Mask2Former as mmdet, mmseg and transformers build it, with random weights, and as it converts."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS as MMSEG_MODELS
from torch import Tensor, nn

from mmdataseg.apis.config.files import find_config
from mmdataseg.registry import MODELS
from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.recipe import EncoderInfo
from mmdataseg.text.vocabularies import get_label_space

SIZES = ((64, 96), (96, 64), (128, 128))


def config_of(package: str, name: str) -> Config:
    """One of the configs that a package brings."""
    module = sys.modules[package]
    return Config.fromfile(Path(module.__file__).parent / ".mim/configs/mask2former" / name)


def embeddings(path: Path, vocabulary: str, *, dim: int = 512, encoder: str = "CLIP-like") -> str:
    """A file of text embeddings as alike as CLIP's are: their products are about 0.75."""
    classes = get_label_space(vocabulary).classes
    generator = torch.Generator().manual_seed(0)
    common = nn.functional.normalize(torch.randn(dim, generator=generator), dim=0)
    own = nn.functional.normalize(torch.randn(len(classes), dim, generator=generator), dim=1)
    rows = nn.functional.normalize(0.75**0.5 * common + 0.25**0.5 * own, dim=1)
    info = EncoderInfo(library="open_clip", model=encoder)
    text = TextEmbeddings(matrix=rows, classes=classes, encoder=info, vocabulary=vocabulary)
    return str(save_embeddings(path, text))


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that no initialisation leaves at zero, and decided classes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and not name.endswith("relative_position_index"):
                noise = torch.randn(value.shape, generator=generator)
                value.add_(0.02 * noise if not name.endswith("running_var") else 0.1 * noise.abs())
            if "cls_embed" in name or "class_predictor" in name:
                value.mul_(12.0)
    return model.eval()


def small(model: Any, head: str = "panoptic_head") -> None:
    """Fewer layers and queries, in the configs of mmdet and mmseg as in ours."""
    model[head].pixel_decoder.encoder.num_layers = 1
    model[head].transformer_decoder.num_layers = 3
    model[head].num_queries = 20


def ours(name: str, *, shrink: bool) -> Config:
    cfg = Config.fromfile(find_config(name))
    if shrink:
        small(cfg.model)
    return cfg


def mmdet_model(name: str, *, shrink: bool, **test_cfg: Any) -> nn.Module:
    cfg = config_of("mmdet", name).model
    cfg.backbone.init_cfg = None
    cfg.test_cfg.update(test_cfg)
    if shrink:
        small(cfg)
    init_default_scope("mmdet")
    torch.manual_seed(0)
    return randomise(MMDET_MODELS.build(cfg))


def mmseg_model(name: str, *, shrink: bool) -> nn.Module:
    cfg = config_of("mmseg", name).model
    cfg.backbone.init_cfg = None
    if cfg.backbone.get("norm_cfg"):
        cfg.backbone.norm_cfg.type = "BN"  # of which SyncBN is the form for several GPUs
    if shrink:
        small(cfg, "decode_head")
    init_default_scope("mmseg")
    torch.manual_seed(0)
    return randomise(MMSEG_MODELS.build(cfg))


def transformers() -> ModuleType:
    return pytest.importorskip("transformers", reason="parity with Hugging Face needs transformers installed")


def hugging_face_model(*, shrink: bool, vocabulary: str = "coco133") -> nn.Module:
    """As ``facebook/mask2former-swin-tiny-coco-panoptic``."""
    hf = transformers()
    swin = hf.SwinConfig(
        embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], window_size=7, drop_path_rate=0.3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = hf.Mask2FormerConfig(
        backbone_config=swin,
        id2label=dict(enumerate(get_label_space(vocabulary).classes)),
        **({"encoder_layers": 1, "decoder_layers": 4, "num_queries": 20} if shrink else {}),
    )
    torch.manual_seed(0)
    return randomise(hf.Mask2FormerForUniversalSegmentation(config))


def images(seed: int = 1) -> list[Tensor]:
    """Normalised images of three sizes, each (1, 3, H, W)."""
    rng = np.random.default_rng(seed)
    # coarse patches: a network sees more in them than in noise
    coarse = [torch.from_numpy(rng.normal(size=(1, 3, h // 16, w // 16))).float() for h, w in SIZES]
    return [nn.functional.interpolate(c, scale_factor=16, mode="bilinear") for c in coarse]


def load_converted(path: Path) -> nn.Module:
    """The model that a checkpoint of ours describes, from nothing but the checkpoint."""
    content = torch.load(path, weights_only=True)
    cfg = Config.fromstring(content["meta"]["cfg"], ".py")
    model = MODELS.build(cfg.model)
    model.load_state_dict(content["state_dict"], strict=False)
    return model.eval()


@torch.no_grad()
def our_outputs(model: nn.Module, image: Tensor, source: str) -> tuple[Tensor, Tensor]:
    """(L, B, Q, K + 1) class logits and (L, B, Q, H, W) mask logits."""
    proposals = model.propose(image, [])
    masks = torch.einsum("lbqc,bchw->lbqhw", proposals.mask_embeds_LBQC, proposals.mask_features_BCHW)
    return model.classifier(proposals.class_embeds_LBQD, model.classifier.matrix(source), source), masks


@torch.no_grad()
def mmdet_outputs(model: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    head = model.panoptic_head if hasattr(model, "panoptic_head") else model.decode_head
    classes, masks = head(model.extract_feat(image), [DetDataSample() for _ in image])
    return torch.stack(classes), torch.stack(masks)


@torch.no_grad()
def hugging_face_outputs(model: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    found = model(pixel_values=image)
    return found.class_queries_logits[None], found.masks_queries_logits[None]


def assert_same(
    model: nn.Module, theirs: nn.Module, outputs: Callable[..., tuple[Tensor, Tensor]], source: str
) -> None:
    """Mask logits and class probabilities equal to 1e-4, on images of three sizes, of the outputs that both give."""
    for image in images():
        classes, masks = outputs(theirs, image)
        our_classes, our_masks = our_outputs(model, image, source)
        count = len(classes)
        assert our_masks.std() > 0.01
        torch.testing.assert_close(our_masks[-count:], masks, atol=1e-4, rtol=1e-4)
        assert classes.softmax(-1).amax() > 0.5, "classes that are all alike would show nothing"
        torch.testing.assert_close(our_classes[-count:].softmax(-1), classes.softmax(-1), atol=1e-4, rtol=0)
