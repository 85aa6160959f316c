"""Builds the ONNX graph of a BERT sentence encoder out of its weights alone, so that no deep-learning framework is
needed to run it.

Pooling and normalisation are part of the graph: its one output, ``embedding``, is what is stored. The attention and
layer-norm nodes are onnxruntime's own operators (domain ``com.microsoft``), because that runtime is the only one that
ever loads the file and they spare it a fusion pass at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Array = NDArray[Any]

_OPSET = 20  # the first with Gelu
_MICROSOFT = "com.microsoft"


@dataclass(frozen=True, slots=True)
class BertShape:
    """The numbers of a BERT encoder that its weights do not tell."""

    layers: int
    hidden: int
    heads: int
    epsilon: float


def build_sentence_encoder(weights: Mapping[str, Array], shape: BertShape) -> onnx.ModelProto:
    """A model from ``input_ids`` and ``attention_mask`` (int64, texts × tokens) to unit vectors."""
    from onnx import TensorProto, helper

    graph = _Graph()
    x = _embed(graph, weights, shape)
    graph.node("Cast", ["attention_mask"], "mask_int", to=TensorProto.INT32)
    for layer in range(shape.layers):
        x = _encoder_layer(graph, weights, shape, layer, x)
    _pool(graph, x)
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sentence_encoder",
            inputs=[
                helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
                for name in ("input_ids", "attention_mask")
            ],
            outputs=[helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", shape.hidden])],
            initializer=graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)],
        ir_version=10,
    )


def save(model: onnx.ModelProto, path: Path) -> None:
    import onnx

    onnx.save(model, str(path))


class _Graph:
    """Nodes and constants as they are added; a node answers with the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def dense(self, x: str, weight: Array, bias: Array, output: str) -> str:
        product = self.node("MatMul", [x, self.constant(f"{output}.weight", weight.T)], f"{output}.product")
        return self.node("Add", [product, self.constant(f"{output}.bias", bias)], output)

    def add_and_norm(self, x: str, skip: str, weights: Mapping[str, Array], prefix: str, epsilon: float) -> str:
        gamma = self.constant(f"{prefix}.gamma", weights[f"{prefix}.weight"])
        beta = self.constant(f"{prefix}.beta", weights[f"{prefix}.bias"])
        return self.node(
            "SkipLayerNormalization", [x, skip, gamma, beta], f"{prefix}.out", domain=_MICROSOFT, epsilon=epsilon
        )


def _embed(graph: _Graph, weights: Mapping[str, Array], shape: BertShape) -> str:
    """Word plus position embeddings, normalised. All tokens are of segment 0, whose row joins the positions here."""
    positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    graph.constant("words", weights["embeddings.word_embeddings.weight"])
    graph.constant("positions", positions[None])
    graph.constant("zero", np.array([0], dtype=np.int64))
    graph.constant("axis", np.array([1], dtype=np.int64))
    graph.node("Gather", ["words", "input_ids"], "word_rows")
    graph.node("Shape", ["input_ids"], "length", start=1, end=2)
    graph.node("Slice", ["positions", "zero", "length", "axis"], "position_rows")
    graph.node("Add", ["word_rows", "position_rows"], "summed_rows")
    gamma = graph.constant("embeddings.gamma", weights["embeddings.LayerNorm.weight"])
    beta = graph.constant("embeddings.beta", weights["embeddings.LayerNorm.bias"])
    return graph.node("LayerNormalization", ["summed_rows", gamma, beta], "embeddings.out", epsilon=shape.epsilon)


def _encoder_layer(graph: _Graph, weights: Mapping[str, Array], shape: BertShape, layer: int, x: str) -> str:
    prefix = f"encoder.layer.{layer}"

    def part(name: str) -> tuple[Array, Array]:
        return weights[f"{prefix}.{name}.weight"], weights[f"{prefix}.{name}.bias"]

    projections = [part(f"attention.self.{name}") for name in ("query", "key", "value")]
    weight = graph.constant(f"{prefix}.qkv.weight", np.concatenate([w.T for w, _ in projections], axis=1))
    bias = graph.constant(f"{prefix}.qkv.bias", np.concatenate([b for _, b in projections]))
    attended = graph.node(
        "Attention", [x, weight, bias, "mask_int"], f"{prefix}.attention", domain=_MICROSOFT, num_heads=shape.heads
    )
    attended = graph.dense(attended, *part("attention.output.dense"), f"{prefix}.attention.dense")
    x = graph.add_and_norm(attended, x, weights, f"{prefix}.attention.output.LayerNorm", shape.epsilon)
    widened = graph.dense(x, *part("intermediate.dense"), f"{prefix}.intermediate")
    widened = graph.node("Gelu", [widened], f"{prefix}.gelu")
    narrowed = graph.dense(widened, *part("output.dense"), f"{prefix}.narrowed")
    return graph.add_and_norm(narrowed, x, weights, f"{prefix}.output.LayerNorm", shape.epsilon)


def _pool(graph: _Graph, x: str) -> None:
    """The mean over real tokens, brought to length 1. The division by their number falls away in the second step."""
    from onnx import TensorProto

    graph.constant("last_axis", np.array([-1], dtype=np.int64))
    graph.node("Cast", ["attention_mask"], "mask_float", to=TensorProto.FLOAT)
    graph.node("Unsqueeze", ["mask_float", "last_axis"], "mask_column")
    graph.node("Mul", [x, "mask_column"], "kept")
    graph.node("ReduceSum", ["kept", "axis"], "pooled", keepdims=0)
    graph.node("LpNormalization", ["pooled"], "embedding", axis=-1, p=2)
