"""The open_clip text encoders. This is the only module that imports open_clip, and only when it is needed."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmdataseg.errors import MissingFileError, UserError
from mmdataseg.formats.weights import file_sha256, is_torchscript
from mmdataseg.text.hub import why_unavailable
from mmdataseg.text.recipe import EncoderInfo

if TYPE_CHECKING:
    from types import ModuleType

logger = logging.getLogger(__name__)


class OpenClipEncoder:
    """The text tower of an open_clip model.

    The weights are loaded with the first text, not by the constructor. A checkpoint is read without running code from
    it. The weights of open_clip's tags come from the cache of its hub, or from the network if they are not cached yet.

    Args:
        model: Architecture, one of ``open_clip.list_models()``. Default: the paper's text encoder (Gu et al., 2023).
        pretrained: A tag that open_clip has for that architecture, or the path of a checkpoint of the whole model
            (``.safetensors``, or ``.pt``/``.bin`` with a state dict).
        quick_gelu: Whether the weights of a path were trained with the activation x * sigmoid(1.702 x), like all of
            OpenAI's. It must be given for a path, unless it is part of the architecture; for a tag, open_clip knows it.
        device: Device to encode on; None: a GPU if there is one.

    Raises:
        ImportError: open_clip is not installed.
        UserError: The architecture is unknown or does not have the tag; ``quick_gelu`` contradicts the tag; or it is
            missing for a path.
        MissingFileError: ``pretrained`` looks like a path, but there is no such file.
    """

    library = "open_clip"

    def __init__(
        self,
        *,
        model: str = "ViT-L-14",
        pretrained: str = "openai",
        quick_gelu: bool | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        library = _import_open_clip()
        config = library.get_model_config(model) if ":" not in model else None
        if config is None:
            raise UserError(
                f"unknown open_clip model {model!r}; "
                "known ones: python -c 'import open_clip; print(open_clip.list_models())'"
            )
        self.model = model
        self.pretrained = pretrained
        self.dim = int(config["embed_dim"])
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.is_file = Path(pretrained).is_file()
        self._tag = {} if self.is_file else _find_tag(library, model, pretrained)
        # with the other activation, open_clip only warns, and the embeddings are wrong
        has_quick_gelu = bool(config.get("quick_gelu", False))
        if self.is_file and quick_gelu is None and not has_quick_gelu:
            raise UserError(
                "the file does not say whether its weights were trained with QuickGELU",
                file=pretrained,
                remedy="give --quick-gelu for OpenAI's weights and all others trained with it, --no-quick-gelu for "
                "the rest",
            )
        of_weights = quick_gelu if self.is_file else self._tag.get("quick_gelu", False)
        self.quick_gelu = bool(has_quick_gelu or of_weights)
        if not self.is_file and quick_gelu not in (None, self.quick_gelu):
            raise UserError(
                f"open_clip's {model} {pretrained} was trained {'with' if self.quick_gelu else 'without'} QuickGELU; "
                "leave --quick-gelu out, which is for weights from a file"
            )

    @cached_property
    def info(self) -> EncoderInfo:
        """Identity of model and weights. A file has its name without the folder, and its SHA-256."""
        file = Path(self.pretrained)
        return EncoderInfo(
            library=self.library,
            model=self.model,
            weights=file.name if self.is_file else self.pretrained,
            weights_sha256=file_sha256(file) if self.is_file else "",
            quick_gelu=self.quick_gelu,
        )

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Embed texts, in one batch.

        Args:
            texts: N sentences. Text beyond the context of the model (77 tokens for CLIP) is cut off, with a warning.

        Returns:
            (N, D) float32, rows of unit length, on the CPU.

        Raises:
            UserError: The checkpoint is not a state dict of this architecture.
            MissingFileError: The weights of the tag are not in the cache and cannot be downloaded.
        """
        if not texts:
            return torch.zeros(0, self.dim)
        self._warn_of_long(texts)
        tokens = self._tokenizer(list(texts)).to(self.device)
        with torch.inference_mode():
            rows = self._network.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return rows.float().cpu().clone()

    @cached_property
    def _network(self) -> nn.Module:
        if self.is_file and is_torchscript(Path(self.pretrained)):  # as OpenAI published its models
            raise UserError(
                "is a TorchScript archive, which has code besides weights, so it is not loaded",
                file=self.pretrained,
                remedy="give the same weights as a state dict, e.g. open_clip_model.safetensors of open_clip's own hub",
            )
        repo = self._tag.get("hf_hub", "").rpartition("/")[0]
        reason = why_unavailable(repo) if repo else None
        if reason is not None:
            raise self._unavailable(reason)
        try:
            network = _import_open_clip().create_model(
                self.model,
                pretrained=self.pretrained,
                device=self.device,
                precision="fp32",
                force_quick_gelu=self.quick_gelu,
                weights_only=True,
            )
        except Exception as error:  # the errors of open_clip and of the hub have no common type
            if not self.is_file:
                raise self._unavailable(str(error)) from error
            raise UserError(
                f"expected a checkpoint of open_clip's {self.model}, but loading it failed: {error}",
                file=self.pretrained,
                remedy="give the architecture of these weights with --model",
            ) from error
        return network.eval().requires_grad_(False)

    def _unavailable(self, reason: str) -> MissingFileError:
        return MissingFileError(
            f"the weights {self.pretrained!r} of {self.model} are not in the library's cache and cannot be downloaded "
            f"({reason}); download them on a machine with a network, and give the file: --pretrained PATH"
        )

    @cached_property
    def _tokenizer(self) -> Any:
        return _import_open_clip().get_tokenizer(self.model)

    def _warn_of_long(self, texts: Sequence[str]) -> None:
        encode = getattr(self._tokenizer, "encode", None)
        if encode is None:
            return
        # two tokens mark start and end
        room = self._tokenizer.context_length - 2
        for text in texts:
            tokens = len(encode(text))
            if tokens > room:
                logger.warning("%d tokens, cut off after %d: %r", tokens, room, text)


def imagenet_templates() -> tuple[str, ...]:
    """Return the 80 templates that CLIP was tested with on ImageNet (Radford et al., 2021), from open_clip.

    Raises:
        ImportError: open_clip is not installed.
    """
    return tuple(template("{}") for template in _import_open_clip().OPENAI_IMAGENET_TEMPLATES)


def _import_open_clip() -> "ModuleType":
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            f"open_clip is needed to encode text, but importing it failed: {error}; "
            "install it: pip install open_clip_torch==3.3.0"
        ) from error
    return open_clip


def _find_tag(library: "ModuleType", model: str, pretrained: str) -> dict[str, Any]:
    """Return what open_clip knows of the weights of a tag."""
    tags = library.list_pretrained_tags_by_model(model)
    if pretrained in tags:
        return library.pretrained.get_pretrained_cfg(model, pretrained)
    if "/" in pretrained or Path(pretrained).suffix:
        raise MissingFileError(
            f"no such file; expected a checkpoint of open_clip's {model}, or one of its tags {tags}", file=pretrained
        )
    raise UserError(f"open_clip's {model} has no weights {pretrained!r}; expected a path, or one of its tags {tags}")
