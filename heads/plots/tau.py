"""How Kendall's tau is spread over clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from heads.plots.style import COLOURS, INK, quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUARTILES = {
    "lower_quartile": ("a quarter below", ":"),
    "median": ("half below", "-"),
    "upper_quartile": ("three quarters below", "--"),
}
_LABEL = 0.55  # how much of tau's axis the label of a quartile takes
_HEADROOM = 1.6  # of the tallest bar: room for these labels


def plot_tau(tau: Mapping[str, Any], title: str) -> Figure:
    """Clips by tau-b between the annotated and the predicted order of emotions, with quartiles.

    Args:
        tau: `tau` of `ambiguity.json`: centers, counts, seeds, quartiles, defined, undefined.
        title: What is shown.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    seeds = tau["seeds"]
    told = f"{tau['defined'] / seeds:g} clips"
    if tau["undefined"]:
        told += f", {tau['undefined'] / seeds:g} more without tau"
    axes.set_title(f"{title}\n{told}", fontsize=10, color=INK, wrap=True)
    axes.set_xlabel("Kendall's tau-b of a clip: 1 is the annotators' order, 0 chance")
    axes.set_ylabel("clips" if seeds == 1 else "clips, mean over seeds")
    axes.set_xlim(-1.1, 1.1)
    quiet(axes)
    if not tau["defined"]:
        axes.set_yticks([])
        axes.text(0, 0.5, "no clip defines tau", ha="center", va="center", color=INK)
        return figure
    heights = [count / seeds for count in tau["counts"]]
    axes.bar(tau["centers"], heights, width=0.09, color=COLOURS[5], edgecolor=INK, linewidth=0.6)
    top = max(heights) * _HEADROOM
    axes.set_ylim(0, top)
    for name, (level, to_left) in _places(tau).items():
        words, line = _QUARTILES[name]
        value, height = tau[name], top * (0.67 + 0.09 * level)
        axes.plot([value, value], [0, height], color=INK, linestyle=line, linewidth=1.4)
        axes.annotate(
            f"{words} {value:.2f}",
            (value, height),
            xytext=(-4 if to_left else 4, 0),
            textcoords="offset points",
            ha="right" if to_left else "left",
            va="center",
            fontsize=8,
            color=INK,
        )
    return figure


def _places(tau: Mapping[str, Any]) -> dict[str, tuple[int, bool]]:
    """How high each quartile's line is, and whether its label stands on the left.

    A label runs over lines that are lower than its own, and stays inside the axes.
    """
    names = list(_QUARTILES)
    if tau["median"] >= 0:
        places = {name: (level, True) for level, name in enumerate(names)}
        if tau[names[0]] < _LABEL - 1:
            places[names[0]] = (3, False)
        return places
    places = {name: (2 - level, False) for level, name in enumerate(names)}
    if tau[names[2]] > 1 - _LABEL:
        places[names[2]] = (3, True)
    return places
