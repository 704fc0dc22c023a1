"""The weights that parts of a model start from, such as a backbone's of ImageNet: found before anything is built."""

from pathlib import Path

from mmengine.config import Config

from mmdataseg.apis.config.checking import dicts
from mmdataseg.checkpoints.addresses import download, is_address
from mmdataseg.checkpoints.mmengine_loading import resolve
from mmdataseg.errors import MissingFileError, UserError


def fetch_initial_weights(cfg: Config) -> None:
    """Check that every file of weights that the model starts from is there. Download those that have an address.

    Raises:
        UserError: A file is missing or cannot be downloaded. The message names the setting to give another one with.
    """
    for place, content in dicts({"model": cfg.to_dict().get("model")}):
        checkpoint = content.get("checkpoint")
        if content.get("type") != "Pretrained" or not isinstance(checkpoint, str):
            continue
        try:
            file = resolve(checkpoint)
            if is_address(file):
                download(file)
            elif not Path(file).is_file():
                raise MissingFileError("no such file; expected weights to start from", file=file)
        except UserError as error:
            raise type(error)(
                error.message,
                file=error.file,
                remedy=f"give a file: --cfg-options {place}.checkpoint=PATH; or {place}=None, to train from scratch",
            ) from error
