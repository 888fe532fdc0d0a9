"""Low-rank adaptation (LoRA) as its authors and PEFT do it: beside a frozen matrix W two thin ones, y = xW + s·(xA)B.

Keras's `enable_lora` gives each attention head an A of its own: another method, whose weights PEFT cannot read. Here a
layer has one A (inputs, rank) and one B (rank, outputs), whatever the shape of its kernel.

source : Hu et al. 2022, arXiv 2106.09685, §4.1; A starts as in PEFT, uniform within ±1/√inputs, B at zero
"""

import json
import math
from pathlib import Path

import keras
import numpy as np

from helpers.finetuning import files, methods

TARGETS = {"attention": ["query", "value"], "linear": None}  # names of layers; None: every linear one of a block
# a layer's name in KerasHub, and in Hugging Face's Llama, Mistral, Qwen and their relatives
HUGGING_FACE = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "attention_output": "self_attn.o_proj",
    "feedforward_gate_dense": "mlp.gate_proj",
    "feedforward_intermediate_dense": "mlp.up_proj",
    "feedforward_output_dense": "mlp.down_proj",
}


class Adapter:
    """The thin matrices beside a model's linear layers, attached: the layers compute with them from now on.

    model    : LanguageModel; its own weights stay as they are. What was traced on it is traced again
    rank     : columns of each A, rows of each B
    alpha    : None for 2 · rank; the product AB counts alpha / rank times
    targets  : "attention", queries and values (Hu et al. 2022, §4.2), "linear", every linear layer of a block, or a
               list of names as `matrices` has them
    layers   : None for all blocks, or how many of the topmost
    seed     : of the A. All B start at zero, so that at first nothing changes

    layer    : Keras layer that holds the matrices, for a model to train
    matrices : {name of a linear layer: the layer, its A, its B}
    """

    def __init__(self, model, *, rank=8, alpha=None, targets="linear", layers=None, seed=0):
        if not isinstance(targets, list) and targets not in list(TARGETS):
            raise ValueError(f"targets is {targets!r}: take {' or '.join(map(repr, TARGETS))}, or a list of layers")
        if is_attached(model):
            raise ValueError("the model has an adapter already: detach or merge it first")
        self.model, self.rank, self.alpha = model, rank, alpha or 2 * rank
        draws = keras.random.SeedGenerator(seed)
        self.layer, self.matrices = keras.layers.Layer(name="lora"), {}
        for name, layer in _linear_layers(model.backbone, targets, layers).items():
            inputs, outputs = _sizes(layer)
            start = keras.initializers.RandomUniform(-1 / math.sqrt(inputs), 1 / math.sqrt(inputs), seed=draws)
            a = self.layer.add_weight((inputs, rank), initializer=start, name=f"{name}.lora_A")
            b = self.layer.add_weight((rank, outputs), initializer="zeros", name=f"{name}.lora_B")
            self.matrices[name] = layer, a, b
        self.layer.built = True
        for layer, a, b in self.matrices.values():
            layer.call = _adapted(layer, a, b, self.alpha / rank)
        self.attached, model.lm.adapter = True, self.layer
        _forget_traces(model)

    def detach(self):
        """Leave the model as it was before the adapter; nothing happens where it is not attached any more."""
        if not self.attached:
            return
        for layer, _, _ in self.matrices.values():
            del layer.call
        self.attached = False
        del self.model.lm.adapter
        self.model.lm._layers.remove(self.layer)  # Keras forgets a deleted layer's name alone
        _forget_traces(self.model)

    def merge(self):
        """Add the products AB to the model's own matrices, and leave it without the adapter."""
        self.detach()
        for layer, a, b in self.matrices.values():
            layer.kernel.assign_add(_as_kernel(layer, keras.ops.matmul(a, b) * (self.alpha / self.rank)))

    def save(self, folder):
        """Write the matrices as PEFT does: adapter_model.safetensors and adapter_config.json.

        errors : ValueError for a model whose layers have no names in Hugging Face's Llama; OSError, one sentence, for
                 a disk that is full; nothing half-written stays
        """
        from safetensors.numpy import save_file

        tensors = {}
        for name, (_, a, b) in self.matrices.items():
            place = f"base_model.model.model.{_hugging_face(name)}"
            tensors[f"{place}.lora_A.weight"] = _array(a).T.copy()
            tensors[f"{place}.lora_B.weight"] = _array(b).T.copy()
        settings = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.model.name,
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": sorted({_hugging_face(name).rsplit(".")[-1] for name in self.matrices}),
            "layers_to_transform": sorted({int(_hugging_face(name).split(".")[1]) for name in self.matrices}),
            "inference_mode": True,
        }

        def write(path):
            save_file(tensors, path / "adapter_model.safetensors")
            (path / "adapter_config.json").write_text(json.dumps(settings, indent=1), encoding="utf8")

        files.write_folder(folder, write)


def is_attached(model):
    """Whether a model computes with an adapter."""
    return hasattr(model.lm, "adapter")


def _forget_traces(model):
    """Have what was traced on a model traced anew: it would go on computing without, or with, the adapter."""
    model.built.clear()
    model.lm.predict_function = None


UNKNOWN = ["use_rslora", "use_dora", "rank_pattern", "alpha_pattern", "modules_to_save"]  # PEFT's variants of LoRA


def read(model, folder):
    """The adapter in a folder that `Adapter.save` or PEFT wrote, attached to a model.

    errors : ValueError, one sentence, for files that do not fit each other or the model
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / file).is_file():
            raise ValueError(f"{folder} has no {file}: give the folder of an adapter")
    stored = load_file(folder / "adapter_model.safetensors")
    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf8"))
    used = [name for name in UNKNOWN if settings.get(name)]
    if used or settings.get("peft_type") != "LORA" or settings.get("bias", "none") != "none":
        what = ", ".join(used) or "its type or bias"
        raise ValueError(f"the adapter in {folder} is no plain LoRA ({what}): only that can be read")
    names = {name.rsplit(".lora_", 1)[0] for name in stored}
    if wrong := stored.keys() ^ {f"{name}.lora_{which}.weight" for name in names for which in "AB"}:
        raise ValueError(f"the adapter in {folder} has not an A and a B of each layer: see {min(wrong)}")
    layers = _linear_layers(model.backbone, "linear", None)
    ours = {f"base_model.model.model.{_hugging_face(name)}": name for name in layers}
    if unknown := sorted(names - ours.keys()):
        raise ValueError(f"the adapter in {folder} is of another model: {model.name} has no layer {unknown[0]}")
    adapter = Adapter(model, rank=settings["r"], alpha=settings["lora_alpha"], targets=[ours[name] for name in names])
    for name in names:
        _, *matrices = adapter.matrices[ours[name]]
        for variable, which in zip(matrices, "AB", strict=True):
            value = stored[f"{name}.lora_{which}.weight"].T
            if value.shape != variable.shape:
                adapter.detach()
                raise ValueError(f"the adapter in {folder} is of another model: {name} has {value.shape} numbers there")
            variable.assign(value)
    return adapter


def _linear_layers(backbone, targets, layers):
    """The linear layers of the topmost blocks that are adapted, by block and name."""
    blocks = methods.decoder_blocks(backbone)
    wanted = targets if isinstance(targets, list) else TARGETS[targets] or []
    found = {}
    for block in blocks[-layers:] if layers else blocks:
        for layer in block._flatten_layers(include_self=False):  # Keras has no public name for it
            name = f"{block.name}.{layer.name}"
            linear = isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense))
            if linear and (targets == "linear" or name in wanted or layer.name in wanted):
                found[name] = layer
    if missing := [name for name in wanted if not any(name in (key, key.split(".")[1]) for key in found)]:
        raise ValueError(f"{backbone.name!r} has no linear layer {missing[0]!r} in its blocks")
    if not found:
        raise ValueError(f"targets is {targets!r}, but {backbone.name!r} has no such layer in its blocks")
    return found


def _axes(layer):
    """Letters of a layer's kernel, and those of them that it takes from its input and gives to its output."""
    if isinstance(layer, keras.layers.Dense):
        return "io", "i", "o"
    inputs, kernel, outputs = layer.equation.replace("->", ",").split(",")
    return kernel, "".join(c for c in inputs if c in kernel), "".join(c for c in outputs if c in kernel)


def _sizes(layer):
    """How many numbers a layer's matrix takes and gives, the axes of heads counted together."""
    kernel, inputs, outputs = _axes(layer)
    size = dict(zip(kernel, layer.kernel.shape, strict=True))
    return math.prod(size[axis] for axis in inputs), math.prod(size[axis] for axis in outputs)


def _as_kernel(layer, matrix):
    """A matrix (inputs, outputs) in the shape of a layer's kernel."""
    kernel, inputs, outputs = _axes(layer)
    size = dict(zip(kernel, layer.kernel.shape, strict=True))
    matrix = keras.ops.reshape(matrix, [size[axis] for axis in inputs + outputs])
    return keras.ops.transpose(matrix, [(inputs + outputs).index(axis) for axis in kernel])


def _adapted(layer, a, b, scale):
    """What a linear layer computes beside its thin matrices, which take the axes of its kernel."""
    kernel, taken, given = _axes(layer)
    size = dict(zip(kernel, layer.kernel.shape, strict=True))
    rows = "".join(axis for axis in "xyz" if axis not in kernel)[:2]  # of the batch: texts and tokens
    down, up = f"{rows}{taken},{taken}R->{rows}R", f"{rows}R,R{given}->{rows}{given}"

    def call(inputs, training=None):
        activation, layer.activation = layer.activation, None
        try:
            outputs = type(layer).call(layer, inputs)
        finally:
            layer.activation = activation
        thin = keras.ops.reshape(a, [*(size[axis] for axis in taken), a.shape[1]])
        wide = keras.ops.reshape(b * scale, [b.shape[0], *(size[axis] for axis in given)])
        outputs = outputs + keras.ops.einsum(up, keras.ops.einsum(down, inputs, thin), wide)
        return activation(outputs) if activation else outputs

    return call


def _hugging_face(name):
    """Name of a layer in Hugging Face's Llama and its relatives."""
    block, layer = name.split(".")
    if layer not in HUGGING_FACE:
        raise ValueError(
            f"PEFT's name of the layer {layer!r} is not known: adapters of Llama and its relatives can be written"
        )
    return f"layers.{block.rsplit('_', 1)[1]}.{HUGGING_FACE[layer]}"


def _array(variable):
    return np.asarray(keras.ops.convert_to_numpy(variable.value), "float32")
