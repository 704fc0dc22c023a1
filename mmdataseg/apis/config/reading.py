"""Read a config and change its settings. Imports nothing heavy, so that mistakes are reported at once."""

import ast
import codecs
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config import config as mmengine_config

from mmdataseg.apis.config.checking import check_leaf
from mmdataseg.apis.config.data_roots import check_data_roots
from mmdataseg.apis.config.files import find_config
from mmdataseg.errors import UserError, suggestion

# parameters of mmengine's Runner, which takes seconds to import
RUNNER_SETTINGS = (
    *("model", "work_dir", "train_dataloader", "val_dataloader", "test_dataloader", "train_cfg", "val_cfg", "test_cfg"),
    *("auto_scale_lr", "optim_wrapper", "param_scheduler", "val_evaluator", "test_evaluator", "default_hooks"),
    *("custom_hooks", "data_preprocessor", "load_from", "resume", "launcher", "env_cfg", "log_processor", "log_level"),
    *("visualizer", "default_scope", "randomness", "experiment_name", "cfg"),
)
# settings that the Runner and `build_runner` read from a config, although the Runner has no such parameter
MORE_SETTINGS = (
    *("activation_checkpointing", "compile", "efficient_conv_bn_eval", "find_unused_parameters", "model_wrapper_cfg"),
    *("runner_type", "sync_bn"),
)


def read_config(
    config: str | PathLike[str] | Config, options: Mapping[str, Any] | None = None, *, custom_imports: bool = True
) -> Config:
    """Read a config and change some of its settings.

    Args:
        config: Path of a config, the file name of one of this package's configs, or a config object, which is
            modified.
        options: Dotted name of a setting -> value.
        custom_imports: Import the modules that the config names in ``custom_imports``.

    Raises:
        MissingFileError: The config does not exist.
        FileNotFoundError: A file in its ``_base_`` does not exist.
        UserError: The file is not a config; or neither the config nor mmengine's Runner has an option, which mmengine
            would ignore.
    """
    cfg = config if isinstance(config, Config) else _parse(find_config(str(config)), custom_imports)
    known = {*cfg, *RUNNER_SETTINGS, *MORE_SETTINGS}
    for option in options or ():
        name = option.partition(".")[0]
        if name not in known:
            hint = suggestion(name, known) or f"it has {sorted(key for key in cfg if key[0] != '_')}"
            raise UserError(f"--cfg-options {option}: the config has no {name!r}; {hint}")
    cfg.merge_from_dict(dict(options or {}))
    return cfg


def check_config(config: str | PathLike[str], options: Mapping[str, Any] | None, *loaders: str) -> None:
    """Check a config, the user's options and the folders of its data before torch is imported, which takes seconds.

    A config without a model is left to `run_testing`, which takes the model from the checkpoint.

    Raises:
        UserError: As `read_config`, `check_leaf` and `check_data_roots`.
    """
    cfg = read_config(config, custom_imports=False)
    if cfg.get("model") is None and cfg.get("test_dataloader") is not None and "train_dataloader" not in loaders:
        return
    check_leaf(cfg)
    check_data_roots(read_config(cfg, options), *loaders)


def _parse(path: Path, custom_imports: bool) -> Config:
    try:
        with _without_log_lines():
            return Config.fromfile(path, import_custom_modules=custom_imports)
    except FileNotFoundError:
        raise
    except Exception as error:  # a config is the user's code and may raise anything
        found = _syntax_error(path) if isinstance(error, SyntaxError) else None
        raise found or UserError(f"cannot read this config: {type(error).__name__}: {error}", file=path) from error


@contextmanager
def _without_log_lines() -> Iterator[None]:
    """Silence mmengine's parser of configs. It logs a line for each environment variable, and imports torch for it,
    which takes seconds. It has no option for this, and a logger that drops the line would be made by the same import.
    """
    print_log = mmengine_config.print_log
    mmengine_config.print_log = lambda *_, **__: None
    try:
        yield
    finally:
        mmengine_config.print_log = print_log


def _syntax_error(path: Path) -> UserError | None:
    """Return the error of the first file that is not valid Python: the config, or one that it is based on."""
    content = path.read_bytes()
    if content.startswith(codecs.BOM_UTF8):
        return UserError("begins with a byte order mark", file=path, remedy="save it as UTF-8 without this mark")
    try:
        tree = ast.parse(content)
    except SyntaxError as error:
        return UserError(f"cannot read this config: line {error.lineno}: {error.msg}", file=path)
    bases = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_"
    )
    names = (part.value for base in bases for part in ast.walk(base) if isinstance(part, ast.Constant))
    files = (path.parent / str(name) for name in names)
    return next(filter(None, (_syntax_error(file) for file in files if file.is_file())), None)
