"""Fine-tune a language model on conversations: all of it, its last blocks, or LoRA, by the loop of classifiers."""

import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from helpers import language_models
from helpers.finetuning import checkpoints, checks, files, lora, make_reproducible, methods, training
from helpers.language_models.batches import TOKENS, by_length, collate

RATES = {"full": 5e-5, "last": 2e-4, "lora": 1e-3}  # method: peak learning rate, where the caller names none


class Tuned(NamedTuple):
    """What `tune` returns.

    model   : the LanguageModel that was given, which now writes as it was tuned
    history : DataFrame, one row an epoch: epoch, train_loss (nats a token, before each update), train_accuracy (share
              of tokens guessed), valid_loss, valid_accuracy (after the epoch; NaN without valid), seconds
    trained : how many numbers were trained
    seconds : wall time of the whole call
    adapter : lora.Adapter of method "lora", else None
    save    : function of a folder: writes what was trained, alone (see `restore`)
    undo    : function of nothing: the model writes again as before, and nothing is left to save. An adapter that was
              merged cannot be undone: load the model anew
    """

    model: language_models.LanguageModel
    history: pd.DataFrame
    trained: int
    seconds: float
    adapter: lora.Adapter | None
    save: Callable
    undo: Callable


def tune(
    model,
    rows,
    *,
    valid=None,
    method="lora",
    layers=None,
    rank=8,
    alpha=None,
    targets="linear",
    epochs=2,
    batch_size=8,
    learning_rate=None,
    warmup=0.1,
    weight_decay=0.0,
    clip_norm=1.0,
    seed=0,
    restore_best=True,
    patience=None,
    checkpoint=None,
    progress=None,
):
    """Train a language model on the answers of conversations. The same arguments give the same model on one machine.

    model         : LanguageModel; it is changed in place, `Tuned.undo` takes that back
    rows          : list of n conversations as `language_models.render` gives them: what their masks weigh is trained
    valid         : None or such a list, measured after each epoch, never trained on
    method        : "full" trains all weights
                    "last" trains the last `layers` blocks (None: 6) and what stands behind them
                    "lora" trains thin matrices beside the frozen ones, see `lora.Adapter`: rank, alpha, targets
    layers        : "lora": None puts them in all blocks, a number in so many of the topmost. With "last", and with
                    such a number, the hidden states below are computed once and kept: an epoch costs its top alone
    learning_rate : None takes that of the method in RATES; the rate is the peak, after warm-up
    batch_size    : conversations in a batch. The loss of a batch is the mean over its trained tokens
    the others    : as of `fine_tune`
    returns       : Tuned
    errors        : ValueError, one sentence, for rows or settings that cannot be trained with; FloatingPointError when
                    the loss is no longer a number
    """
    settings = dict(locals())
    start = time.perf_counter()
    if method not in RATES:
        raise ValueError(f"method is {method!r}: take one of {', '.join(map(repr, RATES))}")
    learning_rate = RATES[method] if learning_rate is None else learning_rate
    settings |= {"learning_rate": learning_rate}
    checks.check({name: value for name, value in settings.items() if (name, value) != ("layers", None)})
    for name, those in (("rows", rows), ("valid", valid)):
        if those is not None:
            _check_rows(model, those, name)
    layers = 6 if method == "last" and layers is None else layers
    n_blocks = len(methods.decoder_blocks(model.backbone))
    if layers and layers > n_blocks:
        raise ValueError(f"layers is {layers}: {model.name} has 1 to {n_blocks}")

    make_reproducible(seed)
    adapter = None
    if method == "lora":
        adapter = lora.Adapter(model, rank=rank, alpha=alpha, targets=targets, layers=layers, seed=seed)
    try:
        trainer, lower = _trainer(model.backbone, method, layers, adapter)
    except BaseException:
        if adapter:
            adapter.detach()
        raise
    variables = list(trainer.trainable_variables)
    before = [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]

    left = True

    def undo():
        nonlocal left
        if adapter and not adapter.attached and left:
            raise ValueError("the adapter was merged or detached, which undo cannot take back: load the model anew")
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        if adapter:
            adapter.detach()
        left = False

    def save(folder):
        if not left:
            raise ValueError("the training was undone: there is nothing to save")
        adapter.save(folder) if adapter else _save(variables, folder)

    def attempt(parts):
        """Train with each batch in so many parts, from the beginning or from the checkpoint."""
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        make_reproducible(seed, trainer)
        data, judged = (those and _rows(model, those, lower) for those in (rows, valid))
        save = saved = None
        if checkpoint is not None:
            content = {"model": model.name, "rows": _told(rows), "valid": valid and _told(valid)}
            run = checkpoints.fingerprint(settings, content, model.backbone)
            save, saved = functools.partial(checkpoints.save, checkpoint, run), checkpoints.load(checkpoint, run)
            parts = max(parts, saved[0]["parts"] if saved else 1)
        training.compile_model(trainer, weight_decay=weight_decay, clip_norm=clip_norm, parts=parts, any_size=True)
        return training.train(
            trainer,
            data,
            judged and functools.partial(_evaluate, trainer, judged, parts),
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

    try:
        history = training.with_enough_memory(attempt, batch_size)
    except BaseException:  # Ctrl-C too: the model is left as it came
        undo()
        raise
    finally:
        model.backbone.trainable = True
    return Tuned(
        model=model,
        history=history,
        trained=sum(value.size for value in before),
        seconds=time.perf_counter() - start,
        adapter=adapter,
        save=save,
        undo=undo,
    )


def restore(model, folder):
    """Give a model what `Tuned.save` wrote: the base that it was trained on then writes as the tuned one.

    returns : lora.Adapter for a folder with one, else None
    errors  : ValueError, one sentence, for a folder without such a file, and for weights of another model
    """
    from safetensors.numpy import load_file

    folder = Path(folder)
    if (folder / "adapter_config.json").is_file():
        return lora.read(model, folder)
    if not (folder / "weights.safetensors").is_file():
        raise ValueError(f"{folder} has no adapter_config.json and no weights.safetensors: give a folder of Tuned.save")
    stored = load_file(folder / "weights.safetensors")
    places = {variable.path: variable for variable in model.backbone.weights}
    if wrong := [path for path, value in stored.items() if path not in places or places[path].shape != value.shape]:
        raise ValueError(f"{folder} is of another model: {model.name} has no weights {wrong[0]} of that shape")
    for path, value in stored.items():
        places[path].assign(value)
    return None


def export(model, folder):
    """Write a model as Transformers reads it: weights, configuration, tokeniser, chat template. Merge an adapter first.

    errors : ValueError for a kind of model that KerasHub cannot write, or one whose tokeniser has no tokenizer.json;
             FileExistsError and OSError as of `files.write_folder`
    """
    tokeniser = model.tokeniser
    if lora.is_attached(model):
        raise ValueError("the model has an adapter: merge it or detach it first, and then export")
    if not hasattr(tokeniser.source, "to_str"):
        raise ValueError(f"the tokeniser of {model.name} has no form that Transformers reads: export its own files")
    names = {id_: mark for mark, id_ in tokeniser.control.items()}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": model.context}
    settings |= {"bos_token": names.get(tokeniser.bos), "eos_token": names.get(tokeniser.eos)}

    def write(path):
        model.lm.export_to_transformers(str(path))
        config = json.loads((path / "config.json").read_text(encoding="utf8"))
        marks = {"bos_token_id": tokeniser.bos, "eos_token_id": list(model.ends)}
        config |= {"max_position_embeddings": model.context} | marks
        (path / "config.json").write_text(json.dumps(config, indent=1), encoding="utf8")
        (path / "generation_config.json").write_text(json.dumps(marks), encoding="utf8")
        (path / "tokenizer.json").write_text(tokeniser.source.to_str(), encoding="utf8")
        (path / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf8")
        if model.template:
            (path / "chat_template.jinja").write_text(model.template, encoding="utf8")

    files.write_folder(folder, write)


def _told(rows):
    """Ids and masks as lists, which are printed to their end."""
    return [(list(row.ids), row.mask.tolist()) for row in rows]


def _check_rows(model, rows, name):
    """ValueError, one sentence, for the first row that cannot be trained on."""
    if not rows or not all(isinstance(row, language_models.Rendered) for row in rows):
        wanted = "give conversations as language_models.render makes them"
        raise ValueError(f"{name} is empty or holds something else: {wanted}")
    for number, row in enumerate(rows):
        if not len(row.trained):
            raise ValueError(f"{name}[{number}] has no token to train on: leave it out, see language_models.limit")
        if len(row.ids) > model.context:
            raise ValueError(
                f"{name}[{number}] has {len(row.ids)} tokens and {model.name} reads {model.context}: see "
                "language_models.limit"
            )


def _trainer(backbone, method, layers, adapter):
    """The model that is trained, to scores at chosen places; and the one below it whose states are kept, or None."""
    blocks = methods.decoder_blocks(backbone)
    body, inputs, lower = backbone, language_models.token_inputs(), None
    if layers and layers < len(blocks):
        below = blocks[-layers - 1].output
        lower = language_models.traced_once(keras.Model(backbone.input, below))
        upper = keras.Model([below, backbone.input["padding_mask"]], backbone.output)
        inputs = {"states": keras.Input(below.shape[1:], name="states"), "padding_mask": inputs["padding_mask"]}

        def body(inputs):
            return upper([inputs["states"], inputs["padding_mask"]])

    inputs, scores = language_models.guesses(body, inputs, backbone.token_embedding)
    trainer = keras.Model(inputs, scores, name="trainer")
    if method == "lora":
        backbone.trainable = False
        trainer.lora = adapter.layer  # a layer beside the graph, so that its matrices are the model's to train
    elif method == "last":
        backbone.token_embedding.trainable = False
    return trainer, lower


def _rows(model, rows, lower):
    """The conversations as the loop takes them; with a lower model its states stand in the place of the ids."""
    states = lower and language_models.states(lower, [row.ids for row in rows])
    counts = np.array([row.mask.sum() for row in rows], "float32")

    def batch(numbers, factors):
        chosen = [rows[number] for number in numbers]
        inputs, following = collate([row.ids for row in chosen], [row.trained for row in chosen])
        weights = np.zeros(len(following), "float32")
        found = np.concatenate([row.mask[row.trained] * f for row, f in zip(chosen, factors, strict=True)])
        weights[: len(found)] = found
        if states:
            width = inputs.pop("token_ids").shape[1]
            wanted = [states[number] for number in numbers]
            inputs["states"] = np.stack([np.pad(row, ((0, width - len(row)), (0, 0))) for row in wanted])
        return inputs, following, weights

    return training.Rows([len(row.ids) for row in rows], counts, batch)


def _evaluate(trainer, data, parts):
    """Nats a token and share of tokens guessed, over the tokens that are trained on."""
    totals = np.zeros(3)
    for rows in by_length(data.lengths, TOKENS // parts):
        inputs, following, weights = data.batch(rows, np.ones(len(rows), "float32"))
        loss, accuracy = trainer.test_on_batch(inputs, following, sample_weight=weights)
        total = weights.sum()
        totals += [loss if parts > 1 else loss * total, accuracy * total, total]  # in parts the loss is a sum
    return totals[:2] / totals[2]


def _save(variables, folder):
    from safetensors.numpy import save_file

    tensors = {variable.path: keras.ops.convert_to_numpy(variable.value) for variable in variables}
    files.write_folder(folder, lambda path: save_file(tensors, path / "weights.safetensors"))
