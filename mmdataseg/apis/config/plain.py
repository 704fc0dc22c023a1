"""A Config whose text is produced without a code formatter."""

import ast
from pprint import pformat
from typing import Any

from mmengine.config import Config


class PlainConfig(Config):
    """A config that produces its text in milliseconds.

    mmengine formats the text with yapf, which takes seconds for a config with several sources. It needs the text six
    times at the start of a run and once per checkpoint.
    """

    @classmethod
    def of(cls, cfg: Config) -> "PlainConfig":
        """Return the same config as an instance of this class. Both share their content."""
        plain = cls.__new__(cls)
        for key, value in cfg.__dict__.items():  # past Config's own __setattr__, which writes into the config
            object.__setattr__(plain, key, value)
        return plain

    @property
    def pretty_text(self) -> str:
        """The config as Python code. If it holds more than literals, mmengine formats it."""
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
