"""The network with parts that torch.compile compiles. Most tests use its backends that need no C++ compiler."""

import copy
import pickle
import shutil

import pytest
import torch
from torch import nn

from mmdataseg.errors import UserError
from mmdataseg.models import compilation
from mmdataseg.registry import MODELS
from tests.models.conftest import SIZE, head_config, make_batch, make_sample, model_config
from tests.tolerances import THROUGH_LAYERS

NECK = {"type": "mmdataseg.PositionChannels", "num_frequencies": 1}


@pytest.fixture(autouse=True)
def _without_compiled_code():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


class Counting:
    """A backend that runs what torch traced as it is, and counts the graphs."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, _):
        self.graphs += 1
        return graph.forward


class Small(nn.Module):
    """A backbone that torch traces in a moment: maps of strides 4, 8, 16 and 32, each from the image."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(3, 8, stride, stride=stride) for stride in (4, 8, 16, 32))

    def forward(self, images):
        return tuple(stage(images).relu() for stage in self.stages)


MODELS.register_module(module=Small, name="SmallOfCompilationTest", force=True)


def build(embeddings_file, neck=False, **changes):
    torch.manual_seed(0)
    changes = {
        "backbone": {"type": "mmdataseg.SmallOfCompilationTest"},
        "panoptic_head": head_config(in_channels=(8 + 6,) * 4 if neck else (8,) * 4),
        **({"neck": NECK} if neck else {}),
        **changes,
    }
    return MODELS.build(model_config(embeddings_file, **changes))


def proposals_and_gradients(model, bfloat16=False):
    inputs = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        proposals = model.propose(inputs, [])
    sum(part.float().square().mean() for part in proposals).backward()
    return proposals, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(actual, expected, tolerance=1e-3):
    for part, expected_part in zip(actual[0], expected[0], strict=True):
        torch.testing.assert_close(part, expected_part, **THROUGH_LAYERS)
    assert actual[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (actual[1][name] - gradient).norm() <= tolerance * gradient.norm(), name


@pytest.mark.parametrize("part", compilation.PARTS)
def test_a_compiled_part_computes_the_same_with_the_same_weights(embeddings_file, part):
    plain, counting = build(embeddings_file, neck=True), Counting()
    compiled = build(embeddings_file, neck=True, compile={"parts": [part], "backend": counting})
    names = [name for name, _ in plain.named_parameters()]
    assert [name for name, _ in compiled.named_parameters()] == names
    assert list(compiled.state_dict()) == list(plain.state_dict())
    compiled.load_state_dict(plain.state_dict())
    assert counting.graphs == 0, "compiled at the first call, not when it is built"
    assert_same(proposals_and_gradients(compiled), proposals_and_gradients(plain))
    assert counting.graphs >= 1
    plain.load_state_dict(compiled.state_dict())


@pytest.mark.parametrize("way", ["channels-last", "checkpointing"])
def test_a_compiled_backbone_has_the_same_gradients(embeddings_file, way):
    changes = {"channels_last": True}
    if way == "checkpointing":
        resnet = model_config(embeddings_file)
        changes = {"backbone": {**resnet["backbone"], "with_cp": True}, "panoptic_head": resnet["panoptic_head"]}
    plain = build(embeddings_file, **changes)
    compiled = build(embeddings_file, compile={"parts": ["backbone"], "backend": "aot_eager"}, **changes)
    assert_same(proposals_and_gradients(compiled.train()), proposals_and_gradients(plain.train()))


def test_a_compiled_backbone_runs_under_autocast(embeddings_file):
    plain, counting = build(embeddings_file), Counting()
    compiled = build(embeddings_file, compile={"parts": ["backbone"], "backend": counting})
    assert_same(
        proposals_and_gradients(compiled, bfloat16=True), proposals_and_gradients(plain, bfloat16=True), tolerance=0.05
    )
    assert counting.graphs == 1


@pytest.mark.parametrize("dynamic", [None, True])
def test_images_of_many_sizes_need_few_graphs(dynamic):
    """One for the first size, unless sizes are dynamic from the start, and one for all others; as many once more for
    predictions, and one if these have a single image."""
    model, counting = nn.ModuleDict({"backbone": Small()}), Counting()
    compilation.compile_parts(model, {"parts": ["backbone"], "backend": counting, "dynamic": dynamic})
    for size in ((64, 96), (96, 64), (128, 128), (64, 64), (160, 96)):
        model["backbone"].train()(torch.zeros(2, 3, *size))
    assert counting.graphs == (1 if dynamic else 2)
    with torch.no_grad():
        for size in ((64, 96), (96, 64), (128, 128), (64, 64), (160, 96), (96, 192)):
            model["backbone"].eval()(torch.zeros(1, 3, *size))
    assert counting.graphs <= 5


def test_a_copy_has_the_same_weights_and_is_not_compiled(embeddings_file):
    """As mmengine's EMAHook copies the model: it averages the weights of the copy, and never calls it."""
    counting = Counting()
    model = build(embeddings_file, compile={"parts": ["backbone"], "backend": counting})
    expected = proposals_and_gradients(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model.backbone))):
        assert set(map(type, other.modules())) <= set(map(type, model.modules()))
    before = counting.graphs
    assert_same(proposals_and_gradients(copy.deepcopy(model)), expected)
    assert counting.graphs == before


def test_a_batch_trains_and_is_answered(embeddings_file):
    model = build(embeddings_file, compile={"parts": ["backbone"], "backend": "aot_eager"}).train()
    data = model.data_preprocessor(make_batch(make_sample("panoptic")), training=True)
    losses = model.loss(data["inputs"], data["data_samples"])
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.backbone.parameters())
    with torch.no_grad():
        (answer,) = model.eval().predict(data["inputs"], data["data_samples"])
    assert "pred_panoptic_seg" in answer


@pytest.mark.parametrize(
    "settings", [True, {}, {"mode": "default"}, {"parts": []}, {"parts": "backbone"}, {"parts": ["neck"]}]
)
def test_settings_without_known_parts_are_refused(embeddings_file, settings):
    expected = r"expected dict\(parts=\[\.\.\.\]\) with parts among \['backbone'\], got "
    with pytest.raises(UserError, match=rf"model\.compile: {expected}"):
        build(embeddings_file, compile=settings)


@pytest.mark.parametrize("option", [{"mode": "fastest"}, {"backend": "nobody's"}, {"speed": 2}])
def test_options_that_torch_does_not_know_are_refused(embeddings_file, option):
    with pytest.raises(UserError, match=r"model\.compile: .*(fastest|nobody's|speed)"):
        build(embeddings_file, compile={"parts": ["backbone"], **option})


def test_a_missing_compiler_is_named(embeddings_file):
    from torch._inductor.exc import InvalidCxxCompiler

    def backend(*_):
        raise InvalidCxxCompiler  # as inductor does

    model = build(embeddings_file, compile={"parts": ["backbone"], "backend": backend})
    with pytest.raises(UserError, match=r"model\.compile: torch found no C\+\+ compiler; install g\+\+"):
        model.propose(torch.zeros(1, 3, *SIZE), [])


def test_another_error_of_a_part_is_not_renamed(embeddings_file, monkeypatch):
    def failing(*_):
        raise RuntimeError("out of memory")

    model = build(embeddings_file)
    monkeypatch.setattr(model, "extract_feat", failing)
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        model.propose(torch.zeros(1, 3, *SIZE), [])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_inductor_computes_the_same(embeddings_file):
    plain = build(embeddings_file)
    compiled = build(embeddings_file, compile={"parts": ["backbone"]})
    assert_same(proposals_and_gradients(compiled), proposals_and_gradients(plain))
