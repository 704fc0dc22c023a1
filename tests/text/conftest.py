"""Fixtures for text embeddings."""

import logging

import pytest

from mmdataseg.text import hashing


@pytest.fixture
def warnings_of_stand_in(monkeypatch):
    """The warnings that embeddings of the hashing encoder are in use, as in a process that has given none yet."""
    messages = []

    def record(message, logger=None, level=logging.INFO):
        assert (logger, level) == ("current", logging.WARNING)  # so it is in the log of a training
        messages.append(message)

    monkeypatch.setattr("mmengine.logging.print_log", record)
    hashing.warn_of_stand_in.cache_clear()
    yield messages
    hashing.warn_of_stand_in.cache_clear()
