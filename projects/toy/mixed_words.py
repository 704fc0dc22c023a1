"""Test models of the toy world on trained classes and new ones together, with several weights.

    python -m projects.toy.mixed_words work_dirs/dataseg_toy_3ds/iter_2000.pth
    python -m projects.toy.mixed_words --config mask2former_toy_mixed-words.py work_dirs/mask2former_toy/ridge_*/*.pth

The vocabulary has the classes of toy_panoptic and of toy_open, in the validation images of both. A row of the table is
a checkpoint and a weight (``--new-words-weight`` of ``test`` and ``predict``): the PQ of the classes of toy_panoptic in
its images, that of the classes of toy_open in its images, and the harmonic mean of both, as is usual for seen and
unseen classes (Xian et al., 2017). Each image passes through the network once, whatever the number of weights.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import harmonic_mean

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mmdataseg.apis.config.reading import read_config
from mmdataseg.apis.parsers import Parser
from mmdataseg.apis.trained_model import load_trained_model
from mmdataseg.datasets import MultiSourceDataset
from mmdataseg.evaluation import MultiSourceEvaluator
from mmdataseg.models.dataseg import DaTaSeg

WEIGHTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
OWN, NEW = "toy_panoptic_mixed/PQ_own", "toy_open_mixed/PQ_new"
Scores = Mapping[float, tuple[float, float]]
"""Weight -> PQ of own and of new words."""


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--config", default="dataseg_toy_3ds_mixed-words.py", help="(default: %(default)s)")
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS, metavar="X", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the scores to this JSON file")
    return parser.parse_args(arguments)


def scores(config: str, checkpoint: Path, weights: Sequence[float]) -> Scores:
    """Test a checkpoint with each weight."""
    cfg = read_config(config)
    models = {
        weight: load_trained_model(
            checkpoint, config=config, options={"model.classifier.new_words_weight": weight}, device="cpu"
        ).model
        for weight in weights
    }
    init_default_scope(cfg.default_scope)
    evaluators = {weight: MultiSourceEvaluator(metrics=cfg.test_evaluator.metrics) for weight in weights}
    dataset = MultiSourceDataset(sources=cfg.test_dataloader.dataset.sources, split="test")
    for answers in _answers(models, dataset):
        for weight, sample in answers.items():
            evaluators[weight].process([sample])
    found = {weight: evaluator.evaluate(len(dataset)) for weight, evaluator in evaluators.items()}
    return {weight: (values[OWN], values[NEW]) for weight, values in found.items()}


@torch.inference_mode()
def _answers(models: Mapping[float, DaTaSeg], dataset: MultiSourceDataset) -> Iterator[dict[float, object]]:
    """For each image, weight -> sample with the answer."""
    first = next(iter(models.values()))
    for index in range(len(dataset)):
        data = first.data_preprocessor(pseudo_collate([dataset[index]]), training=False)
        (sample,) = data["data_samples"]
        proposals = first.propose(data["inputs"], [sample])
        answers = {}
        for weight, model in models.items():
            source, answer = model.source_of(sample), sample.clone()
            model.answer(
                proposals,
                0,
                answer,
                text_KD=model.classifier.matrix(source.name),
                label_space=source.label_space,
                task=source.task,
                padded=tuple(data["inputs"].shape[-2:]),
            )
            answers[weight] = answer
        yield answers


def table(found: Mapping[str, Scores]) -> str:
    """Markdown: a row for each checkpoint and weight, in percent."""
    lines = ["| checkpoint | weight | old words, PQ | new words, PQ | harmonic mean |", "|---|---:|---:|---:|---:|"]
    for name, by_weight in found.items():
        for weight, pair in by_weight.items():
            cells = [f"{value:.1f}" for value in (*pair, harmonic_mean(pair))]
            lines.append(f"| {name} | {weight:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Test all checkpoints, print the table."""
    args = parse_args(arguments)
    found = {str(path): scores(args.config, path, args.weights) for path in args.checkpoints}
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
