"""Train a text classifier on a pretrained sentence encoder: all of it, some of it, or the same from scratch.

The classifier is an encoder of `helpers.pretrained`, dropout, and one dense layer (the head) with a score per class.
The loss is softmax cross-entropy, the optimiser AdamW with linear warm-up and decay (Devlin et al. 2019, §A.2).

    checks         which settings can be trained with
    methods        what is trained, and how fast
    training       the loop over epochs and batches
    checkpoints    a run's state in a file, for runs that are killed
    language       the same for language models, on conversations
    lora           the thin matrices that LoRA trains, in PEFT's form

Several GPUs share each batch after one line, under JAX (KERAS_BACKEND=jax); Keras's other backends cannot:

    keras.distribution.set_distribution(keras.distribution.DataParallel())
"""

import functools
import gc
import math
import numbers
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers import on_tensorflow, pretrained
from helpers.finetuning import checkpoints, checks, methods, training
from helpers.finetuning.methods import DEFAULTS
from helpers.finetuning.precision import sixteen_bits

__all__ = ["DEFAULTS", "FineTuned", "fine_tune", "make_reproducible", "sixteen_bits"]


class FineTuned(NamedTuple):
    """What `fine_tune` returns.

    model     : Keras model from token ids to a score per class; head: from sentence vectors to scores
    classes   : list, the classes in the order of the columns of `predict`
    history   : DataFrame, one row an epoch: epoch, train_loss, train_accuracy (while training: with dropout, before
                each update, with class weights and label smoothing), valid_loss, valid_accuracy (after the epoch, with
                none of these; NaN without valid), seconds
    predict   : function from n texts to probabilities float64 (n, classes)
    truncated : share of the training texts that were longer than max_tokens and were cut
    seconds   : wall time of the whole call
    trained   : how many numbers were trained
    """

    model: keras.Model
    classes: list
    history: pd.DataFrame
    predict: Callable
    truncated: float
    seconds: float
    trained: int


def fine_tune(
    texts,
    labels,
    *,
    valid=None,
    encoder="minilm",
    pooling="mean",
    method="full",
    layers=2,
    rank=8,
    epochs=None,
    batch_size=32,
    learning_rate=None,
    max_tokens=64,
    pad_to=16,
    warmup=0.1,
    weight_decay=0.01,
    layer_decay=1.0,
    clip_norm=None,
    class_weight=None,
    label_smoothing=0.0,
    precision=None,
    seed=0,
    restore_best=True,
    patience=None,
    checkpoint=None,
    progress=None,
):
    """Train a classifier of texts. The same arguments give the same predictions on the same machine.

    texts, labels : n strings and their classes (all strings or all integers, at least two different ones)
    valid         : None or (texts, labels), measured after each epoch, never trained on
    encoder       : "minilm" (English), "use" (16 languages, Chinese among them), or a KerasHub preset: its name, an
                    address such as "hf://google-bert/bert-base-chinese", or a folder
    pooling       : of a preset: "mean" of its tokens' vectors, or "cls", the first of them
    method        : "full" trains encoder and head
                    "last" trains the last `layers` layers of the encoder and the head
                    "lora" trains the head and, beside each frozen matrix, two thin ones of that `rank` (Hu et al. 2022)
                    "head" trains the head alone: the encoder never changes, so each text's vector is computed once
                    (`pretrained.embed`) and an epoch costs almost nothing
                    "scratch" is "full" from random weights: what is left without pretraining
    epochs, learning_rate : None takes those of the method in DEFAULTS; the rate is the peak, after warm-up
    batch_size    : where memory runs out, a batch goes through in 2, 4 … parts, with a warning; a step stays a batch
    max_tokens    : longer texts are cut; the result says what share was. From 3 to what the encoder takes
    pad_to        : a batch in training is as wide as its longest text, rounded up to a multiple of 1, 2, 4, 8 or 16.
                    JAX compiles each width anew, so few of them pay; under TensorFlow a new width costs nothing, and 4
                    saves a sixth of the tokens where texts have some 27. Dropout's random numbers depend on widths.
    warmup        : share of all steps in which the rate rises, 0 to 1; from there it falls in a line to 0
    layer_decay   : the rate of each layer of the encoder is that of the next one up times this, lowest for the
                    embeddings; 1 is the same for all (Howard & Ruder 2018, §3.2; Sun et al. 2019, §5.3.3). The head
                    alone has no layer below it
    clip_norm     : None or the length to which the gradient of all weights together is cut
    class_weight  : None, "balanced" (each class counts as much as any other) or {class: weight} with all classes
    label_smoothing : this share of each label is spread over all classes (Szegedy et al. 2016, §7)
    precision     : None keeps Keras's, else "float32", "mixed_bfloat16" or "mixed_float16", for this call alone
                    (the vectors that method "head" reads are float32 in any case)
    restore_best  : with valid, end with the weights of the epoch that had the lowest valid_loss, not with the last
    patience      : None or after how many epochs without a lower valid_loss training stops
    checkpoint    : None or a folder: the state is kept there every minute and after each epoch. The same call takes a
                    killed run up again and ends with the same predictions to the last digit; a finished one returns
                    at once. A damaged checkpoint is done without, with a warning.
    progress      : whether to show a bar with loss and time left; None does in JupyterLab
    returns       : FineTuned
    errors        : ValueError, one sentence, for texts, labels or settings that cannot be trained with, and for a
                    checkpoint of another run; FloatingPointError when the loss or, after the last batch, a score is
                    no longer a number, naming the batch and its texts
    """
    settings = dict(locals())
    start = time.perf_counter()
    if method not in DEFAULTS:
        raise ValueError(f"method is {method!r}: take one of {', '.join(map(repr, DEFAULTS))}")
    epochs = DEFAULTS[method][0] if epochs is None else epochs
    learning_rate = DEFAULTS[method][1] if learning_rate is None else learning_rate
    settings |= {"epochs": epochs, "learning_rate": learning_rate}
    checks.check(settings)
    settings["precision"] = precision or keras.config.dtype_policy().name
    texts, labels = _check_pair("", texts, labels)
    classes = sorted(set(labels))
    if len(classes) == 1:
        raise ValueError(f"labels holds one class only, {classes[0]!r}: give texts of at least two classes")
    targets = _targets("", labels, classes)
    weights = _class_weights(class_weight, classes, targets)[targets]
    if valid is not None:
        if not isinstance(valid, (tuple, list)) or len(valid) != 2:
            raise ValueError(f"valid is a {type(valid).__name__}: give a pair, (texts, labels)")
        valid_texts, valid_labels = _check_pair("valid ", *valid)
        valid_targets = _targets("valid ", valid_labels, classes)

    ids = pretrained.tokenise(texts, encoder)
    pretrained.truncate(ids[:1], max_tokens, encoder)  # a limit that the encoder cannot keep ends the call here
    truncated = float(np.mean([len(row) > max_tokens for row in ids]))
    read = functools.partial(_read, encoder=encoder, method=method, max_tokens=max_tokens, pooling=pooling)
    if label_smoothing:
        targets = np.eye(len(classes), dtype="float32")[targets]

    def attempt(parts):
        """Train with each batch in so many parts, from the beginning or from the checkpoint."""
        gc.collect()  # a model and its compiled steps refer to each other: a former one stays until someone looks
        inputs = read(texts, parts)
        valid_inputs = None if valid is None else read(valid_texts, parts)
        make_reproducible(seed)  # after reading, which may load a model and so draw random numbers
        dimensions = inputs.shape[1] if method == "head" else None
        model = methods.classifier(
            encoder, method, len(classes), dimensions=dimensions, layers=layers, rank=rank, pooling=pooling
        )
        save = saved = None
        if checkpoint is not None:
            content = {"texts or labels": (texts, labels), "valid": valid and (valid_texts, valid_labels)}
            run = checkpoints.fingerprint(settings, content, model)
            save, saved = functools.partial(checkpoints.save, checkpoint, run), checkpoints.load(checkpoint, run)
            parts = max(parts, saved[0]["parts"] if saved else 1)
        training.compile_model(
            model,
            weight_decay=weight_decay,
            layer_decay=layer_decay,
            clip_norm=clip_norm,
            label_smoothing=label_smoothing,
            parts=parts,
        )
        history = training.train(
            model,
            training.Rows(
                lengths=[len(row) for row in inputs],
                weights=weights,
                batch=lambda rows, factors: (
                    pretrained.collate(inputs, rows, pad_to),
                    targets[rows],
                    weights[rows] * factors,
                ),
            ),
            valid and functools.partial(training.evaluate, model, valid_inputs, valid_targets, parts),
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            warmup=warmup,
            restore_best=restore_best,
            patience=patience,
            seed=seed,
            parts=parts,
            progress=progress,
            saved=saved,
            save=save,
        )
        return model, history, parts

    with pretrained.dtype_policy(settings["precision"]):
        model, history, parts = training.with_enough_memory(attempt, batch_size)
    return FineTuned(
        model=model,
        classes=classes,
        history=history,
        predict=lambda texts: softmax(training.scores_of(model, read(texts, parts), parts).astype("float64"), axis=1),
        truncated=truncated,
        seconds=time.perf_counter() - start,
        trained=methods.trained(model),
    )


def make_reproducible(seed, model=None):
    """Seed Python, NumPy and Keras, and have TensorFlow use operations whose result is the same at each run.

    model : None or one built before. Its dropout layers drew their seeds then; they get new ones from `seed`

    With JAX and PyTorch the seed is all that is set.
    """
    keras.utils.set_random_seed(seed)
    variables = model.variables if model else []
    for place, state in enumerate(one for one in variables if one.name == "seed_generator_state"):
        state.assign([seed, place])
    if keras.backend.backend() == "tensorflow":
        on_tensorflow.deterministic()


def _check_pair(which, texts, labels):
    """Texts and labels as lists, after the checks that need no knowledge of the classes."""
    texts = pretrained.check_texts(texts, which + "texts")
    if labels is None or isinstance(labels, str):
        raise ValueError(f"{which}labels is {labels!r}: give a list, one label per text")
    labels = [label.item() if isinstance(label, np.generic) else label for label in labels]
    if len(texts) != len(labels):
        raise ValueError(f"{which}texts has {len(texts)} rows, {which}labels {len(labels)}: give one label per text")
    if not texts:
        raise ValueError(f"{which}texts is empty: give labelled texts")
    for row, label in enumerate(labels):
        if not isinstance(label, (str, int)):
            raise ValueError(f"{which}labels[{row}] is {label!r}: give strings or integers, none missing")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"{which}labels mixes strings and integers: give one kind")
    return texts, labels


def _targets(which, labels, classes):
    """Number of each label's class."""
    number = {label: i for i, label in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in number:
            raise ValueError(f"{which}labels[{row}] is {label!r}, which no training label is: they are {classes}")
    return np.array([number[label] for label in labels], "int32")


def _class_weights(class_weight, classes, targets):
    """Weight of each class, float32; balanced ones as in scikit-learn: n / (classes · texts of the class)."""
    if class_weight is None:
        return np.ones(len(classes), "float32")
    if isinstance(class_weight, str) and class_weight == "balanced":
        return (len(targets) / len(classes) / np.bincount(targets)).astype("float32")
    if (
        not isinstance(class_weight, dict)
        or set(class_weight) != set(classes)
        or not all(isinstance(weight, numbers.Real) and 0 < weight < math.inf for weight in class_weight.values())
    ):
        raise ValueError(f"class_weight is {class_weight!r}: give 'balanced' or a weight above 0 for each of {classes}")
    return np.array([class_weight[label] for label in classes], "float32")


def _read(texts, parts, encoder, method, max_tokens, pooling):
    """What the model reads of each text: its vector (n, d) for the head alone, else its list of token ids."""
    if method == "head":
        size = max(1, 32 // parts)
        return pretrained.embed(texts, encoder, max_tokens=max_tokens, batch_size=size, pooling=pooling)
    return pretrained.tokenise(texts, encoder, max_tokens)
