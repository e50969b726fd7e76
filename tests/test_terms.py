"""The words and letters of all chapters and pages against the glossary and the notation page."""

import re
from pathlib import Path

import notebooks
import pytest
from glossary_search import names

ROOT = Path(__file__).resolve().parent.parent
BOOK = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.md"))}
ENTRIES = re.findall(r"(?m)^(\S.* · .*)\n((?:  .*\n)+)", BOOK["glossary"])
ENGLISH = [title.split(" · ")[0] for title, _ in ENTRIES]
MATHS = r"(?s)\$\$(.+?)\$\$|\$([^$]+)\$"


def text_of(path: Path) -> str:
    cells = notebooks.read(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


CHAPTERS = {int(path.name[:2]): text_of(path) for path in notebooks.CHAPTERS}

# Bold words that are another form of a term.
FORMS = {
    "alias": "aliasing",
    "atrous": "atrous convolution",
    "atrous spatial pyramid pooling": "ASPP",
    "commutes": "commutative",
    "depthwise-separable": "depthwise-separable convolution",
    "dilated": "dilated convolution",
    "distinct positions": "support",
    "fully connected": "fully connected layer",
    "guided": "guided backpropagation",
    "held-out": "held-out data",
    "invariant": "invariance",
    "max pooling over time": "pooling over time",
    "sobel": "Sobel kernel",
    "sparse": "sparsity",
    "switches": "switch",
    "training": "training data",
    "unpool": "unpooling",
    "validation": "validation data",
}
# Bold words that are no terms: labels of lists and tables, emphasis, and what one section measures.
LABELS = {
    *("0", "1 / stride", "1×1 with stride 2", "a closed relu, and the losers of a maximum", "a sentence"),
    *("a sound", "active", "adds up", "afterwards you can", "afterwards you have", "area", "background"),
    *("best map", "by size", "cnn", "covered", "dense", "efficientnet-lite0", "falls", "field", "four heads"),
    *("frequency", "global", "holes", "input", "keep", "lenet-5", "linearly", "look for", "mean"),
    *("never read", "noise", "nothing of the photo is left", "on its own", "other maps", "other photos"),
    *("other units", "ours", "predict", "ramp", "random", "random heads", "random weights", "redundant"),
    *("sampled", "shifted mean", "size", "spread", "standing", "stride 1", "texture", "the measure"),
    *(
        "a rule that decides",
        "the result",
        "the training",
        "the ½ is a constant shift",
        "two tasks",
        "typical map",
        "unchanged",
    ),
    *("variance", "weights that cancel", "zero", "relu6", "share", "same padding is the same everywhere"),
    "the deeper the maps, the less their pictures have to do with them",
}
# What we do not write, and what we write instead.
INSTEAD = {
    r"feature-?maps?": "feature map",
    r"max-?pool(?:ing)?|mean pooling": "max pooling, average pooling",
    r"receptive-field|fields? of view": "receptive field",
    r"zero-?padding": "padding",
    r"neurons?": "unit",
    r"kernel maps?": "feature map",
    r"data-?sets?(?<!data set)(?<!data sets)": "data set",
    r"pre-trained": "pretrained",
    r"(?:down|up)-?sampl\w+|sub-sampl\w+": "subsampling, enlarging",
    r"step size": "learning rate",
    r"dense layers?|fully-connected": "fully connected layer",
    r"skip connections?|residual connections?": "shortcut, residual block",
    r"bounding box\w*|bbox\w*": "box",
    r"parameter sharing": "weight sharing",
    r"batch-?normali[sz]\w+|batchnorm": "batch norm",
    r"test (?:set|data)": "held-out data",
    r"fractionally strided": "transposed convolution",
    r"\d x \d|\dx\d": "×",
    r"(?:behavior|color|gray|center|neighbor|artifact)\w*": "British spelling",
    r"(?-i:normal|recogn|visual|local|optim|initial|general|minim|summar|organ|real)iz\w+": "-ise",
}


def prose(text: str) -> str:
    """Markdown without code, formulas, addresses, tags and emphasis."""
    text = re.sub(r"(?s)```.*?```|`[^`]*`|</?[a-z][^>\n]*>", " ", text)
    text = re.sub(MATHS, " ", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"\s+", " ", text.replace("*", ""))


def bold(text: str) -> set[str]:
    """The words in bold, in lower case."""
    text = re.sub(r"(?s)```.*?```|`[^`]*`", " ", text)
    found = re.findall(r"(?s)(?<!\*)\*\*(?!\s)([^*]+?)\*\*(?!\*)", text)
    return {" ".join(words.split()).lower() for words in found}


def letters(text: str) -> set[str]:
    """The letters of the formulas of a text, without their indices; e is a number."""
    found = set()
    for pair in re.findall(MATHS, re.sub(r"(?s)```.*?```|`[^`]*`", " ", text)):
        formula = re.sub(r"_?\\text\{[^}]*\}|_\w|_\{[^}]*\}", " ", "".join(pair))
        found |= set(re.findall(r"\\sigma", formula))
        found |= set(re.findall("[A-Za-z]", re.sub(r"\\[a-zA-Z]+", " ", formula)))
    return found - {"e"}


def second_meanings() -> list[tuple[set[str], bool, set[int]]]:
    """Rows of the notation page's last table: letters, whether they have a meaning above, chapters."""
    table = BOOK["notation"].partition("## Second meanings")[2]
    rows = re.findall(r"(?m)^\| (\$.*?) \|(.*?)\|(.*)\|$", table)
    return [
        (
            letters(symbols),
            bool(above.strip()),
            {int(n) for some in re.findall(r"chapters? ([\d, ]+)", rest) for n in re.findall(r"\d+", some)},
        )
        for symbols, above, rest in rows
    ]


# Letters


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_letter_is_on_the_notation_page(chapter):
    own = [some for some, _, chapters in second_meanings() if chapter in chapters]
    known = letters(BOOK["notation"].partition("## Second meanings")[0]).union(*own)
    used = letters(CHAPTERS[chapter])
    assert used - known == set()
    assert [some for some in own if not some & used] == []


def test_second_meanings_say_what_the_first_is():
    general = letters(BOOK["notation"].partition("## Second meanings")[0])
    rows = second_meanings()
    assert len(rows) > 20
    for some, above, _ in rows:
        assert above or not some & general, some
    once = [letter for some, _, _ in rows for letter in some]
    assert len(once) == len(set(once))


# Words


def test_entries_are_bilingual_and_in_order():
    assert len(ENTRIES) == len(re.findall(r"(?m)^\S.* · ", BOOK["glossary"])) > 130
    for title, _ in ENTRIES:
        english, chinese = title.split(" · ")
        assert re.search("[A-Za-z]", english)
        assert re.search("[\u4e00-\u9fff]", chinese), title
    assert [name.lower() for name in ENGLISH] == sorted(name.lower() for name in ENGLISH)
    every = [name.lower() for title in ENGLISH for name in names(title)]
    assert sorted(every) == sorted(set(every))


def test_every_term_is_used_by_a_chapter():
    everything = " ".join(map(prose, CHAPTERS.values()))
    others = " ".join(definition for _, definition in ENTRIES)
    unused = []
    for title in ENGLISH:
        inverted = " ".join(reversed(title.split(", ")))
        known = [*names(title), inverted, *(form for form, term in FORMS.items() if term == title)]
        pattern = "|".join(rf"(?<!\w){re.escape(name)}(?:e?s)?(?!\w)" for name in known)
        if not re.search(pattern, everything, re.IGNORECASE) and f"<{title} · " not in others:
            unused.append(title)
    assert unused == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_bold_words_are_terms(chapter):
    known = {name.lower() for title in ENGLISH for name in names(title)} | FORMS.keys() | LABELS
    strange = {word for word in bold(CHAPTERS[chapter]) if not word.endswith((".", ":", "?", '"'))}
    assert {word for word in strange if not {word, word.removesuffix("s")} & known} == set()


def test_forms_are_forms_of_terms():
    assert set(FORMS.values()) <= set(ENGLISH)
    assert (FORMS.keys() | LABELS) - set().union(*map(bold, CHAPTERS.values())) == set()


PAGES = {f"chapter {n}": text for n, text in CHAPTERS.items()} | {
    name: text for name, text in BOOK.items() if name not in ("references", "api")
}
PAGES["glossary"] = BOOK["glossary"].replace("```", "")  # all of it is in a directive


@pytest.mark.parametrize("page", PAGES)
def test_one_word_for_one_thing(page):
    own = re.sub(r"\[[^\]]*\]\([^)]*\)|[Aa]lso called [^.;]*", " ", PAGES[page])  # the names of others
    own = re.sub(r'"[^"]{,300}"', " ", prose(own))
    found = [
        (words, better)
        for pattern, better in INSTEAD.items()
        for words in re.findall(rf"(?i)(?<![\w/.-])(?:{pattern})(?![\w/-])", own)
    ]
    assert found == []
