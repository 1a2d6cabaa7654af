"""The fast embedder: the bundled model on ONNX Runtime, without torch.

The sentence-transformers model stays the reference. On the first run it is exported once, quantised to int8 and checked
against the reference on this very machine; the result is kept in the data folder under a name that holds its own
SHA-256. Later starts load that file in a fraction of a second. A file whose content does not match its name (a crash
in the middle, a bad disk) is not used but made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EmbeddingError
from ..index.fields import LAYOUT
from ..index.snapshot import remove_stale
from ..ports import Vectors
from ..text import storable
from .sentence_transformer import BUNDLED_MODEL, BUNDLED_SHA256, SentenceTransformerEmbedder, bundled_model_folder

RECIPE = "int8-2"
"""How the file is made. A change of recipe is another model: its vectors are not compared with the old ones."""

DIMENSIONS = 384
_HEADS = 12
_MAX_TOKENS = 256
"""What the published model was trained to read of a text (`max_seq_length`)."""

_OPSET = 17
_THREADS = min(2, os.cpu_count() or 1)
"""Threads that share one text: measured on 2 cores, 11.5 ms instead of 15.6 for 90 tokens, 33 instead of 58 for 250."""

_WORKERS = min(4, os.cpu_count() or 1)
"""Texts that are embedded at the same time, where there are more than a few."""

_FEW = 8
"""Texts of a query or of one incident, which are embedded one after the other: side by side their threads stand in each
other's way. Measured in a server, a query and its first sentence take 25 ms one after the other, and 29 side by side."""

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
        try:
            import onnxruntime
            from tokenizers import Tokenizer

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3  # warnings of the runtime are not for a user's stderr
            options.intra_op_num_threads = _THREADS
            # A thread that spins while it waits is faster on an idle machine (9 ms instead of 11.5) and slower on a busy
            # one (20 instead of 14.6): who is on call has other things running.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(str(model_file), options, providers=["CPUExecutionProvider"])
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
            ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast([storable(text) for text in texts])]
            if len(ids) <= _FEW:
                for row, its in enumerate(ids):
                    found[row] = self._run(its)
            else:
                with ThreadPoolExecutor(min(len(ids), _WORKERS)) as workers:
                    for row, vector in enumerate(workers.map(self._run, ids)):
                        found[row] = vector
        except Exception as exc:  # as above
            raise EmbeddingError(f"The fast embedding model failed on a text ({type(exc).__name__}).") from exc
        return found

    def _run(self, ids: list[int]) -> Vectors:
        """One text. In a batch its activations would be quantised by the range of all the texts in it, so that its
        vector would depend on its neighbours (cosines down to .98); and a batch is no faster (76 texts a second, 74)."""
        tokens = np.array([ids], dtype=np.int64)
        found: Vectors = self._session.run(None, {"input_ids": tokens, "attention_mask": np.ones_like(tokens)})[0][0]
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
            _export(reference, whole)
            _fuse(whole)
            _check(whole, expected, PARITY)
            _quantise(whole, small)
        except (EmbeddingError, OSError):
            raise
        except Exception as exc:  # torch's exporter and onnx raise anything
            raise EmbeddingError(f"The embedding model cannot be exported ({type(exc).__name__}).") from exc
        _check(small, expected, PARITY_INT8)
        with small.open("rb+") as file:
            os.fsync(file.fileno())
        target = folder / f"{BUNDLED_MODEL}-{RECIPE}-{_digest(small)}.onnx"
        small.replace(target)
    for old in folder.glob(f"{BUNDLED_MODEL}-*.onnx"):
        if f"-{RECIPE}-" not in old.name:  # of an earlier version; a server of that version has it in memory
            with contextlib.suppress(OSError):
                old.unlink()
    return target


def _export(reference: SentenceTransformerEmbedder, target: Path) -> None:
    import torch

    transformer = reference.transformer.eval()
    # The plain form of attention, which the fusion knows. The reference computes the same in either.
    transformer.set_attn_implementation("eager")

    class Pooled(torch.nn.Module):
        """The published model's three modules in one: transformer, mean over the tokens, unit length."""

        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            kept = attention_mask.unsqueeze(-1).to(states.dtype)
            mean = (states * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, p=2, dim=1)

    example = torch.ones((2, 8), dtype=torch.long)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Pooled(),
            (example, example),
            str(target),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": {0: "n", 1: "t"}, "attention_mask": {0: "n", 1: "t"}, "embedding": {0: "n"}},
            opset_version=_OPSET,
            dynamo=False,  # the newer exporter needs onnxscript; torch is pinned below 2.14, which still has this one
        )


def _fuse(model_file: Path) -> None:
    """Merge attention, layer normalisation and GELU into one operation each: same vectors, up to 1.7 × as fast."""
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False  # needs segment ids, which the published model does not read
    fused = optimize_model(str(model_file), "bert", _HEADS, DIMENSIONS, options, opt_level=0)
    fused.save_model_to_file(str(model_file))


def _quantise(source: Path, target: Path) -> None:
    import logging

    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().addFilter(_quiet := lambda record: "pre-processing before quantization" not in record.msg)
    try:
        quantize_dynamic(
            str(source),
            str(target),
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},  # of the fused operations' results
        )
    finally:
        logging.getLogger().removeFilter(_quiet)


def _check(model_file: Path, expected: Vectors, least: float) -> None:
    cosines = (OnnxEmbedder(model_file).embed(PROBES) * expected).sum(axis=1)
    if not np.all(cosines >= least):
        raise EmbeddingError(
            f"The exported embedding model differs from its reference (cosine {cosines.min():.4f}, at least {least})."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
