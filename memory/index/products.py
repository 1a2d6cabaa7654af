"""Products with very many vectors of small whole numbers.

What takes long is reading the vectors, and in bytes they are a quarter of what they are in floats. numpy multiplies bytes one by
one; ONNX Runtime, which embeds, does it in the processor's own instructions.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

MOST = 127
"""The largest factor. Two products of a factor and a value are then less than 2¹⁵: where the processor adds them in sixteen bits,
as many do, they fit."""

_MODEL = bytes.fromhex(
    "080712003a610a180a01610a0162120179220d4d61744d756c496e746567657212005a150a016112100a0e0802120a0a0312016d0a0312016b5a150a0162"
    "12100a0e0803120a0a0312016b0a0312016e62150a017912100a0e0806120a0a0312016d0a0312016e42040a00100d"
)
"""y = a·b by the operator MatMulInteger, as the file of a model; a test makes it by the library for these."""

_STEP = 1 << 16
"""Vectors that are multiplied at a time where there is no ONNX Runtime."""


def products(factors: npt.NDArray[np.uint8], values: npt.NDArray[np.int8]) -> npt.NDArray[np.int32]:
    """The sums of factors times values, shape (n,), of factors up to MOST, shape (k,), and values, shape (k, n)."""
    if (session := _session()) is not None:
        found: npt.NDArray[np.int32] = session.run(None, {"a": factors[None], "b": values})[0][0]
        return found
    slow, weights = np.empty(values.shape[1], dtype=np.int32), factors.astype(np.float32)
    for start in range(0, len(slow), _STEP):  # floats hold such sums exactly
        slow[start : start + _STEP] = weights @ values[:, start : start + _STEP].astype(np.float32)
    return slow


@cache
def _session() -> Any:
    """ONNX Runtime's, None where it does not run here (then the reference embeds, too)."""
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # as where it embeds
        options.intra_op_num_threads = min(2, os.cpu_count() or 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(_MODEL, options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 # it raises bare ones
        return None
