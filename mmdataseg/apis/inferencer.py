"""Asking a trained model about images that nobody annotated, in its own vocabularies or in the user's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from torch import Tensor

from mmdataseg.apis.config_check import check_components
from mmdataseg.apis.config_files import find_config
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.errors import UserError
from mmdataseg.models.dataseg import DaTaSeg
from mmdataseg.models.text_classifier import TextClassifier
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.embeddings import TextEmbeddings, load_embeddings
from mmdataseg.text.encoding import embed_classes, find_encoder
from mmdataseg.visualization.drawing import draw_segments, panel_size, resize, side_by_side
from mmdataseg.visualization.segments import predicted_segments

OWN_WORDS = "own_words"


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """What is asked of each image: a task, in a vocabulary.

    Args:
        source: Its task and its label space; of the rest nothing is read.
        text_KD: (K, D) vectors of the K classes, on the model's device.
    """

    source: Source
    text_KD: Tensor


class Inferencer:
    """A trained model that segments single images.

    Images are resized as in the test of one of the config's sources; neither its annotations nor its images are needed.

        inferencer = Inferencer("dataseg_r50_3ds.py", "iter_368750.pth")
        words = inferencer.question(things=["red car", "dog"], stuff=["road"])
        sample = inferencer("street.jpg", words)
        sample.pred_panoptic_seg.sem_seg

    Args:
        config: Path of a config, or its file name among this package's own, or the config itself.
        checkpoint: Path or address of the weights.
        source: Of the config's model, with a test dataset: whose images these are like. None: the first such.
        device: Where to compute; None: a GPU if there is one.

    Raises:
        FileNotFoundError: No such config or checkpoint.
        UserError: A model other than `DaTaSeg`; no such device; no such source, or none with a test pipeline; a
            checkpoint of another model.
    """

    def __init__(
        self,
        config: str | PathLike[str] | Config,
        checkpoint: str | PathLike[str],
        *,
        source: str | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        register_all_modules()
        cfg = config if isinstance(config, Config) else Config.fromfile(find_config(str(config)))
        self.device = device or get_device()
        try:
            self.device = torch.device(self.device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:  # no such kind; none of it here; a torch built without it
            raise UserError(f"device {device!r}: {error}") from None
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmdet")):
            self._build(cfg, str(checkpoint), source)

    def _build(self, cfg: Config, checkpoint: str, source: str | None) -> None:
        check_components(Config(dict(model=cfg.model, default_scope=cfg.get("default_scope"))))
        self.model = MODELS.build(cfg.model)
        if not isinstance(self.model, DaTaSeg):
            raise UserError(f"expected a config whose model is mmdataseg.DaTaSeg, got {type(self.model).__name__}")
        load_weights(self.model, checkpoint)
        self.model.to(self.device).eval()
        self.source = _tested_source(self.model.sources, source)
        steps = [step for step in self.source.test["pipeline"] if not _reads_annotations(step)]
        self._pipeline = Compose(steps)

    def question(
        self,
        *,
        task: str | Task | None = None,
        things: Sequence[str] = (),
        stuff: Sequence[str] = (),
        embeddings: str | PathLike[str] | None = None,
        pretrained: str | None = None,
    ) -> Question:
        """Say what to ask.

        Without words, that is the classes of the inferencer's source. Words are embedded as these were: by the same
        text encoder, in the same templates. The checkpoint knows which.

        Args:
            task: None: the source's, or ``panoptic`` where words are given.
            things: Words for what can be counted.
            stuff: Words for the rest; of an ``embeddings`` file: those of its classes that are stuff.
            embeddings: A file of `tools/text_embeddings.py`, whose classes are asked for instead of ``things``.
            pretrained: File of the text encoder's weights, where they are not in open_clip's cache.

        Returns:
            The question, for any number of images.

        Raises:
            UserError: Words and a file at once; weights of an encoder that is not needed; words for a classifier that
                learned its classes; words that stand twice, or a string instead of a list of them; embeddings of
                another length or another encoder; an encoder that cannot be found again; a task that the classes
                cannot be read in.
            FileNotFoundError: No such file of embeddings or of weights.
        """
        classifier = self.model.classifier
        if pretrained is not None and (embeddings is not None or not (things or stuff)):
            raise UserError(
                f"pretrained {pretrained!r}: no words to embed with it; give things or stuff, or leave it out"
            )
        if things or stuff or embeddings is not None:
            things, stuff = _words(things, "things"), _words(stuff, "stuff")
            text = self._own_words(things, stuff, embeddings, pretrained)
            is_thing = tuple(name.strip() not in stuff for name in text.classes)
            space = LabelSpace(text.vocabulary or OWN_WORDS, text.classes, is_thing)
            space.index(stuff)
            source = Source(name=self.source.name, task=Task(task or Task.PANOPTIC), label_space=space)
            text_KD = text.matrix.to(self.device)
        else:
            source = replace(self.source, task=Task(task or self.source.task))
            text_KD = classifier.matrix(source.name)
        self.model.postprocessors[source.task.value].check(source.label_space)
        return Question(source=source, text_KD=text_KD)

    def _own_words(
        self,
        things: tuple[str, ...],
        stuff: tuple[str, ...],
        embeddings: str | PathLike[str] | None,
        pretrained: str | None,
    ) -> TextEmbeddings:
        """Words embedded, or read embedded, as the source's classes were."""
        classifier = self.model.classifier
        if not isinstance(classifier, TextClassifier):
            raise UserError(
                f"the model's classifier is a {type(classifier).__name__}, which learned its classes and reads no "
                "words; own words need one trained with mmdataseg.TextClassifier"
            )
        recipe = classifier.recipe(self.source.name)
        if embeddings is None:
            return embed_classes(
                find_encoder(recipe.encoder, dim=classifier.embed_dim, pretrained=pretrained, device=self.device),
                (*things, *stuff),
                vocabulary=OWN_WORDS,
                templates=recipe.templates,
            )
        if things:
            raise UserError("things and embeddings are both given; a file of embeddings brings its own words")
        text = load_embeddings(embeddings, dim=classifier.embed_dim)
        if not text.encoder.fits(recipe.encoder):
            raise UserError(
                f"{embeddings} was made by '{text.encoder}', the model was trained with '{recipe.encoder}'; make it "
                "with that encoder"
            )
        return text

    def __call__(self, image: str | PathLike[str] | np.ndarray, question: Question | None = None) -> DetDataSample:
        """Segment an image.

        Args:
            image: Path of a file, or (H, W, 3) uint8 BGR.
            question: From `question`; None: the source's own.

        Returns:
            On the CPU, with ``pred_panoptic_seg``, ``pred_sem_seg`` or ``pred_instances`` at the size of the image, as
            the post-processor of the task documents them.

        Raises:
            FileNotFoundError: No such image.
            OSError: It cannot be decoded.
            UserError: An array of another shape or type.
        """
        question = question or self.question()
        return self._answer(self._load(image), question)

    def _load(self, image: str | PathLike[str] | np.ndarray) -> Mapping[str, Any]:
        results: dict[str, Any] = {"source": self.source.name, "sample_idx": 0}
        if not isinstance(image, np.ndarray):
            return self._pipeline({**results, "img_path": str(image)})
        if image.ndim != 3 or image.shape[2] != 3 or not image.size or image.dtype != np.uint8:
            raise UserError(f"image: expected (H, W, 3) uint8, BGR, got {image.shape} {image.dtype}")
        results |= {"img": image, "img_shape": image.shape[:2], "ori_shape": image.shape[:2]}
        for step in self._pipeline.transforms:
            if not isinstance(step, mmcv.transforms.LoadImageFromFile):
                results = step(results)
        return results

    @torch.inference_mode()
    def _answer(self, packed: Mapping[str, Any], question: Question) -> DetDataSample:
        batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
        batch = self.model.data_preprocessor(batch, training=False)
        (sample,) = batch["data_samples"]
        self.model.answer(
            self.model.propose(batch["inputs"], [sample]),
            0,
            sample,
            text_KD=question.text_KD,
            label_space=question.source.label_space,
            task=question.source.task,
            padded=tuple(batch["inputs"].shape[-2:]),
        )
        return sample.cpu()


def draw_answer(
    image: np.ndarray, sample: DetDataSample, source: Source, *, title: str, min_score: float
) -> np.ndarray:
    """Image and prediction side by side.

    Args:
        image: (H, W, 3) uint8 RGB.
        sample: What an `Inferencer` gave for it.
        source: Of the question.
        title: Over the image.
        min_score: Instances with a lower score are left out.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    size = panel_size(*image.shape[:2])
    found = predicted_segments(sample, source, min_score=min_score)
    return side_by_side(
        [(title, resize(image, size)), (f"{source.task.value} segments", draw_segments(image, found, size=size))]
    )


def load_weights(model: torch.nn.Module, checkpoint: str) -> None:
    """Load weights that must be those of the model; what it has embedded for other vocabularies may be missing.

    Args:
        model: Changed.
        checkpoint: Path or address.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is no checkpoint; a parameter or statistic is missing, of another shape, or one that the model
            does not have.
    """
    try:
        content = CheckpointLoader.load_checkpoint(checkpoint, map_location="cpu")
    except FileNotFoundError:
        raise
    except Exception as error:  # what torch raises depends on what the file is
        raise UserError(
            f"{checkpoint}: no checkpoint, or cut short ({type(error).__name__}: {error}); give what a training wrote"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping):
        raise UserError(f"{checkpoint}: no checkpoint, but a {type(state).__name__}; give what a training wrote")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    own = model.state_dict()
    vocabularies = ("classifier.embeddings_", "classifier._extra_state")
    wanted = [name for name in own if not name.startswith(vocabularies)]
    wrong = [name for name in wanted if name not in state or state[name].shape != own[name].shape]
    if wrong:
        raise UserError(
            f"{checkpoint}: {len(wrong)} of the model's {len(wanted)} weights are missing or of another shape, e.g. "
            f"{wrong[0]}; give the checkpoint of a training with this config"
        )
    more = [name for name in state if name not in own and not name.startswith("classifier.")]
    if more:  # as when a ResNet-101 is read into a ResNet-50
        raise UserError(
            f"{checkpoint}: has {len(more)} weights that the model has not, e.g. {more[0]}; give the checkpoint of a "
            "training with this config, or the config of that training"
        )
    model.load_state_dict(state, strict=False)


def _words(words: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(words, str):
        raise UserError(f"{what}: expected a list of words, got the string {words!r}")
    return tuple(word.strip() for word in words)


def _tested_source(sources: Mapping[str, Source], name: str | None) -> Source:
    tested = [source for source in sources.values() if source.test is not None and "pipeline" in source.test]
    if not tested:
        raise UserError(
            f"none of the model's sources {list(sources)} has a test dataset with a pipeline, which says how images "
            "are prepared; give one test=dict(..., pipeline=[...])"
        )
    found = [source for source in tested if name in (None, source.name)]
    if not found:
        names = [source.name for source in tested]
        raise UserError(
            f"source {name!r}: expected one of the model's that have a test dataset, {names}; the names of others can "
            "be given as own words"
        )
    return found[0]


def _reads_annotations(step: Mapping[str, Any]) -> bool:
    kind = step["type"] if isinstance(step["type"], str) else step["type"].__name__
    kind = kind.rpartition(".")[2]
    return kind.startswith("Load") and not kind.startswith("LoadImage")
