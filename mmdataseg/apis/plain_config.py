"""mmengine's Config, written out without a code formatter."""

import ast
from pprint import pformat
from typing import Any

from mmengine.config import Config


class PlainConfig(Config):
    """A config whose text takes milliseconds.

    mmengine has yapf lay out a config's text, which takes seconds for one with several sources, and asks for that text
    six times while a run starts and once more at every checkpoint.
    """

    @classmethod
    def of(cls, cfg: Config) -> "PlainConfig":
        """The same config, of this class; the two share their content."""
        plain = cls.__new__(cls)
        for key, value in cfg.__dict__.items():  # past Config's own __setattr__, which writes into the config
            object.__setattr__(plain, key, value)
        return plain

    @property
    def pretty_text(self) -> str:
        """The config as Python; by mmengine's way where it holds more than literals."""
        parts: list[str] = []
        for key, value in self.to_dict().items():
            text = pformat(value, width=120, sort_dicts=False)
            if not (key.isidentifier() and _reads_as(text, value)):
                return super().pretty_text
            parts.append(f"{key} = {text}\n")
        return "".join(parts)


def _reads_as(text: str, value: Any) -> bool:
    try:
        return ast.literal_eval(text) == value
    except (ValueError, SyntaxError):
        return False
