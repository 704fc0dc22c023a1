"""One run of a study, in its own process: train a config with a seed, test it, write the result.

python -m projects.study.run '{"name": "dataseg_toy_3ds", "config": "dataseg_toy_3ds.py", "folder": "...", ...}'
"""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.whole_files import write_whole

RESULT = "result.json"
ASKED = "asked.json"
SETTINGS = ("iterations", "options", "world")  # one table must not have runs that differ in these


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run, finished or not.

    Args:
        name: Name of its row in the tables.
        config: Path of a leaf config.
        folder: Its work_dir.
        seed: Seed of its training.
        iterations: Number of iterations of its training, to which its schedule is scaled; 0: it only tests.
        options: Further settings of the config, as in ``--cfg-options``.
        world: Description of the data, e.g. the arguments that they were made with.
        threads: Number of torch's threads in the process that trains; 0: torch's choice.
        machine: Description of the hardware, for the page.
        weights_of: For a config that only tests, the folder of the run whose weights it uses; None: it trains its own.
    """

    name: str
    config: str
    folder: str
    seed: int
    iterations: int
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    world: Mapping[str, Any] = field(default_factory=dict, hash=False)
    threads: int = 0
    machine: str = ""
    weights_of: str | None = None

    def result(self) -> dict[str, Any] | None:
        """Return the result; None if the run is not finished.

        Raises:
            UserError: The folder has a run with other settings, finished or not.
        """
        for name in (RESULT, ASKED):
            file = Path(self.folder, name)
            if not file.is_file():
                continue
            found = json.loads(file.read_text())
            for key, (there, wanted) in self.differences(found).items():
                raise UserError(
                    f"was run with {key} {there!r}, but this study has {wanted!r}",
                    file=file,
                    remedy="give another --out, or delete the folder",
                )
            if name == RESULT:
                return found
        return None

    def differences(self, found: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return the settings that differ from a result's: name -> (value of the result, requested value)."""
        pairs = {key: (found["asked"][key], json.loads(json.dumps(getattr(self, key)))) for key in SETTINGS}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def write(self, found: Mapping[str, Any]) -> None:
        """Write the result, completely or not at all."""
        write_whole(Path(self.folder, RESULT), json.dumps(found, indent=1))

    def step(self) -> int:
        """Return the number of finished iterations, according to the log."""
        steps = [0]
        for log in Path(self.folder).glob("*/vis_data/scalars.json"):
            found = re.findall(r'^{.*"loss":.*"step": (\d+)}$', log.read_text(), re.MULTILINE)  # whole lines only
            steps += map(int, found[-1:])
        return max(steps)


def prepare(run: Run) -> Any:
    """Return the config of a run: resumable, with its iterations, schedule and seed, without validation before the
    test."""
    from mmdataseg.apis.runs import load_config
    from mmdataseg.apis.training.schedule import scale_schedule

    cfg = load_config(run.config, work_dir=run.folder)
    cfg.randomness = dict(cfg.get("randomness") or {}, seed=run.seed)
    if run.weights_of is not None:
        cfg.load_from = last_checkpoint(run.weights_of)
    else:
        scale_schedule(cfg, run.iterations)
        cfg.train_cfg.val_begin = cfg.train_cfg.max_iters + 1
        cfg.default_hooks.checkpoint.max_keep_ckpts = 1
        cfg.resume, cfg.load_from = True, None
    for key, value in run.options.items():
        if cfg.get(key.partition(".")[0]) is not None:  # a config that only tests has no training to change
            cfg.merge_from_dict({key: value})
    return cfg


def last_checkpoint(folder: str) -> str:
    """Return the last checkpoint of a finished run, also if its folder was moved since.

    Raises:
        MissingFileError: There is no checkpoint, or the run is not finished.
    """
    file = Path(folder, "last_checkpoint")
    if not file.is_file() or not Path(folder, RESULT).is_file():
        raise MissingFileError(f"'{folder}' has no trained model, which a test needs", remedy="run this training first")
    return str(Path(folder, Path(file.read_text().strip()).name))


def execute(run: Run) -> dict[str, Any]:
    """Train (or continue training) and test.

    Returns:
        ``metrics`` (name -> value), and facts about the run for the page.
    """
    import torch
    from mmengine.device import get_device

    from mmdataseg.apis.registration import register_all_modules
    from mmdataseg.apis.training.runner import build_runner

    run.result()  # refuses to continue a run that was started with other settings
    write_whole(Path(run.folder, ASKED), json.dumps({"asked": asdict(run)}, indent=1))
    if run.threads:
        torch.set_num_threads(run.threads)
    cfg = prepare(run)
    resumed = Path(run.folder, "last_checkpoint").is_file()
    register_all_modules()
    start = time.monotonic()
    runner = build_runner(cfg)
    if run.weights_of is None:
        runner.train()
    trained = time.monotonic()
    metrics = runner.test()
    return {
        "asked": asdict(run),
        "seed": run.seed,
        "batch_size": cfg.train_dataloader.batch_size if run.weights_of is None else None,
        "parameters": sum(p.numel() for p in runner.model.parameters()),
        "machine": run.machine,
        "device": get_device(),
        "threads": torch.get_num_threads(),
        # None after an interruption: the time would cover only a part of the training
        "train_seconds": None if resumed or run.weights_of else round(trained - start, 1),
        "test_seconds": round(time.monotonic() - trained, 1),
        "metrics": {name: float(value) for name, value in metrics.items()},
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    run = parse_args(argv)
    run.write(execute(run))


def parse_args(argv: Sequence[str] | None = None) -> Run:
    """Read the command line: the arguments of `Run` as a JSON object."""
    (text,) = sys.argv[1:] if argv is None else argv
    return Run(**json.loads(text))


if __name__ == "__main__":
    main()
