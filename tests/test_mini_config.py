"""The config of real images, on the real images: its samples and its text embeddings."""

import importlib.util
import os
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.files import find_config
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.registry import DATASETS, EVALUATOR, MODELS
from mmdataseg.structures import Task
from mmdataseg.text.embeddings import load_embeddings
from tests.config_world import docstring


@pytest.fixture
def tool(repo_root: Path) -> ModuleType:
    """`tools/text_embeddings.py`."""
    spec = importlib.util.spec_from_file_location("text_embeddings_tool", repo_root / "tools/text_embeddings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def embedding_command(source_file: Path) -> list[str]:
    """The arguments of the command in a source's docstring."""
    text = os.path.expandvars(docstring(source_file).replace("\\\n", " "))
    (found,) = re.findall(r"^Text embeddings: python tools/text_embeddings\.py (.*)", text, flags=re.MULTILINE)
    return shlex.split(found)


def test_three_real_sources_with_clip_embeddings(
    mini_world: Path, repo_root: Path, tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMDATASEG_MINI_WORLD", str(mini_world))
    monkeypatch.chdir(tmp_path)
    for name in ("mini_semantic", "mini_panoptic", "mini_boxes"):
        tool.main(embedding_command(repo_root / f"configs/_base_/sources/{name}.py"))
    register_all_modules()
    init_default_scope("mmdet")
    cfg = Config.fromfile(find_config("dataseg_mini_3ds.py"))
    model = MODELS.build(cfg.model)
    model.classifier.check_complete()
    assert {source.task for source in model.sources.values()} == set(Task)
    for source in model.sources.values():
        assert str(load_embeddings(source.embeddings).encoder) == "CLIP ViT-B/16 (imported)"
        assert model.classifier.matrix(source.name).shape == (len(source.label_space), 512)
    evaluator = EVALUATOR.build(cfg.test_evaluator)
    assert [source.name for source in evaluator.sources] == list(model.sources)
    for loader, split in ((cfg.train_dataloader, "train"), (cfg.test_dataloader, "test")):
        dataset = DATASETS.build(loader.dataset)
        assert dataset.split == split
        assert dataset.sizes == [8, 8, 8]
        samples = [dataset[index]["data_samples"] for index in range(len(dataset))]
        assert all(len(sample.gt_instances.labels) > 0 for sample in samples)
        assert all(("gt_id_map" in sample) == (sample.source != "mini_boxes") for sample in samples)
    assert sum(dataset.num_replaced.values()) == 0
