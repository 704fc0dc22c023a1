"""Embed class names once, offline, for the classifiers of a model (Gu et al., 2023, text classifier).

    python tools/text_embeddings.py ade150 coco133 objects365
    python tools/text_embeddings.py coco133 --pretrained path/to/open_clip_model.safetensors --quick-gelu
    python tools/text_embeddings.py --names "red car" dog --vocabulary garage
    python tools/text_embeddings.py my_classes.json --templates single
    python tools/text_embeddings.py ade150 --import-npy rows.npy --encoder-name "CLIP ViT-B/16" --templates single

docs/text_embeddings.md describes the files of classes, and how to bring weights to a machine without a network.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmdataseg.apis.parsers import Parser
from mmdataseg.errors import UserError
from mmdataseg.progress import counted
from mmdataseg.text.embeddings import TextEmbeddings, matrix_sha256, read_metadata, save_embeddings
from mmdataseg.text.encoding import TextEncoder, embed_classes, import_matrix
from mmdataseg.text.hashing import HashingEncoder, warn_of_stand_in
from mmdataseg.text.open_clip import OpenClipEncoder
from mmdataseg.text.prompts import ClassPrompt, add_synonyms, default_prompts, read_class_file, read_synonyms
from mmdataseg.text.recipe import TextRecipe
from mmdataseg.text.templates import get_templates, known_template_sets
from mmdataseg.text.vocabularies import get_label_space, known_label_spaces

# The paper says that prompts are ensembled, but not which. Our choice: ViLD's, which shares an author with it.
DEFAULT_TEMPLATES = "vild63"


@dataclass(frozen=True)
class Vocabulary:
    """Classes to embed; ``is_stated``: the user gave their phrases or descriptions."""

    name: str
    classes: tuple[str, ...]
    prompts: tuple[ClassPrompt, ...]
    is_stated: bool


def main(argv: Sequence[str] | None = None) -> None:
    """Write the requested files, and report them.

    Args:
        argv: Command line; None: the process's.

    Raises:
        SystemExit: A user's mistake; the message goes to stderr.
    """
    args = parse_args(argv)
    try:
        vocabularies = read_vocabularies(args)
        if args.import_npy:
            write_imported(args, vocabularies)
        else:
            write_encoded(args, vocabularies)
    except (UserError, ImportError) as error:
        sys.exit(f"error: {error}")


def write_encoded(args: argparse.Namespace, vocabularies: Sequence[Vocabulary]) -> None:
    """Encode each vocabulary whose file is not up to date."""
    encoder: TextEncoder
    if args.encoder == "hashing":
        encoder, tag, usual = HashingEncoder(dim=args.dim), "hashing", "name"
        warn_of_stand_in()
    else:
        encoder = OpenClipEncoder(
            model=args.model, pretrained=args.pretrained, quick_gelu=args.quick_gelu, device=args.device
        )
        weights = Path(args.pretrained).stem if encoder.is_file else args.pretrained
        tag, usual = f"{args.model}_{weights}", DEFAULT_TEMPLATES
    templates = get_templates(args.templates or [usual])
    if args.templates and args.templates != [usual]:
        tag += "_" + "-".join(t if t in known_template_sets() else "custom" for t in args.templates)
    for vocabulary in vocabularies:
        path = out_path(args, vocabulary.name, tag)
        recipe = TextRecipe(
            vocabulary=vocabulary.name,
            encoder=encoder.info,
            templates=templates,
            classes=vocabulary.classes,
            prompts=vocabulary.prompts,
            dim=encoder.dim,
        ).sha256
        if is_up_to_date(path, recipe):
            continue
        refuse_to_overwrite(path, force=args.force)
        warn_of_twins(vocabulary)
        size = f"{counted(len(vocabulary.classes), 'class', 'classes')}, {counted(len(templates), 'template')}"
        print(f"{vocabulary.name}: {size}, {encoder.info}")
        embeddings = embed_classes(
            encoder,
            vocabulary.classes,
            vocabulary=vocabulary.name,
            templates=templates,
            prompts=vocabulary.prompts,
            batch_size=args.batch_size,
            progress=True,
        )
        write(path, embeddings)


def write_imported(args: argparse.Namespace, vocabularies: Sequence[Vocabulary]) -> None:
    """Import a matrix that another program made."""
    if len(vocabularies) != 1:
        raise UserError(f"--import-npy takes one vocabulary, got {len(vocabularies)}: {[v.name for v in vocabularies]}")
    if not args.encoder_name or not args.templates:
        raise UserError("--import-npy needs --encoder-name and --templates: the encoder of the rows, and its sentences")
    (vocabulary,) = vocabularies
    embeddings = import_matrix(
        args.import_npy,
        vocabulary.classes,
        encoder=args.encoder_name,
        vocabulary=vocabulary.name,
        templates=get_templates(args.templates),
        prompts=vocabulary.prompts if vocabulary.is_stated else (),
    )
    path = out_path(args, vocabulary.name, args.encoder_name)
    if is_up_to_date(path, embeddings.recipe.sha256, matrix_sha256(embeddings.matrix)):
        return
    refuse_to_overwrite(path, force=args.force)
    write(path, embeddings)


def read_vocabularies(args: argparse.Namespace) -> list[Vocabulary]:
    """The vocabularies of the command line: known ones, files, and one of the names given there."""
    vocabularies = []
    for name in args.vocabularies:
        if Path(name).suffix in (".txt", ".json"):
            classes, prompts = read_class_file(name)
            vocabularies.append(Vocabulary(args.vocabulary or Path(name).stem, classes, prompts, True))
        else:
            classes = get_label_space(name).classes
            vocabularies.append(Vocabulary(name, classes, default_prompts(classes), False))
    if args.names:
        classes = tuple(name.strip() for name in args.names)
        twice = sorted({name for name in classes if classes.count(name) > 1})
        if twice:
            raise UserError(f"--names: class {twice[0]!r} appears twice")
        vocabularies.append(Vocabulary(args.vocabulary or "custom", classes, default_prompts(classes), True))
    if not vocabularies:
        raise UserError(f"expected a vocabulary: one of {list(known_label_spaces())}, a .txt or .json file, or --names")
    names = [v.name for v in vocabularies]
    if len(set(names)) < len(names):
        raise UserError(f"expected vocabularies of different names, got {names}; call this program for each of them")
    if args.synonyms:
        vocabularies = with_synonyms(args.synonyms, vocabularies)
    return vocabularies


def with_synonyms(path: Path, vocabularies: Sequence[Vocabulary]) -> list[Vocabulary]:
    """Add the synonyms of a file to the vocabularies; each of its classes must be in at least one of them."""
    synonyms = read_synonyms(path)
    known = {name for v in vocabularies for name in v.classes}
    unknown = sorted(set(synonyms) - known)
    if unknown:
        raise UserError(f"{path}: {unknown[0]!r} is not a class of {[v.name for v in vocabularies]}")
    return [
        replace(
            v,
            prompts=add_synonyms(v.classes, v.prompts, {n: s for n, s in synonyms.items() if n in v.classes}),
            is_stated=True,
        )
        for v in vocabularies
    ]


def out_path(args: argparse.Namespace, vocabulary: str, tag: str) -> Path:
    """The path of a vocabulary's file: the one that the user gave, otherwise one made of vocabulary and encoder."""
    if args.out.suffix == ".safetensors":
        if len(args.vocabularies) + bool(args.names) > 1:
            raise UserError(f"--out {args.out} is one file, but there are several vocabularies; give a folder")
        return args.out
    return args.out / (re.sub(r"[^a-z0-9_-]+", "-", f"{vocabulary}_{tag}".lower()) + ".safetensors")


def is_up_to_date(path: Path, recipe: str, matrix: str | None = None) -> bool:
    """Whether the file already holds what would be written; if so, print that."""
    if not path.is_file():
        return False
    try:
        metadata = read_metadata(path)
    except ValueError:
        return False
    if metadata["sha256"] != recipe or matrix not in (None, metadata["matrix_sha256"]):
        return False
    print(f"{path}: up to date, nothing to do")
    return True


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Refuse to replace a file of another recipe, as a running training may use it."""
    if path.exists() and not force:
        raise UserError(f"{path} exists and was made from something else; give --force to replace it, or another --out")


def warn_of_twins(vocabulary: Vocabulary) -> None:
    """Warn of two classes with the same embedding, which a model cannot distinguish."""
    first: dict[ClassPrompt, str] = {}
    for name, prompt in zip(vocabulary.classes, vocabulary.prompts, strict=True):
        if prompt in first:
            print(
                f"warning: {vocabulary.name}: classes {first[prompt]!r} and {name!r} are both embedded as "
                f"{list(prompt.phrases)}; distinguish them with --synonyms",
                file=sys.stderr,
            )
        first.setdefault(prompt, name)


def write(path: Path, embeddings: TextEmbeddings) -> None:
    """Write the file and print what is in it."""
    save_embeddings(path, embeddings)
    print(f"{path}: {len(embeddings.classes)} classes x {embeddings.dim}, {embeddings.encoder}")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_argument_group("what to embed")
    what.add_argument(
        "vocabularies",
        nargs="*",
        metavar="VOCABULARY",
        help=f"a .txt or .json file, or one of {', '.join(known_label_spaces())}",
    )
    what.add_argument("--names", nargs="+", metavar="NAME", help="class names")
    what.add_argument("--vocabulary", help="name of the label space of --names or of a file (default: its name)")
    what.add_argument("--synonyms", type=Path, metavar="JSON", help="further phrases and descriptions of some classes")
    what.add_argument(
        "--templates",
        nargs="+",
        metavar="SET",
        help=f"{', '.join(known_template_sets())}, or templates that contain {{}} (default: {DEFAULT_TEMPLATES}; "
        "hashing: name)",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--encoder", choices=["open_clip", "hashing"], default="open_clip", help="hashing is a stand-in")
    how.add_argument("--model", default="ViT-L-14", help="open_clip's name of the architecture (default: %(default)s)")
    how.add_argument("--pretrained", default="openai", metavar="TAG|PATH", help="weights (default: %(default)s)")
    how.add_argument(
        "--quick-gelu",
        action=argparse.BooleanOptionalAction,
        help="whether weights given as a PATH were trained with QuickGELU, like OpenAI's; required for a PATH",
    )
    how.add_argument("--device", help="default: a GPU if there is one")
    how.add_argument("--batch-size", type=int, default=256, help="texts per batch (default: %(default)s)")
    how.add_argument("--dim", type=int, default=512, help="dimension of --encoder hashing (default: %(default)s)")
    how.add_argument(
        "--import-npy", type=Path, metavar="NPY", help="import this matrix, one row per class, instead of encoding"
    )
    how.add_argument("--encoder-name", help="the encoder of --import-npy, e.g. 'CLIP ViT-B/16'")
    where = parser.add_argument_group("where to write")
    where.add_argument(
        "--out", type=Path, default=Path("data/embeddings"), help=".safetensors file, or folder (default: %(default)s)"
    )
    where.add_argument("--force", action="store_true", help="replace a file that was built in another way")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
