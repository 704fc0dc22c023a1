"""The argument parser of all commands."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any


class Parser(ArgumentParser):
    """An argument parser that takes no abbreviations, and suggests the nearest option for an unknown one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """Parse all arguments.

        Raises:
            SystemExit: With code 2, if an argument is unknown or wrong.
        """
        found, rest = self.parse_known_intermixed_args(args, namespace)  # options may come before images
        options = [word for word in rest if word.startswith("-")]
        if options:
            near = get_close_matches(options[0], re.findall(r"--[\w-]+", self.format_help()), n=1)
            self.error(f"unknown option {options[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if rest:
            self.error(f"argument {rest[0]!r} is one too many")
        return found
