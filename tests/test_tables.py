"""A table of one's own: every format and encoding read back, every fault one sentence, no row lost in silence."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import tables
from helpers.datasets import DataError
from helpers.tables.encodings import decode

GERMAN = [f"Das Zimmer {i} war schön, größer als üblich; très agréable" for i in range(60)]
CHINESE = [f"第{i}间房间很干净，服务也不错，下次还会再来" for i in range(60)]
LABELS = ["ja", "nein"] * 30
GOOD = "text,label\n" + "".join(f"sentence {i},{'yes' if i % 2 else 'no'}\n" for i in range(60))


def table(texts=GERMAN, labels=LABELS):
    return pd.DataFrame({"text": texts, "label": labels})


def written(path, frame, encoding="utf8"):
    """The frame in the format that the path's ending names."""
    kind = path.suffix
    if kind in (".csv", ".tsv"):
        path.write_bytes(frame.to_csv(index=False, sep="\t" if kind == ".tsv" else ",").encode(encoding))
    elif kind == ".jsonl":
        path.write_bytes(frame.to_json(orient="records", lines=True, force_ascii=False).encode(encoding))
    elif kind == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_excel(path, index=False)
    return path


def said(path, content, **asked):
    """The sentence that a file with this content gets."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        tables.read(path, **asked)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- formats ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [GERMAN, CHINESE], ids=["German", "Chinese"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_every_format_comes_back(tmp_path, kind, texts):
    frame = tables.read(written(tmp_path / f"my.{kind}", table(texts)))
    assert frame.to_dict("list") == {"text": texts, "label": LABELS}
    assert frame.index.tolist() == list(range(1, 61))


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.text("abé,;|\t\"'好 \n\r\x85\u2028\\", min_size=1).filter(str.strip),
)
def test_csv_keeps_any_text_whatever_parts_the_fields(tmp_path_factory, separator, end, text):
    path = tmp_path_factory.mktemp("csv") / "my.csv"
    quoting = csv.QUOTE_ALL if "\r" in text else csv.QUOTE_MINIMAL  # pandas leaves a lone \r without quotation marks
    content = table([text, *GERMAN[1:]]).to_csv(index=False, sep=separator, quoting=quoting, lineterminator=end)
    path.write_bytes(content.encode())
    assert tables.read(path)["text"].iloc[0] == text


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_excels_line_that_names_the_separator(tmp_path, first):
    path = tmp_path / "my.csv"
    path.write_text(first + GOOD.replace(",", ";"), newline="")
    assert len(tables.read(path)) == 60


def test_words_that_look_missing_are_labels_and_white_space_is_none(tmp_path):
    labels = ["None", " NA", "null ", "nan", "None"] * 12
    frame = tables.read(written(tmp_path / "my.csv", table(labels=labels)))
    assert frame["label"].value_counts().to_dict() == {"None": 24, "NA": 12, "null": 12, "nan": 12}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
def test_what_nobody_sees_makes_no_label_and_no_column(tmp_path, kind):
    frame = table(labels=["yes\u200b", "ye\u2060s", "yes", "ｙｅｓ", "no", "no"] * 10)
    frame = frame.rename(columns={"text": "text\u200b", "label": " label"})
    assert tables.read(written(tmp_path / f"my.{kind}", frame))["label"].value_counts().to_dict() == {
        "yes": 40,
        "no": 20,
    }


ACTS_ON_NOTHING = [
    *("\u200c", "\u200d", "\u200e", "\u200f", "\u061c", "\u034f", "\u115f", "\u1160", "\u17b5", "\u180b", "\u2800"),
    *("\u3164", "\ufe0e", "\ufe0f", "\uffa0", "\U000e0001", "\U000e0041", "\U000e0100", "\U0001d173"),
    *("\u200d\u200f", "\ufe0f\u200d", "\u200d\u3164"),
]


@pytest.mark.parametrize("sign", ACTS_ON_NOTHING, ids=ascii)
@pytest.mark.parametrize("label", ["yes", "سلام", "שלום", "हाँ", "👍", "❤", "好"])
def test_labels_and_columns_that_look_alike_are_one(tmp_path, label, sign):
    frame = table(labels=[label, label + sign, "other"] * 20).rename(columns={"label": label + sign})
    read = tables.read(written(tmp_path / "my.jsonl", frame), label_column=label)
    assert read["label"].value_counts().to_dict() == {label: 40, "other": 20}


def test_labels_that_look_different_stay_apart(tmp_path):
    labels = ["👨\u200d👩\u200d👧", "👨👩👧", "می\u200cخواهم", "میخواهم", "🏴\U000e0067\U000e0062\U000e007f", "🏴"]
    frame = tables.read(written(tmp_path / "my.jsonl", table(labels=labels * 10)))
    assert frame["label"].tolist() == labels * 10


def test_numbers_become_labels_alike_in_every_format(tmp_path):
    for kind in ("csv", "jsonl", "parquet", "xlsx"):
        frame = tables.read(written(tmp_path / f"my.{kind}", table(labels=[1, 0] * 30)))
        assert frame["label"].unique().tolist() == ["1", "0"]


def test_categories_are_texts_and_labels(tmp_path):
    frame = table().astype("category")
    assert tables.read(written(tmp_path / "my.parquet", frame)).to_dict("list") == {"text": GERMAN, "label": LABELS}


def test_other_columns_are_left_alone(tmp_path):
    frame = table().rename(columns={"text": "Review text", "label": "stars"}).assign(price=None)
    assert tables.read(written(tmp_path / "my.csv", frame), "Review text", "stars")["text"].tolist() == GERMAN


@pytest.mark.parametrize("column", [0, np.int64(0), "0"])
def test_a_whole_number_names_a_column(tmp_path, column):
    path = tmp_path / "my.csv"
    path.write_text(GOOD.replace("text,label", "0,1"))
    assert len(tables.read(path, column, "1")) == 60


# --- encodings --------------------------------------------------------------------------------------------------------

SAID = {  # sentences of reviews, as people write them
    "Chinese": [
        "这个房间很干净，服务员也很热情，下次还会来住",
        "早餐太少了，价格却不便宜，不推荐",
        "质量不错，包装完好",
    ],
    "traditional Chinese": ["飯店很棒，服務人員非常親切，房間乾淨", "早餐種類太少，價格卻不便宜", "等了很久才上菜"],
    "Japanese": ["部屋はとてもきれいで、スタッフも親切でした", "朝食の種類が少なくて残念です", "駅から近くて便利です"],
    "Korean": [
        "방이 깨끗하고 직원이 친절했어요",
        "아침 식사가 별로였고 가격도 비쌌습니다",
        "다시는 이용하고 싶지 않네요",
    ],
    "Russian": ["Номер был чистый, персонал очень приветливый", "Завтрак плохой, и цена высокая", "ДОСТАВКА ШЛА ДОЛГО"],
    "Ukrainian": ["Номер був чистий, персонал дуже привітний", "Їжа погана і дорога", "Фільм сподобався"],
    "Greek": ["Το δωμάτιο ήταν καθαρό και το προσωπικό ευγενικό", "Το φαγητό δεν ήταν καλό"],
    "Hebrew": ["החדר היה נקי והצוות אדיב מאוד", "האוכל לא היה טוב בכלל"],
    "Arabic": ["كانت الغرفة نظيفة والموظفون ودودون", "الطعام لم يكن جيدا والسعر مرتفع"],
    "Thai": ["ห้องสะอาดและพนักงานใจดีมาก", "อาหารไม่อร่อยและราคาแพง"],
    "French": [
        "Le café était très bon et le garçon gentil",
        "Déçu, la qualité a baissé",
        "Où est passée ma commande ?",
    ],
    "German": ["Das Zimmer war schön und größer als üblich", "Sehr unfreundlich, für mich nie wieder"],
    "Spanish": ["La habitación estaba limpia, muy cómoda", "¡Qué película tan aburrida, señor!", "El niño comió"],
    "Swedish": ["Rummet var mycket fint och på natten tyst", "Maten är dålig, jag är inte nöjd"],
    "Polish": ["Pokój był czysty, obsługa bardzo miła", "Śniadanie było złe, nie polecam też żony"],
    "Czech": ["Pokoj byl čistý a personál velmi příjemný", "Snídaně byla špatná, příště už ne"],
    "Hungarian": ["A szoba tiszta volt, a személyzet kedves", "Nagyon rossz élmény, többé nem jövök, őszintén"],
    "Turkish": ["Oda çok temizdi ve çalışanlar güler yüzlüydü", "Kahvaltı kötüydü, ışık yoktu, şehir güzel"],
}
WRITTEN = [
    *(("Chinese", one) for one in ("gb18030", "gbk", "gb2312")),
    *(("traditional Chinese", one) for one in ("big5", "cp950", "gb18030")),
    *(("Japanese", one) for one in ("shift_jis", "euc_jp")),
    *(("Korean", one) for one in ("euc_kr", "cp949")),
    *(("Russian", one) for one in ("cp1251", "koi8_r", "cp866")),
    *(("Ukrainian", one) for one in ("cp1251", "koi8_u")),
    *(("Greek", "cp1253"), ("Hebrew", "cp1255"), ("Arabic", "cp1256"), ("Thai", "cp874")),
    *((language, "cp1252") for language in ("French", "German", "Spanish", "Swedish")),
    *(("French", one) for one in ("latin-1", "mac_roman", "cp850")),
    *((language, "cp1250") for language in ("Polish", "Czech", "Hungarian")),
    *(("Polish", "iso8859-2"), ("Turkish", "cp1254")),
    *((language, one) for language in SAID for one in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
]


@pytest.mark.parametrize(("language", "encoding"), WRITTEN)
def test_every_encoding_comes_back(language, encoding):
    """Thirty rows, thirty among English ones, and enough that only a sample of them is weighed."""
    some = [f"{text} {i}" for i in range(30) for text in SAID[language]][:30]
    english = [f"all of it is plain ASCII {i}" for i in range(100)]
    for lines in (some, english + some, some * 100):
        text = "text,label\n" + "\n".join(lines) + "\n"
        assert decode(text.encode(encoding), "my.csv") == text


@pytest.mark.parametrize(("language", "encoding"), WRITTEN)
def test_few_characters_are_right_or_in_doubt_and_the_right_one_is_named(language, encoding):
    for text in SAID[language]:
        for length in (8, 100):
            content = f"text,label\nall of it is plain ASCII,yes\n{text[:length]},no\n"
            try:
                assert decode(content.encode(encoding), "my.csv") == content
            except DataError as error:
                names = re.findall(r"[A-Z][\w-]+(?= or|:)", str(error))
                assert len(names) > 1
                assert content in [content.encode(encoding).decode(name, "replace") for name in names]


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        *((word, "cp1252") for word in ("it’s", "°C", "“good”", "a – b", "a—b", "£5", "5 €", "wait… no", "señor")),
        *(
            (word, "cp1252")
            for word in (
                "naïve",
                "crème brûlée",
                "Zürich",
                "à la carte",
                "½ cup",
                "CAFÉ",
                "São Paulo",
                "x²",
                "km²",
                "3 µm",
                "A–B",
            )
        ),
        *(("飯店很棒", "big5"), ("房间很好", "gb18030"), ("친절해요", "euc_kr"), ("とても良い", "shift_jis")),
    ],
)
def test_one_word_beyond_ascii_in_an_english_file(tmp_path, word, encoding):
    path = tmp_path / "my.csv"
    path.write_bytes(f"{GOOD}I had {word} in it,yes\n".encode(encoding))
    assert tables.read(path)["text"].iloc[-1] == f"I had {word} in it"


def test_doubt_names_the_candidates_and_the_parameter_ends_it(tmp_path):
    content = f"{GOOD}최고,yes\n".encode("euc_kr")
    assert re.search(
        r"may be in CP949 or GB18030.*: .* the right one with encoding=", said(tmp_path / "my.csv", content)
    )
    assert tables.read(tmp_path / "my.csv", encoding="euc_kr")["text"].iloc[-1] == "최고"
    assert "'martian' is unknown: take one such as" in said(tmp_path / "my.csv", content, encoding="martian")
    assert "is UTF-8 but for a byte in line 62 (0xC3)" in said(tmp_path / "my.csv", content, encoding="utf-8")


def test_noise_is_in_no_encoding(tmp_path):
    noise = np.random.default_rng(0).integers(128, 256, 4000, dtype=np.uint8).tobytes()
    assert "in no encoding that could be recognised" in said(tmp_path / "my.csv", GOOD.encode() + noise)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("content", "bad", "line", "sentence"),
    [
        (GOOD + "a café here,no\n", b"caf\xe9 there,no", 63, "is UTF-8 but for a byte in line 63 (0xE9)"),
        ("text,label\n" + "房间干净，服务很好,no\n" * 60, b"\xff,no", 62, "is UTF-8 but for a byte in line 62 (0xFF)"),
        (
            "text,label\n" + "déjà vu,no\n" * 60,
            "voilà,no".encode(),
            62,
            "in two encodings, line 62 is UTF-8 and others CP1252",
        ),
        ("text,label\n" + "房间很干净,no\n" * 60, "服务很好,no".encode(), 62, "in two encodings, line 62 is UTF-8"),
        ("text,label\n" + "房间很干净,no\n" * 60, b"ab\xff,no", 62, "is GB18030 but for a byte in line 62 (0xFF)"),
    ],
)
def test_one_row_in_another_encoding_is_named(tmp_path, content, bad, line, sentence, end):
    encoding = "utf-8" if "is UTF-8 but" in sentence else "cp1252" if "déjà" in content else "gb18030"
    raw = (content.encode(encoding) + bad + b"\n").replace(b"\n", end.encode())
    assert sentence in said(tmp_path / "my.csv", raw)


# --- rows -------------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.tuples(st.integers(0, 59), st.text('a,;\t| """\\\u2028\x85é', max_size=6), st.booleans()), max_size=6),
)
def test_every_row_comes_out_or_is_named(tmp_path_factory, separator, end, odd):
    """Rows as careless programs write them, nothing quoted: each comes out by itself, or an odd one is named."""
    texts = [f"<{i}>" for i in range(60)]
    for i, noise, before in odd:
        texts[i] = noise + texts[i] if before else texts[i] + noise
    lines = [f"text{separator}label", *(f"{text}{separator}{'yes' if i % 2 else 'no'}" for i, text in enumerate(texts))]
    path = tmp_path_factory.mktemp("rows") / "my.tsv"
    path.write_bytes((end.join(lines) + end).encode())
    try:
        frame = tables.read(path)
    except DataError as error:
        assert int(re.search(r"\(line (\d+)\)", str(error))[1]) - 2 in {i for i, _, _ in odd}
        return
    assert [re.findall(r"<(\d+)>", text) for text in frame["text"]] == [[str(i)] for i in range(60)]
    assert frame["label"].tolist() == ["no", "yes"] * 30


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("closing", [("", '"'), ('"', "")], ids=["at the end of a text", "at its beginning"])
@pytest.mark.parametrize("last", [11, 12, 40, 99])
def test_rows_between_two_lone_quotation_marks_are_named(tmp_path, separator, closing, last):
    texts = [f"sentence {i}" for i in range(100)]
    texts[10] = f'"{texts[10]}'
    texts[last] = texts[last].join(closing)
    lines = [f"{text}{separator}{'yes' if i % 2 else 'no'}" for i, text in enumerate(texts)]
    sentence = said(tmp_path / "my.csv", "\n".join([f"text{separator}label", *lines]))
    assert "data row 11 (line 12)" in sentence and 'write "" for each quotation mark' in sentence


def test_every_other_row_with_a_lone_quotation_mark(tmp_path):
    lines = [
        f"{'' if i % 2 else chr(34)}row {i}{chr(34) if i % 2 else ''},{'yes' if i % 3 else 'no'}" for i in range(120)
    ]
    assert "data row 1 (line 2)" in said(tmp_path / "my.csv", "\n".join(["text,label", *lines]))


def test_texts_over_several_lines_stay(tmp_path):
    texts = [f'Dear team, thanks\nfor room {i}, it was clean, yes\n\n"Quiet", too' for i in range(60)]
    assert tables.read(written(tmp_path / "my.csv", table(texts)))["text"].tolist() == texts


RIGHT = {  # rows as csv.writer writes them behind sixty rows of one line, all to be read
    "a text that is a first line": ("no", ["Thanks", "Thanks, Bob\nSee you"]),
    "a space before the label": ("5", ["My rating, 5\nclean and quiet"]),
    "a decimal comma": ("5", ["Bewertung 3,5\nsehr sauber", "Sauber 3,5\nService 4,5\nLage"]),
    "a label as the first word": ("no", ["So,\nno, not again"]),
    "many short lines": ("no", ["ok\n\nfine\nsee you, Bob\n"]),
}


@pytest.mark.parametrize("label_first", [False, True])
@pytest.mark.parametrize("case", RIGHT)
def test_a_row_over_several_lines_is_no_row_swallowed(tmp_path, case, label_first):
    label, texts = RIGHT[case]
    texts = [f"sentence {i} is one line" for i in range(60)] + texts
    labels = ["1", "2", "3", "4", "5"] * 12 if label == "5" else ["yes", "no"] * 30
    frame = table(texts, labels + [label] * (len(texts) - 60))
    frame = frame[["label", "text"]] if label_first else frame
    assert tables.read(written(tmp_path / "my.csv", frame))["text"].tolist() == texts


@pytest.mark.parametrize(
    "lines",
    [
        ['"one', "two,no", "three", 'four",yes'],
        ['"one,no', 'two",yes'],
        ['"one', "two", "three,no", "four", "five", 'six",yes'],
        ['"a, b and c', "two,no", "", "three, four", 'five",yes'],
    ],
)
@pytest.mark.parametrize("ids", [False, True], ids=["two columns", "an id behind"])
def test_a_row_swallowed_among_texts_over_several_lines_is_named(tmp_path, lines, ids):
    content = GOOD + "\n".join(lines) + "\n"
    if ids:
        number = iter(range(1000))
        content = re.sub("(?<=,)(label|yes|no)$", lambda found: f"{found[0]},{next(number)}", content, flags=re.M)
    expected = f"in data row 61 (line 62) takes in the rows up to line {61 + len(lines)}:"
    assert expected in said(tmp_path / "my.csv", content)


def test_a_row_swallowed_behind_its_label_is_named(tmp_path):
    content = "label,text\n" + "".join(f"{'yes' if i % 2 else 'no'},sentence {i}\n" for i in range(60))
    lines = ['no,"one', "two", "yes,three", 'four"']
    assert "in data row 61 (line 62) takes" in said(tmp_path / "my.csv", content + "\n".join(lines))


@pytest.mark.parametrize("last", [11, 12, 40])
def test_a_row_swallowed_of_numbers_alone_is_named(tmp_path, last):
    texts = [f"sentence {i}" for i in range(60)]
    texts[10], texts[last] = f'"{texts[10]}', f'{texts[last]}"'
    content = "text,label\n" + "".join(f"{text},{i % 2}\n" for i, text in enumerate(texts))
    assert f"data row 11 (line 12) takes in the rows up to line {last + 2}:" in said(tmp_path / "my.csv", content)


@pytest.mark.parametrize("lines", [2, 3])
def test_a_row_swallowed_where_every_text_has_several_lines(tmp_path, lines):
    quoted = ['"' + "\n".join(f"line {n} of text {i}" for n in range(lines)) + '"' for i in range(100)]
    quoted[10], quoted[11] = quoted[10][:-1], quoted[11][1:]
    content = "text,label\n" + "".join(f"{text},{'yes' if i % 2 else 'no'}\n" for i, text in enumerate(quoted))
    assert f"data row 11 (line {2 + 10 * lines})" in said(tmp_path / "my.csv", content)


def test_quotation_marks_inside_a_text_stay(tmp_path):
    path = tmp_path / "my.tsv"
    path.write_text(GOOD.replace(",", "\t").replace("sentence 7", 'a 7" screen'))
    assert tables.read(path)["text"].iloc[7] == 'a 7" screen'


def test_a_text_of_a_million_characters(tmp_path):
    path = tmp_path / "my.csv"
    path.write_text(GOOD + "x" * 1_000_000 + ",yes\n")
    assert tables.read(path)["text"].str.len().max() == 1_000_000


# --- faults -----------------------------------------------------------------------------------------------------------


def changed(column, at, value):
    """The good table with one value changed."""
    frame = table()
    frame.loc[at, column] = value
    return frame


FAULTS = {
    "column, near": (table(), {"text_column": "txt"}, "no column 'txt': did you mean text_column='text'?"),
    "column, case": (table(), {"label_column": "Label"}, "did you mean label_column='label'?"),
    "column, far": (table(), {"label_column": "sentiment"}, "set label_column to one of 'text', 'label'"),
    "one column": (table(), {"label_column": "text"}, "both 'text': name two different columns"),
    "no name": (table(), {"label_column": None}, "label_column takes the name of one column, such as 'text', not None"),
    "names": (
        table(),
        {"text_column": ["text"]},
        "text_column takes the name of one column, such as 'text', not ['text']",
    ),
    "yes": (table(), {"text_column": True}, "text_column takes the name of one column, such as 'text', not True"),
    "empty text": (changed("text", 6, "  "), {}, "'text' is empty in 1 of 60 rows, first in data row 7: fill"),
    "no text": (changed("text", 0, None), {}, "'text' is empty in 1 of 60 rows, first in data row 1: fill"),
    "no label": (changed("label", 59, None), {}, "'label' is empty in 1 of 60 rows, first in data row 60: fill"),
    "unseen label": (changed("label", 8, "\u200b"), {}, "'label' is empty in 1 of 60 rows, first in data row 9: fill"),
    "few rows": (table().head(49), {}, "has 49 rows: 50 to 1,000,000 are right"),
    "one label": (table(labels=["ja"] * 60), {}, "every label is 'ja', and a classifier needs two to fifty"),
    "many labels": (table(labels=range(60)), {}, "holds 60 different labels, such as '0': two to fifty are right"),
    "rare label": (changed("label", 3, "vielleicht"), {}, "label 'vielleicht' stands on 1 rows, and 5 or more"),
    "two columns": (table().assign(**{"label ": LABELS}), {}, "has two columns 'label' or more: rename or remove"),
}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "xlsx"])
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_sentence(tmp_path, fault, kind):
    frame, asked, expected = FAULTS[fault]
    path = written(tmp_path / f"my.{kind}", frame)
    sentence = said(path, path.read_bytes(), **asked)
    assert expected in sentence
    assert sentence.startswith("my.") or asked


LISTS = {"text": [f"text {i}" for i in range(60)], "label": [["a"], ["a", "b"]] * 30}
STRUCTS = {"text": [{"role": "user", "content": f"text {i}"} for i in range(60)], "label": ["a", "b"] * 30}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (LISTS, r"column 'label' holds a (list|ndarray) in data row 1: give each row one text or one label"),
        (STRUCTS, r"column 'text' holds a dict in data row 1"),
    ],
)
def test_lists_and_structs_are_no_texts(tmp_path, kind, columns, expected):
    path = written(tmp_path / f"my.{kind}", pd.DataFrame(columns))
    assert re.search(expected, said(path, path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("my.docx", b"text,label\n", "my.docx ends in '.docx': take a file that ends in .csv, .tsv, .jsonl"),
        ("my", b"text,label\n", "ends in ''"),
        ("my.csv", b"", "my.csv is empty: take a table"),
        ("my.csv", b"\n \n", "my.csv holds no line of column names"),
        ("my.csv", b"text,label\n", "my.csv has 0 rows"),
        ("my.csv", b'text,label\n"open,yes\n', "a quotation mark in data row 1 (line 2) is not closed"),
        ("my.csv", b'"text,label\nopen,yes\n', "a quotation mark in the line of column names is not closed"),
        ("my.csv", b'text,label\n"a" b,yes\n', "in data row 1 (line 2) is not closed, or not at the end of its field"),
        (
            "my.csv",
            b'text,label\nc,d\n"say \\"ok\\" now",yes\n',
            "data row 2 (line 3) is not closed, or not at the end",
        ),
        ("my.csv", b'text,label\nc,d\n"say \\"ok\\" now",yes\n', 'write "" in place of \\"'),
        ("my.csv", b"text,label\nd,e\na,b,c\n", "data row 2 (line 3) has 3 fields, more than the 2 column names: put"),
        ("my.csv", b"text,label\n\nd,e\na\n", "data row 2 (line 4) has 1 fields, fewer than the 2 column names"),
        ("my.csv", b"text,label\nd,e\na\rb,c\n", "a line end inside data row 2 (line 3), outside quotation marks"),
        ("my.csv", b"sep=,\ntext,label\na,b,c\n", "data row 1 (line 3) has 3 fields"),
        ("my.csv", GOOD.replace("sentence 1,", "sentence \0 1,"), "my.csv has a NUL character in line 3"),
        ("my.csv", GOOD.partition("\n")[2], "has no line of column names: its first line, sentence 0, no, looks like"),
        ("my.jsonl", b'{"text": "a"\n', "my.jsonl cannot be read as a .jsonl file, line 1"),
        ("my.jsonl", b'{"text": "a", "label": "b"}\n"text"\n', "line 2 is no JSON object such as"),
        ("my.jsonl", b'{"text": "a", "label": "b", "label": "c"}\n', "line 1: the name 'label' stands twice"),
        ("my.jsonl", json.dumps([{"text": "a", "label": "b"}] * 60), "my.jsonl holds a JSON array: write one object a"),
        ("my.parquet", b"text,label\n", "my.parquet cannot be read as a .parquet file"),
        ("my.xlsx", b"text,label\n", "my.xlsx cannot be read as a .xlsx file"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, content, expected):
    assert expected in said(tmp_path / name, content)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.csv: give the path"):
        tables.read(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"is a folder: give the path of a table in it"):
        tables.read(tmp_path)
    with pytest.raises(DataError, match=r"the path of a table is text, such as 'my.csv', not None"):
        tables.read(None)


def test_more_than_a_million_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROWS", (50, 59))
    with pytest.raises(DataError, match="has 60 rows: 50 to 59 are right"):
        tables.read(written(tmp_path / "my.csv", table()))
