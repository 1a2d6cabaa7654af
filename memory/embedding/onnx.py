"""The fast embedder: the bundled model on ONNX Runtime, without torch.

The sentence-transformers model stays the reference. On the first run its weights are written into a graph of our own
(`graph.py`), quantised to int8 and checked against the reference on this very machine; the result is kept in the data folder under a name that holds its own
SHA-256. Later starts load that file in a fraction of a second. A file whose content does not match its name (a crash
in the middle, a bad disk) is not used but made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EmbeddingError
from ..index.fields import LAYOUT
from ..index.snapshot import remove_stale
from ..ports import Vectors
from ..samples import SAMPLE
from .graph import Ranges, write
from .sentence_transformer import BUNDLED_MODEL, BUNDLED_SHA256, SentenceTransformerEmbedder, bundled_model_folder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

RECIPE = "int8-3"
"""How the file is made. A change of recipe is another model: its vectors are not compared with the old ones."""

DIMENSIONS = 384
_MAX_TOKENS = 256
"""What the published model was trained to read of a text (`max_seq_length`)."""

_THREADS = min(2, os.cpu_count() or 1)
"""Threads that share one text: measured on 2 cores, 4.5 ms instead of 7.5 for 90 tokens."""

_FEW = 4
"""Texts up to which one after the other, each by all threads, takes no longer than several at once."""

_WORKERS = min(4, os.cpu_count() or 1)
"""Texts that are embedded at the same time."""

PARITY = 0.999
"""Cosine with the reference that the exported model must reach on every probe, before it is quantised."""

PARITY_INT8 = 0.96
"""The same for the quantised model: a broken kernel gives noise, a sound one 0.97 and more. That it ranks no worse is
measured in `bench/`, as cosines to the reference cannot tell that."""

PROBES = (
    "HikariPool-1 - Connection is not available, request timed out after 30000ms",
    "TLS certificate of api.example.com expired, clients see x509: certificate has expired or is not yet valid",
    "checkout pods OOMKilled (exit 137) twelve minutes after the rollout of v2.41",
    "dns",
    "NXDOMAIN for every external name since 02:14, CoreDNS restarts, SERVFAIL ratio 38 %. " * 12,
    "Résumé: la réplication a 40 s de retard après la bascule 🔥",
)


class OnnxEmbedder:
    """Embeds with an exported model file.

    Raises:
        EmbeddingError: the file or the tokenizer cannot be loaded.
    """

    def __init__(self, model_file: Path) -> None:
        self._file = model_file
        self._several: InferenceSession | None = None
        self._lock = threading.Lock()
        try:
            from tokenizers import Tokenizer

            self._one = _session(model_file, _THREADS)
            self._tokenizer = Tokenizer.from_file(str(bundled_model_folder() / "tokenizer.json"))
        except EmbeddingError:
            raise
        except Exception as exc:  # onnxruntime and tokenizers raise bare Exceptions
            raise EmbeddingError(f"The fast embedding model cannot be loaded ({type(exc).__name__}).") from exc
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer.no_padding()

    @property
    def identity(self) -> str:
        return f"{BUNDLED_MODEL}@{BUNDLED_SHA256[:16]}+{RECIPE}+{LAYOUT}"

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        try:
            ids = self._ids(texts)
            if len(ids) <= _FEW:
                session = self._for_several() if _busy() else self._one
                for row, its_ids in enumerate(ids):
                    found[row] = _run(session, its_ids)[0][0]
            else:
                session = self._for_several()
                order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))  # no worker is left with a long one
                with ThreadPoolExecutor(_WORKERS) as workers:
                    vectors = workers.map(lambda row: _run(session, ids[row])[0][0], order)
                    for row, vector in zip(order, vectors, strict=True):
                        found[row] = vector
        except Exception as exc:  # as above
            raise EmbeddingError(f"The fast embedding model failed on a text ({type(exc).__name__}).") from exc
        return found

    def largest(self, texts: Sequence[str], outputs: Sequence[str]) -> dict[str, Vectors]:
        """The largest absolute values of further outputs over the texts, by name, shape (width,) each."""
        found: dict[str, Vectors] = {}
        for ids in self._ids(texts):
            for name, values in zip(outputs, _run(self._one, ids, outputs), strict=True):
                seen = np.abs(values[0]).max(axis=0)
                found[name] = np.maximum(found.get(name, seen), seen)
        return found

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def _for_several(self) -> InferenceSession:
        """Of one thread, so that texts embedded at the same time do not fight for the cores. Made when it is first
        needed, as it takes 35 MB: most servers embed a text at a time, on a machine that has a core to spare."""
        with self._lock:
            if self._several is None:
                try:
                    self._several = _session(self._file, 1)
                except Exception:  # noqa: BLE001 - the file may be gone since (another version's server): slower, but right
                    self._several = self._one
            return self._several


def _busy() -> bool:
    """Whether more wants to run than there are cores. Threads that share a text then wait for each other: at a load of
    10 on 2 cores a query took 52 ms with two threads that spin and 34 with two that do not, and one is faster still."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > (os.cpu_count() or 1)


def _session(model_file: Path, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings of the runtime are not for a user's stderr
    options.intra_op_num_threads = threads
    # Between two operations of one text a thread waits by spinning, a fifth of a millisecond at most; between two texts
    # it sleeps.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", "200")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])


def _run(session: InferenceSession, ids: list[int], outputs: Sequence[str] = ("embedding",)) -> list[Vectors]:
    """The outputs for one text, in a batch of one: in a larger one its activations would be quantised by the range of
    all the texts in it, so that its vector would depend on its neighbours (cosines down to .98); and it is no faster."""
    found: list[Vectors] = session.run(list(outputs), {"input_ids": np.array([ids], dtype=np.int64)})
    return found


def load_or_make(folder: Path) -> OnnxEmbedder | SentenceTransformerEmbedder:
    """The fast embedder from the cache in `folder`; makes the cache where there is none.

    Where it cannot be made (no room, an exporter that fails), the reference itself is returned.

    Raises:
        EmbeddingError: the reference cannot be loaded either.
    """
    for file in cached(folder):
        try:
            return OnnxEmbedder(file)
        except EmbeddingError:
            file.unlink(missing_ok=True)
    reference = SentenceTransformerEmbedder(BUNDLED_MODEL)
    try:
        return OnnxEmbedder(make(reference, folder))
    except (EmbeddingError, OSError):
        return reference


def cached(folder: Path) -> Iterator[Path]:
    """The usable model files of the folder; a file whose content is not what its name says is removed."""
    for file in sorted(folder.glob(f"{BUNDLED_MODEL}-{RECIPE}-*.onnx")):
        named = re.fullmatch(r".*-([0-9a-f]{64})", file.stem)
        try:
            if named and _digest(file) == named[1]:
                yield file
                continue
        except OSError:
            continue
        with contextlib.suppress(OSError):
            file.unlink()


def make(reference: SentenceTransformerEmbedder, folder: Path) -> Path:
    """Export, quantise, check, and only then put the file in its place.

    Raises:
        EmbeddingError: the export failed, or its vectors are not the reference's.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_stale(folder, ".export-*")
    expected = reference.embed(PROBES)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as temporary:
        whole, small = Path(temporary) / "fp32.onnx", Path(temporary) / "int8.onnx"
        try:
            inputs = _write(reference, whole, None)
            _check(whole, expected, PARITY)
            _write(reference, small, _ranges(whole, inputs))
        except (EmbeddingError, OSError):
            raise
        except Exception as exc:  # onnx raises anything
            raise EmbeddingError(f"The embedding model cannot be exported ({type(exc).__name__}).") from exc
        _check(small, expected, PARITY_INT8)
        if (made := next(cached(folder), None)) is not None:
            return made  # by another server at the same time: all use one file, and so the same vectors
        with small.open("rb+") as file:
            os.fsync(file.fileno())
        target = folder / f"{BUNDLED_MODEL}-{RECIPE}-{_digest(small)}.onnx"
        small.replace(target)
    for old in folder.glob(f"{BUNDLED_MODEL}-*.onnx"):
        if f"-{RECIPE}-" not in old.name:  # of an earlier version; a server of that version has it in memory
            with contextlib.suppress(OSError):
                old.unlink()
    return target


def _write(reference: SentenceTransformerEmbedder, target: Path, ranges: Ranges | None) -> dict[str, str]:
    transformer = reference.transformer
    weights = {name: tensor.detach().cpu().float().numpy() for name, tensor in transformer.state_dict().items()}
    return write(weights, transformer.config, _MAX_TOKENS, target, ranges)


def _ranges(model_file: Path, inputs: dict[str, str]) -> Ranges:
    """The ranges of the dense layers' inputs, over the probes and the sample incidents."""
    samples = [json.loads(line)["description"] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    largest = OnnxEmbedder(model_file).largest([*PROBES, *samples], sorted(set(inputs.values())))
    return {layer: largest[name] for layer, name in inputs.items()}


def _check(model_file: Path, expected: Vectors, least: float) -> None:
    cosines = (OnnxEmbedder(model_file).embed(PROBES) * expected).sum(axis=1)
    if not np.all(cosines >= least):
        raise EmbeddingError(
            f"The exported embedding model differs from its reference (cosine {cosines.min():.4f}, at least {least})."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
