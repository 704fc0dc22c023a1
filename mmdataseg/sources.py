"""A source: a dataset as the method sees it, described once for every component that reads it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mmdataseg.errors import UserError, naming
from mmdataseg.structures import LabelSpace, Task
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces


@dataclass(frozen=True, kw_only=True)
class Source:
    """One entry of ``configs/_base_/sources``.

    Args:
        name: Letters, digits, ``_`` and ``-``; unique among the sources of a run. It is the metainfo
            ``source`` of each sample, and part of the names of losses, metrics and buffers.
        task: The task that its images are trained and tested for.
        label_space: Its classes.
        supervision: How its training images are annotated: ``masks``, ``boxes`` (no masks; instance task only), or
            another kind that the model's criterion has targets for.
        embeddings: Path of its text embeddings, a ``.safetensors`` file that `tools/text_embeddings.py` wrote; None for
            a run without text.
        train: Config of the training dataset with its pipeline; None: not trained on.
        test: Config of the test dataset with its pipeline; None: not tested on.
        metrics: Configs of the metrics of ``test``.
        parameters_of: For a source that is not trained on, in a model with parameters per source (`parameter_owners`):
            the training source whose parameters it uses. None: the first one with the same classes.
    """

    name: str
    task: Task
    label_space: LabelSpace
    supervision: str = "masks"
    embeddings: str | None = None
    train: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | None = None
    metrics: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    parameters_of: str | None = None

    @classmethod
    def from_config(cls, config: "Mapping[str, Any] | Source") -> "Source":
        """Read one entry, with its label space given by a known name or in full.

        Args:
            config: The fields of `Source`. ``task`` as a string; ``label_space`` as the name of a known one
                (`mmdataseg.text.vocabularies`) or as a dict with ``name``, ``classes`` and ``is_thing``.

        Raises:
            UserError: The entry is not a dict; a key is unknown or missing; the name has other characters; the task or
                the label space is unknown; the supervision is not a word; the metrics are not a list; or an instance
                task has no thing.
        """
        if isinstance(config, Source):
            return config
        if not isinstance(config, Mapping):
            raise UserError(f"expected a dict for each source, got {config!r}")
        values = dict(config)
        name = values.get("name", "?")
        known = [f.name for f in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise UserError(
                f"unknown key {unknown[0]!r}; a source has {known}", source=name, remedy="correct or remove it"
            )
        missing = [key for key in ("name", "task", "label_space") if key not in values]
        if missing:
            raise UserError(f"key {missing[0]!r} is missing", source=name, remedy="add it")
        if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
            raise UserError("expected a name of letters, digits, '_' and '-'", source=name, remedy="rename it")
        values["task"] = _task(values["task"], name)
        if not isinstance(values.get("supervision", ""), str):
            raise UserError(
                f"expected a supervision such as 'masks' or 'boxes', got {values['supervision']!r}",
                source=name,
                remedy="correct it",
            )
        values["label_space"] = _label_space(values["label_space"], name)
        if values["task"] is Task.INSTANCE and not any(values["label_space"].is_thing):
            raise UserError(
                f"the instance task needs things, but label space '{values['label_space'].name}' flags all its classes "
                "as stuff",
                source=name,
                remedy="set is_thing to True for classes of single objects",
            )
        values["metrics"] = _metrics(values.get("metrics", ()), name)
        return cls(**values)


def build_sources(configs: Sequence["Mapping[str, Any] | Source"]) -> tuple[Source, ...]:
    """Read the sources of a run.

    Raises:
        UserError: There is no source, or two have the same name; also what `Source.from_config` raises.
    """
    sources = tuple(Source.from_config(c) for c in configs)
    if not sources:
        raise UserError("expected at least one source, got none; list the sources of the run")
    names = [s.name for s in sources]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise UserError(f"source name {twice[0]!r} appears {names.count(twice[0])} times; rename one of these sources")
    return sources


def parameter_owners(sources: Sequence[Source]) -> dict[str, str]:
    """Find the source whose parameters each source uses, in a model with queries or backgrounds per training source.

    In the paper's model all sources share all parameters. Only its ablations have parameters per source.

    Args:
        sources: The sources of a run.

    Returns:
        Source name -> name of a source with ``train``: itself, ``parameters_of``, or the first with the same classes.

    Raises:
        UserError: ``parameters_of`` is set for a training source, or does not name one; or a source that is not trained
            on leaves it out, and no training source has its classes.
    """
    trained = [source for source in sources if source.train is not None]
    names = [source.name for source in trained]
    owners = {}
    for source in sources:
        if source.parameters_of is not None and (source.name in names or source.parameters_of not in names):
            raise UserError(
                f"parameters_of={source.parameters_of!r} is only for a source that is not trained on, and must be one "
                f"of the training sources {names}",
                source=source.name,
                remedy="correct or remove it",
            )
        alike = [t.name for t in trained if t.label_space.classes == source.label_space.classes]
        owner = source.name if source.name in names else source.parameters_of or next(iter(alike), None)
        if owner is None:
            raise UserError(
                f"source {source.name!r} is not trained on, and no training source has its classes: cannot tell "
                f"which source's queries or background to use; set its parameters_of to one of {names}, or remove it "
                "from the model"
            )
        owners[source.name] = owner
    return owners


def _task(value: Any, source: str) -> Task:
    try:
        return Task(value)
    except ValueError:
        known = [task.value for task in Task]
        raise UserError(f"unknown task {value!r}", source=source, remedy=f"expected one of {known}") from None


def _metrics(value: Any, source: str) -> tuple[Mapping[str, Any], ...]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise UserError(
            f"expected metrics to be a list of configs, got {value!r}", source=source, remedy="put it into a list"
        )
    return tuple(value)


def _label_space(value: Any, source: str) -> LabelSpace:
    if isinstance(value, LabelSpace):
        return value
    if not isinstance(value, str | Mapping):
        raise UserError(
            f"expected label_space to be a known name, or a dict with name, classes and is_thing, got {value!r}",
            source=source,
            remedy=f"known names are {list(known_label_spaces())}",
        )
    if isinstance(value, Mapping):
        known = [f.name for f in fields(LabelSpace)]
        wrong = [f"unknown key {key!r}" for key in value if key not in known]
        wrong += [f"key {key!r} is missing" for key in known if key not in value]
        if wrong:
            raise UserError(f"label_space: {wrong[0]}; a label space has {known}", source=source)
    with naming(source=source):
        return get_label_space(value) if isinstance(value, str) else LabelSpace(**value)
