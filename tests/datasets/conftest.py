"""Fixtures for the datasets."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture
def mmdet_scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield
