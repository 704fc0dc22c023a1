"""Whether weights on Hugging Face's hub can be loaded. The hub's own download retries for most of a minute offline."""

from pathlib import Path

_WEIGHTS = (".safetensors", ".bin", ".pt")
_SECONDS = 5.0


def why_unavailable(repo: str) -> str | None:
    """Say why no weights of a repository ``owner/name`` can be loaded, after one attempt to reach the hub.

    It is None if there are weights in the hub's cache, or if the hub answers.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(repo, local_files_only=True))
        if any(file.suffix in _WEIGHTS for file in cached.iterdir()):
            return None
    except LocalEntryNotFoundError:
        pass
    try:
        get_hf_file_metadata(hf_hub_url(repo, "config.json"), timeout=_SECONDS)
    except HfHubHTTPError:
        pass  # the hub answers; what it answers, the download reports
    except Exception as error:  # without a connection, each version of the hub's client has errors of its own
        return f"{type(error).__name__}: {error}"
    return None
