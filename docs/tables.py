"""Write the tables of docs/corpora.md from the plug-ins themselves.

python -m docs.tables          # a test fails where they are not up to date
"""

from __future__ import annotations

import re
from pathlib import Path

from embedcache.corpora import label_sets
from embedcache.plugins import plugins

PAGE = Path(__file__).with_name("corpora.md")


def corpora_table() -> str:
    """Every corpus: its line in `ser corpora`, and its licence."""
    rows = ["| corpus | what it is | licence |", "|---|---|---|"]
    for name, plugin in plugins("embedcache.corpora").items():
        rows.append(f"| `{name}` | {plugin.summary} | {plugin.load().LICENCE} |")
    return "\n".join(rows)


def label_set_table() -> str:
    """Every label set: its version, and its classes with what is merged into them."""
    rows = ["| label set | version | classes |", "|---|---:|---|"]
    for corpus in plugins("embedcache.corpora"):
        for name, label_set in label_sets(corpus).items():
            merged: dict[str, list[str]] = {}
            for label, of in label_set["classes"].items():
                merged.setdefault(of, []).append(label)
            classes = [c if own == [c] else f"{c} ({' + '.join(own)})" for c, own in merged.items()]
            rows.append(f"| `{name}` | {label_set['version']} | {', '.join(classes)} |")
    return "\n".join(rows)


def with_tables(page: str) -> str:
    """A page whose tables are made anew; each follows its marker."""
    for marker, table in (("corpora", corpora_table()), ("label sets", label_set_table())):
        pattern = rf"(<!-- {marker}: [^\n]*-->\n)(?:\n(?:\|[^\n]*\n)+)?"
        page = re.sub(pattern, lambda match, text=table: f"{match[1]}\n{text}\n", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
