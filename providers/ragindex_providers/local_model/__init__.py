"""Sentence models that run in this process, offline, on onnxruntime."""

from __future__ import annotations

from ragindex_core.errors import InvalidInput
from ragindex_providers.local_model.embedder import LocalEmbedder
from ragindex_providers.local_model.folder import read_model_folder
from ragindex_providers.local_model.minilm import MINILM, open_minilm_folder
from ragindex_providers.settings import ProviderSettings

__all__ = ["MINILM", "LocalEmbedder", "open_local_embedder"]


def open_local_embedder(model: str, dimensions: int, settings: ProviderSettings) -> LocalEmbedder:
    """The named model: the one that comes with RagIndex, or one of the folders in the settings."""
    files = settings.local_models.get(model)
    if files is not None:
        folder = read_model_folder(files.folder, files.sha256)
    elif model == MINILM:
        folder = open_minilm_folder(settings.models_dir)
    else:
        known = ", ".join(sorted({MINILM, *settings.local_models}))
        raise InvalidInput.field("model", f"{model!r} is not a local model; there are: {known}")
    if folder.manifest.dimensions != dimensions:
        raise InvalidInput.field("dimensions", f"{model} gives {folder.manifest.dimensions}, not {dimensions}")
    return LocalEmbedder(model, folder, threads=settings.local_threads)
