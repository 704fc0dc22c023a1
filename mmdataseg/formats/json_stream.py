"""Reads a JSON object of long lists element by element, so COCO-style files of gigabytes need bounded memory.

It uses only the standard library. ijson needs one pass per list, which takes longer than the single pass here. It also
refuses NaN, which bad boxes may hold and ``drop_bad_boxes`` leaves out.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from mmdataseg.formats.json_files import COCO_KEYS, check_keys, invalid_json

CHUNK = 1 << 22
LARGEST_VALUE = 1 << 26
_NOT_BLANK = re.compile(r"[^ \t\r\n]")
_LONGEST_TAIL = len("e+1")  # the text that must follow a number in the window to know that the number ends there
_TRIES = 3  # per window
_DECODER = json.JSONDecoder()


def stream_json(path: Path, *, chunk: int = CHUNK) -> Iterator[tuple[str, Any]]:
    """Yield the content of a JSON object in the order of the file.

    Args:
        path: The file.
        chunk: Number of characters to read at a time.

    Yields:
        (key, None) once for each list and then (key, element) for each of its elements; (key, value) for every other
        value.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is not a JSON object; or an element is longer than 64 Mi characters, far longer than an
            annotation.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            window = _Window(file, chunk)
            if window.peek() == "[":
                check_keys(None, COCO_KEYS, path)  # raises: a list is valid JSON, but it has no keys
            yield from window.top_level()
    except (UnicodeDecodeError, RecursionError) as error:
        raise invalid_json(path, str(error)) from None
    except _SyntaxFault as fault:
        raise invalid_json(path, str(fault)) from None


class _SyntaxFault(Exception):
    """A syntax error in the text, with its position."""


class _Window:
    """The part of the file that is in memory, and the current position in it."""

    def __init__(self, file: TextIO, chunk: int) -> None:
        self.file = file
        self.chunk = chunk
        self.text = ""
        self.position = 0
        self.dropped = 0
        self.tries_left = _TRIES
        self.at_end = False

    def top_level(self) -> Iterator[tuple[str, Any]]:
        self.expect("{")
        if self.peek() == "}":
            self.position += 1
        else:
            while True:
                key = self.value()
                if not isinstance(key, str):
                    raise self.fault("expected a key in quotes")
                self.expect(":")
                if self.peek() == "[":
                    yield key, None
                    for element in self.elements():
                        yield key, element
                else:
                    yield key, self.value()
                if self.expect(",}") == "}":
                    break
        if self.peek():
            raise self.fault("expected the end of the file")

    def elements(self) -> Iterator[Any]:
        self.expect("[")
        if self.peek() == "]":
            self.position += 1
            return
        while True:
            yield from self.some_values()
            if self.expect(",]") == "]":
                return

    def some_values(self) -> list[Any]:
        """Decode the next elements of a list of objects: if possible, all that are complete in the window.

        Text that ends in a closing brace, and is valid inside list brackets, consists of complete elements: a cut
        inside an element would leave brackets or quotes open. It takes several tries, since the last brace may close a
        nested object.
        """
        self.peek()
        cut = len(self.text)
        while self.tries_left:
            cut = self.text.rfind("},", self.position, cut) + 1
            if not cut:
                break
            try:
                values, end = _DECODER.raw_decode("[" + self.text[self.position : cut] + "]")
            except ValueError:
                self.tries_left -= 1
                continue
            self.position += end - 2  # without our brackets; stops earlier if the list ends before the cut
            return values
        return [self.value()]

    def peek(self) -> str:
        """Return the next character that is not blank, or '' at the end of the file."""
        while True:
            found = _NOT_BLANK.search(self.text, self.position)
            self.position = found.start() if found else len(self.text)
            if found:
                return found[0]
            if not self.read_on():
                return ""

    def expect(self, characters: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            wanted = " or ".join(repr(c) for c in characters)
            raise self.fault(f"expected {wanted}, found {found!r}" if found else f"expected {wanted}, found the end")
        self.position += 1
        return found

    def value(self) -> Any:
        """Decode the next value. A value at the end of the window may continue after it, like 12 in 12.5."""
        self.peek()
        while True:
            start = self.position
            try:
                value, end = _DECODER.raw_decode(self.text, start)
            except json.JSONDecodeError as error:
                fault = self.fault(error.msg.removesuffix(" at"), error.pos)
                if len(self.text) - start > LARGEST_VALUE or not self.read_on():
                    raise fault from None
                continue
            except ValueError as error:  # an integer of thousands of digits
                raise self.fault(str(error)) from None
            if len(self.text) - end >= _LONGEST_TAIL:
                self.position = end
                return value
            if not self.read_on():
                self.position += end - start
                return value

    def read_on(self) -> bool:
        """Drop the text before the position and append the next text. Return False at the end of the file."""
        if self.at_end:
            return False
        self.dropped += self.position
        self.text = self.text[self.position :]
        self.position = 0
        # Double the window: a value of n chunks is decoded log n times, not n times.
        more = self.file.read(max(self.chunk, len(self.text)))
        self.at_end = not more
        self.tries_left = _TRIES
        self.text += more
        return bool(more)

    def fault(self, what: str, position: int | None = None) -> _SyntaxFault:
        at = self.dropped + (self.position if position is None else position)
        return _SyntaxFault(f"{what} at character {at}")
