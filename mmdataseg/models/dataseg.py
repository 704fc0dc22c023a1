"""The network.

Letters: B images, L decoder outputs, Q queries, K classes of a source, J = K + 1 logits (background last), D text
dimension, C channels, (H, W) the stride-4 grid.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor

from mmdataseg.errors import UserError
from mmdataseg.models.compilation import compile_parts, naming_missing_compiler
from mmdataseg.models.heads.dataseg_head import Proposals
from mmdataseg.models.linear_layers import use_faster_products
from mmdataseg.models.targets.base import Targets
from mmdataseg.ops.linear import mask_logits
from mmdataseg.ops.postprocess import ImageSizes
from mmdataseg.registry import MODELS
from mmdataseg.sources import Source, build_sources, parameter_owners
from mmdataseg.structures import LabelSpace, Task

QUERIES = ("shared", "per_source")
INFERENCE_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@MODELS.register_module()
class DaTaSeg(BaseDetector):
    """One network, one set of weights, for every source, task and vocabulary (Gu et al., 2023).

    What differs between sources (text embeddings, loss, MERGE, post-processing) follows from the sample's metainfo
    ``source``; nothing is guessed from tensors.

    Linear layers and 1 x 1 convolutions are computed by `mmdataseg.ops.linear`, which is faster on some processors.

    Args:
        sources: Sources of the run, to train on or to test on, or their configs.
        backbone: Config of a backbone whose finest map has stride 4, e.g. four maps of strides 4, 8, 16 and 32.
        panoptic_head: Config of `DaTaSegHead`; the name is that of mmdet's ``Mask2Former``, for its checkpoints.
        classifier: Config of `TextClassifier` or `LearnedClassifier`.
        criterion: Config of `DaTaSegCriterion`, with the targets of each kind of supervision.
        postprocessors: Config of a post-processor for each `Task`.
        queries: ``shared``, as in the paper, or ``per_source``, the design it argues against: a set of queries for each
            source that is trained on. Then train in parallel with ``find_unused_parameters = True``.
        inference_dtype: ``float32``, or ``bfloat16``: in evaluation mode, backbone, neck and head run under autocast.
            Weights, answers and scores stay float32. Training is not affected; see `Bfloat16OptimWrapper`.
        channels_last: Whether images, and weights of convolutions, are in channels-last memory. The values are the same
            up to rounding. docs/benchmarks.md has the times.
        compile: Settings of `mmdataseg.models.compilation.compile_parts`: the ``parts`` that ``torch.compile``
            compiles, and its own arguments. None: nothing is compiled. docs/benchmarks.md has the times.
        neck: Config of a neck, or None.
        data_preprocessor: Config of mmdet's ``DetDataPreprocessor``.
        init_cfg: mmengine's.

    Raises:
        UserError: Two sources have the same name; a task is unknown or has no post-processor; a supervision has no
            targets or cannot train the task; or ``queries`` or ``inference_dtype`` is unknown. Also what
            `mmdataseg.sources.parameter_owners` and `compile_parts` raise.
    """

    def __init__(  # noqa: PLR0913 -- the parts of the network
        self,
        *,
        sources: Sequence[Mapping[str, Any] | Source],
        backbone: Mapping[str, Any],
        panoptic_head: Mapping[str, Any],
        classifier: Mapping[str, Any],
        criterion: Mapping[str, Any],
        postprocessors: Mapping[str, Mapping[str, Any]],
        queries: str = "shared",
        inference_dtype: str = "float32",
        channels_last: bool = False,
        compile: Mapping[str, Any] | None = None,
        neck: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.sources = {source.name: source for source in build_sources(sources)}
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.classifier = MODELS.build({**classifier, "sources": list(self.sources.values())})
        if queries not in QUERIES:
            raise UserError(f"queries: expected one of {QUERIES}, got {queries!r}; correct it")
        if inference_dtype not in INFERENCE_DTYPES:
            known = tuple(INFERENCE_DTYPES)
            raise UserError(f"inference_dtype: expected one of {known}, got {inference_dtype!r}; correct it")
        self.inference_dtype = INFERENCE_DTYPES[inference_dtype]
        head = {**panoptic_head, "class_embed_dim": self.classifier.embed_dim}
        self._query_set_of = None
        if queries == "per_source":
            self._query_set_of = parameter_owners(list(self.sources.values()))
            head["query_sets"] = sorted(set(self._query_set_of.values()))
        self.panoptic_head = MODELS.build(head)
        self.criterion = MODELS.build(criterion)
        unknown = sorted(set(postprocessors) - {task.value for task in Task})
        if unknown:
            raise UserError(f"postprocessors: unknown task {unknown[0]!r}; expected one of {[t.value for t in Task]}")
        self.postprocessors = torch.nn.ModuleDict({task: MODELS.build(c) for task, c in postprocessors.items()})
        for source in self.sources.values():
            if source.train is not None:
                self.targets_of(source)
            if source.task.value not in self.postprocessors:
                raise UserError(
                    f"no post-processor for task '{source.task.value}' among {list(self.postprocessors)}",
                    source=source.name,
                    remedy="add one to model.postprocessors",
                )
        use_faster_products(self)
        self._lay_out(self.memory_format)
        if compile is not None:
            compile_parts(self, compile)

    def init_weights(self) -> None:
        """Initialise all weights. The memory layout does not change the numbers that a seed gives."""
        self._lay_out(torch.contiguous_format)  # random numbers are drawn in the order of the memory
        super().init_weights()
        self._lay_out(self.memory_format)

    def _lay_out(self, memory_format: torch.memory_format) -> None:
        """Put what has four dimensions into a memory layout; torch's `to` refuses five, as of a 3D convolution."""
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=memory_format)

    def source_of(self, sample: DetDataSample) -> Source:
        """The source of a sample, by its metainfo.

        Raises:
            UserError: The metainfo has no source, or one that the model was built without.
        """
        name = sample.get("source")
        if name not in self.sources:
            raise UserError(
                f"sample {sample.get('img_path', '?')}: metainfo 'source' is {name!r}, expected one of "
                f"{list(self.sources)}; name the source in model.sources, and load data through MultiSourceDataset"
            )
        return self.sources[name]

    def targets_of(self, source: Source) -> Targets:
        """The criterion's targets for a source's supervision.

        Raises:
            UserError: The criterion has no targets for it, or they cannot train the source's task.
        """
        if source.supervision not in self.criterion.targets:
            raise UserError(
                f"no targets for supervision '{source.supervision}' among {list(self.criterion.targets)}",
                source=source.name,
                remedy="add them to model.criterion.targets",
            )
        targets = self.criterion.targets[source.supervision]
        targets.check(source)
        return targets

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Maps of the backbone (and neck), fine to coarse, of (B, 3, height, width) images."""
        features = self.backbone(batch_inputs.contiguous(memory_format=self.memory_format))
        return self.neck(features) if self.with_neck else features

    @naming_missing_compiler()
    def propose(self, batch_inputs: Tensor, batch_data_samples: Sequence[DetDataSample]) -> Proposals:
        """Proposals of (B, 3, height, width) images; the samples only say which source's queries to use."""
        query_set_per_image = None
        if self._query_set_of is not None:
            query_set_per_image = [self._query_set_of[self.source_of(sample).name] for sample in batch_data_samples]
        if self.training or self.inference_dtype == torch.float32:
            return self.panoptic_head(self.extract_feat(batch_inputs), query_set_per_image)
        with torch.autocast(batch_inputs.device.type, dtype=self.inference_dtype):
            proposals = self.panoptic_head(self.extract_feat(batch_inputs), query_set_per_image)
        return Proposals(*(part.float() for part in proposals))  # answers and their ties in full precision

    def loss(self, batch_inputs: Tensor, batch_data_samples: list[DetDataSample]) -> dict[str, Tensor]:
        """Losses of a batch, which must be of one source.

        Args:
            batch_inputs: (B, 3, height, width), normalised and padded.
            batch_data_samples: With the fields of `PackInputs`.

        Returns:
            Scalars named ``<source>/loss_...``.

        Raises:
            UserError: The samples are of several sources.
            MissingFileError: A source has no text embeddings; all are checked at once, before hours of training.
        """
        self.classifier.check_complete()
        names = {self.source_of(sample).name for sample in batch_data_samples}
        if len(names) > 1:
            raise UserError(
                f"a training batch must be of one source, got {sorted(names)}; sample with mmdataseg.RatioBatchSampler"
            )
        source = self.sources[names.pop()]
        proposals = self.propose(batch_inputs, batch_data_samples)
        class_logits_LBQJ = self.classifier(
            proposals.class_embeds_LBQD, self.classifier.matrix(source.name), source.name
        )
        targets = self.targets_of(source)
        losses = self.criterion(
            proposals,
            class_logits_LBQJ,
            [targets.read(sample, source) for sample in batch_data_samples],
            supervision=source.supervision,
            mergeable=source.label_space.mergeable(source.task),
            padded_size=tuple(batch_inputs.shape[-2:]),
        )
        return {f"{source.name}/{name}": value for name, value in losses.items()}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the terms to train, and all values for the log.

        mmengine sums all values with "loss" in their name. Here, the name of a source may contain it, too.

        Args:
            losses: Of `loss`.

        Returns:
            Scalar; and the values by name, the sum first, as ``loss``.
        """
        total, _ = super().parse_losses({n: value for n, value in losses.items() if "loss" in n.rpartition("/")[2]})
        _, logged = super().parse_losses(losses)
        return total, {**logged, "loss": total}

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: list[DetDataSample], rescale: bool = True
    ) -> list[DetDataSample]:
        """Answers of a batch: each image in the task and the vocabulary of its own source.

        Args:
            batch_inputs: (B, 3, height, width), normalised and padded.
            batch_data_samples: With metainfo ``source``, ``img_shape`` and ``ori_shape``.
            rescale: True: answers have the size of the image on disk; False: the size of the resized image.

        Returns:
            The samples with ``pred_panoptic_seg``, ``pred_sem_seg`` or ``pred_instances``.
        """
        proposals = self.propose(batch_inputs, batch_data_samples)
        for b, sample in enumerate(batch_data_samples):
            source = self.source_of(sample)
            self.answer(
                proposals,
                b,
                sample,
                text_KD=self.classifier.matrix(source.name),
                label_space=source.label_space,
                task=source.task,
                padded=tuple(batch_inputs.shape[-2:]),
                rescale=rescale,
            )
        return batch_data_samples

    def answer(
        self,
        proposals: Proposals,
        index: int,
        sample: DetDataSample,
        *,
        text_KD: Tensor,
        label_space: LabelSpace,
        task: Task,
        padded: tuple[int, int],
        rescale: bool = True,
        compact: bool = False,
        min_score: float = 0.0,
    ) -> None:
        """Compute the answer of one task in one vocabulary from one image's proposals.

        Args:
            proposals: The proposals of a batch.
            index: Index of the image in the batch.
            sample: The sample of the image, with metainfo ``source``, ``img_shape`` and ``ori_shape``; gets the fields
                of the task's post-processor. Its source selects the background, if each has its own.
            text_KD: (K, D) float, the text embeddings of the classes, or other vectors for them.
            label_space: The label space of the K classes.
            task: Selects the post-processor.
            padded: (height, width) of the padded batch, in pixels.
            rescale: As in `predict`.
            compact: As in `PostProcessor.forward`.
            min_score: As in `PostProcessor.forward`.

        Raises:
            UserError: The sample's source is not one of the model's; also what the post-processor raises.
        """
        sizes = ImageSizes(
            padded=padded,
            image=tuple(sample.img_shape[:2]),
            original=tuple((sample.ori_shape if rescale else sample.img_shape)[:2]),
        )
        source = self.source_of(sample).name
        class_logits_QJ = self.classifier(proposals.class_embeds_LBQD[-1, index], text_KD, source)
        (mask_logits_QHW,) = mask_logits(
            proposals.mask_embeds_LBQC[-1, index, None], proposals.mask_features_BCHW[index, None]
        )
        answer = self.postprocessors[task.value](
            class_logits_QJ, mask_logits_QHW, label_space, sizes, compact=compact, min_score=min_score
        )
        for field, value in answer.items():
            setattr(sample, field, value)

    def _forward(
        self,
        batch_inputs: Tensor,
        batch_data_samples: list[DetDataSample] | None = None,
    ) -> Proposals:
        """The raw proposals, for analysis; samples are needed only if each source has its own queries."""
        return self.propose(batch_inputs, batch_data_samples or ())
