"""Models that write: a real pretrained language model, conversations as the tokens it reads, and what it makes of them.

smollm2      SmolLM2-135M-Instruct: English, 134.5 million parameters, tuned on instructions before it came here.
             Its weights come with a package (weights.txt) of which no code runs, checked against a sha256
presets      any other causal language model that KerasHub reads
tokenisers   text to token ids and back
chat         conversations through a model's own template, and which of the tokens are trained
limits       what a length limit takes away
scoring      nats a token, instruction-following difficulty, hidden states
writing      new text
"""

import json
from pathlib import Path
from typing import NamedTuple

import keras

from helpers.language_models import smollm2, tokenisers
from helpers.language_models.chat import Rendered, prompt_ids, render
from helpers.language_models.limits import limit
from helpers.language_models.scoring import guesses, hidden, ifd, losses, nats, states, token_inputs, traced_once
from helpers.language_models.views import Coloured, table
from helpers.language_models.writing import generate
from helpers.pretrained.files import WeightsError

__all__ = [
    "Coloured",
    "LanguageModel",
    "Rendered",
    "WeightsError",
    "generate",
    "guesses",
    "hidden",
    "ifd",
    "limit",
    "load",
]
__all__ += ["losses", "nats", "prompt_ids", "render", "states", "table", "token_inputs", "traced_once"]


class LanguageModel(NamedTuple):
    """A model that writes.

    name      : what `load` was given
    lm        : causal language model of KerasHub
    tokeniser : tokenisers.Tokeniser
    template  : the chat template (Jinja), or None
    context   : tokens that it reads at most
    ends      : tuple of the ids that end an answer
    built     : dict, what was built and traced on it once; empty it to have that done anew
    """

    name: str
    lm: keras.Model
    tokeniser: tokenisers.Tokeniser
    template: str | None
    context: int
    ends: tuple
    built: dict

    @property
    def backbone(self):
        return self.lm.backbone


def load(name="smollm2", *, template=None, context=None):
    """A language model with its trained weights, its own tokeniser and its own chat template.

    name     : "smollm2", or a causal language model that KerasHub reads: the name of a preset, an address such as
               "hf://Qwen/Qwen2.5-0.5B-Instruct", or a folder. What is not on the disk KerasHub downloads
    template : a chat template (Jinja) in the place of the model's own; KerasHub's own presets come without
    context  : tokens that it reads at most, where its files do not say
    returns  : LanguageModel. Its numbers are of Keras's dtype policy: keras.config.set_dtype_policy("bfloat16") before
    errors   : ValueError for a name that is none of these; WeightsError for a damaged or missing package
    """
    if name == "smollm2":
        return _smollm2(template, context or smollm2.CONTEXT)
    import keras_hub

    try:
        lm = keras_hub.models.CausalLM.from_preset(str(name), preprocessor=None, dtype=keras.config.dtype_policy())
    except (ValueError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{name!r} is no language model that can be loaded ({first}): take 'smollm2', a causal preset of KerasHub, "
            "an address such as 'hf://…', or a folder"
        ) from None
    config, tokeniser, own = _of_files(str(name))
    tokeniser = tokeniser or tokenisers.of_kerashub(keras_hub.models.Tokenizer.from_preset(str(name)))
    context = context or config.get("max_position_embeddings") or getattr(lm.backbone, "max_sequence_length", None)
    if not context:
        raise ValueError(f"the files of {name!r} do not say how many tokens it reads: give context")
    return _model(str(name), lm, tokeniser, template or own, context)


def _smollm2(template, context):
    from gguf import GGUFReader

    reader = GGUFReader(smollm2.weight_file())
    tokeniser = tokenisers.of_gguf(reader)
    template = template or reader.fields["tokenizer.chat_template"].contents()
    return _model("smollm2", smollm2.causal_lm(reader), tokeniser, template, context)


def _model(name, lm, tokeniser, template, context):
    """A LanguageModel; what ends an answer is what its template puts behind one, and the end of a text."""
    model = LanguageModel(name, lm, tokeniser, template, context, (), {})
    ends = {tokeniser.eos} - {None}
    if template:
        row = render(model, [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
        ends |= {row.ids[place] for place in row.ends}
    return model._replace(ends=tuple(sorted(ends)))


def _of_files(name):
    """Configuration, tokeniser and chat template from files of Hugging Face; {}, None, None of other presets."""
    config = json.loads(_read(name, "config.json") or "{}")
    if "model_type" not in config:
        return {}, None, None
    from tokenizers import Tokenizer

    settings = json.loads(_read(name, "tokenizer_config.json") or "{}")
    template = _read(name, "chat_template.jinja") or settings.get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {one["name"]: one["template"] for one in template}["default"]
    names = [settings.get(key) for key in ("bos_token", "eos_token")]
    bos, eos = (token["content"] if isinstance(token, dict) else token for token in names)
    if not settings.get("add_bos_token") and "bos_token" not in (template or ""):
        bos = None
    return config, tokenisers.of_tokenizers(Tokenizer.from_str(_read(name, "tokenizer.json")), bos, eos), template


def _read(name, file):
    """Text of a file of a preset, from its folder or, of an address hf://…, from Hugging Face; None if it has none."""
    if name.startswith("hf://"):
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError

        try:
            path = Path(hf_hub_download(name.removeprefix("hf://"), file))
        except EntryNotFoundError:
            return None
    else:
        path = Path(name) / file
    return path.read_text(encoding="utf8") if path.is_file() else None
