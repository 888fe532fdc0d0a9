"""New text by a language model, with the samplers of KerasHub."""

import keras
import numpy as np

from helpers import on_tensorflow, pretrained
from helpers.language_models.batches import padded

ROWS = 16  # prompts in a batch


def generate(model, prompts, *, longest=64, temperature=0.0, top_p=1.0, seed=0):
    """Go on from each prompt until the end token.

    model       : LanguageModel
    prompts     : list of n lists of token ids
    longest     : new tokens at most
    temperature : 0 takes the likeliest token each time (greedy); above it tokens are drawn, from the softmax of the
                  scores divided by it
    top_p       : drawn from the fewest likely tokens that hold this share of probability (Holtzman et al. 2020, §3.1)
    seed        : of the draws. What is drawn depends on the prompts beside it too; a greedy text does not
    returns     : list of n lists of the new ids without the end token; `longest` of them where it was not reached
    errors      : ValueError, one sentence, for a setting out of its range and a prompt that leaves no room
    """
    if not (temperature >= 0 and 0 < top_p <= 1 and isinstance(longest, int) and longest >= 1):
        raise ValueError(
            f"temperature is {temperature!r}, top_p {top_p!r}, longest {longest!r}: give a number from 0, a share "
            "above 0 up to 1, and a whole number from 1"
        )
    for number, ids in enumerate(prompts):
        if not 0 < len(ids) <= model.context - longest:
            raise ValueError(
                f"prompts[{number}] has {len(ids)} tokens: with {longest} new ones {model.name} reads 1 to "
                f"{model.context - longest}"
            )
    sampler = _sampler(model, temperature, top_p if temperature else 1.0)
    blank = next(id_ for id_ in range(len(model.ends) + 1) if id_ not in model.ends)
    if temperature:
        sampler.seed_generator.state.assign([seed, 0])
    texts = [[]] * len(prompts)
    for rows in pretrained.batches([len(ids) for ids in prompts], ROWS):
        inputs = padded([prompts[row] for row in rows])
        room = {name: np.pad(array, ((0, 0), (0, longest))) for name, array in inputs.items()}
        room["token_ids"][room["padding_mask"] == 0] = blank  # an end token there would end the text at once
        written = model.lm.generate(room, stop_token_ids=model.ends or None)["token_ids"]
        for row, ids in zip(rows, written, strict=True):
            start = len(prompts[row])
            new = ids[start : start + longest].tolist()
            stops = [place for place, token in enumerate(new) if token in model.ends]
            texts[row] = new[: stops[0]] if stops else new
    return texts


def _sampler(model, temperature, top_p):
    """The sampler of these settings, with which the model is compiled, unless the call before had the same."""
    import keras_hub

    settings = temperature, top_p
    if model.built.get("settings") != settings or model.lm.sampler is not model.built["sampler"]:
        if temperature:
            sampler = keras_hub.samplers.TopPSampler(p=top_p, temperature=temperature, seed=0)
        else:
            sampler = keras_hub.samplers.GreedySampler()
        model.lm.compile(sampler=sampler, jit_compile=pretrained.jit_compile())
        if keras.backend.backend() == "tensorflow":
            on_tensorflow.generate_once(model.lm)
        model.built.update(settings=settings, sampler=sampler)
    return model.lm.sampler
