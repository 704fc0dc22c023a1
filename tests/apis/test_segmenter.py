"""A trained model, asked about images."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmdataseg.apis.images.inputs import ImageInputs
from mmdataseg.apis.segmenter import Segmenter
from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.registry import MODELS
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import load_embeddings, save_embeddings
from mmdataseg.text.encoding import embed_classes
from mmdataseg.text.hashing import HashingEncoder
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.recipe import EncoderInfo
from mmdataseg.text.vocabulary import Vocabulary
from tests.text.tiny_clip import make_tiny_clip

ROOT = Path(__file__).parents[2]
TOY = ROOT / "projects/toy/configs/dataseg_toy_3ds.py"
ALL_TASKS = ("panoptic", "semantic", "instance")


@pytest.fixture
def segmenter(world, monkeypatch):
    monkeypatch.chdir(world)
    return Segmenter("trained.pth", device="cpu")


@pytest.fixture
def images(world):
    return sorted((world / "data/toy/toy_open/val").iterdir())


def of_the_test(segmenter, source):
    """What a test of the config says of the source's first image."""
    dataset = MultiSourceDataset(split="test", sources=[source])
    data = segmenter.model.data_preprocessor(pseudo_collate([dataset[0]]), training=False)
    with torch.no_grad():
        return segmenter.model.predict(data["inputs"], data["data_samples"])[0]


def same(sample, expected, task):
    """Whether two samples have the same answer of a task."""
    if task == "instance":
        pairs = [(sample.pred_instances[f], expected.pred_instances[f]) for f in ("labels", "scores", "masks")]
    else:
        field = {"panoptic": "pred_panoptic_seg", "semantic": "pred_sem_seg"}[task]
        pairs = [(getattr(sample, field).sem_seg, getattr(expected, field).sem_seg)]
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("name", ["toy_semantic", "toy_panoptic", "toy_boxes", "toy_open"])
def test_it_says_what_the_test_says(world, monkeypatch, name):
    monkeypatch.chdir(world)
    segmenter = Segmenter("trained.pth", source=name, device="cpu")
    built = MODELS.build(Config.fromfile(TOY).model)
    source = built.sources[name]
    expected = of_the_test(segmenter, source)
    (result,) = segmenter(expected.img_path)
    assert result.tasks == (source.task.value,)
    assert same(result.sample, expected, source.task.value)


def test_all_tasks_and_vocabularies_come_from_one_look_at_the_image(segmenter, images, monkeypatch):
    own, classes = segmenter.vocabulary(things=["red ring", "star"], stuff=["water"]), segmenter.vocabulary()
    alone = {
        (task, words.name): next(segmenter(images[0], vocabularies=words, tasks=task)).sample
        for task in ALL_TASKS
        for words in (own, classes)
    }
    looks, propose = [], segmenter.model.propose
    monkeypatch.setattr(segmenter.model, "propose", lambda *args: looks.append(args) or propose(*args))
    (result,) = segmenter(images[0], vocabularies=[own, classes], tasks=ALL_TASKS)
    assert len(looks) == 1
    assert result.vocabularies == ("own_words", "toy_semantic")
    for (task, name), expected in alone.items():
        assert same(result[task, name].sample, expected, task)
    with pytest.raises(UserError, match=r"several answers fit task='panoptic', vocabulary=None; this result has pan"):
        result["panoptic"]
    with pytest.raises(UserError, match="there are several vocabularies"):
        _ = result.sample


def test_a_batch_of_different_sizes_is_padded(segmenter, images, tmp_path):
    """Answers are at the size of each image; those of the larger ones do not depend on the smaller."""
    sizes = [(128, 96), (40, 128), (128, 128)]
    for number, (width, height) in enumerate(sizes):
        Image.open(images[number]).resize((width, height)).save(tmp_path / f"{number}.png")
    batched = list(segmenter(tmp_path, batch_size=3, tasks=ALL_TASKS))
    alone = list(segmenter(tmp_path, tasks=ALL_TASKS))
    assert [result.name for result in batched] == ["0.png", "1.png", "2.png"]
    for result, (width, height) in zip(batched, sizes, strict=True):
        assert result.size == (height, width)
        assert result.sample.pred_sem_seg.sem_seg.shape == (1, height, width)
        assert result.sample.pred_instances.masks.shape[1:] == (height, width)
    assert same(batched[2].sample, alone[2].sample, "semantic")


def test_a_last_batch_may_be_smaller(segmenter, images):
    assert [result.name for result in segmenter(images, batch_size=2)] == [image.name for image in images]


def test_leaving_low_scores_out_of_the_sample_changes_no_segment(segmenter, images):
    (lowest,) = segmenter(images[0], tasks="instance", min_score=0)
    least = sorted(segment.score for segment in lowest.segments)[-3]
    asked = segmenter.questions(tasks=["instance"])
    whole, short = (
        [result for _, result in segmenter.stream(ImageInputs()(images), asked, min_score=least, only_segments=only)]
        for only in (False, True)
    )
    assert [result.to_json() for result in whole] == [result.to_json() for result in short]
    assert any(len(one.sample.pred_instances) > len(one.segments) for one in whole)
    assert all(len(one.sample.pred_instances) == len(one.segments) for one in short)


def test_results_stream(segmenter, images):
    """An image is read when its batch is due: an endless generator of images is no problem."""
    read = []

    def endless() -> Iterator[Path]:
        while True:
            read.append(1)
            yield images[len(read) % len(images)]

    results = segmenter(endless(), batch_size=2)
    assert read == []
    next(results)
    assert len(read) == 2
    for _ in range(3):
        next(results)
    assert len(read) == 4


def test_own_words_are_embedded_as_the_sources_were_and_once(segmenter, monkeypatch):
    own = segmenter.vocabulary(things=["red ring"], stuff=["water"])
    assert own.label_space == LabelSpace("own_words", ("red ring", "water"), (True, False))
    torch.testing.assert_close(own.vectors_KD, HashingEncoder(dim=512)(["red ring", "water"]))
    monkeypatch.setattr(HashingEncoder, "__call__", None)
    assert segmenter.vocabulary(things=["red ring"], stuff=["water"]) is own
    ((_, sources),) = segmenter.questions(things=["red ring"], stuff=["water"])
    assert [source.task for source in sources] == [Task.PANOPTIC]


def test_the_words_of_a_source_give_its_own_answer(segmenter, images):
    space = segmenter.source.label_space
    (given,) = segmenter(images[0], things=space.thing_classes, stuff=space.stuff_classes, tasks="semantic")
    order = torch.tensor(given["semantic"].label_space.index(space.classes))
    (expected,) = segmenter(images[0])
    assert torch.equal(order[expected.sample.pred_sem_seg.sem_seg], given.sample.pred_sem_seg.sem_seg)


def test_a_vocabulary_from_a_file_of_embeddings(segmenter, images, tmp_path):
    text = embed_classes(HashingEncoder(dim=512), ["red ring", "water"], vocabulary="mine")
    path = save_embeddings(tmp_path / "mine.safetensors", text)
    own = Vocabulary.load(path, stuff=["water "])
    assert own.label_space == LabelSpace("mine", ("red ring", "water"), (True, False))
    torch.testing.assert_close(own.vectors_KD, load_embeddings(path).matrix)
    (result,) = segmenter(images[0], vocabularies=own)
    assert result.sample.pred_panoptic_seg.sem_seg.shape == (1, 128, 128)


@pytest.mark.parametrize("words", [dict(things=["dog"], stuff=["sky"]), {}])
def test_a_saved_vocabulary_asks_the_same(segmenter, images, tmp_path, words):
    own = segmenter.vocabulary(**words)
    again = Vocabulary.load(own.save(tmp_path / "words.safetensors"))
    assert again.label_space == own.label_space
    torch.testing.assert_close(again.vectors_KD, own.vectors_KD.cpu(), atol=1e-3, rtol=0)  # float16 in the file
    (ours,), (theirs,) = (segmenter(images[0], vocabularies=v, tasks="semantic") for v in (own, again))
    agree = ours.sample.pred_sem_seg.sem_seg == theirs.sample.pred_sem_seg.sem_seg
    assert agree.float().mean() > 0.99


def test_a_task_of_the_sources_own_classes(segmenter, images):
    (result,) = segmenter(images[0], tasks=["panoptic"])
    assert result["panoptic"].label_space == segmenter.source.label_space
    assert "pred_panoptic_seg" in result.sample


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(things=["dog"], stuff=["dog"]), r"these appear twice: \['dog'\]"),
        (dict(things="dog"), "things: expected a list of words, got the string 'dog'"),
        (dict(things=["?"]), "at least one letter or digit, got"),
        (dict(things=["dog"], tasks="panoptc"), "unknown task 'panoptc'; expected one or more of"),
        (dict(stuff=["sand"], tasks="instance"), "task 'instance' finds things, and all classes"),
        (dict(batch_size=0), "batch_size: expected 1 or more, got 0"),
        (dict(min_score=2), r"min_score: expected 0 \.\. 1, got 2"),
    ],
)
def test_mistakes_are_found_before_the_first_image(segmenter, words, message):
    with pytest.raises(ValueError, match=message):
        segmenter([], **words)
    with pytest.raises(MissingFileError, match="'absent' does not exist"):
        segmenter(["absent"])


def test_two_vocabularies_of_one_name(segmenter):
    words = segmenter.vocabulary(things=["dog"])
    with pytest.raises(UserError, match=r"names must differ, got \['own_words', 'own_words'\]"):
        segmenter([], vocabularies=[words, words])


def test_words_of_another_encoder_are_refused(segmenter, tmp_path):
    text = embed_classes(HashingEncoder(dim=512), ["dog"], vocabulary="mine")
    path = save_embeddings(
        tmp_path / "x.safetensors", replace(text, encoder=EncoderInfo(library="open_clip", model="ViT-B-32"))
    )
    with pytest.raises(ValueError, match=r"made by 'open_clip .*, the model was trained with 'hashing \(stand-in\)'"):
        segmenter([], vocabularies=Vocabulary.load(path))


def test_learned_classes_read_no_words(world, monkeypatch, images, tmp_path):
    monkeypatch.chdir(world)
    cfg = Config.fromfile(ROOT / "projects/toy/configs/ablations/dataseg_toy_3ds_no-text.py")
    torch.save(MODELS.build(cfg.model).state_dict(), "learned.pth")
    learned = Segmenter("learned.pth", config=cfg, device="cpu")
    (result,) = learned(images[0])
    assert result.sample.pred_sem_seg.sem_seg.shape == (1, 128, 128)
    with pytest.raises(ValueError, match="LearnedClassifier, which learned its classes and reads no words"):
        learned.vocabulary(things=["dog"])
    with pytest.raises(UserError, match="its classes were learned without text, so only one model"):
        learned.vocabulary().save(tmp_path / "x.safetensors")


def test_weights_that_nothing_needs(segmenter):
    with pytest.raises(ValueError, match=r"pretrained 'x\.pt': no words to embed with it"):
        segmenter.vocabulary(pretrained="x.pt")


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
    segmenter = Segmenter(tmp_path / "weights.pth", config=cfg, device="cpu")
    own = segmenter.vocabulary(things=["dog"], stuff=["sand"], pretrained=str(tiny.weights))
    torch.testing.assert_close(own.vectors_KD, embed_classes(encoder, ["dog", "sand"], templates=templates).matrix)
    with pytest.raises(ValueError, match="weights from a file; give that file as pretrained"):
        segmenter.vocabulary(things=["dog"])
    tiny.weights.unlink()
    assert len(segmenter.vocabulary(things=["cat"], pretrained=str(tiny.weights))) == 1, "the encoder is loaded once"


def test_an_image_that_cannot_be_read_is_raised_or_told(segmenter, images, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    results, told = segmenter([images[0], broken, images[1]], batch_size=2), []
    assert next(results).name == images[0].name, "what was read before it is not lost"
    with pytest.raises(UserError, match=r"broken\.jpg': cannot be read as an image"):
        next(results)
    names = [result.name for result in segmenter([images[0], broken, images[1]], batch_size=2, unreadable=told.append)]
    assert names == [images[0].name, images[1].name]
    assert [error.file for error in told] == [str(broken)]


def test_images_in_memory_are_those_of_files(segmenter, images):
    rgb = np.array(Image.open(images[0]).convert("RGB"))
    assert (mmcv.imread(str(images[0]))[..., ::-1] == rgb).all(), "a PNG or the same JPEG decoder"
    expected = next(segmenter(images[0])).sample
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    forms = [
        (Image.open(images[0]), None),
        (rgb, "rgb"),
        (rgb[..., ::-1], "bgr"),
        (rgb[None], "rgb"),
        (tensor, "rgb"),
        (tensor.flip(0)[None], "bgr"),
        (tensor / 255, "rgb"),
    ]
    for form, channels in forms:
        (result,) = segmenter(form, channels=channels)
        assert same(result.sample, expected, "semantic")
        assert (result.image == rgb).all()
        assert result.name == "000000"


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (3000, 300)])
def test_images_of_strange_shapes(segmenter, size):
    """They work, or are refused by name: two rows of 3000 pixels would be less than one of the model's."""
    width, height = size
    image = Image.new("RGB", size, (200, 30, 30))
    if min(size) == 2:
        with pytest.raises(UserError, match=rf"{height} x {width} pixels \(height x width\) is too thin to be resized"):
            list(segmenter(image))
    else:
        (result,) = segmenter(image, tasks=ALL_TASKS)
        assert result.sample.pred_sem_seg.sem_seg.shape == (1, height, width)
