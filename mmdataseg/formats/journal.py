"""A journal beside an unfinished file, so that an interrupted run continues where it stopped."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from mmdataseg.formats.whole_files import write_whole


class Journal:
    """Finished records, one line of JSON each.

    Used as a context manager, it appends. A record counts once its line is complete. Remove the journal when the file
    that it prepares has been written.

    Args:
        path: Of the journal.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def read(self) -> list[dict[str, Any]]:
        """Read the records of an earlier run, and cut off what an interruption left of a line.

        Returns:
            The records before the first line that is incomplete or not valid JSON; none if there is no journal.
        """
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        records = []
        for line in lines:
            try:
                if not line.endswith("\n"):
                    break
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
        if len(records) < len(lines):
            write_whole(self.path, "".join(lines[: len(records)]))
        return records

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
        """Write a record at once.

        Args:
            record: JSON.

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
