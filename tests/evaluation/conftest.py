import logging

import pytest


@pytest.fixture
def log(monkeypatch):
    lines = []

    def record(message, logger=None, level=logging.INFO):
        assert logger == "current"
        lines.append((level, message))

    monkeypatch.setattr("mmdataseg.evaluation.multi_source.print_log", record)
    return lines
