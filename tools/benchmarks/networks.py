"""Our network and mmdet's Mask2Former of the same sizes, and batches for both."""

import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmdataseg.ops.id_map import boxes_from_masks, masks_from_id_map
from mmdataseg.registry import MODELS
from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.vocabularies import get_label_space
from tools.benchmarks.comparing import Missing, Setting

CONFIG = Path(__file__).resolve().parents[2] / "configs/_base_/models/dataseg_r50.py"
SPACE = get_label_space("coco133")
NUM_THINGS = len(SPACE.thing_classes)
SOURCES = {"panoptic": ("panoptic", "masks"), "boxes": ("instance", "boxes")}
_SEED = 0


def _config() -> ConfigDict:
    """The config of the model, without pretrained weights."""
    init_default_scope("mmdet")
    model = Config.fromfile(CONFIG).model
    model.backbone.init_cfg = None
    return model


def our_config(setting: Setting, folder: Path) -> ConfigDict:
    """DaTaSeg of the base config, over COCO's classes; embeddings by hashing, which take the same time.

    Args:
        setting: Sizes of the benchmark.
        folder: Where the embeddings are written.
    """
    model = _config()
    matrix = HashingEncoder(dim=model.classifier.embed_dim)(SPACE.classes)
    embeddings = TextEmbeddings(
        matrix=matrix, classes=SPACE.classes, encoder=HashingEncoder.info, vocabulary=SPACE.name
    )
    path = folder / "coco133.safetensors"
    save_embeddings(path, embeddings)
    common = {"label_space": SPACE.name, "embeddings": str(path)}
    model.sources = [
        {"name": name, "task": task, "supervision": supervision, **common}
        for name, (task, supervision) in SOURCES.items()
    ]
    model.panoptic_head.num_queries = setting.queries
    return model


def our_model(setting: Setting, **options: Any) -> torch.nn.Module:
    """The model of `our_config`, with random weights.

    Args:
        setting: Sizes of the benchmark.
        options: Further options of `DaTaSeg`.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = ConfigDict(our_config(setting, Path(folder)), **options)
        torch.manual_seed(_SEED)
        return MODELS.build(model).train().to(setting.device)


def mmdets_config(setting: Setting, *, our_attention: bool = False) -> ConfigDict:
    """mmdet's Mask2Former with the same backbone and decoders, its own classifier, losses and fusion head.

    Args:
        setting: Sizes of the benchmark.
        our_attention: Whether its pixel decoder is ours, so that only the rest is compared.
    """
    config = _config()
    head = dict(config.panoptic_head, type="Mask2FormerHead", num_queries=setting.queries)
    pixel_decoder = "mmdataseg.MSDeformAttnPixelDecoder" if our_attention else "MSDeformAttnPixelDecoder"
    head.update(
        pixel_decoder=dict(head["pixel_decoder"], type=pixel_decoder),
        num_things_classes=NUM_THINGS,
        num_stuff_classes=len(SPACE) - NUM_THINGS,
        num_transformer_feat_level=3,
        loss_cls={"type": "CrossEntropyLoss", "loss_weight": 2.0, "class_weight": [1.0] * len(SPACE) + [0.1]},
        loss_mask={"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 5.0},
        loss_dice={"type": "DiceLoss", "naive_dice": True, "eps": 1.0, "loss_weight": 5.0},
    )
    masks = config.criterion.targets.masks
    costs = [
        {"type": "ClassificationCost", "weight": 2.0},
        {"type": "CrossEntropyLossCost", "weight": 5.0, "use_sigmoid": True},
        {"type": "DiceCost", "weight": 5.0, "pred_act": True, "eps": 1.0},
    ]
    train_cfg = {
        "num_points": masks.num_points,
        "oversample_ratio": masks.oversample_ratio,
        "importance_sample_ratio": masks.importance_ratio,
        "assigner": {"type": "HungarianAssigner", "match_costs": costs},
        "sampler": {"type": "MaskPseudoSampler"},
    }
    fusion = {"num_things_classes": NUM_THINGS, "num_stuff_classes": len(SPACE) - NUM_THINGS}
    return ConfigDict(
        type="mmdet.Mask2Former",
        data_preprocessor=config.data_preprocessor,
        backbone=config.backbone,
        panoptic_head=head,
        panoptic_fusion_head={"type": "MaskFormerFusionHead", **fusion},
        train_cfg=train_cfg,
        test_cfg={"object_mask_thr": 0.8, "iou_thr": 0.8, "filter_low_score": True, "panoptic_on": True},
    )


def mmdets_model(setting: Setting, *, our_attention: bool = False) -> torch.nn.Module:
    """The model of `mmdets_config`, with random weights."""
    model = mmdets_config(setting, our_attention=our_attention)
    torch.manual_seed(_SEED)
    return MODELS.build(model).train().to(setting.device)


def transformers_model(setting: Setting) -> torch.nn.Module:
    """transformers' Mask2Former with its own ResNet-50, decoders and losses, from a config: nothing is downloaded.

    Raises:
        Missing: It is not installed, or cannot be built.
    """
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise Missing(f"not installed ({error})") from error
    config = transformers.Mask2FormerConfig(
        backbone_config=transformers.ResNetConfig(out_features=["stage1", "stage2", "stage3", "stage4"]),
        num_queries=setting.queries,
        decoder_layers=10,  # counts the output before the first layer too: nine layers
        train_num_points=_config().criterion.targets.masks.num_points,
        id2label=dict(enumerate(SPACE.classes)),
    )
    torch.manual_seed(_SEED)
    try:
        model = transformers.Mask2FormerForUniversalSegmentation(config)
    except (ImportError, OSError, ValueError) as error:
        raise Missing(f"cannot be built here ({error})") from error
    return model.train().to(setting.device)


def id_map(setting: Setting, image: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(H, W) int32 segments that fill the image, and (N,) their classes: things and stuff alternate."""
    generator = np.random.default_rng(image)
    ids = np.zeros(size, dtype=np.int32)
    height, width = size
    for segment in range(1, setting.targets):
        top, left = generator.integers(0, height * 3 // 4), generator.integers(0, width * 3 // 4)
        tall, wide = generator.integers(height // 8, height // 2), generator.integers(width // 8, width // 2)
        ids[top : top + tall, left : left + wide] = segment
    things, stuff = generator.permutation(NUM_THINGS), NUM_THINGS + generator.permutation(len(SPACE) - NUM_THINGS)
    labels = [int((things if n % 2 else stuff)[n % 40]) for n in range(setting.targets)]
    present, ids = np.unique(ids, return_inverse=True)  # without segments that others cover
    return torch.from_numpy(ids.reshape(size).astype(np.int32)), torch.tensor(labels)[torch.from_numpy(present)]


def batch(setting: Setting, source: str) -> tuple[torch.Tensor, list[DetDataSample], list[DetDataSample]]:
    """Images, and their annotations in our form and in mmdet's."""
    size = (setting.size, setting.size)
    images = torch.randn(setting.batch, 3, *size, generator=torch.Generator().manual_seed(_SEED))
    ours, theirs = [], []
    for image in range(setting.batch):
        ids, labels = id_map(setting, image, size)
        masks = masks_from_id_map(ids, len(labels))
        info = {"source": source, "img_path": f"{image}.jpg", "img_shape": size, "ori_shape": size}
        info["batch_input_shape"] = size
        sample = DetDataSample(metainfo=info)
        if source == "panoptic":
            sample.gt_id_map = PixelData(data=ids[None])
            sample.gt_instances = InstanceData(labels=labels)
        else:
            sample.gt_instances = InstanceData(labels=labels % NUM_THINGS, bboxes=boxes_from_masks(masks))
        ours.append(sample.to(setting.device))
        things = labels < NUM_THINGS
        sample = DetDataSample(metainfo=info)
        bitmaps = BitmapMasks(masks[things].numpy().astype(np.uint8), *size)
        sample.gt_instances = InstanceData(labels=labels[things], masks=bitmaps)
        sample.gt_sem_seg = PixelData(sem_seg=labels[ids.long()][None])
        theirs.append(sample.to(setting.device))
    return images.to(setting.device), ours, theirs


def train_step(model: torch.nn.Module, images: torch.Tensor, samples: list[Any]) -> None:
    """Forward, losses, backward; no optimizer."""
    losses = model.loss(images, samples)
    sum(value for name, value in losses.items() if "loss" in name).backward()
    model.zero_grad()
