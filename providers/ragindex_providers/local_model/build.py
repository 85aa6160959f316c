"""Turns the released MiniLM weights into a model folder: ``python -m ragindex_providers.local_model.build FROM TO``.

Weights become 8-bit integers, a scale for each output channel, kept to 7 bits so that processors without VNNI
instructions do not saturate: the same text gives the same vector on every machine. It halves the time of a text and
leaves its vector within a cosine of .99 of the exact one.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from ragindex_providers.local_model.folder import MANIFEST, MODEL, TOKENIZER, Digests, ModelManifest
from ragindex_providers.local_model.graph import BertShape, build_sentence_encoder, save
from ragindex_providers.local_model.minilm import TOKENIZER_SHA256, WEIGHTS_SHA256

_SHAPE = BertShape(layers=6, hidden=384, heads=12, epsilon=1e-12)
_MAX_TOKENS = 256  # what it was trained on, though it has positions for 512


def build(source: Path, target: Path, *, quantised: bool = True) -> None:
    from safetensors.numpy import load_file

    model = build_sentence_encoder(load_file(source / "model.safetensors"), _SHAPE)
    path = target / MODEL
    save(model, path)
    if quantised:
        _quantise(path)
    shutil.copyfile(source / TOKENIZER, target / TOKENIZER)
    manifest = ModelManifest(
        sha256=Digests.model_validate({MODEL: _digest(path), TOKENIZER: _digest(target / TOKENIZER)}),
        dimensions=_SHAPE.hidden,
        max_tokens=_MAX_TOKENS,
        pooling="none",
        built_from={"model.safetensors": WEIGHTS_SHA256, TOKENIZER: TOKENIZER_SHA256},
    )
    (target / MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=2) + "\n")


def _quantise(path: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = onnx.load(str(path))
    # Says that there is nothing to prepare: the graph was made without needless nodes.
    exact.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    quantize_dynamic(
        exact,
        str(path),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
