import pytest
import torch

from mmdataseg.errors import UserError
from mmdataseg.text.hashing import HashingEncoder
from tests.tolerances import SUMS


def test_embeddings_are_the_same_on_every_machine():
    row = HashingEncoder(dim=4)(["dog"])[0]
    torch.testing.assert_close(row, torch.tensor(EXPECTED_DOG), **SUMS)


# SHAKE-256 of b"dog", four little-endian uint32 u, (u + 0.5) / 2**31 - 1, divided by the length: computed by another
# program.
EXPECTED_DOG = [0.821763, 0.278972, 0.424464, 0.258285]


def test_a_name_is_the_mean_of_its_words():
    rows = HashingEncoder(dim=32)(["red", "star", "red star", "Star, RED!"])
    torch.testing.assert_close(rows[2], torch.nn.functional.normalize(rows[0] + rows[1], dim=0))
    torch.testing.assert_close(rows[3], rows[2])


def test_shared_words_make_names_alike_and_others_nearly_orthogonal():
    rows = HashingEncoder(dim=4096)(["red star", "blue star", "green ring"])
    cosine = rows @ rows.T
    torch.testing.assert_close(cosine.diag(), torch.ones(3), rtol=0, atol=1e-4)  # sums of 4,096 products
    assert cosine[0, 1] == pytest.approx(0.5, abs=0.05)
    assert cosine[0, 2] == pytest.approx(0.0, abs=0.1)


def test_the_encoder_says_that_it_is_a_stand_in():
    encoder = HashingEncoder()
    assert encoder.info.is_stand_in
    assert str(encoder.info) == "hashing (stand-in)"
    assert encoder.dim == 512


def test_no_texts_give_no_rows():
    assert HashingEncoder(dim=8)([]).shape == (0, 8)


def test_a_text_without_a_word_is_refused():
    with pytest.raises(UserError, match="at least one letter or digit, got '_-'"):
        HashingEncoder(dim=8)(["dog", "_-"])


def test_no_dimension_is_refused():
    with pytest.raises(UserError, match="dim of at least 1, got 0"):
        HashingEncoder(dim=0)
