"""A trained model that segments any image, in any words, for several tasks at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from os import PathLike
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config

from mmdataseg.apis.images.decoding import MAX_PIXELS, Channels, UnreadableImageError
from mmdataseg.apis.images.inputs import ImageInput, ImageInputs
from mmdataseg.apis.images.paths import check_paths
from mmdataseg.apis.trained_model import load_trained_model
from mmdataseg.errors import UserError
from mmdataseg.models.classifiers.text_classifier import TextClassifier
from mmdataseg.results.result import Result
from mmdataseg.results.segments import Answer
from mmdataseg.sources import Source
from mmdataseg.structures import Task
from mmdataseg.text.embeddings import TextEmbeddings
from mmdataseg.text.encoding import TextEncoder, embed_classes, find_encoder
from mmdataseg.text.recipe import TextRecipe
from mmdataseg.text.vocabulary import Vocabulary

OWN_WORDS = "own_words"
_VOCABULARIES_KEPT = 64
Asked = list[tuple[Vocabulary, tuple[Source, ...]]]


class Segmenter:
    """A trained model, ready for images.

        from mmdataseg import Segmenter

        segmenter = Segmenter("iter_368750.pth")
        for result in segmenter("photos", things=["red car", "dog"], stuff=["road"], batch_size=4):
            print(result)
            result.save(f"seen/{result.name}")

    Images go through the test pipeline of one of the model's sources. The data of that source are not needed.

    Args:
        checkpoint: Path or ``https://`` address of a checkpoint from training or ``convert``. No code in it is run.
        config: Path or name of a config, or a config object; None: the config in the checkpoint.
        options: Settings of the config to change, dotted name -> value:
            ``{"model.postprocessors.panoptic.score_threshold": 0.5}``.
        source: Name of the model's source whose test pipeline prepares the images; None: the first that has one.
        device: Where to compute; None: a GPU if there is one.
        trust: Run code stored in the checkpoint. Only for your own files.

    Attributes:
        model: The network, in evaluation mode.
        source: The chosen source.
        device: The device in use.
        checkpoint: The checkpoint that the weights come from.

    Raises:
        MissingFileError: The config or the checkpoint does not exist.
        UserError: As `mmdataseg.apis.trained_model.load_trained_model`.
    """

    def __init__(
        self,
        checkpoint: str | PathLike[str],
        *,
        config: str | PathLike[str] | Config | None = None,
        options: Mapping[str, Any] | None = None,
        source: str | None = None,
        device: str | torch.device | None = None,
        trust: bool = False,
    ) -> None:
        trained = load_trained_model(
            checkpoint, config=config, options=options, source=source, device=device, trust=trust
        )
        self.model, self.source, self.device = trained.model, trained.source, trained.device
        self.checkpoint = trained.checkpoint
        self._prepare = trained.prepare
        self._embedded = lru_cache(maxsize=_VOCABULARIES_KEPT)(self._embed)
        self._encoder = lru_cache(maxsize=1)(self._find_encoder)

    # ---- words

    def vocabulary(
        self,
        things: Sequence[str] = (),
        stuff: Sequence[str] = (),
        *,
        name: str = OWN_WORDS,
        pretrained: str | None = None,
    ) -> Vocabulary:
        """Embed words as the training classes were embedded: with the same encoder and the same prompt templates.

        Recent vocabularies are cached, and the encoder is loaded once.

        Args:
            things: Words for countable objects.
            stuff: Words for everything else.
            name: Name of the vocabulary.
            pretrained: File with the text encoder's weights, if they are not in open_clip's cache.

        Returns:
            The vocabulary. Without words, it has the classes of the segmenter's source.

        Raises:
            UserError: The model's classifier takes no words; a word appears twice; a string is given instead of a list;
                the encoder cannot be found; or ``pretrained`` is given without words.
            MissingFileError: The file ``pretrained`` does not exist.
        """
        things, stuff = _words(things, "things"), _words(stuff, "stuff")
        if not (things or stuff):
            if pretrained is not None:
                raise UserError(f"pretrained {pretrained!r}: no words to embed with it", remedy="give words")
            matrix = self.model.classifier.matrix(self.source.name)
            return Vocabulary(label_space=self.source.label_space, vectors_KD=matrix, text=self._text_of(matrix))
        return self._embedded(things, stuff, name, pretrained)

    def _embed(self, things: tuple[str, ...], stuff: tuple[str, ...], name: str, pretrained: str | None) -> Vocabulary:
        templates = self._recipe().templates
        text = embed_classes(self._encoder(pretrained), (*things, *stuff), vocabulary=name, templates=templates)
        return Vocabulary.of(text, name=name, stuff=stuff)

    def _find_encoder(self, pretrained: str | None) -> TextEncoder:
        dim = self.model.classifier.embed_dim
        return find_encoder(self._recipe().encoder, dim=dim, pretrained=pretrained, device=self.device)

    def _text_of(self, matrix: torch.Tensor) -> TextEmbeddings | None:
        if not isinstance(self.model.classifier, TextClassifier):
            return None
        recipe = self._recipe()
        return TextEmbeddings(
            matrix=matrix.cpu(),
            classes=recipe.classes,
            encoder=recipe.encoder,
            templates=recipe.templates,
            prompts=recipe.prompts,
            vocabulary=recipe.vocabulary,
        )

    def _recipe(self) -> TextRecipe:
        """Return how the classes of the source were embedded."""
        classifier = self.model.classifier
        if not isinstance(classifier, TextClassifier):
            raise UserError(
                f"the model's classifier is a {type(classifier).__name__}, which learned its classes and reads no "
                "words",
                remedy="for own words, train with mmdataseg.TextClassifier",
            )
        return classifier.recipe(self.source.name)

    def _check_encoder(self, vocabulary: Vocabulary) -> None:
        """Refuse a vocabulary whose encoder or dimension is not the model's."""
        if vocabulary.text is None:
            if vocabulary.vectors_KD.shape[1] != self.model.classifier.embed_dim:
                raise UserError(f"vocabulary '{vocabulary.name}' belongs to another model", remedy="give words")
            return
        recipe = self._recipe()
        if not vocabulary.text.encoder.fits(recipe.encoder) or vocabulary.text.dim != recipe.dim:
            raise UserError(
                f"vocabulary '{vocabulary.name}' was made by '{vocabulary.text.encoder}' ({vocabulary.text.dim} "
                f"dimensions), the model was trained with '{recipe.encoder}' ({recipe.dim})",
                remedy="make it with that encoder",
            )

    # ---- images

    def __call__(
        self,
        sources: Any,
        *,
        things: Sequence[str] = (),
        stuff: Sequence[str] = (),
        vocabularies: Vocabulary | Sequence[Vocabulary] = (),
        tasks: str | Sequence[str] | None = None,
        batch_size: int = 1,
        min_score: float = 0.3,
        channels: Channels | None = None,
        max_pixels: int = MAX_PIXELS,
        unreadable: Callable[[UnreadableImageError], None] | None = None,
    ) -> Iterator[Result]:
        """Segment images. Errors in the arguments are raised at once, before the first image is read.

        Each image passes through the network once, however many tasks and vocabularies there are.

        Args:
            sources: The images; see `mmdataseg.apis.images.inputs.ImageInputs`.
            things: Words for countable objects.
            stuff: Words for everything else.
            vocabularies: Vocabularies from `vocabulary` or from files, instead of words or in addition to them.
            tasks: ``panoptic``, ``semantic``, ``instance``, or several of them. None: panoptic for words, otherwise the
                task of the model's source.
            batch_size: Images per forward pass. Smaller images are padded, which changes results a little.
            min_score: Instances with a lower score, 0 .. 1, are left out of the segments, but stay in the sample.
            channels: Channel order of arrays and tensors, ``rgb`` or ``bgr``.
            max_pixels: Larger images count as unreadable.
            unreadable: Called with the error of each unreadable image, which is left out. None: the error is raised.

        Returns:
            An iterator over one `Result` per image, in order. At most one batch of images is in memory.

        Raises:
            MissingFileError: A path does not exist.
            UserError: As `vocabulary`; a task is unknown or cannot use the words; a vocabulary is from another encoder;
                two vocabularies have the same name; or a number is out of range.
        """
        if batch_size < 1:
            raise UserError(f"batch_size: expected 1 or more, got {batch_size}")
        if not 0 <= min_score <= 1:
            raise UserError(f"min_score: expected 0 .. 1, got {min_score}")
        listed = sources if isinstance(sources, list | tuple) else [sources]
        check_paths([str(item) for item in listed if isinstance(item, str | PathLike)])
        asked = self.questions(things=things, stuff=stuff, vocabularies=vocabularies, tasks=tasks)
        inputs = ImageInputs(channels=channels, max_pixels=max_pixels)(sources)
        pairs = self.stream(inputs, asked, batch_size=batch_size, min_score=min_score, unreadable=unreadable)
        return (result for _, result in pairs)

    def questions(
        self,
        *,
        things: Sequence[str] = (),
        stuff: Sequence[str] = (),
        vocabularies: Vocabulary | Sequence[Vocabulary] = (),
        tasks: str | Sequence[str] | None = None,
    ) -> Asked:
        """Return what to predict for each image: each vocabulary with one source (task and label space) per task.

        Arguments and errors are those of `__call__`.
        """
        given = [vocabularies] if isinstance(vocabularies, Vocabulary) else list(vocabularies)
        for vocabulary in given:
            self._check_encoder(vocabulary)
        if things or stuff:
            given.insert(0, self.vocabulary(things, stuff))
        own = not given
        given = given or [self.vocabulary()]
        names = [vocabulary.name for vocabulary in given]
        if len(set(names)) < len(names):
            raise UserError(f"the vocabularies' names must differ, got {names}", remedy="give them names that differ")
        wanted = _tasks(tasks) or (self.source.task if own else Task.PANOPTIC,)
        asked = []
        for vocabulary in given:
            for task in wanted:
                self.model.postprocessors[task.value].check(vocabulary.label_space)
            sources = (Source(name=self.source.name, task=task, label_space=vocabulary.label_space) for task in wanted)
            asked.append((vocabulary, tuple(sources)))
        return asked

    def stream(
        self,
        inputs: Iterable[ImageInput],
        asked: Asked,
        *,
        batch_size: int = 1,
        min_score: float = 0.3,
        unreadable: Callable[[UnreadableImageError], None] | None = None,
        only_segments: bool = False,
    ) -> Iterator[tuple[ImageInput, Result]]:
        """Yield images from `ImageInputs` with their results for the questions of `questions`.

        The other arguments are those of `__call__`. With ``only_segments``, instances below ``min_score`` are left out
        of the sample, too. This saves time: their masks are not computed.
        """
        batch: list[tuple[ImageInput, np.ndarray, Mapping[str, Any]]] = []
        for found in inputs:
            try:
                image = found.load()
                batch.append((found, image, self._prepared(found, image)))
            except UnreadableImageError as error:
                if unreadable is None:
                    yield from self._answers(batch, asked, min_score, only_segments)
                    raise
                unreadable(error)
                continue
            if len(batch) == batch_size:
                yield from self._answers(batch, asked, min_score, only_segments)
                batch = []
        yield from self._answers(batch, asked, min_score, only_segments)

    def _prepared(self, found: ImageInput, image: np.ndarray) -> Mapping[str, Any]:
        size = image.shape[:2]
        results = {"img": image, "img_shape": size, "ori_shape": size, "source": self.source.name, "sample_idx": 0}
        try:
            return self._prepare({**results, "img_path": found.path or found.name})
        except cv2.error as error:  # a side of 0 pixels is left
            raise UnreadableImageError(
                f"{size[0]} x {size[1]} pixels (height x width) is too thin to be resized for this model",
                file=found.path or found.name,
                remedy="crop it",
            ) from error

    @torch.inference_mode()
    def _answers(
        self,
        batch: Sequence[tuple[ImageInput, np.ndarray, Mapping[str, Any]]],
        asked: Asked,
        min_score: float,
        only_segments: bool,
    ) -> list[tuple[ImageInput, Result]]:
        if not batch:
            return []
        packed = {key: [prepared[key] for _, _, prepared in batch] for key in ("inputs", "data_samples")}
        packed = self.model.data_preprocessor(packed, training=False)
        proposals = self.model.propose(packed["inputs"], packed["data_samples"])
        pairs = []
        for index, (found, image, _) in enumerate(batch):
            answers = {}
            for vocabulary, sources in asked:
                sample = DetDataSample(metainfo=packed["data_samples"][index].metainfo)
                for source in sources:
                    self.model.answer(
                        proposals,
                        index,
                        sample,
                        text_KD=vocabulary.vectors_KD.to(self.device),
                        label_space=source.label_space,
                        task=source.task,
                        padded=tuple(packed["inputs"].shape[-2:]),
                        compact=True,
                        min_score=min_score if only_segments else 0.0,
                    )
                sample = sample.cpu()
                for source in sources:
                    answers[source.task, vocabulary.name] = Answer(
                        source=source, prediction=sample, min_score=min_score
                    )
            result = Result(name=found.name, path=found.path, image=image[..., ::-1], answers=answers)
            pairs.append((found, result))
        return pairs


def _tasks(tasks: str | Sequence[str] | None) -> tuple[Task, ...]:
    names = () if tasks is None else (tasks,) if isinstance(tasks, str) else tuple(tasks)
    known = [task.value for task in Task]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UserError(f"tasks: unknown task {wrong[0]!r}; expected one or more of {known}")
    return tuple(dict.fromkeys(Task(name) for name in names))


def _words(words: Sequence[str], what: str) -> tuple[str, ...]:
    if isinstance(words, str):
        raise UserError(f"{what}: expected a list of words, got the string {words!r}", remedy="put it into a list")
    return tuple(word.strip() for word in words)
