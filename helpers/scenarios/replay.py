"""A tuned model that goes on to other rows, and may forget."""

import keras

from helpers import finetuning, pretrained


def go_on(tuned, texts, labels, *, epochs, learning_rate, max_tokens, seed):
    """Train a model of `fine_tune` with MiniLM further on other rows, at half the rate, which stays where it starts."""
    finetuning.make_reproducible(seed)
    ids = pretrained.tokenise(texts, "minilm", max_tokens)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    tuned.model.compile(keras.optimizers.AdamW(learning_rate / 2, weight_decay=0.01), loss)
    tuned.model.fit(pretrained.pad(ids), labels, batch_size=32, epochs=epochs, verbose=0)
