"""A model small enough for a CPU, and samples of every kind of annotation."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData

from mmdataseg.ops.id_map import VOID
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace
from mmdataseg.text.embeddings import TextEmbeddings, save_embeddings
from mmdataseg.text.hashing import HashingEncoder
from tests.models import criterion_cases

CHANNELS, QUERIES, LAYERS, TEXT_DIM = 32, 7, 3, 16
LABEL_SPACE = LabelSpace(
    name="tiny", classes=("red disc", "blue disc", "grass", "sky"), is_thing=(True, True, False, False)
)
SIZE = (64, 96)


def head_config(
    channels: int = CHANNELS, queries: int = QUERIES, in_channels: tuple[int, ...] = (64, 128, 256, 512)
) -> dict[str, Any]:
    attention = {"embed_dims": channels, "num_heads": 4, "dropout": 0.0, "batch_first": True}
    ffn = {"embed_dims": channels, "feedforward_channels": 2 * channels, "num_fcs": 2, "ffn_drop": 0.0}
    return ConfigDict(
        type="mmdataseg.DaTaSegHead",
        in_channels=list(in_channels),
        feat_channels=channels,
        out_channels=channels,
        num_queries=queries,
        positional_encoding={"num_feats": channels // 2, "normalize": True},
        pixel_decoder={
            "type": "mmdet.MSDeformAttnPixelDecoder",
            "num_outs": 3,
            "norm_cfg": {"type": "GN", "num_groups": 8},
            "act_cfg": {"type": "ReLU"},
            "positional_encoding": {"num_feats": channels // 2, "normalize": True},
            "encoder": {
                "num_layers": 1,
                "layer_cfg": {
                    "self_attn_cfg": {
                        "embed_dims": channels, "num_heads": 4, "num_levels": 3, "num_points": 4, "dropout": 0.0,
                        "batch_first": True,
                    },
                    "ffn_cfg": {**ffn, "act_cfg": {"type": "ReLU", "inplace": True}},
                },
            },
        },
        transformer_decoder={
            "return_intermediate": True,
            "num_layers": LAYERS,
            "layer_cfg": {
                "self_attn_cfg": attention,
                "cross_attn_cfg": attention,
                "ffn_cfg": {**ffn, "act_cfg": {"type": "ReLU", "inplace": True}},
            },
            "init_cfg": None,
        },
    )  # fmt: skip


def sources(embeddings: str) -> list[dict[str, Any]]:
    common = {"label_space": LABEL_SPACE, "embeddings": embeddings}
    return [
        {"name": "semantic", "task": "semantic", **common},
        {"name": "panoptic", "task": "panoptic", **common},
        {"name": "instances", "task": "instance", **common},
        {"name": "boxes", "task": "instance", "supervision": "boxes", **common},
    ]


def criterion_config(**masks: Any) -> dict[str, Any]:
    """The default criterion on a few points."""
    return {
        "type": "mmdataseg.DaTaSegCriterion",
        "targets": {
            "masks": {"type": "mmdataseg.MaskTargets", "num_points": 64, **masks},
            "boxes": {
                "type": "mmdataseg.BoxTargets",
                "loss": {"type": "mmdataseg.BoxProjectionLoss"},
                "cost": {"type": "mmdataseg.BoxProjectionCost"},
            },
        },
    }


def model_config(embeddings: str, **changes: Any) -> dict[str, Any]:
    config = {
        "type": "mmdataseg.DaTaSeg",
        "sources": sources(embeddings),
        "data_preprocessor": {
            "type": "mmdet.DetDataPreprocessor", "mean": [120.0] * 3, "std": [60.0] * 3,
            "pad_size_divisor": 32, "pad_mask": False,
        },
        "backbone": {
            "type": "mmdet.ResNet", "depth": 18, "norm_cfg": {"type": "GN", "num_groups": 8}, "norm_eval": False
        },
        "panoptic_head": head_config(),
        "classifier": {"type": "mmdataseg.TextClassifier", "embed_dim": TEXT_DIM},
        "criterion": criterion_config(),
        "postprocessors": {
            "panoptic": {"type": "mmdataseg.PanopticPostProcessor", "score_threshold": 0.0, "kept_share": 0.1},
            "semantic": {"type": "mmdataseg.SemanticPostProcessor"},
            "instance": {"type": "mmdataseg.InstancePostProcessor", "max_instances": 5},
        },
    }  # fmt: skip
    return ConfigDict({**config, **changes})


@pytest.fixture(scope="session")
def embeddings_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("embeddings") / "tiny.safetensors"
    save_embeddings(
        path,
        TextEmbeddings(
            matrix=HashingEncoder(dim=TEXT_DIM)(LABEL_SPACE.classes),
            classes=LABEL_SPACE.classes,
            encoder=HashingEncoder.info,
            vocabulary=LABEL_SPACE.name,
        ),
    )
    return str(path)


@pytest.fixture(scope="session")
def pristine_model(embeddings_file: str) -> torch.nn.Module:
    return build_model(embeddings_file)


@pytest.fixture
def model(pristine_model: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(pristine_model)


def build_model(embeddings: str) -> torch.nn.Module:
    """A model with the same weights at each call."""
    torch.manual_seed(0)
    built = MODELS.build(model_config(embeddings))
    built.init_weights()
    with torch.no_grad():
        # move parameters away from the zeros of the initialisation, which give others no gradient
        for parameter in built.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return built


def make_sample(source: str, *, empty: bool = False, size: tuple[int, int] = SIZE, seed: int = 0) -> dict[str, Any]:
    """An image of a source with two things and two kinds of stuff, or with nothing annotated."""
    rng = np.random.default_rng(seed)
    height, width = size
    sample = DetDataSample(
        metainfo={
            "source": source,
            "img_path": f"{source}.jpg",
            "img_shape": size,
            "ori_shape": (2 * height, 2 * width),
        }
    )
    id_map = torch.full(size, 3, dtype=torch.int32)
    id_map[: height // 2] = 2
    id_map[8:40, 8:40] = 0
    id_map[20:60, 50:90] = 1
    id_map[:, :4] = -1
    labels = torch.tensor([0, 1, 2, 3])
    if empty:
        id_map[:], labels = -1, labels[:0]
    if source in ("semantic", "panoptic"):
        sample.gt_id_map = PixelData(data=id_map[None])
        sample.gt_instances = InstanceData(labels=labels)
    else:
        boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 90.0, 60.0]])[: len(labels)]
        sample.gt_instances = InstanceData(labels=labels[:2], bboxes=boxes)
    if source == "instances":
        sample.gt_instances.masks = (
            torch.stack([id_map == i for i in range(len(boxes))])
            if len(boxes)
            else torch.zeros(0, *size, dtype=torch.bool)
        )
        sample.gt_void = PixelData(data=(id_map == -1)[None])
    image = torch.from_numpy(rng.integers(0, 256, (3, *size), dtype=np.uint8))
    return {"inputs": image, "data_samples": sample}


def make_batch(*samples: dict[str, Any]) -> dict[str, list[Any]]:
    return {key: [sample[key] for sample in samples] for key in ("inputs", "data_samples")}


@pytest.fixture
def left_map() -> torch.Tensor:
    """The left half is segment 0, the right half void."""
    size = criterion_cases.SIZE
    id_map = torch.full(size, VOID, dtype=torch.int32)
    id_map[:, : size[1] // 2] = 0
    return id_map
