"""Models of the Hugging Face Hub, ``hf://owner/name[@revision]``: fetched once, verified, then cached.

``huggingface_hub`` (the extra ``hub``) is imported when a model is fetched or uploaded, and not before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ivfuse.errors import InputError, IvfuseError, MissingExtraError, OutputError, UsageError, first_line
from ivfuse.fusion.hub_config import CARD, CONFIG, GRAPH, MAX_CONFIG, WEIGHTS, ModelConfig, read_config
from ivfuse.fusion.manifest import verify

PREFIX = "hf://"
_PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?"  # as the Hub allows; also safe as a name of folders
_REPOSITORY = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9](?:[\w-]|[./](?![./])){0,199}", re.ASCII)


@dataclass(frozen=True)
class HubReference:
    """A repository of the Hub and a revision of it: a branch, a tag or a commit; ``None`` for ``main``."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        """The reference as users write it."""
        return f"{PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


@dataclass(frozen=True)
class HubModel:
    """A model of the Hub whose configuration was read.

    Attributes:
        reference: the repository, pinned to the commit that the configuration was read from.
        config: the configuration.
    """

    reference: HubReference
    config: ModelConfig

    def fetch(self, file: str) -> Path:
        """Fetch ``model.onnx`` or ``model.safetensors`` at the pinned commit, and verify it.

        Returns:
            The file in the cache of huggingface_hub.

        Raises:
            InputError: if it is not there, or its size or SHA-256 is not that of the configuration.
        """
        facts = self.config.files[file]
        path = _download(self.reference, file, facts.size, exact=True)
        try:
            verify(path, facts.sha256)
        except InputError as error:
            raise InputError(f"{self.reference}: {error}") from None
        return path


def is_reference(method: object) -> bool:
    """Whether a method is named as a model of the Hub."""
    return isinstance(method, str) and method.startswith(PREFIX)


def parse_reference(text: str) -> HubReference:
    """Parse ``hf://owner/name[@revision]``.

    Raises:
        UsageError: if it has another form.
    """
    repository, at, revision = text.removeprefix(PREFIX).partition("@")
    whole = _is_repository(repository) and (not at or _REVISION.fullmatch(revision))
    if not (is_reference(text) and whole):
        expected = "hf://owner/name or hf://owner/name@revision"
        raise UsageError(field="method", found=repr(text), expected=expected)
    return HubReference(repository, revision or None)


def check_repository(repository: str) -> None:
    """Check the name of a repository.

    Raises:
        UsageError: if it is not ``owner/name``.
    """
    if not _is_repository(repository):
        raise UsageError(field="repository", found=repr(repository), expected="owner/name")


def find_model(text: str) -> HubModel:
    """Fetch and read the configuration of a model of the Hub; without a network, that of the cache.

    Args:
        text: ``hf://owner/name[@revision]``.

    Raises:
        UsageError: if the text has another form.
        MissingExtraError: if huggingface_hub is not installed.
        InputError: if there is no such model, it cannot be reached, or it is not one of ivfuse.
    """
    reference = parse_reference(text)
    path = _download(reference, CONFIG, MAX_CONFIG)
    try:
        config = read_config(path, reference.repository.rpartition("/")[2])
    except InputError as error:
        raise InputError(f"{reference}: {error}") from None
    # The cache keeps a file as snapshots/COMMIT/FILE.
    return HubModel(replace(reference, revision=path.parent.name), config)


def read_folder(folder: Path) -> ModelConfig:
    """Read the configuration of a model in a folder and verify its files.

    Raises:
        InputError: if the configuration is malformed, or a file is missing or has another digest.
    """
    config = read_config(folder / CONFIG, folder.resolve().name)
    for name, facts in config.files.items():
        verify(folder / name, facts.sha256)
    if not (folder / CARD).is_file():
        raise InputError(f"{folder / CARD}: no such file, expected the model card")
    return config


def upload_model(folder: Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder written by ``save_pretrained`` as one commit; the repository is created if needed.

    Args:
        folder: the folder; its files are verified before.
        repository: ``owner/name``.
        private: whether a new repository is visible to its owner only.

    Returns:
        The pinned name of what was uploaded, ``hf://owner/name@commit``.

    Raises:
        UsageError: if the name of the repository has another form.
        InputError: see :func:`read_folder`.
        MissingExtraError: if huggingface_hub is not installed.
        OutputError: if the Hub refuses the upload or cannot be reached.
    """
    check_repository(repository)
    reference = HubReference(repository)
    read_folder(folder)
    with _explaining(reference, "cannot be written", OutputError):
        import huggingface_hub as hub

        api = hub.HfApi(library_name="ivfuse")
        api.create_repo(reference.repository, private=private, exist_ok=True)
        files = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name)
            for name in (CONFIG, WEIGHTS, GRAPH, CARD)
        ]
        done = api.create_commit(reference.repository, files, commit_message="Upload a model of ivfuse")
    return str(replace(reference, revision=str(done.oid)))


def _is_repository(text: str) -> bool:
    return bool(_REPOSITORY.fullmatch(text)) and "--" not in text and ".." not in text


def _download(reference: HubReference, file: str, size: int, *, exact: bool = False) -> Path:
    """Fetch a file whose size is at most, or exactly, ``size`` bytes, as told before it is downloaded."""
    with _explaining(reference, f"cannot fetch {file}", InputError):
        import huggingface_hub as hub
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        place, revision = (reference.repository, file), reference.revision
        cached = hub.try_to_load_from_cache(*place, revision=revision)
        if isinstance(cached, str) and Path(cached).parent.name == revision:  # a commit never changes
            return Path(cached)
        try:
            told = hub.get_hf_file_metadata(hub.hf_hub_url(*place, revision=revision)).size
        except Exception as error:  # the classes of its HTTP client differ between releases
            try:
                return Path(hub.hf_hub_download(*place, revision=revision, local_files_only=True))
            except LocalEntryNotFoundError:
                if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                    raise error from None
                raise
        if told is None or told > size or (exact and told != size):
            most = "" if exact else "at most "
            raise InputError(f"{reference}: {file} has {told} bytes, expected {most}{size}")
        return Path(hub.hf_hub_download(*place, revision=revision, library_name="ivfuse"))


@contextmanager
def _explaining(reference: HubReference, failure: str, kind: type[IvfuseError]) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line."""
    try:
        yield
    except IvfuseError:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{PREFIX}, models of the Hub,", "hub") from error
    except Exception as error:  # its HTTP client has classes of its own, which differ between releases
        raise kind(
            f"{reference}: {_reason(error, reference) or f'{failure}: {first_line(error)}'}"
        ) from error


def _reason(error: Exception, reference: HubReference) -> str | None:
    """What is wrong, for the errors that users meet."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "the model is gated; accept its terms on the Hub and log in with `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such model on the Hub, or it is private; `hf auth login` gives access to your own"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the model has no revision {reference.revision or 'main'}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        offline = os.environ.get("HF_HUB_OFFLINE")
        return f"not in the cache, and {'HF_HUB_OFFLINE is set' if offline else 'the Hub cannot be reached'}"
    if isinstance(error, errors.EntryNotFoundError):
        return "a file is missing; expected a model that `ivfuse push` has published"
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in (401, 403):
        return "the Hub refuses access; log in with `hf auth login`, or set HF_TOKEN to a valid token"
    return None
