"""Text in every format: read back by that format's reader, it is the text, and nothing in it acts."""

from __future__ import annotations

import csv
import html as entities
import io
import json
import re
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from restorebench.reports import escape
from restorebench.reports.figures.style import house_style

SPICE = st.sampled_from(
    [
        *(
            "\\",
            "`",
            "*",
            "_",
            "{",
            "}",
            "[",
            "]",
            "<",
            ">",
            "(",
            ")",
            "#",
            "+",
            "-",
            ".",
            "!",
            "|",
            "~",
            "&",
            "$",
            "%",
        ),
        *(
            "^",
            '"',
            "'",
            "=",
            "@",
            "\t",
            "\r",
            "\n",
            "\x00",
            "\x1b[31m",
            "\u2028",
            "\u202e",
            "\x85",
            "\ud800",
            "+-",
            "1.",
        ),
        *(
            "<script>",
            "</script>",
            "<!--",
            r"\input{secret}",
            "https://a.b",
            "www.a.b",
            "&lt;",
            "$\\frac",
            "=cmd()",
            "0",
        ),
    ]
)
TEXT = st.lists(SPICE | st.text(max_size=4), max_size=8).map("".join)
LATEX = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textquotedbl{}": '"',
    r"\textasciigrave{}": "`",
    r"$\pm$": "±",
    **{"\\" + sign: sign for sign in "&%$#_{}"},
}
HOSTILE = (
    *(r"x}\input{secret", "<script>alert(1)</script>", "=cmd()", "$\\frac", "a\nb", "a|b", "[x](javascript:1)", "&lt;"),
    *(
        "</script><!--",
        "\u2028",
        "\x1b[2J",
        "- a",
        "1. a",
        "# a",
        "a_b_c",
        "_a_",
        "''--``",
        "+-",
        "\\|",
        "\ud800",
        "= =",
    ),
)


def hostile(test):  # type: ignore[no-untyped-def]
    """The issue's own texts beside the drawn ones."""
    for text in HOSTILE:
        test = example(text)(test)
    return settings(max_examples=300, deadline=None)(given(TEXT)(test))


def signed(text: str) -> str:
    return escape.visible(text).replace("+-", "±")


@hostile
def test_visible_text_is_one_line_without_anything_that_acts(text: str) -> None:
    shown = escape.visible(text)
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cs") or sign in "\u2028\u202e\ufeff"]
    assert len(shown.splitlines()) <= 1
    assert escape.visible(shown) == shown
    shown.encode()
    if text.isprintable() and not re.search(r"\s\s|^\s|\s$", text):
        assert shown == text


@hostile
def test_latex_is_read_back_and_every_special_is_escaped(text: str) -> None:
    rest, read = escape.latex(text), ""
    assert "--" not in rest
    assert "''" not in rest
    while rest:
        command = next((known for known in LATEX if rest.startswith(known)), None)
        if command is None and rest.startswith("{}"):
            rest = rest[2:]
            continue
        if command is None:
            assert rest[0] not in '\\{}$&#^_%~<>"`\n', rest
            read, rest = read + rest[0], rest[1:]
        else:
            read, rest = read + LATEX[command], rest[len(command) :]
    assert read == signed(text)


@hostile
def test_bibtex_fields_keep_their_braces_balanced_and_their_text(text: str) -> None:
    field = escape.bibtex(text)
    bare = re.sub(r"\\[{}&%$#_]|\\text(?:backslash|asciitilde|asciicircum)\{\}", "", field)
    assert not set(bare) & set("\\{}&%$#_~^\n")
    known = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^"}
    read = re.sub(r"\\text\w+\{\}|\\(.)", lambda match: known.get(match[0], match[1]), field)
    assert read == escape.visible(text)


@hostile
def test_markdown_is_read_back_and_nothing_in_it_is_markup(text: str) -> None:
    cell = escape.markdown(text)
    # CommonMark 2.4 and 2.5: a backslash before ASCII punctuation, and entities, stand for the character.
    bare = re.sub(r"\\[!-/:-@\[-`{-~]|&#?\w+;", "x", cell)
    assert not set(bare) & set("\\`*[]<>|~$&\n")
    assert not re.search(r"(?<!\w)_|_(?!\w)", re.sub(r"\\[!-/:-@\[-`{-~]", "x", cell))
    assert not re.match(r"([#+=-]|\d+[.)])(\s|$)", bare) or re.match(r"\\|\d+\\", cell)
    assert "://" not in cell
    assert "www." not in cell
    read = re.sub(r"\\([!-/:-@\[-`{-~])|(&#?\w+;)", lambda m: m[1] or entities.unescape(m[2]), cell)
    assert read == signed(text)


class Reader(HTMLParser):
    """Collects text, attributes and the tags that it met."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags, self.titles = "", [], []

    def handle_starttag(self, tag, attrs):  # type: ignore[no-untyped-def]
        self.tags.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


@hostile
def test_html_is_read_back_in_elements_and_attributes(text: str) -> None:
    reader = Reader()
    reader.feed(f'<p title="{escape.html(text)}">{escape.html(text)}</p>')
    reader.close()
    assert reader.tags == ["p"]
    assert (reader.text, reader.titles) == (signed(text), [signed(text)])


@hostile
def test_json_in_a_script_element_neither_ends_it_nor_changes(text: str) -> None:
    data = json.dumps({"title": text, text: 1}, ensure_ascii=False)
    written = escape.json_in_html(data)
    assert not set(written) & set("<\u2028\u2029")
    written.encode()
    assert json.loads(written) == {"title": text, text: 1}


@hostile
def test_csv_is_read_back_and_no_cell_is_a_formula(text: str) -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow([escape.csv_cell(text), "end"])
    ((cell, end),) = csv.reader(io.StringIO(buffer.getvalue(), newline=""))
    assert end == "end"
    assert cell[:1] not in ("=", "@", "\t", "\r", "\n")
    assert cell[:1] not in ("+", "-") or re.fullmatch(r"[+-][\d.]+(?:[eE][+-]?\d+)?", cell)
    cell.encode()
    if not re.search("[\ud800-\udfff\x00]", text):
        assert escape.csv_text(cell) == re.sub("\r\n?", "\n", text)


@pytest.mark.parametrize("number", ["-0.5", "+12", "-1e-07", ".5", "31.58", "+3."])
def test_numbers_stay_numbers_in_csv(number: str) -> None:
    assert escape.csv_cell(number) == number
    float(number)


@pytest.mark.filterwarnings("ignore:Glyph")
@settings(max_examples=40, deadline=None)
@given(TEXT)
@example("$\\frac")
@example("a $x_{$ b")
@example("_hidden")
def test_matplotlib_draws_text_as_it_is(text: str) -> None:
    with house_style():
        figure = Figure(figsize=(2, 1))
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], label=escape.figure(text) or "empty")
        axes.set(title=escape.figure(text), xlabel=escape.figure(text))
        names = [one.get_text() for one in axes.legend().get_texts()]
        assert names == [escape.figure(text) or "empty"]
        canvas.draw()
    assert "$" not in text or axes.title.get_text().count("$") == text.count("$")


@hostile
def test_file_stems_are_names_on_every_system(text: str) -> None:
    stem = escape.file_stem(text)
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*", stem)
    assert len(stem) <= escape.LONGEST_NAME
    assert stem == text or re.search(r"(^|-)[0-9a-f]{8}$", stem)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT)
def test_file_stems_tell_different_texts_apart(first: str, second: str) -> None:
    assert (escape.file_stem(first) == escape.file_stem(second)) == (first == second)
