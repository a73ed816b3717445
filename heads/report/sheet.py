"""A page as HTML that needs nothing but itself: sections in, text out."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from heads.report.sections.ambiguity import AmbiguityShown
    from heads.report.sections.bias import BiasShown
    from heads.report.sections.careful import Warned
    from heads.report.sections.leaderboard import BoardShown
    from heads.report.sections.one_run import RunShown
    from heads.report.sections.parts import Gone, Table
    from heads.report.sections.probes import ProbesShown
    from heads.report.sections.projection import ProjectionShown
    from heads.report.sections.provenance import Provenance

# Control characters, halves of a code point, and what turns the direction of a line around.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that a page shows; what is empty has no section.

    Attributes:
        title: Of the page.
        lead: What the page is about, in a sentence.
        made: When and by which version.
        careful: What readers must be careful about.
        boards: Leaderboards.
        dependencies: What shared speakers add.
        provenance: Where numbers come from.
        runs: Single runs.
        bias: Of runs.
        ambiguity: Of runs.
        probes: Of caches.
        projections: Maps of clips.
        gone: What is missing, and why.
    """

    title: str
    lead: str
    made: str
    careful: Sequence[Warned] = ()
    boards: Sequence[BoardShown] = ()
    dependencies: Sequence[Table] = ()
    provenance: Provenance | None = None
    runs: Sequence[RunShown] = ()
    bias: Sequence[BiasShown] = ()
    ambiguity: Sequence[AmbiguityShown] = ()
    probes: Sequence[ProbesShown] = ()
    projections: Sequence[ProjectionShown] = ()
    gone: Sequence[Gone] = ()


def page(content: Page) -> str:
    """A page as HTML: style, scripts, pictures and data are in it, and it loads nothing.

    A policy in its head lets no script run but its own, and nothing come from a network.
    """
    environment = _environment()
    script = environment.get_template("page.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = environment.get_template("page.css").render()
    return environment.get_template("page.html").render(
        page=content,
        style=Markup(style),
        script=Markup(script),
        script_hash=digest,
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("heads.report"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        finalize=_readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _readable(value: Any) -> Any:
    """Text without what cannot be written as UTF-8, or would turn the line around."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNREADABLE.sub("\ufffd", value)
    return value
