"""A trained model, asked about single images."""

from dataclasses import replace
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from mmdataseg.apis.inferencer import Inferencer, draw_answer, load_weights
from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import load_embeddings, save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.recipe import EncoderInfo
from tests.text.tiny_clip import make_tiny_clip

ROOT = Path(__file__).parents[2]
TOY = ROOT / "projects/toy/configs/dataseg_toy_3ds.py"


@pytest.fixture
def inferencer(world, monkeypatch):
    monkeypatch.chdir(world)
    return Inferencer("dataseg_toy_3ds.py", "weights.pth", device="cpu")


def images(world):
    return sorted((world / "data/toy/toy_open/val").iterdir())


def of_the_test(inferencer, source):
    """What a test of the config says of the source's first image."""
    dataset = MultiSourceDataset(split="test", sources=[inferencer.model.sources[source]])
    data = inferencer.model.data_preprocessor(pseudo_collate([dataset[0]]), training=False)
    with torch.no_grad():
        return inferencer.model.predict(data["inputs"], data["data_samples"])[0]


@pytest.mark.parametrize("source", ["toy_semantic", "toy_panoptic", "toy_boxes", "toy_open"])
def test_it_says_what_the_test_says(world, monkeypatch, source):
    monkeypatch.chdir(world)
    inferencer = Inferencer(TOY, world / "weights.pth", source=source, device="cpu")
    expected = of_the_test(inferencer, source)
    sample = inferencer(expected.img_path)
    if source == "toy_boxes":
        assert len(sample.pred_instances) > 0
        for field in ("labels", "scores", "masks"):
            assert torch.equal(sample.pred_instances[field], expected.pred_instances[field])
    else:
        field = "pred_sem_seg" if source == "toy_semantic" else "pred_panoptic_seg"
        assert torch.equal(getattr(sample, field).sem_seg, getattr(expected, field).sem_seg)


def test_an_array_is_an_image_too(inferencer, world):
    path = images(world)[0]
    array = mmcv.imread(str(path))
    assert torch.equal(inferencer(array).pred_sem_seg.sem_seg, inferencer(path).pred_sem_seg.sem_seg)


def test_own_words_are_embedded_as_the_sources_were(inferencer):
    own = inferencer.question(things=["red ring"], stuff=["water"])
    assert own.source.task is Task.PANOPTIC
    assert own.source.label_space == LabelSpace("own_words", ("red ring", "water"), (True, False))
    torch.testing.assert_close(own.text_KD, HashingEncoder(dim=512)(["red ring", "water"]))
    assert inferencer.question(things=["red ring"], task="instance").source.task is Task.INSTANCE


def test_the_words_of_a_source_give_its_own_answer(inferencer, world):
    space = inferencer.source.label_space
    own = inferencer.question(things=space.thing_classes, stuff=space.stuff_classes, task="semantic")
    order = torch.tensor(own.source.label_space.index(space.classes))
    given, expected = inferencer(images(world)[0], own), inferencer(images(world)[0])
    assert torch.equal(order[expected.pred_sem_seg.sem_seg], given.pred_sem_seg.sem_seg)


def test_own_words_from_a_file(inferencer, world, tmp_path):
    text = embed_classes(HashingEncoder(dim=512), ["red ring", "water"], vocabulary="mine")
    path = save_embeddings(tmp_path / "mine.safetensors", text)
    own = inferencer.question(embeddings=path, stuff=["water "])
    assert own.source.label_space == LabelSpace("mine", ("red ring", "water"), (True, False))
    torch.testing.assert_close(own.text_KD, load_embeddings(path).matrix)
    assert inferencer(images(world)[0], own).pred_panoptic_seg.sem_seg.shape == (1, 128, 128)
    with pytest.raises(ValueError, match="no class 'sand'"):
        inferencer.question(embeddings=path, stuff=["sand"])
    with pytest.raises(ValueError, match="things and embeddings are both given"):
        inferencer.question(embeddings=path, things=["red ring"])


def test_a_task_of_the_sources_own_classes(inferencer, world):
    panoptic = inferencer.question(task="panoptic")
    assert panoptic.source.label_space == inferencer.source.label_space
    assert "pred_panoptic_seg" in inferencer(images(world)[0], panoptic)


def test_a_task_that_the_sources_own_classes_cannot_be_read_in(inferencer):
    """Known before the first image."""
    stuff = LabelSpace("all stuff", ("sand", "sky"), (False, False))
    inferencer.source = replace(inferencer.source, label_space=stuff)
    with pytest.raises(ValueError, match="task 'instance' finds things, and all classes of 'all stuff' are stuff"):
        inferencer.question(task="instance")


def test_bad_words(inferencer):
    with pytest.raises(ValueError, match=r"these appear twice: \['dog'\]"):
        inferencer.question(things=["dog"], stuff=["dog"])
    with pytest.raises(ValueError, match="things: expected a list of words, got the string 'dog'"):
        inferencer.question(things="dog")
    with pytest.raises(ValueError, match="at least one letter or digit"):
        inferencer.question(things=["?"])


def test_a_checkpoint_is_all_that_own_words_need(world, monkeypatch):
    """It has the sources' embeddings, and knows what made them."""
    monkeypatch.chdir(world)
    (world / "data").rename(world / "away")
    try:
        own = Inferencer(TOY, "weights.pth", device="cpu").question(things=["dog"])
    finally:
        (world / "away").rename(world / "data")
    torch.testing.assert_close(own.text_KD, HashingEncoder(dim=512)(["dog"]))


def test_words_of_another_encoder_are_refused(inferencer, tmp_path):
    text = embed_classes(HashingEncoder(dim=512), ["dog"])
    path = save_embeddings(
        tmp_path / "x.safetensors", replace(text, encoder=EncoderInfo(library="open_clip", model="ViT-B-32"))
    )
    with pytest.raises(ValueError, match=r"made by 'open_clip .*', the model was trained with 'hashing \(stand-in\)'"):
        inferencer.question(embeddings=path)


def test_learned_classes_read_no_words(world, monkeypatch):
    monkeypatch.chdir(world)
    leaf = ROOT / "projects/toy/configs/ablations/dataseg_toy_3ds_no-text.py"
    cfg = Config.fromfile(leaf)
    torch.save(MODELS.build(cfg.model).state_dict(), "learned.pth")
    inferencer = Inferencer(cfg, "learned.pth", device="cpu")
    assert inferencer(images(world)[0]).pred_sem_seg.sem_seg.shape == (1, 128, 128)
    with pytest.raises(ValueError, match="LearnedClassifier, which learned its classes and reads no words"):
        inferencer.question(things=["dog"])


def test_weights_that_nothing_needs(inferencer, tmp_path):
    for words in ({}, {"embeddings": tmp_path / "x.safetensors"}):
        with pytest.raises(ValueError, match=r"pretrained 'x\.pt': no words to embed with it"):
            inferencer.question(pretrained="x.pt", **words)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((6, 8), np.uint8), ((6, 8, 4), np.uint8), ((0, 8, 3), np.uint8), ((6, 8, 3), np.float32)]
)
def test_an_array_that_is_no_image(inferencer, shape, dtype):
    with pytest.raises(ValueError, match=rf"expected \(H, W, 3\) uint8, BGR, got \({shape[0]}, .*{dtype.__name__}"):
        inferencer(np.zeros(shape, dtype))


def test_words_of_a_language_model(world, monkeypatch, tmp_path):
    """By the encoder and the templates of the checkpoint, with the weights that the user has."""
    monkeypatch.chdir(world)
    tiny = make_tiny_clip(tmp_path, name="tiny-words", embed_dim=512)
    encoder = OpenClipEncoder(model=tiny.model, pretrained=str(tiny.weights), quick_gelu=False, device="cpu")
    cfg = Config.fromfile(TOY)
    templates = ("a photo of a {}.", "a drawing of a {}.")
    for source in cfg.model.sources:
        classes = load_embeddings(source.embeddings).classes
        text = embed_classes(encoder, classes, templates=templates, vocabulary=source.label_space.name)
        source.embeddings = str(save_embeddings(tmp_path / f"{source.name}.safetensors", text))
    torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / "weights.pth")
    inferencer = Inferencer(cfg, tmp_path / "weights.pth", device="cpu")
    own = inferencer.question(things=["dog"], stuff=["sand"], pretrained=str(tiny.weights))
    torch.testing.assert_close(own.text_KD, embed_classes(encoder, ["dog", "sand"], templates=templates).matrix)
    with pytest.raises(ValueError, match="weights from a file; give it as pretrained"):
        inferencer.question(things=["dog"])


def test_an_unknown_source(world, monkeypatch):
    monkeypatch.chdir(world)
    with pytest.raises(ValueError, match=r"source 'x': .* have a test dataset, \['toy_semantic'"):
        Inferencer(TOY, "weights.pth", source="x", device="cpu")


def test_no_source_says_how_images_are_prepared(world, monkeypatch):
    monkeypatch.chdir(world)
    cfg = Config.fromfile(TOY)
    cfg.model.sources = [{k: v for k, v in s.items() if k != "test"} for s in cfg.model.sources if "train" in s]
    torch.save(MODELS.build(cfg.model).state_dict(), "untested.pth")
    with pytest.raises(
        ValueError, match=r"\['toy_semantic', .*\] has a test dataset with a pipeline.*; give one test="
    ):
        Inferencer(cfg, "untested.pth", device="cpu")


def test_another_models_checkpoint_is_refused(inferencer, tmp_path):
    state = inferencer.model.state_dict()
    del state["panoptic_head.query_feat.weight"]
    torch.save({"state_dict": state}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: 1 of the model's \d+ weights .*query_feat\.weight; give"):
        load_weights(inferencer.model, str(tmp_path / "other.pth"))


def test_a_larger_models_checkpoint_is_refused(inferencer, tmp_path):
    state = inferencer.model.state_dict()
    state["backbone.layer3.7.conv1.weight"] = torch.zeros(1)
    torch.save(state, tmp_path / "larger.pth")
    with pytest.raises(ValueError, match=r"has 1 weights that the model has not, e\.g\. backbone\.layer3\.7\.conv1"):
        load_weights(inferencer.model, str(tmp_path / "larger.pth"))


@pytest.mark.parametrize("content", [torch.zeros(2), {"state_dict": [1]}])
def test_a_file_of_something_else(inferencer, tmp_path, content):
    torch.save(content, tmp_path / "else.pth")
    with pytest.raises(ValueError, match=r"else\.pth: no checkpoint, but a (Tensor|list); give"):
        load_weights(inferencer.model, str(tmp_path / "else.pth"))


def test_a_checkpoint_of_other_vocabularies_is_taken(inferencer, tmp_path):
    state = {k: v for k, v in inferencer.model.state_dict().items() if "toy_open" not in k}
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "less.pth")
    load_weights(inferencer.model, str(tmp_path / "less.pth"))


def test_a_model_of_another_kind_is_refused():
    cfg = Config({"model": {"type": "mmdet.ResNet", "depth": 18}})
    with pytest.raises(ValueError, match=r"model is mmdataseg\.DaTaSeg, got ResNet"):
        Inferencer(cfg, "weights.pth")


def test_a_picture_has_image_and_answer(inferencer):
    masks = torch.zeros(2, 128, 128, dtype=torch.bool)
    masks[0, :64], masks[1, 64:] = True, True
    found = InstanceData(labels=torch.tensor([0, 1]), scores=torch.tensor([0.9, 0.2]), masks=masks)
    source = replace(inferencer.source, task=Task.INSTANCE)
    image = np.full((128, 128, 3), 128, np.uint8)
    panels = draw_answer(image, DetDataSample(pred_instances=found), source, title="a", min_score=0.3)[30:]
    given, answer = panels[:-8, 8:392], panels[:-8, 400:784]  # below the titles, 384 pixels wide each
    assert (given == 128).all()
    assert (answer[200:] == 128).all(), "below min_score nothing is drawn"
    assert (answer[:100] != 128).any(-1).mean() > 0.9
