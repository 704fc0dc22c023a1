import importlib.util
import json
import re
import shlex

import numpy as np
import open_clip
import pytest
import torch

from mmdataseg.text.embeddings import load_embeddings, read_metadata
from mmdataseg.text.prompts import ClassPrompt, read_class_file
from mmdataseg.text.recipe import EncoderInfo
from mmdataseg.text.templates import get_templates
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces
from tests.text.tiny_clip import make_tiny_clip

WORLD = {
    "ade150": "ade150",
    "coco133": "coco133",
    "objects365_coco80": "objects365_80",
    "cityscapes19": "cityscapes19",
    "pascal_context59": "pascal_context59",
}


@pytest.fixture(scope="session")
def tool(repo_root):
    spec = importlib.util.spec_from_file_location("text_embeddings_tool", repo_root / "tools" / "text_embeddings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def run(tool):
    """Run the tool with a command line of anything that has a str()."""
    return lambda *argv: tool.main([str(arg) for arg in argv])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_clip(tmp_path_factory.mktemp("clip"), name="tiny-tool")


def test_several_known_vocabularies_by_name(run, tmp_path):
    run("ade150", "coco133", "--encoder", "hashing", "--dim", 32, "--out", tmp_path)
    for name in ("ade150", "coco133"):
        found = load_embeddings(tmp_path / f"{name}_hashing.safetensors", label_space=get_label_space(name), dim=32)
        assert found.is_stand_in
        assert found.templates == ("{}",)


def test_open_clip_weights_by_path(run, tiny, tmp_path):
    run("ade150", "--model", tiny.model, "--pretrained", tiny.weights, "--no-quick-gelu", "--out", tmp_path)
    path = tmp_path / "ade150_tiny-tool_tiny-tool.safetensors"
    found = load_embeddings(path, label_space=get_label_space("ade150"))
    templates = get_templates(["vild63"])
    assert found.templates == templates
    sentences = [t.replace("{article}", "an").format("armchair") for t in templates]
    with torch.no_grad():
        rows = tiny.network.encode_text(open_clip.get_tokenizer(tiny.model)(sentences), normalize=True)
    expected = torch.nn.functional.normalize(rows.mean(0), dim=0)
    armchair = found.matrix[found.classes.index("armchair")]
    torch.testing.assert_close(armchair, expected, atol=1e-3, rtol=0)
    # Random weights distinguish the classes, so the row above cannot be that of another class.
    assert (found.matrix @ expected).argmax() == found.classes.index("armchair")


def test_names_of_the_command_line(run, tmp_path):
    path = tmp_path / "garage.safetensors"
    run("--names", "red car", "Dog", "--vocabulary", "garage", "--encoder", "hashing", "--out", path)
    found = load_embeddings(path)
    assert (found.classes, found.vocabulary) == (("red car", "Dog"), "garage")
    assert found.prompts == (ClassPrompt(("red car",)), ClassPrompt(("dog",)))


def test_a_file_of_classes_and_one_of_synonyms(run, tmp_path):
    (tmp_path / "rooms.json").write_text('{"sofa": ["couch"], "Bed": {"descriptions": ["A thing to sleep on."]}}')
    (tmp_path / "more.json").write_text('{"Bed": ["bunk"]}')
    run(tmp_path / "rooms.json", "--synonyms", tmp_path / "more.json", "--encoder", "hashing", "--out", tmp_path)
    found = load_embeddings(tmp_path / "rooms_hashing.safetensors")
    assert found.prompts == (ClassPrompt(("sofa", "couch")), ClassPrompt(("bed", "bunk"), ("A thing to sleep on.",)))


def test_synonyms_reach_each_vocabulary_that_has_the_class(run, tmp_path):
    (tmp_path / "more.json").write_text('{"car": ["automobile"], "couch": ["settee"]}')
    synonyms = ("--synonyms", tmp_path / "more.json")
    run("ade150", "coco80", *synonyms, "--encoder", "hashing", "--dim", 8, "--out", tmp_path)
    for name, classes in (("ade150", ["car"]), ("coco80", ["car", "couch"])):
        found = load_embeddings(tmp_path / f"{name}_hashing.safetensors")
        assert [c for c, p in zip(found.classes, found.prompts, strict=True) if len(p.phrases) == 2] == classes


def test_a_second_run_does_nothing(run, tmp_path, capsys):
    argv = ("coco80", "--encoder", "hashing", "--out", tmp_path)
    run(*argv)
    assert capsys.readouterr().out.startswith("coco80: 80 classes, 1 template, ")
    path = tmp_path / "coco80_hashing.safetensors"
    before = path.stat().st_mtime_ns
    capsys.readouterr()
    run(*argv)
    assert capsys.readouterr().out == f"{path}: up to date, nothing to do\n"
    assert path.stat().st_mtime_ns == before


def test_a_file_of_another_recipe_is_kept_unless_forced(run, tmp_path):
    argv = ("coco80", "--encoder", "hashing", "--out", tmp_path / "c.safetensors")
    run(*argv)
    with pytest.raises(SystemExit, match=r"error: .*c\.safetensors exists and was made from something else; .*--force"):
        run(*argv, "--dim", 64)
    assert load_embeddings(tmp_path / "c.safetensors").dim == 512
    run(*argv, "--dim", 64, "--force")
    assert load_embeddings(tmp_path / "c.safetensors").dim == 64


def test_a_broken_file_is_not_considered_up_to_date(run, tmp_path):
    path = tmp_path / "c.safetensors"
    path.write_bytes(b"rubbish")
    with pytest.raises(SystemExit, match="--force"):
        run("coco80", "--encoder", "hashing", "--out", path)


def test_templates_other_than_the_default_are_in_the_file_name(run, tiny, tmp_path):
    argv = ("--names", "dog", "--model", tiny.model, "--pretrained", tiny.weights, "--no-quick-gelu", "--out", tmp_path)
    run(*argv, "--templates", "vild63")
    run(*argv, "--templates", "single", "my {}")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "custom_tiny-tool_tiny-tool.safetensors",
        "custom_tiny-tool_tiny-tool_single-custom.safetensors",
    ]


def test_the_default_file_name_is_the_one_in_the_sources(tool):
    args = tool.parse_args(["ade150"])
    path = tool.out_path(args, "ade150", f"{args.model}_{args.pretrained}")
    assert path.as_posix() == "data/embeddings/ade150_vit-l-14_openai.safetensors"


def test_classes_with_the_same_embedding_are_reported(run, tmp_path, capsys):
    run("--names", "Dog", "dog-merged", "cat", "--encoder", "hashing", "--out", tmp_path)
    assert "classes 'Dog' and 'dog-merged' are both embedded as ['dog']" in capsys.readouterr().err


def test_imported_rows(run, tmp_path, capsys):
    rows = np.eye(19, 32, dtype=np.float16) * np.float16(0.999)
    np.save(tmp_path / "rows.npy", rows)
    argv = ("cityscapes19", "--import-npy", tmp_path / "rows.npy", "--encoder-name", "CLIP ViT-B/16", "--out", tmp_path)
    run(*argv, "--templates", "single")
    path = tmp_path / "cityscapes19_clip-vit-b-16.safetensors"
    found = load_embeddings(path, label_space=get_label_space("cityscapes19"))
    torch.testing.assert_close(found.matrix, torch.eye(19, 32))
    assert found.encoder == EncoderInfo(library="", model="CLIP ViT-B/16", imported=True)
    assert (found.templates, found.prompts) == (("a photo of a {}",), ())
    capsys.readouterr()
    run(*argv, "--templates", "single")
    assert "nothing to do" in capsys.readouterr().out
    np.save(tmp_path / "rows.npy", rows[:, ::-1])
    with pytest.raises(SystemExit, match="--force"):
        run(*argv, "--templates", "single")


@pytest.mark.parametrize(
    ("argv", "match"),
    [
        ([], r"expected a vocabulary: one of \['ade150'"),
        (["ade151"], "unknown label space 'ade151'"),
        (["no.txt"], r"no\.txt': no such file"),
        (["--names", "dog", "dog "], "class 'dog' appears twice"),
        (["coco80", "coco80"], "vocabularies of different names"),
        (["coco80", "ade150", "--out", "a.safetensors"], "is one file, but there are several vocabularies"),
        (["coco80", "--pretrained", "no.pt"], r"no\.pt': no such file"),
        (["coco80", "--encoder", "hashing", "--templates", "vild"], "expected one of the template sets"),
        (["coco80", "--encoder", "hashing", "--batch-size", "0"], "batch size of at least 1"),
        (["coco80", "--import-npy", "a.npy"], "--import-npy needs --encoder-name and --templates"),
        (["coco80", "ade150", "--import-npy", "a.npy"], "--import-npy takes one vocabulary, got 2"),
    ],
)
def test_mistakes_end_with_one_line(run, tmp_path, monkeypatch, argv, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=f"^error: .*{match}"):
        run(*argv)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_synonyms_of_an_unknown_class_are_refused(run, tmp_path):
    (tmp_path / "more.json").write_text(json.dumps({"sofa": ["couch"]}))
    with pytest.raises(SystemExit, match=r"'sofa' is not a class of \['coco80'\]"):
        run("coco80", "--synonyms", tmp_path / "more.json", "--encoder", "hashing", "--out", tmp_path)


@pytest.fixture(scope="module")
def world(run, mini_world, tmp_path_factory):
    """The real CLIP ViT-B/16 embeddings of the mini world, imported: vocabulary -> TextEmbeddings."""
    folder = tmp_path_factory.mktemp("world")
    found = {}
    for name, listed in WORLD.items():
        path = folder / f"{name}.safetensors"
        npy = mini_world / "text" / f"{listed}.npy"
        run(name, "--import-npy", npy, "--encoder-name", "CLIP ViT-B/16", "--templates", "single", "--out", path)
        assert json.loads(read_metadata(path)["encoder"])["model"] == "CLIP ViT-B/16"
        found[name] = load_embeddings(path, label_space=get_label_space(name), dim=512)
    return found


@pytest.mark.parametrize(
    ("vocabulary", "name", "among", "nearest"),
    [
        ("ade150", "car", "coco133", "car"),
        ("coco133", "couch", "ade150", "sofa"),
        ("ade150", "sofa", "coco133", "couch"),
        ("objects365_coco80", "Person", "coco133", "person"),
        ("objects365_coco80", "Couch", "ade150", "sofa"),
        ("objects365_coco80", "Moniter/TV", "coco133", "tv"),
        ("objects365_coco80", "Luggage", "coco133", "suitcase"),
        ("cityscapes19", "motorcycle", "coco133", "motorcycle"),
        ("pascal_context59", "aeroplane", "ade150", "airplane"),
        ("pascal_context59", "motorbike", "coco133", "motorcycle"),
        ("cityscapes19", "sidewalk", "ade150", "sidewalk"),
        ("coco133", "sky-other-merged", "ade150", "sky"),
    ],
)
def test_nearest_across_vocabularies_is_what_a_person_expects(world, vocabulary, name, among, nearest):
    row = world[vocabulary].matrix[world[vocabulary].classes.index(name)]
    cosine = world[among].matrix @ row
    assert world[among].classes[int(cosine.argmax())] == nearest


def test_equal_names_find_each_other_in_all_vocabularies(world):
    shared = 0
    for first, second in (("ade150", "coco133"), ("ade150", "cityscapes19"), ("coco133", "pascal_context59")):
        a, b = world[first], world[second]
        names = sorted(set(a.classes) & set(b.classes))
        cosine = a.matrix[[a.classes.index(name) for name in names]] @ b.matrix.T
        assert [b.classes[i] for i in cosine.argmax(1).tolist()] == names
        assert cosine.amax(1).min() > 0.99
        shared += len(names)
    assert shared > 50


def test_the_commands_of_the_page_parse_and_its_json_is_read(tool, repo_root, tmp_path):
    page = (repo_root / "docs" / "text_embeddings.md").read_text()
    commands = re.findall(r"^python tools/text_embeddings\.py (.*)$", page, flags=re.M)
    assert len(commands) == 11
    for command in commands:
        args = tool.parse_args(shlex.split(command))
        assert get_templates(args.templates or ["vild63"])
        for name in args.vocabularies:
            assert name in known_label_spaces() or name.startswith("my_classes.")
    (tmp_path / "my_classes.json").write_text(re.search(r"```json\n(.*?)```", page, flags=re.S)[1])
    classes, prompts = read_class_file(tmp_path / "my_classes.json")
    assert classes == ("sofa", "Wild Bird", "dog")
    assert prompts[0].phrases == ("sofa", "couch", "settee")
    assert all(f"`{name}`" in page for name in known_label_spaces())
