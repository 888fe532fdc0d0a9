"""Text to token ids and back, whatever library a model's tokeniser comes from."""

import re
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
    whole   : as encode, but control strings in the text become control tokens; None: see `parse`
    """

    encode: Callable
    decode: Callable
    control: dict
    bos: int | None
    eos: int | None
    exact: bool = True
    source: object = None
    whole: Callable | None = None


def parse(tokeniser, text):
    """The ids of a text in which control strings are control tokens, and where each stands; as of `Tokeniser.encode`.

    tokeniser : Tokeniser; one without `whole` encodes what stands between the control strings piece by piece
    """
    if tokeniser.whole:
        return tokeniser.whole(text)
    ids, spans, start = [], [], 0
    for found in (*control_pattern(tokeniser.control).finditer(text), None):
        stop = found.start() if found else len(text)
        if stop > start:
            new, places = tokeniser.encode(text[start:stop])
            ids += new
            spans += [(start + first, start + behind) for first, behind in places]
        if found:
            ids.append(tokeniser.control[found[0]])
            spans.append(found.span())
            start = found.end()
    return ids, spans


def control_pattern(control):
    """A pattern of all control strings, the longest first; of none, one that is never found.

    >>> control_pattern(["<a>", "<a>b"]).findall("<a>b<a>c")
    ['<a>b', '<a>']
    """
    strings = sorted(control, key=lambda string: (-len(string), string))
    return re.compile("|".join(map(re.escape, strings)) or r"(?!)")


def of_tokenizers(tokenizer, bos=None, eos=None):
    """A Tokeniser of one of the library `tokenizers`, which stays as it is.

    bos, eos : control strings, or None
    errors   : ValueError for one of them that the tokenizer does not have
    """
    from tokenizers import Tokenizer, processors

    control = {token.content: id_ for id_, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    for name in (bos, eos):
        if name is not None and name not in control:
            raise ValueError(f"{name!r} is no control string of the tokeniser: it has {', '.join(control) or 'none'}")
    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_truncation()
    own.no_padding()
    own.post_processor = processors.ByteLevel(trim_offsets=False)  # a place for each space, and nothing added

    def encode(text, as_text=True):
        own.encode_special_tokens = as_text
        found = own.encode(text, add_special_tokens=False)
        return found.ids, found.offsets

    def decode(ids):
        return own.decode(ids, skip_special_tokens=False)

    def whole(text):
        return encode(text, as_text=False)

    return Tokeniser(encode, decode, control, control.get(bos), control.get(eos), source=tokenizer, whole=whole)


def of_kerashub(tokenizer):
    """A Tokeniser of one of KerasHub, which does not tell where a token stands (exact is False)."""
    control = dict(zip(tokenizer.special_tokens, tokenizer.special_token_ids, strict=True))

    def encode(text):
        ids = [int(id_) for piece in _without(control, text) for id_ in tokenizer(piece)]
        return ids, [(0, len(text))] * len(ids)

    def decode(ids):
        return tokenizer.detokenize(ids)

    bos, eos = (getattr(tokenizer, name, None) for name in ("start_token_id", "end_token_id"))
    return Tokeniser(encode, decode, control, bos, eos, exact=False, source=tokenizer)


def _without(control, text):
    """A text in pieces, cut within each control string, so that none is left to be taken for one.

    >>> _without(["<end>"], "a<end>b")
    ['a<', 'end>b']
    """
    found = re.finditer(f"(?={control_pattern(control).pattern})", text)
    edges = [0, *(match.start() + 1 for match in found), len(text)]
    return [text[begin:stop] for begin, stop in zip(edges, edges[1:], strict=False) if begin < stop]


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
