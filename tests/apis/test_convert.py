"""Converted models are the originals: mmdet's, mmseg's and transformers' own, with random weights."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample

from mmdataseg.apis import cli
from mmdataseg.apis import convert as module
from mmdataseg.apis.convert import convert
from mmdataseg.apis.registration import register_all_modules
from mmdataseg.errors import UserError
from mmdataseg.text.embeddings import load_embeddings, save_embeddings
from mmdataseg.text.vocabularies import get_label_space
from mmdataseg.text.vocabulary import Vocabulary
from tests.apis import foreign_models as foreign

R50 = "mask2former_r50_8xb2-lsj-50e_coco-panoptic.py"
SWIN_T = "mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py"
ADE_R50 = "mask2former_r50_8xb2-160k_ade20k-512x512.py"
ADE_SWIN_T = "mask2former_swin-t_8xb2-160k_ade20k-512x512.py"
SHRUNK = [pytest.param(True, id="small"), pytest.param(False, id="full", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", autouse=True)
def registered() -> None:
    register_all_modules()


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("embeddings")
    return {name: foreign.embeddings(folder / f"{name}.safetensors", name) for name in ("coco133", "ade150")}


def save_as_published(model, path: Path, vocabulary: str) -> Path:
    """As mmdet's and mmseg's files are: with meta, and with what a training adds."""
    classes = get_label_space(vocabulary).classes
    meta = {"dataset_meta": {"classes": classes, "palette": [(0, 0, 0)]}, "cfg": "model = dict()", "epoch": 1}
    state = model.state_dict()
    torch.save(
        {"meta": meta, "state_dict": state, "optimizer": {"state": {}}, "ema_state_dict": {"steps": torch.tensor(1)}},
        path,
    )
    return path


# ---- parity


@pytest.mark.parametrize("shrink", SHRUNK)
@pytest.mark.parametrize(("theirs", "leaf", "ridge"), [(R50, "r50", 0.0), (R50, "r50", 0.3), (SWIN_T, "swin-t", 0.0)])
def test_mmdets_own_model_is_the_same_converted(tmp_path, texts, theirs, leaf, ridge, shrink):
    model = foreign.mmdet_model(theirs, shrink=shrink)
    file = save_as_published(model, tmp_path / "theirs.pth", "coco133")
    config = foreign.ours(f"mask2former_{leaf}_coco-panoptic.py", shrink=True) if shrink else None
    convert(file, tmp_path / "ours.pth", config=config, embeddings=texts["coco133"], ridge=ridge)
    foreign.assert_same(foreign.load_converted(tmp_path / "ours.pth"), model, foreign.mmdet_outputs, "coco_panoptic")


@pytest.mark.parametrize("shrink", SHRUNK)
@pytest.mark.parametrize(("theirs", "leaf"), [(ADE_R50, "r50"), (ADE_SWIN_T, "swin-t")])
def test_mmsegs_own_model_is_the_same_converted(tmp_path, texts, theirs, leaf, shrink):
    model = foreign.mmseg_model(theirs, shrink=shrink)
    file = save_as_published(model, tmp_path / "theirs.pth", "ade150")
    config = foreign.ours(f"mask2former_{leaf}_ade.py", shrink=True) if shrink else None
    convert(file, tmp_path / "ours.pth", config=config, embeddings=texts["ade150"], ridge=0.0)
    foreign.assert_same(foreign.load_converted(tmp_path / "ours.pth"), model, foreign.mmdet_outputs, "ade_semantic")


@pytest.mark.parametrize("shrink", SHRUNK)
def test_hugging_faces_own_model_is_the_same_converted(tmp_path, texts, shrink):
    model = foreign.hugging_face_model(shrink=shrink)
    model.save_pretrained(tmp_path / "theirs")
    config = foreign.ours("mask2former_swin-t_coco-panoptic.py", shrink=True) if shrink else None
    convert(tmp_path / "theirs", tmp_path / "ours.pth", config=config, embeddings=texts["coco133"], ridge=0.0)
    made = foreign.load_converted(tmp_path / "ours.pth")
    foreign.assert_same(made, model, foreign.hugging_face_outputs, "coco_panoptic")


def test_hugging_faces_bin_file_gives_what_its_safetensors_give(tmp_path, texts):
    from safetensors.torch import load_file

    foreign.hugging_face_model(shrink=True).save_pretrained(tmp_path / "theirs")
    config = foreign.ours("mask2former_swin-t_coco-panoptic.py", shrink=True)
    convert(tmp_path / "theirs", tmp_path / "one.pth", config=config, embeddings=texts["coco133"], ridge=0.0)
    torch.save(load_file(tmp_path / "theirs/model.safetensors"), tmp_path / "theirs/pytorch_model.bin")
    (tmp_path / "theirs/model.safetensors").unlink()
    convert(tmp_path / "theirs", tmp_path / "other.pth", config=config, embeddings=texts["coco133"], ridge=0.0)
    one, other = (torch.load(tmp_path / name, weights_only=True)["state_dict"] for name in ("one.pth", "other.pth"))
    assert all(torch.equal(one[name], other[name]) for name in one | other)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_the_panoptic_answer_is_mmdets_pixel_by_pixel(tmp_path, texts, ridge, monkeypatch):
    """By mmdet's own post-processing, on images of three sizes that were resized and padded.

    Pixels where rounding could change mmdet's answer are left out. With torch 2.1.2, one of 100,000 did differ.
    """
    model = foreign.mmdet_model(R50, shrink=True, object_mask_thr=0.1, iou_thr=0.1, instance_on=False)
    outputs = []
    answer = model.panoptic_fusion_head.panoptic_postprocess
    monkeypatch.setattr(
        model.panoptic_fusion_head, "panoptic_postprocess", lambda *args: outputs.append(args) or answer(*args)
    )
    config = foreign.ours("mask2former_r50_coco-panoptic.py", shrink=True)
    config.model.postprocessors.panoptic.update(score_threshold=0.1, kept_share=0.1)
    file = save_as_published(model, tmp_path / "theirs.pth", "coco133")
    convert(file, tmp_path / "ours.pth", config=config, embeddings=texts["coco133"], ridge=ridge)
    made = foreign.load_converted(tmp_path / "ours.pth")
    segments = 0
    for image in foreign.images():
        height, width = image.shape[-2:]
        meta = {"img_shape": (height - 7, width - 5), "ori_shape": (2 * height - 14, 2 * width - 10)}
        meta["batch_input_shape"] = (height, width)
        with torch.no_grad():
            theirs = model.predict(image, [DetDataSample(metainfo=meta)])[0].pred_panoptic_seg.sem_seg[0]
            sample = DetDataSample(metainfo={**meta, "source": "coco_panoptic"})
            ours = made.predict(image, [sample])[0].pred_panoptic_seg.sem_seg[0]
        decided = are_decided(*outputs.pop(), least=0.1)
        assert decided.float().mean() > 0.998
        ours, theirs = ours[decided], theirs[decided]
        assert torch.equal(torch.where(ours == 0, 133, ours % 1000), theirs.long() % 1000)
        pairs = torch.stack([ours, theirs.long()]).unique(dim=1)
        assert pairs.shape[1] == len(ours.unique()) == len(theirs.unique()), "segments are the same, not classes alone"
        segments += pairs.shape[1]
    assert segments > 6


def are_decided(class_logits, mask_logits, *, least):
    """Pixels at which one mask is clearly the best for mmdet, and clearly on one side of its threshold of 0.5."""
    scores, labels = class_logits.softmax(-1).max(-1)
    kept = (labels < class_logits.shape[-1] - 1) & (scores > least)
    probs = mask_logits[kept].sigmoid()
    (best, second), rows = (scores[kept, None, None] * probs).topk(2, dim=0)
    return (best - second > 1e-5) & ((probs.gather(0, rows[:1])[0] - 0.5).abs() > 1e-5)


def test_a_file_with_older_names_gives_the_same(tmp_path, texts):
    """Before mmdet 3.0.0rc6 attentions and feed-forward networks of a layer were numbered."""
    model = foreign.mmdet_model(R50, shrink=True)
    config = foreign.ours("mask2former_r50_coco-panoptic.py", shrink=True)
    older = {}
    for name, value in model.state_dict().items():
        name = re.sub(r"(encoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.0.", name)
        name = re.sub(r"(transformer_decoder\.layers\.\d+)\.cross_attn\.", r"\1.attentions.0.", name)
        name = re.sub(r"(transformer_decoder\.layers\.\d+)\.self_attn\.", r"\1.attentions.1.", name)
        older[re.sub(r"(layers\.\d+)\.ffn\.", r"\1.ffns.0.", name)] = value
    assert sum(".attentions." in name for name in older) > 20
    older |= {"data_preprocessor.mean": torch.zeros(3, 1, 1), "panoptic_head.loss_cls.class_weight": torch.ones(134)}
    for name, state in (("new", model.state_dict()), ("old", older)):
        torch.save(state, tmp_path / f"{name}.pth")
        convert(
            tmp_path / f"{name}.pth",
            tmp_path / f"{name}_ours.pth",
            config=config,
            embeddings=texts["coco133"],
            ridge=0.0,
        )
    new, old = (torch.load(tmp_path / f"{name}_ours.pth", weights_only=True)["state_dict"] for name in ("new", "old"))
    assert all(torch.equal(new[name], old[name]) for name in new | old)


# ---- what is written


@pytest.fixture(scope="module")
def r50(tmp_path_factory) -> Path:
    """A small R50 of mmdet, as published."""
    model = foreign.mmdet_model(R50, shrink=True)
    return save_as_published(model, tmp_path_factory.mktemp("r50") / "theirs.pth", "coco133")


@pytest.fixture
def small() -> object:
    return foreign.ours("mask2former_r50_coco-panoptic.py", shrink=True)


def test_a_checkpoint_says_where_it_is_from(tmp_path, texts, r50, small):
    made = convert(r50, tmp_path / "ours.pth", config=small, embeddings=texts["coco133"], ridge=0.5)
    meta = torch.load(tmp_path / "ours.pth", weights_only=True)["meta"]["mmdataseg"]
    assert meta["converted_from"] == str(r50)
    assert len(meta["sha256"]) == len(meta["embeddings_sha256"]) == 64
    assert (meta["layout"], meta["ridge"], meta["encoder"]) == ("mmdet", 0.5, "open_clip CLIP-like")
    assert meta["classes"] == list(get_label_space("coco133").classes)
    assert meta["error"] < 1e-5 < 1e-3 < meta["text_error"]
    text = str(made)
    assert "ResNet-50, 20 queries" in text
    assert "--cfg-options model.classifier.embed_dim=512" in text
    assert "predict" in text


def test_a_ridge_shortens_class_embeddings_and_costs_words_that_are_answered_by_text(tmp_path, texts, r50, small):
    found = [
        convert(r50, tmp_path / "ours.pth", config=small, embeddings=texts["coco133"], ridge=ridge).provenance
        for ridge in (0.0, 0.1, 1.0)
    ]
    errors, stretches = [made["text_error"] for made in found], [made["stretch"] for made in found]
    assert errors[0] < 1e-6, "without a ridge it is exact"
    assert errors == sorted(errors)
    assert max(made["error"] for made in found) < 1e-5, "its own classes are exact with any ridge"
    assert stretches == sorted(stretches, reverse=True)


def test_own_classes_that_have_the_same_text_are_answered_by_it(tmp_path, texts, r50, small):
    """No vectors are exact where two rows are the same; with a ridge the model can still be converted."""
    text = load_embeddings(Path(texts["coco133"]))
    rows = text.matrix.clone()
    rows[3] = rows[7]
    same = save_embeddings(tmp_path / "same.safetensors", replace(text, matrix=rows))
    made = convert(r50, tmp_path / "ours.pth", config=small, embeddings=same, ridge=0.1).provenance
    assert made["error"] == pytest.approx(made["text_error"], rel=1e-4)
    assert made["error"] > 1e-3


def test_classes_in_another_order_are_found_by_their_names(tmp_path, texts, r50, small):
    content = torch.load(r50, weights_only=True)
    order = torch.randperm(133, generator=torch.Generator().manual_seed(0)).tolist()
    classes = content["meta"]["dataset_meta"]["classes"]
    content["meta"]["dataset_meta"]["classes"] = [f"{classes[i].upper()}, or so" for i in order]
    for name in ("weight", "bias"):
        layer = content["state_dict"][f"panoptic_head.cls_embed.{name}"]
        content["state_dict"][f"panoptic_head.cls_embed.{name}"] = layer[[*order, 133]]
    torch.save(content, tmp_path / "other.pth")
    for file, out in ((r50, "one.pth"), (tmp_path / "other.pth", "other_ours.pth")):
        convert(file, tmp_path / out, config=small, embeddings=texts["coco133"], ridge=0.0)
    one, other = (torch.load(tmp_path / n, weights_only=True)["state_dict"] for n in ("one.pth", "other_ours.pth"))
    key = "panoptic_head.class_embed.0.weight"
    torch.testing.assert_close(one[key], other[key], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "classes", "leaf"),
    [
        ("r101", "coco133", "mask2former_r101_coco-panoptic.py"),
        ("swin-l", "coco80", "mask2former_swin-l_coco-instance.py"),
        ("swin-s", "ade150", "mask2former_swin-s_ade.py"),
        ("swin-b", "cityscapes19", "mask2former_swin-b_cityscapes.py"),
    ],
)
def test_a_config_is_found_for_backbone_and_classes(backbone, classes, leaf):
    from types import SimpleNamespace

    from mmdataseg.apis.config.files import find_config

    names = get_label_space(classes).classes
    architecture = SimpleNamespace(backbone=backbone, known=True)
    assert module._leaf_for(SimpleNamespace(architecture=architecture, classes=names)) == leaf
    find_config(leaf)


def test_a_converted_model_answers_to_words(tmp_path, texts, r50):
    """In all three tasks, in a vocabulary it was not trained on; from its checkpoint alone."""
    from mmdataseg.apis.segmenter import Segmenter

    small_config = foreign.ours("mask2former_r50_coco-panoptic.py", shrink=True)
    convert(r50, tmp_path / "out.pth", config=small_config, embeddings=texts["coco133"], ridge=0.0)
    segmenter = Segmenter(tmp_path / "out.pth", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for step in segmenter._prepare.transforms:
        if hasattr(step, "scale"):
            step.scale = (64, 64)
    words = Vocabulary.load(texts["ade150"], stuff=["wall", "sky"])
    (result,) = segmenter(image, vocabularies=words, tasks=["panoptic", "semantic", "instance"], channels="rgb")
    for field in ("panoptic_seg", "sem_seg", "instances"):
        assert f"pred_{field}" in result.sample
    assert len(result["semantic"].label_space) == 150


def test_the_command_prints_what_to_run_next(tmp_path, texts, r50, capsys):
    small_config = foreign.ours("mask2former_r50_coco-panoptic.py", shrink=True)
    small_config.dump(tmp_path / "small.py")
    options = [
        "--to",
        str(tmp_path / "out.pth"),
        "--embeddings",
        texts["coco133"],
        "--config",
        str(tmp_path / "small.py"),
    ]
    cli.main(["convert", str(r50), *options])
    assert "python -m mmdataseg predict" in capsys.readouterr().out
    assert (tmp_path / "out.pth").is_file()


# ---- what is refused


def change(r50: Path, path: Path, **state) -> Path:
    content = torch.load(r50, weights_only=True)
    content["state_dict"] = state.pop("state_dict", content["state_dict"])
    content["meta"].update(state.pop("meta", {}))
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["backbone.conv1.weight", "roi_head.bbox_head.fc_cls.weight"], "got a detection model of mmdet; only Mask2F"),
        (["class_predictor.weight", "model.text_mapper.prompt_ctx.weight"], "got a OneFormer; only Mask2Former can"),
        (["sem_seg_head.predictor.query_feat.weight"], "got a Mask2Former of Detectron2; give its conversion on Hugg"),
        (["panoptic_head.class_embed.0.weight"], "got a checkpoint of mmdataseg already; use it as it is"),
        (["decode_head.conv_seg.weight"], "got another segmentation model of mmseg"),
        (["panoptic_head.cls_embed.weight"], "got a MaskFormer of mmdet"),
        (["layer1.0.conv1.weight"], "got a backbone alone; give a whole Mask2Former"),
        (["something"], "got parameters such as something"),
    ],
)
def test_other_models_are_refused_by_what_they_are(tmp_path, keys, message):
    torch.save({key: torch.zeros(1) for key in keys}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=rf"a\.pth': expected a Mask2Former of mmdet, mmseg or Hugging Face, {message}"):
        convert(tmp_path / "a.pth", tmp_path / "out.pth")


def test_another_number_of_classes_than_it_names_is_refused(tmp_path, texts, r50, small):
    file = change(r50, tmp_path / "a.pth", meta={"dataset_meta": {"classes": ["dog", "sky"]}})
    with pytest.raises(UserError, match="names 2 classes, and its class layer has 133"):
        convert(file, tmp_path / "out.pth", config=small, embeddings=texts["coco133"], ridge=0.0)


def test_classes_that_the_embeddings_lack_are_refused(tmp_path, texts, r50, small):
    with pytest.raises(
        UserError, match=r"class 'motorcycle' .* no row of its own among the 150 .*give the file as --emb"
    ):
        convert(r50, tmp_path / "out.pth", config=small, embeddings=texts["ade150"], ridge=0.0)


def test_embeddings_that_are_not_there_say_how_to_make_them(tmp_path, monkeypatch, r50, small):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"source 'coco_panoptic'.*no such file; build them with.*or give --embeddings"):
        convert(r50, tmp_path / "out.pth", config=small)


def test_embeddings_of_another_encoder_are_refused(tmp_path, monkeypatch, texts, r50):
    monkeypatch.chdir(tmp_path)
    config = foreign.ours("mask2former_r50_transfer.py", shrink=True)
    foreign.embeddings(tmp_path / config.model.sources[0].embeddings, "ade150", encoder="ViT-X")
    with pytest.raises(UserError, match=r"made by 'open_clip ViT-X' .*'open_clip CLIP-like'.*nothing in common"):
        convert(r50, tmp_path / "out.pth", config=config, embeddings=texts["coco133"], ridge=0.0)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (
            "mask2former_swin-t_coco-panoptic.py",
            r"it has Swin-T, windows of 7, .*theirs\.pth has ResNet-50, 20 queries",
        ),
        ("mask2former_r101_coco-panoptic.py", "it has ResNet-101, 20 queries, .* has ResNet-50, 20 queries"),
        ("dataseg_r50_3ds.py", r"expected model\.panoptic_head\.class_embed_layers=1"),
        ("mmdet-mask2former_toy_panoptic.py", r"expected a model mmdataseg\.DaTaSeg"),
        ("no_such_config.py", "is neither a file nor one of"),
    ],
)
def test_a_config_of_another_model_is_refused(tmp_path, texts, r50, leaf, message):
    with pytest.raises(UserError, match=message):
        convert(r50, tmp_path / "out.pth", config=leaf, embeddings=texts["coco133"], ridge=0.0)


def test_a_backbone_that_no_config_has_is_refused(tmp_path, texts, r50):
    content = torch.load(r50, weights_only=True)["state_dict"]
    state = {name: value for name, value in content.items() if not name.startswith("backbone.layer4.2.")}
    file = change(r50, tmp_path / "a.pth", state_dict=state)
    with pytest.raises(UserError, match=r"has a ResNet of 64 channels and \(3, 4, 6, 2\) blocks, which no config"):
        convert(file, tmp_path / "out.pth", embeddings=texts["coco133"], ridge=0.0)


def test_a_weight_that_is_missing_is_named(tmp_path, texts, r50, small):
    state = torch.load(r50, weights_only=True)["state_dict"]
    del state["backbone.bn1.weight"]
    file = change(r50, tmp_path / "a.pth", state_dict=state)
    with pytest.raises(UserError, match=r"weights are not those of config .*missing backbone\.bn1\.weight"):
        convert(file, tmp_path / "out.pth", config=small, embeddings=texts["coco133"], ridge=0.0)


def test_nothing_is_written_where_something_is_refused(tmp_path, texts, r50, small):
    with pytest.raises(UserError, match="ridge"):
        convert(r50, tmp_path / "out.pth", config=small, embeddings=texts["coco133"], ridge=-1.0)
    assert not list(tmp_path.iterdir())


def test_a_config_beside_the_weights_that_is_not_valid_json_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {}})[:-3])
    torch.save({"class_predictor.weight": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="not valid JSON"):
        convert(tmp_path, tmp_path / "out.pth")
