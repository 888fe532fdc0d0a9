"""A small GPT that writes classical Chinese poems: its rows, template and mask, tuning, sampling and measures of text.

Notebook 14 teaches it, `studies/generation.py` compares sets of rows with it, `data/pretrain_generation.py` made its
weights. `masked`, `tune`, `losses` and `generate` work on ids alone, whatever they stand for.
"""

import hashlib
import re
from collections import Counter
from functools import cache

import keras
import keras_hub
import numpy as np
from safetensors.numpy import load_file, save_file

from helpers import datasets, evaluation

WEIGHTS = datasets.DATA / "weights" / "generation.safetensors"
SHA256 = "e2486fa05f907723d0cc2c5d5c23168926a20c8455adfca3fa8085c6452d7c21"  # of the weights
SPECIAL = ["<pad>", "<unk>", "<end>", "<user>", "<poet>"]
PAD, UNK, END, USER, POET = range(5)
CONTEXT = 96
WIDTH, DEPTH, HEADS = 192, 4, 4
LINES = {"五言绝句": [5] * 4, "七言绝句": [7] * 4, "五言律诗": [5] * 8, "七言律诗": [7] * 8}
FORMS = [*LINES, "词"]
RATE, EPOCHS, BATCH = 5e-4, 2, 16


# ---- rows -----------------------------------------------------------------------------------------------------------


def instruction(form, title, tune):
    """What the user asks for: 以《…》为题写一首五言绝句 (a poem on a title), 按《…》填一首词 (words to a tune)."""
    name = re.sub(r"\W", "", tune or title)[:10]
    return f"按《{name}》填一首词" if form == "词" else f"以《{name}》为题写一首{form}"


@cache
def poems():
    """Poems with instruction, answer and part: pretrain, tune, valid, test, no author in two parts.

    Left out are repeats and, but for pretraining, poems with no title or tune and those of more than 71 characters,
    which the context of 96 tokens does not hold with their instruction.
    """
    frame = datasets.load("poems").query("repeat == ''")
    frame = frame.assign(part=datasets.split(frame, {"pretrain": 0.72, "tune": 0.14, "valid": 0.04, "test": 0.1}))
    asked = [instruction(*row) for row in frame[["label", "title", "tune"]].itertuples(index=False)]
    frame = frame.assign(answer=frame["text"].str.replace("\n", ""), instruction=asked)
    usable = ~frame["instruction"].str.contains("《》") & (frame["answer"].str.len() <= 71)
    return frame[usable | (frame["part"] == "pretrain")]


def rows(part, per_form=None, forms=FORMS, seed=0):
    """Rows of a part in random order; per_form: so many of each of the forms, else all rows."""
    frame = poems().query("part == @part").sample(frac=1, random_state=seed)
    return frame if per_form is None else frame[frame["label"].isin(forms)].groupby("label").head(per_form)


@cache
def vocabulary():
    """Tokens by number: the special ones, then the commonest characters of pretraining, 5,000 at most in all."""
    frame = rows("pretrain").sort_index(kind="stable")
    counts = Counter("".join(frame["answer"]) + "".join(frame["instruction"]))
    # by count, then by code point, so that ties always fall alike
    return SPECIAL + sorted((c for c, n in counts.items() if n > 1), key=lambda c: (-counts[c], c))[:4995]


@cache
def _number():
    return {token: i for i, token in enumerate(vocabulary())}


def encode(text):
    """Ids of a text's characters; one that the vocabulary lacks is <unk>."""
    return [_number().get(character, UNK) for character in text]


def decode(ids):
    """Text of ids up to the first <end>; <unk> becomes □."""
    ids = list(ids)
    ids = ids[: ids.index(END)] if END in ids else ids
    return "".join("□" if i == UNK else vocabulary()[i] for i in ids if i not in (PAD, USER, POET))


def masked(pairs, *, mask=True, length=CONTEXT):
    """Inputs, targets and weights of the loss for pairs of a prompt and an answer, both lists of ids.

    mask    : True: only the answer's tokens weigh 1, the prompt's 0; False: both weigh 1; padding always 0
    returns : int32 (n, T), int32 (n, T), float32 (n, T); T is the longest pair less one, rounded up to 16
    errors  : ValueError if a pair is longer than `length` + 1
    """
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs) - 1
    if longest > length:
        raise ValueError(f"a pair has {longest + 1} tokens and the context takes {length + 1}: shorten it")
    width = min(length, -(-longest // 16) * 16)
    x, y = np.full((2, len(pairs), width), PAD, "int32")
    weight = np.zeros(x.shape, "float32")
    for i, (prompt, answer) in enumerate(pairs):
        ids = [*prompt, *answer]
        x[i, : len(ids) - 1], y[i, : len(ids) - 1] = ids[:-1], ids[1:]
        weight[i, max(len(prompt) - 1, 0) if mask else 0 : len(ids) - 1] = 1
    return x, y, weight


def prompt(text):
    """Ids of the template around an instruction: <end> <user> … <poet> <end>, after which the poem begins.

    The last <end> is what every poem of pretraining came after; <user> and <poet> are new to the pretrained model.
    """
    return [END, USER, *encode(text), POET, END]


def pairs(frame, asked=True):
    """Prompt and answer of each row; asked=False: the poem after nothing but <end>, as in pretraining."""
    return [
        (prompt(row.instruction) if asked else [END], [*encode(row.answer), END])
        for row in frame[["instruction", "answer"]].itertuples()
    ]


# ---- model ----------------------------------------------------------------------------------------------------------


def gpt(size, *, context=CONTEXT, width=WIDTH, depth=DEPTH, heads=HEADS, dropout=0.1):
    """A decoder-only Transformer (Radford et al. 2019, scaled down): ids (n, T) to scores of the next token.

    Normalisation before each block, GELU, learned positions, and one table for input and output (tied weights).
    """
    layers = keras_hub.layers
    ids = keras.Input((None,), dtype="int32")
    table = layers.TokenAndPositionEmbedding(size, context, width, name="embed")
    hidden = table(ids)
    for block in range(depth):
        decoder = layers.TransformerDecoder(
            4 * width, heads, dropout, activation="gelu", normalize_first=True, name=f"block_{block}"
        )
        hidden = decoder(hidden)
    hidden = keras.layers.LayerNormalization(name="last")(hidden)
    return keras.Model(ids, table.token_embedding(hidden, reverse=True), name="gpt")


def save(model, path):
    """Store a model's weights as float16, named by place."""
    save_file({f"{i:03d}": weight.astype("float16") for i, weight in enumerate(model.get_weights())}, path)


def restore(model, path):
    """Fill a model with stored weights; ValueError (from Keras) if they do not fit it."""
    stored = load_file(path)
    model.set_weights([stored[name].astype("float32") for name in sorted(stored)])


@cache
def _shared():
    """The model that all cells of a process train in turn, and its pretrained weights."""
    if hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() != SHA256:
        raise datasets.DataError("data/weights/generation.safetensors is not the pinned file: restore it with git")
    model = gpt(len(vocabulary()))
    restore(model, WEIGHTS)
    return model, model.get_weights()


def pretrained():
    """The model with its pretrained weights. One object: a later call takes the training of an earlier one back."""
    model, weights = _shared()
    model.set_weights(weights)
    return model


def causal_lm(preset):
    """Any causal language model of KerasHub, such as "hf://…" or a folder, for `tune` and `losses`.

    returns : Keras model from ids (n, T) to scores, function from a text to its ids, and the id that ends an answer
    """
    lm = keras_hub.models.CausalLM.from_preset(preset)
    tokenizer = lm.preprocessor.tokenizer
    ids = keras.Input((None,), dtype="int32")
    scores = lm({"token_ids": ids, "padding_mask": keras.ops.ones_like(ids)})  # padding is last: no token looks there
    return keras.Model(ids, scores), lambda text: [int(i) for i in tokenizer(text)], tokenizer.end_token_id


def _ready(model, seed):
    """Compile a model, at its first call alone (one graph serves all); clear its optimizer, seed its dropout."""
    if not model.compiled:
        optimizer = keras.optimizers.AdamW(RATE, weight_decay=0.01, global_clipnorm=1.0)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
        optimizer.build(model.trainable_variables)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for place, state in enumerate(states):
        state.assign([seed, place])


def tune(model, examples, *, epochs=EPOCHS, steps=None, mask=True, rate=RATE, batch=BATCH, seed=0):
    """Fine-tune a model in place on (prompt, answer) pairs; the loss of a batch is the mean over its weighted tokens.

    steps : so many batches in all instead of epochs; the rate falls in a line from `rate` to a tenth of it
    """
    rng = np.random.default_rng(seed)
    steps = steps or epochs * -(-len(examples) // batch)
    _ready(model, seed)
    order = []
    for place in range(steps):
        model.optimizer.learning_rate.assign(rate * (1 - 0.9 * place / steps))
        if not len(order):
            order = rng.permutation(len(examples))
        chosen, order = order[:batch], order[batch:]
        x, y, weight = masked([examples[i] for i in chosen], mask=mask)
        model.train_on_batch(x, y, sample_weight=weight / weight.mean())  # Keras divides by all tokens, zeros too
    return model


def losses(model, examples, batch=50):
    """Sum of −ln p over the answer's tokens, and their number, for each pair: float (n,), int (n,)."""
    sums, counts = [], []
    order = np.argsort([len(prompt) + len(answer) for prompt, answer in examples], kind="stable")
    for start in range(0, len(order), batch):
        x, y, weight = masked([examples[i] for i in order[start : start + batch]])
        log_p = keras.ops.log_softmax(model(x, training=False), axis=-1)
        nats = -np.take_along_axis(keras.ops.convert_to_numpy(log_p), y[..., None], -1)[..., 0]
        sums.append((nats * weight).sum(axis=1))
        counts.append(weight.sum(axis=1))
    back = np.argsort(order, kind="stable")
    return np.concatenate(sums).astype(float)[back], np.concatenate(counts).astype(int)[back]


def ifd(model, frame):
    """Instruction-following difficulty of each row: loss of the answer given its instruction, over that without.

    Above 1 the instruction makes the answer less likely: the two do not belong together, or the model cannot use it.
    source  : Li et al. 2023, arXiv 2308.12032, eq. 3
    """
    with_it, without = (losses(model, pairs(frame, asked))[0] for asked in (True, False))
    return with_it / without  # both count the same tokens, so the means' ratio is the sums'


def hidden_vectors(model, examples):
    """Mean last hidden state of each pair's tokens, centred and of unit length: float32 (n, width)."""
    body = keras.Model(model.input, model.get_layer("last").output)
    vectors = []
    for start in range(0, len(examples), 50):
        x = masked(examples[start : start + 50])[0]
        real = (x != PAD)[..., None]
        vectors.append((keras.ops.convert_to_numpy(body(x)) * real).sum(axis=1) / real.sum(axis=1))
    vectors = np.concatenate(vectors)
    vectors -= vectors.mean(axis=0)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("float32")


# ---- sampling -------------------------------------------------------------------------------------------------------


def nucleus(scores, *, temperature=1.0, top_p=1.0):
    """Probabilities (n, V) of scores after temperature, cut to the fewest likely tokens that hold top_p together.

    source : Holtzman et al. 2020, §3.1

    >>> nucleus(np.log([[0.5, 0.3, 0.2]]), top_p=0.6).round(3)
    array([[0.625, 0.375, 0.   ]])
    """
    if not temperature > 0 or not 0 < top_p <= 1:
        raise ValueError(f"temperature must be above 0 and top_p in (0, 1], got {temperature} and {top_p}")
    scores = np.asarray(scores, float) / temperature
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    order = np.argsort(-p, axis=-1, kind="stable")
    ranked = np.take_along_axis(p, order, -1)
    before = np.cumsum(ranked, axis=-1) - ranked  # held by likelier tokens
    keep = np.zeros(p.shape, bool)
    np.put_along_axis(keep, order, before < top_p, -1)
    keep &= p > 0
    return np.where(keep, p, 0) / np.where(keep, p, 0).sum(axis=-1, keepdims=True)


def step(model, tokens, place, caches):
    """Scores (n, V) of the token after `tokens` (n,), which stand at `place`; the blocks' keys and values are kept."""
    table = model.get_layer("embed")
    hidden = table(tokens[:, None], start_index=place)
    for block, kept in enumerate(caches):
        hidden, caches[block] = model.get_layer(f"block_{block}")(
            hidden, self_attention_cache=kept, self_attention_cache_update_index=place
        )
    scores = table.token_embedding(model.get_layer("last")(hidden), reverse=True)
    return keras.ops.convert_to_numpy(scores)[:, 0]


def generate(model, prompts, *, temperature=1.0, top_p=1.0, seed=0, length=CONTEXT):
    """A text sampled for each prompt (list of ids), in one batch, with cached keys and values."""
    rng = np.random.default_rng(seed)
    sizes = np.array([len(ids) for ids in prompts])
    tokens = np.full((len(prompts), length), PAD, "int32")
    for i, ids in enumerate(prompts):
        tokens[i, : len(ids)] = ids
    depth = sum(layer.name.startswith("block_") for layer in model.layers)
    heads, width = model.get_layer("block_0").num_heads, model.get_layer("embed").embedding_dim
    caches = [keras.ops.zeros((len(prompts), 2, length, heads, width // heads)) for _ in range(depth)]
    done = np.zeros(len(prompts), bool)
    for place in range(length - 1):
        p = nucleus(step(model, tokens[:, place], place, caches), temperature=temperature, top_p=top_p)
        p[:, [PAD, UNK, USER, POET]] = 0
        drawn = (p.cumsum(axis=-1) > rng.random((len(p), 1)) * p.sum(axis=-1, keepdims=True)).argmax(axis=-1)
        free = sizes <= place + 1  # the prompt is over
        tokens[free, place + 1] = np.where(done, END, drawn)[free]
        done |= free & (tokens[:, place + 1] == END)
        if done.all():
            break
    return [decode(row[size:]) for row, size in zip(tokens, sizes, strict=True)]


# ---- measures of text -----------------------------------------------------------------------------------------------


def in_form(text, form):
    """Whether a poem has the number and lengths of lines that its form asks for; ValueError for a form without.

    >>> in_form("床前明月光，疑是地上霜。举头望明月，低头思故乡。", "五言绝句")
    True
    """
    if form not in LINES:
        raise ValueError(f"{form} has no fixed lines; {', '.join(LINES)} have")
    return [len(line) for line in re.split("[，。？！；、]", text) if line] == LINES[form]


def bare(text):
    """A text without its punctuation."""
    return re.sub(r"\W", "", text)


def copied(texts, training, n=10):
    """Share of the texts' characters that lie in a run of n or more found in a training text, punctuation aside.

    >>> copied(["abcdx"], ["zabcd"], n=3)
    0.8
    """
    known = {t[i : i + n] for t in map(bare, training) for i in range(len(t) - n + 1)}
    marks = []
    for text in map(bare, texts):
        mark = np.zeros(len(text), bool)
        for i in range(len(text) - n + 1):
            mark[i : i + n] |= text[i : i + n] in known
        marks.append(mark)
    return float(np.concatenate(marks).mean()) if sum(map(len, marks)) else 0.0


def self_bleu(texts):
    """Mean BLEU of each text against all others, 0 to 1; high where texts repeat one another (Zhu et al. 2018)."""
    from sacrebleu.metrics import BLEU

    bleu = BLEU(tokenize="char", effective_order=True)
    scores = [bleu.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return float(np.mean(scores)) / 100


def text_measures(texts, forms, training):
    """Share in the form asked for, shares copied in runs of 10 and 7, distinct-2 and self-BLEU of sampled poems."""
    regular = [in_form(text, form) for text, form in zip(texts, forms, strict=True) if form in LINES]
    written = [text for text in texts if bare(text)]
    return {
        "in_form": np.mean(regular),
        "copied": copied(texts, training),
        "copied_7": copied(texts, training, n=7),
        "distinct_2": evaluation.distinct_n([list(bare(text)) for text in written]),
        "self_bleu": self_bleu(written),
    }
