"""The classifier of each method: which of its weights are trained, and how fast."""

import math
import re

import keras

from helpers import on_tensorflow, pretrained

DEFAULTS = {  # method: epochs and peak learning rate, where the caller names none
    "full": (2, 1e-4),
    "last": (2, 2e-4),
    "lora": (2, 1e-3),
    "head": (20, 1e-3),
    "scratch": (10, 5e-4),
}
UNDECAYED = ["bias", "gamma", "beta", "scale"]  # weight decay is for matrices: these stay out of it
BLOCKS_OF_USE = [
    ["table"],
    ["project", "norm_project"],
    [*(f"gram_{n}_{step}" for n in (2, 3, 5) for step in (1, 2)), "norm", "mean"],
    ["deep_0", "deep_1", "short_1"],
    ["deep_2", "deep_3", "short_3"],
]


def classifier(encoder, method, n_classes, *, dimensions=None, layers=2, rank=8, pooling="mean"):
    """Keras model to a score per class, from token ids or, for the head alone, from vectors of so many dimensions."""
    dropout = keras.layers.Dropout(0.1)
    scores = keras.layers.Dense(
        n_classes, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02), dtype="float32"
    )
    if method != "head":
        body = pretrained.encoder(encoder, weights=method != "scratch", pooling=pooling)
        dimensions = body.output_shape[-1]
    rescaling = keras.layers.Rescaling(dimensions**0.5)  # a vector of length 1 has tiny components: make them about 1
    head = keras.Sequential([rescaling, dropout, scores], name="head")
    if method == "head":
        head.build((None, dimensions))
        return head
    if method == "last":
        _keep_last(body, encoder, layers)
    if method == "lora":
        _add_lora(body, encoder, rank)
    return keras.Model(body.input, head(body.output))


def trained(model):
    """How many numbers of a model training changes."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def blocks(model):
    """Layers with weights, bottom to top: those of the embeddings, then a list for each layer that is stacked."""
    names = {layer.name: layer for layer in model.layers}
    if "table" in names:
        return [[names[name] for name in block] for block in BLOCKS_OF_USE]
    body = names["bert"] if "bert" in names else names["backbone"]
    found = [[]]
    for layer in body.layers:
        if layer.weights:
            if re.search(r"_\d+$", layer.name):  # transformer_layer_0 and so on, in every text model of KerasHub
                found.append([])
            found[-1].append(layer)
    return found


def decoder_blocks(backbone):
    """The blocks of a language model of KerasHub, bottom to top."""
    return [layer for layer in backbone.layers if re.search(r"_\d+$", layer.name) and layer.weights]


def _keep_last(body, encoder, layers):
    """Freeze all but the topmost layers."""
    found = blocks(body)
    if not 1 <= layers < len(found):
        raise ValueError(f"layers is {layers!r}: {encoder!r} has 1 to {len(found) - 1} above its embeddings")
    for block in found[:-layers]:
        for layer in block:
            layer.trainable = False


def _add_lora(body, encoder, rank):
    """Freeze the weights and add to a layer's matrix W the product of two thin ones, A·B, which alone are trained.

    In a transformer to the queries and values of attention, as KerasHub does by itself (Hu et al. 2022, §4.2), each
    head with an A of its own; in `use`, which has no attention, to its dense layers. Their biases are trained too.
    """
    for layer in body.layers:
        of_kerashub = hasattr(layer, "default_lora_layer_names")
        if of_kerashub or isinstance(layer, keras.layers.Dense):
            layer.enable_lora(rank)
        else:
            layer.trainable = False
    if not body.trainable_variables:
        raise ValueError(f"method is 'lora', but {encoder!r} has no layer of queries and values for it: take 'last'")


def optimiser(model, weight_decay, layer_decay, **settings):
    """AdamW whose rate the training loop sets; each layer down has it times layer_decay (Howard & Ruder 2018, §3.2)."""
    variables, depth = model.trainable_variables, {}
    if layer_decay < 1:
        found = [] if isinstance(model, keras.Sequential) else blocks(model)  # the head alone has no layer below it
        depth = {id(v): len(found) - i for i, block in enumerate(found) for layer in block for v in layer.variables}
    return AdamW(
        factors=[layer_decay ** depth.get(id(variable), 0) for variable in variables],
        decays=[0 if any(word in variable.name for word in UNDECAYED) else weight_decay for variable in variables],
        **settings,
    )


class AdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate and a weight decay of its own for each variable, under TensorFlow in few passes.

    factors : its share of the common rate, in the order of the model's trainable variables
    decays  : its weight decay, in the same order
    """

    def __init__(self, factors, decays, **settings):
        super().__init__(**settings)
        self.factors, self.decays = factors, decays
        self.weight_decay = None  # that of the parent, which knows the common rate alone

    def apply(self, grads, trainable_variables=None):
        if keras.backend.backend() == "tensorflow":
            grads = [on_tensorflow.dense(gradient) for gradient in grads]
        super().apply(grads, trainable_variables)

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        """Update one variable after another.

        Under TensorFlow Keras first sums the gradients over replicas, of which there is one here. It does so in a
        custom gradient, which TensorFlow keeps, with its graph and so with the weights, as long as the process lives.
        """
        if keras.backend.backend() != "tensorflow":
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            value = variable.value if isinstance(variable, keras.Variable) else variable
            self.update_step(gradient, value, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = learning_rate * self.factors[index]
        if self.decays[index]:
            self.assign_sub(variable, variable * keras.ops.cast(self.decays[index] * rate, variable.dtype))
        if keras.backend.backend() == "tensorflow":
            moments = self._momentums[index], self._velocities[index]
            on_tensorflow.adam(variable, *moments, gradient, self.iterations + 1, rate, self)
        else:
            super().update_step(gradient, variable, rate)
