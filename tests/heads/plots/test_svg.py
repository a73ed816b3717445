"""A figure inside a page: its colours are the page's, its ids its own, and nothing in it runs."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from heads.plots.style import CELL, COLOURS, plain
from heads.plots.svg import to_svg

HOSTILE = '<script>alert("1")</script>\n\x07\udc80 $\\frac{'


def draw(**colours):
    figure = Figure(figsize=(3, 2))
    axes = figure.add_subplot()
    axes.bar([0, 1], [1, 2], color=colours.get("fill", "black"), hatch="//")
    axes.plot([0, 1], [1, 2], "o", color=colours.get("line", "black"))
    axes.set_xlabel("a label")
    return figure


def parsed(svg):
    return ElementTree.fromstring(svg)


def test_text_stays_text_and_title_and_description_name_the_picture():
    root = parsed(to_svg(draw(), "one", "a title", "what it shows"))
    assert "a label" in [text.text for text in root.iter("text")]
    assert root.attrib["role"] == "img"
    named = {e.attrib["id"]: e.text for e in root if e.tag in ("title", "desc")}
    assert [named[x] for x in root.attrib["aria-labelledby"].split()] == [
        "a title",
        "what it shows",
    ]


@pytest.mark.parametrize(
    ("colour", "found"),
    [
        ("#000000", "currentColor"),
        ("#ffffff", "var(--paper)"),
        ("#111111", "#111111"),
        ("#808080", "color-mix(in srgb, var(--ink) 50%, var(--paper))"),
        (CELL, "var(--cell)"),
        ("#123456", "#123456"),
        *((colour, f"var(--c{n})") for n, colour in enumerate(COLOURS)),
    ],
)
def test_colours_become_the_page_s(colour, found):
    figure = Figure()
    figure.add_subplot().plot([0, 1], color=colour, linewidth=7)
    root = parsed(to_svg(figure, "one", "", ""))
    styles = [
        e.attrib["style"] for e in root.iter() if "stroke-width:7" in e.attrib.get("style", "")
    ]
    assert styles
    assert all(f"stroke:{found}" in style for style in styles)


def test_two_pictures_share_no_id_and_refer_to_their_own():
    one, other = (to_svg(draw(), name, "", "") for name in ("one", "other"))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, other), ids, strict=True):
        used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
        assert used
        assert used <= own


def test_the_same_figure_gives_the_same_text():
    assert to_svg(draw(), "one", "t", "d") == to_svg(draw(), "one", "t", "d")


def test_nothing_runs_loads_or_restyles_the_page():
    figure = draw()
    figure.axes[0].plot([0, 1], [0, 1], url="https://example.org/", gid='"><script>')
    figure.axes[0].imshow(np.eye(3))
    figure.text(0, 0, plain(HOSTILE, 99))
    svg = to_svg(figure, "one", HOSTILE, HOSTILE)
    tags = {element.tag for element in parsed(svg).iter()}
    assert not tags & {"script", "style", "a", "foreignObject", "metadata"}
    assert "example.org" not in svg
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]+", "", svg)
    assert "&lt;script&gt;" in svg
    svg.encode()


@pytest.mark.parametrize("text", ["$x$", r"\$5", "50 $ and $", HOSTILE])
def test_dollar_signs_are_no_formula(text):
    figure = Figure()
    figure.text(0, 0, plain(text, 99))
    (found,) = parsed(to_svg(figure, "one", "", "")).iter("text")
    assert found.text.count("$") == text.count("$")


def test_letters_that_the_plotting_library_lacks_are_no_warning():
    figure = Figure()
    figure.text(0, 0, "\u559c\u6012\u54c0\u4e50 \U0001f600")
    assert "\u559c\u6012" in to_svg(figure, "one", "", "")


def test_it_is_smaller_than_what_the_plotting_library_writes():
    import io

    buffer = io.BytesIO()
    draw().savefig(buffer, format="svg")
    assert len(to_svg(draw(), "one", "", "")) < len(buffer.getvalue()) / 2
