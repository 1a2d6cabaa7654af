"""The bundled model's computation as an ONNX graph, written out operation by operation.

An exporter's graph of the same weights is slower by half: it carries a mask that a single text does not need, sums that
the runtime joins into slow operations, and attention that it quantises a second time. What stands here is what the
runtime is fast at, measured operation by operation (`bench/README.md`). It is right because its vectors are compared
with the reference's before it is used, not because it was written with care.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_OPSET, _IR = 20, 9
_CONTRIB = "com.microsoft"
"""Where ONNX Runtime keeps its operations for transformers."""

Weights = Mapping[str, npt.NDArray[np.float32]]
"""The parameters of a BERT encoder by their names in the published file."""


Ranges = Mapping[str, npt.NDArray[np.float32]]
"""The largest absolute value of each input of a dense layer, by the layer's name, shape (inputs,)."""

_SMOOTHING, _SMOOTHING_GELU = 0.7, 0.9
"""How much of an input's range is moved into the weights before both are quantised; the latter for what comes out of
GELU. Measured: the mean cosine to the reference is .9983, with .5 .988, without .9938. From Xiao et al., "SmoothQuant"
(2023)."""


def write(weights: Weights, config: Any, longest: int, target: Path, ranges: Ranges | None = None) -> dict[str, str]:
    """Write the encoder with mean pooling and unit length: `input_ids` (n, t), all of the n texts t tokens long, to
    `embedding` (n, dimensions).

    Args:
        weights: the parameters.
        config: the encoder's (transformers' `BertConfig`): its layers, heads, and epsilon of the normalisation.
        longest: tokens of the longest text that it will be given.
        target: the file.
        ranges: of typical texts. With them the weights are in int8, one scale for each output, and activations are
            quantised as they come, with one scale for all texts of a run. Without, all is float32, and the inputs of
            the dense layers are outputs of the graph, too, for the ranges to be read there.

    Returns:
        The name of each dense layer's input among the outputs, by the layer's name; none where quantised.
    """
    import onnx

    graph = _Graph(weights, float(config.layer_norm_eps), ranges)
    x = graph.embeddings(longest)
    for layer in range(int(config.num_hidden_layers)):
        x = graph.layer(x, f"encoder.layer.{layer}.", int(config.num_attention_heads))
    graph.pool(x)
    ids = onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["n", "t"])
    watched = {} if ranges else graph.inputs
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in dict.fromkeys(watched.values())
    ]
    embedding = onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["n", int(config.hidden_size)])
    opsets = [onnx.helper.make_opsetid("", _OPSET), onnx.helper.make_opsetid(_CONTRIB, 1)]
    made = onnx.helper.make_graph(graph.nodes, "encoder", [ids], [embedding, *outputs], graph.constants)
    onnx.save(onnx.helper.make_model(made, opset_imports=opsets, ir_version=_IR), str(target))
    return watched


class _Graph:
    """The nodes and constants so far. A method adds some and returns the name of what they compute."""

    def __init__(self, weights: Weights, epsilon: float, ranges: Ranges | None) -> None:
        self._weights, self._epsilon, self._ranges = weights, epsilon, ranges
        self.inputs: dict[str, str] = {}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def embeddings(self, longest: int) -> str:
        """Word + position + the one token type that the published model is used with, normalised."""
        words = self._weights["embeddings.word_embeddings.weight"]
        if self._ranges:
            table, scales = _int8(words, axis=1)
            rows = self._node("Cast", self._node("Gather", self._constant(table), "input_ids"), to=1)  # to float
            x = self._node("Mul", rows, self._node("Gather", self._constant(scales), "input_ids"))
        else:
            x = self._node("Gather", self._constant(words), "input_ids")
        places = self._weights["embeddings.position_embeddings.weight"][:longest]
        places = places + self._weights["embeddings.token_type_embeddings.weight"][0]
        first, length = self._constant(np.array([0])), self._node("Shape", "input_ids", start=1, end=2)
        x = self._node("Add", x, self._node("Slice", self._constant(places), first, length, first))
        return self._normalised(x, "embeddings.LayerNorm")

    def layer(self, x: str, name: str, heads: int) -> str:
        """Attention and the two dense layers, each added to what came in and normalised."""
        parts = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
        joined = self._dense(x, *parts)  # one product instead of three
        query, key, value = self._nodes("Split", joined, outputs=3, axis=-1, num_outputs=3)
        attended = self._node("MultiHeadAttention", query, key, value, domain=_CONTRIB, num_heads=heads)
        attended = self._dense(attended, f"{name}attention.output.dense")
        # Not SkipLayerNormalization, which does both in one: it takes three times as long.
        x = self._normalised(self._node("Add", attended, x), f"{name}attention.output.LayerNorm")
        inner = self._node("Gelu", self._dense(x, f"{name}intermediate.dense"))
        return self._normalised(
            self._node("Add", self._dense(inner, f"{name}output.dense"), x), f"{name}output.LayerNorm"
        )

    def pool(self, x: str) -> None:
        """The mean over all tokens, at unit length."""
        mean = self._node("ReduceMean", x, self._constant(np.array([1])), keepdims=0)
        self._add("LpNormalization", [mean], ["embedding"], axis=-1, p=2)

    def _dense(self, x: str, *names: str) -> str:
        """One dense layer, or several that read the same, side by side."""
        matrix = np.concatenate([self._weights[f"{name}.weight"] for name in names]).T
        bias = self._constant(np.concatenate([self._weights[f"{name}.bias"] for name in names]))
        self.inputs[names[0]] = x
        if not self._ranges:
            return self._node("Add", self._node("MatMul", x, self._constant(matrix)), bias)
        moved = _SMOOTHING_GELU if matrix.shape[0] > matrix.shape[1] else _SMOOTHING
        factors = _smooth(self._ranges[names[0]], matrix, moved)
        x = self._node("Mul", x, self._constant(1 / factors))
        whole, scales = _int8(matrix * factors[:, None], axis=0)
        inputs = (x, self._constant(whole), self._constant(scales[0]), "", bias)  # "": zero is 0
        return self._node("DynamicQuantizeMatMul", *inputs, domain=_CONTRIB)

    def _normalised(self, x: str, name: str) -> str:
        scale, shift = (self._constant(self._weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self._node("LayerNormalization", x, scale, shift, axis=-1, epsilon=self._epsilon)

    def _constant(self, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        return self._nodes(operation, *inputs, outputs=1, **attributes)[0]

    def _nodes(self, operation: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"v{len(self.nodes)}.{number}" for number in range(outputs)]
        self._add(operation, inputs, names, **attributes)
        return names

    def _add(self, operation: str, inputs: Any, outputs: list[str], **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operation, inputs, outputs, name=outputs[0], **attributes))


def _smooth(ranges: npt.NDArray[np.float32], matrix: npt.NDArray[np.float32], moved: float) -> npt.NDArray[np.float32]:
    """By what each input is divided and its weights are multiplied, so that one scale fits all inputs better."""
    largest = np.maximum(ranges, 1e-3) ** moved / np.maximum(np.abs(matrix).max(axis=1), 1e-3) ** (1 - moved)
    factors: npt.NDArray[np.float32] = (largest / np.exp(np.log(largest).mean())).astype(np.float32)
    return factors


def _int8(matrix: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """The matrix as whole numbers from −127 to 127, and the scales (the axis over which each is shared has length 1)."""
    scales = np.abs(matrix).max(axis=axis, keepdims=True) / np.float32(127)
    scales[scales == 0] = 1
    return np.round(matrix / scales).astype(np.int8), scales.astype(np.float32)
