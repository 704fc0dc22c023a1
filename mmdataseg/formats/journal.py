"""A journal beside an unfinished file, so that an interrupted run continues where it stopped."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO


class Journal:
    """A file of finished records, one line of JSON per record.

    As a context manager, it opens the file for appending. A record counts once its line is complete. Remove the journal
    when the file that it prepares has been written.

    Args:
        path: Path of the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def read(self) -> list[dict[str, Any]]:
        """Read the records of an earlier run, and remove an incomplete last line (see `records` and `repair`)."""
        self.repair()
        return list(self.records())

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records before the first line that is incomplete or not valid JSON; none if there is no journal."""
        for record, _ in self._lines():
            yield record

    def repair(self) -> None:
        """Remove an incomplete last line, so that the next record starts on a line of its own."""
        if not self.path.is_file():
            return
        size = sum(length for _, length in self._lines())
        if size < self.path.stat().st_size:
            os.truncate(self.path, size)

    def _lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield each record and the length of its line in bytes."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            for line in file:
                try:
                    if not line.endswith(b"\n"):
                        return
                    yield json.loads(line), len(line)
                except ValueError:  # not JSON, or not UTF-8
                    return

    def __enter__(self) -> "Journal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def append(self, record: dict[str, Any]) -> None:
        """Write a record of JSON values at once.

        Raises:
            RuntimeError: The journal is not open.
        """
        if self._file is None:
            raise RuntimeError("the journal is not open; append inside 'with journal:'")
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()

    def remove(self) -> None:
        """Delete the journal, if there is one."""
        self.path.unlink(missing_ok=True)
