"""Queries and backgrounds per source: the designs that the paper argues against, for its ablations."""

import pytest
import torch

from mmdataseg.models import TextClassifier
from tests.models.conftest import TEXT_DIM, make_batch, make_sample
from tests.models.per_source_model import TRAINED, build_model, configs
from tests.models.small_head import build, maps
from tests.tolerances import THROUGH_LAYERS


@pytest.fixture(scope="module")
def model(embeddings_file):
    return build_model(embeddings_file)


OWN = [
    "classifier.background_boxes",
    "classifier.background_panoptic",
    "panoptic_head.query_embed_boxes.weight",
    "panoptic_head.query_embed_panoptic.weight",
    "panoptic_head.query_feat_boxes.weight",
    "panoptic_head.query_feat_panoptic.weight",
]


def test_each_source_has_its_own_queries_and_background_and_all_else_is_shared(model, embeddings_file):
    shared = dict(build_model(embeddings_file, background="shared", queries="shared").named_parameters())
    own = dict(model.named_parameters())
    assert sorted(set(own) - set(shared)) == OWN
    assert sorted(set(shared) - set(own)) == [
        "classifier.background", "panoptic_head.query_embed.weight", "panoptic_head.query_feat.weight"
    ]  # fmt: skip


@pytest.mark.parametrize("source", TRAINED)
def test_a_batch_trains_the_parameters_of_its_source_and_all_shared_ones(model, source):
    model.zero_grad()
    data = model.data_preprocessor(make_batch(make_sample(source), make_sample(source, seed=1)), training=True)
    sum(model.loss(data["inputs"], data["data_samples"]).values()).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert without == [name for name in sorted(OWN) if not name.removesuffix(".weight").endswith(source)]


def test_each_image_of_a_batch_uses_the_queries_of_its_source(embeddings_file):
    model = build_model(embeddings_file).eval()
    samples = [make_sample(name) for name in ("panoptic", "boxes", "semantic")]  # one image, three sources
    data = model.data_preprocessor(make_batch(*samples))
    with torch.no_grad():
        panoptic, boxes, semantic = model._forward(data["inputs"], data["data_samples"]).mask_embeds_LBQC[0]
        assert (panoptic - boxes).abs().max() > 1e-2
        # the first training source with its classes
        torch.testing.assert_close(semantic, panoptic, **THROUGH_LAYERS)
        with pytest.raises(ValueError, match=r"one of the query sets \('boxes', 'panoptic'\).* of 3 images"):
            model._forward(data["inputs"])


def test_a_test_only_source_may_name_the_source_whose_parameters_it_uses(embeddings_file):
    model = build_model(embeddings_file, semantic={"parameters_of": "boxes"})
    assert torch.equal(model.classifier.background_of("semantic"), model.classifier.background_boxes)
    data = model.data_preprocessor(make_batch(make_sample("semantic"), make_sample("boxes")))
    with torch.no_grad():
        semantic, boxes = model.eval()._forward(data["inputs"], data["data_samples"]).mask_embeds_LBQC[0]
    torch.testing.assert_close(semantic, boxes, **THROUGH_LAYERS)


def test_each_source_is_classified_against_its_own_background(embeddings_file):
    classifier = TextClassifier(sources=configs(embeddings_file), embed_dim=TEXT_DIM, background="per_source")
    text = classifier.matrix("panoptic")
    with torch.no_grad():
        classifier.background_panoptic.copy_(text[0])
        classifier.background_boxes.copy_(-text[0])
    scale = classifier.log_scale.exp().item()
    logits = {name: classifier(text[0], text, name) for name in TRAINED}
    assert logits["panoptic"][-1].item() == pytest.approx(scale, rel=1e-4)
    assert logits["boxes"][-1].item() == pytest.approx(-scale, rel=1e-4)
    assert torch.equal(logits["panoptic"][:-1], logits["boxes"][:-1])
    assert torch.equal(classifier(text[0], text, "semantic"), logits["panoptic"])
    with pytest.raises(ValueError, match=r"own background: expected one of \['semantic', .*\], got None; name the"):
        classifier(text[0], text)


def test_a_single_set_of_queries_equals_the_shared_head():
    shared, named = build(), build(query_sets=["all"])
    with torch.no_grad():
        expected, actual = shared(maps()), named(maps(), ["all", "all"])
    for one, other in zip(expected, actual, strict=True):
        torch.testing.assert_close(one, other, **THROUGH_LAYERS)


@pytest.mark.parametrize(
    ("sets", "asked", "message"),
    [
        (None, ["a", "a"], r"expected no query sets \(the head has only one\) for 2 images, got \['a', 'a'\]"),
        (["a", "b"], None, r"expected one of the query sets \('a', 'b'\) for each of 2 images, got None"),
        (["a", "b"], ["a"], r"for each of 2 images, got \['a'\]"),
        (["a", "b"], ["a", "c"], r"for each of 2 images, got \['a', 'c'\]"),
    ],
)
def test_query_sets_that_do_not_fit_are_refused(sets, asked, message):
    with pytest.raises(ValueError, match=message):
        build(query_sets=sets)(maps(), asked)


def test_unknown_modes_are_refused(embeddings_file):
    with pytest.raises(ValueError, match=r"queries: expected one of \('shared', 'per_source'\), got 'none'"):
        build_model(embeddings_file, queries="none")
    with pytest.raises(ValueError, match=r"background: expected one of \('shared', 'per_source'\), got 'own'"):
        build_model(embeddings_file, background="own")
