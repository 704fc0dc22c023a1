import pytest
import torch
from mmengine.structures import BaseDataElement

from mmdataseg.evaluation.devices import to_cpu


class Elsewhere(BaseDataElement):
    """A data element that says where it was sent."""

    def to(self, device):
        return f"sent to {device}"


def test_lists_tuples_and_dicts_keep_their_structure():
    number = torch.ones(1)
    assert to_cpu([{"a": (number, "name")}, 7, None]) == [{"a": (number, "name")}, 7, None]


def test_tensors_and_data_elements_are_sent_to_the_cpu():
    assert to_cpu({"a": [(Elsewhere(),)]}) == {"a": [("sent to cpu",)]}
    with pytest.raises(NotImplementedError, match="meta"):  # what torch says to a copy of a tensor without content
        to_cpu([torch.zeros(1, device="meta")])
