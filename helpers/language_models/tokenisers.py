"""Text to token ids and back, whatever library a model's tokeniser comes from."""

from collections.abc import Callable
from typing import NamedTuple


class Tokeniser(NamedTuple):
    """What turns text into token ids.

    encode  : function of a text to its ids, and where each begins and ends in it, in characters. A control string in
              the text is text like any other here. Nothing is added before or behind
    decode  : function of ids to their text, control tokens included
    control : {control string: id}, what stands between messages, such as <|im_end|>
    bos     : id that every text begins with, or None for a model without
    eos     : id that ends a text, or None
    exact   : whether `encode` tells where each token stands; else each is said to fill the whole text
    source  : the library's own tokeniser, to be written to a file
    """

    encode: Callable
    decode: Callable
    control: dict
    bos: int | None
    eos: int | None
    exact: bool = True
    source: object = None


def of_tokenizers(tokenizer, bos=None, eos=None):
    """A tokeniser of the library `tokenizers`; bos and eos are control strings, or None."""
    control = {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    tokenizer.encode_special_tokens = True  # from text none of them is made

    def encode(text):
        found = tokenizer.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    def decode(ids):
        return tokenizer.decode(ids, skip_special_tokens=False)

    return Tokeniser(encode, decode, control, control.get(bos), control.get(eos), source=tokenizer)


def of_kerashub(tokenizer):
    """The tokeniser of a preset of KerasHub, which does not tell where a token stands."""
    control = dict(zip(tokenizer.special_tokens, tokenizer.special_token_ids, strict=True))
    marks = sorted(control, key=lambda mark: (-len(mark), mark))

    def encode(text):
        ids = [int(id_) for piece in _without(marks, text) for id_ in tokenizer(piece)]
        return ids, [(0, len(text))] * len(ids)

    def decode(ids):
        return tokenizer.detokenize(ids)

    bos, eos = (getattr(tokenizer, name, None) for name in ("start_token_id", "end_token_id"))
    return Tokeniser(encode, decode, control, bos, eos, exact=False, source=tokenizer)


def _without(marks, text):
    """A text in pieces, cut within each control string, so that none is left to be taken for one.

    >>> _without(["<end>"], "a<end>b")
    ['a<', 'end>b']
    """
    pieces, start, place = [], 0, 0
    while place < len(text):
        if any(text.startswith(mark, place) for mark in marks):
            pieces.append(text[start : place + 1])
            start = place + 1
        place += 1
    return [piece for piece in (*pieces, text[start:]) if piece]


def of_gguf(reader):
    """The tokeniser in the header of a file of llama.cpp: byte-level BPE as SmolLM2 has it, digits one by one.

    reader : gguf.GGUFReader
    errors : ValueError for a file whose header names another kind
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    def read(field):
        return reader.fields[f"tokenizer.ggml.{field}"].contents()

    if (kind := (read("model"), read("pre"))) != ("gpt2", "smollm"):
        raise ValueError(f"the tokeniser of the file is of kind {kind}: ('gpt2', 'smollm') can be read")
    tokens, kinds = read("tokens"), read("token_type")
    merges = [tuple(merge.split(" ")) for merge in read("merges")]
    tokenizer = Tokenizer(models.BPE({token: id_ for id_, token in enumerate(tokens)}, merges))
    digits, bytes_ = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]  # 3 says control in GGUF
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return of_tokenizers(tokenizer, eos=tokens[read("eos_token_id")])
