"""A figure as SVG inside a page: it takes the page's colours and font, and says what it shows."""

from __future__ import annotations

import io
import re
import warnings
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import matplotlib

from heads.plots.style import CELL, COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAGS = frozenset(
    ["svg", "g", "path", "use", "defs", "clipPath", "rect", "image", "text", "tspan", "pattern",
     "circle", "polygon", "polyline", "line", "linearGradient", "stop"]
)  # fmt: skip
_ATTRIBUTES = frozenset(
    ["id", "d", "x", "y", "width", "height", "viewBox", "transform", "style", "clip-path", "href",
     "points", "r", "cx", "cy", "fill", "patternUnits", "offset", "x1", "x2", "y1", "y2",
     "preserveAspectRatio"]
)  # fmt: skip
_ROUNDED = ("d", "x", "y", "width", "height", "points", "style", "viewBox")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_AROUND_COMMAND = re.compile(r" ?([a-zA-Z]) ?")
_REFERENCE = re.compile(r"#([\w.-]+)")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PIXELS_PER_POINT = 4 / 3
_DROPPED = ("font-family", "stroke-linejoin")  # the page's own


def to_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """A figure as an `<svg>` element for an HTML page.

    Text stays text. Black becomes the page's ink and white its paper, greys lie between them, the
    colours of `heads.plots.style` become the page's variables `--c0` to `--c7` and `--cell`, so
    that a page in the dark shows a dark picture; #111111 stays, for text on a coloured ground. What
    could run, load or restyle the page is left out.

    Args:
        figure: The picture; its own title is best left empty.
        name: Unique in the page: every id begins with it.
        title: What is shown, for readers who do not see it.
        description: What can be seen in it.
    """
    root = _clean(ElementTree.fromstring(_drawn(figure, name)))
    _rename_ids(root, name)
    width, height = (float(x) for x in root.attrib["viewBox"].split()[2:])
    titles = (("title", f"{name}-title", title), ("desc", f"{name}-desc", description))
    for place, (tag, own, text) in enumerate(titles):
        element = ElementTree.Element(tag, {"id": own})
        element.text = _printable(text)
        root.insert(place, element)
    root.attrib = {
        "viewBox": f"0 0 {width:g} {height:g}",
        "width": f"{width * _PIXELS_PER_POINT:.0f}",
        "height": f"{height * _PIXELS_PER_POINT:.0f}",
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-desc",
        "fill": "currentColor",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(figure: Figure, name: str) -> str:
    buffer = io.StringIO()
    tight = "tight" if figure.get_layout_engine() is None else None
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}),
        warnings.catch_warnings(),
    ):
        # The page's font draws what matplotlib's has no glyph for.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        figure.savefig(
            buffer,
            format="svg",
            bbox_inches=tight,
            transparent=True,
            dpi=150,
            metadata={"Date": None},
        )
    return _NOT_XML.sub("\ufffd", buffer.getvalue())


def _clean(element: ElementTree.Element) -> ElementTree.Element:
    """The element with what is allowed, in the page's colours, without groups that say nothing."""
    tag = _local(element.tag)
    given = {_local(key): value for key, value in element.attrib.items()}
    clean = ElementTree.Element(tag, {k: v for k, v in given.items() if _harmless(k, v)})
    for key in (*_ROUNDED, "transform"):
        if key in clean.attrib and not clean.attrib[key].startswith(("matrix", "scale")):
            clean.attrib[key] = _LONG_NUMBER.sub(_rounded, clean.attrib[key])
    if "d" in clean.attrib:
        clean.attrib["d"] = _AROUND_COMMAND.sub(r"\1", " ".join(clean.attrib["d"].split()))
    _restyle(clean)
    clean.text = _printable(element.text or "") if tag in ("text", "tspan") else None
    for child in element:
        if _local(child.tag) not in _TAGS:
            continue
        below = _clean(child)
        if below.tag == "g" and not below.attrib.keys() - {"id"}:
            clean.extend(below)
        elif not _invisible(below):
            clean.append(below)
    return clean


def _harmless(key: str, value: str) -> bool:
    if key == "href":
        return value.startswith(("#", "data:image/png;base64,"))
    return key in _ATTRIBUTES


def _restyle(element: ElementTree.Element) -> None:
    """Colours as the page's, from `fill` too, and without what the page sets itself."""
    fill = element.attrib.pop("fill", None)
    parts = [part.strip() for part in element.attrib.pop("style", "").split(";")]
    parts = [p.replace(": ", ":") for p in parts if p and p.partition(":")[0] not in _DROPPED]
    if fill is not None:
        parts.append(f"fill:{fill}")
    if parts:
        style = ";".join(_COLOUR.sub(_themed, p) if "url" not in p else p for p in parts)
        element.attrib["style"] = style
    if element.attrib.get("transform", "").startswith("rotate(-0 "):
        del element.attrib["transform"]


def _themed(match: re.Match[str]) -> str:
    colour = match[0].lower()
    red, green, blue = colour[1:3], colour[3:5], colour[5:7]
    if colour in COLOURS:
        return f"var(--c{COLOURS.index(colour)})"
    if colour == CELL:
        return "var(--cell)"
    if colour == "#111111" or not red == green == blue:
        return colour
    if colour == "#000000":
        return "currentColor"
    if colour == "#ffffff":
        return "var(--paper)"
    share = 100 * (1 - int(red, 16) / 255)
    return f"color-mix(in srgb, var(--ink) {share:.0f}%, var(--paper))"


def _invisible(element: ElementTree.Element) -> bool:
    """The backgrounds of figure and axes, which are drawn with nothing."""
    return element.tag == "path" and element.attrib.get("style") == "fill:none"


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Ids that are referred to become short and unique in the page; the others go."""
    used = {
        found
        for element in root.iter()
        for key, value in element.attrib.items()
        if key != "id" and not value.startswith("data:")
        for found in _REFERENCE.findall(value)
    }
    new: dict[str, str] = {}
    for element in root.iter():
        own = element.attrib.pop("id", None)
        if own is not None and own in used:
            new.setdefault(own, f"{name}-{len(new)}")
            element.attrib["id"] = new[own]
    for element in root.iter():
        for key, value in element.attrib.items():
            if key != "id" and "#" in value and not value.startswith("data:"):
                element.attrib[key] = _REFERENCE.sub(lambda m: f"#{new.get(m[1], m[1])}", value)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _rounded(match: re.Match[str]) -> str:
    return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
