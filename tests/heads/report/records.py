"""Records as other analyses write them beside a run's results, made by hand for the page."""

from __future__ import annotations

import numpy as np

METRICS = ("ua", "wa", "macro_f1", "ece")


def bias_record(run_id, labels, by=(("gender", "female", "male"),), speakers=8):
    """Groups that differ by 0.1, in every metric and emotion."""

    def scores(shift):
        return {
            "n": 48, "speakers": speakers // 2, "too_small": None,
            "ua": 0.6 + shift, "wa": 0.61 + shift, "macro_f1": 0.58 + shift, "ece": 0.1 - shift / 2,
            "recall": dict.fromkeys(labels, 0.5 + shift),
            "fpr": dict.fromkeys(labels, 0.1 - shift / 2),
            "f1": dict.fromkeys(labels, 0.5 + shift),
            "ci95": {metric: [0.5 + shift, 0.7 + shift] for metric in METRICS},
        }  # fmt: skip

    def gap(column, a, b, metric, exploratory):
        return {
            "by": column, "metric": metric, "a": a, "b": b, "gap": 0.1,
            "ci95": None if metric.startswith("fpr") else [0.02, 0.18],
            "ci95_bootstrap": None, "ratio": 1.2, "ratio_ci95": [1.0, 1.4],
            "p": 0.02, "p_holm": None if exploratory else 0.06, "exploratory": exploratory,
            "smallest_detectable": 0.12,
            **({"reason": "one speaker in a group"} if metric.startswith("fpr") else {}),
        }  # fmt: skip

    asked = [
        gap(*columns, metric, False) | {"p_holm": 0.01 * (1 + (3 * n) % 4)}
        for columns in by
        for n, metric in enumerate(METRICS)
    ]
    rest = [
        gap(*columns, f"{rate}:{label}", True)
        for columns in by
        for rate in ("recall", "fpr")
        for label in labels
    ]
    return {
        "run_id": run_id,
        "notes": ["synthetic corpus"],
        "metric": "ua",
        "minimum": {"speakers": 2, "clips": 10},
        "overall": {**scores(0.05), "n": 96, "speakers": speakers},
        "groups": {
            column: {a: scores(0.1), b: scores(0), "other": {**scores(0), "too_small": "1 speaker"}}
            for column, a, b in by
        },
        "gaps": asked + rest,
        "equalised_odds": {
            by[0][0]: {"difference": 0.1, "emotion": labels[0], "rate": "recall", "a": by[0][1],
                       "b": by[0][2]}
        },
        "worst": {by[0][0]: {"ua": {"value": by[0][2], "score": 0.6}}},
        "spread": {
            "n": speakers, "mean": 0.65, "std": 0.1, "quartiles": [0.6, 0.65, 0.7],
            "lowest": {"speaker": "s0", "ua": 0.4}, "highest": {"speaker": "s1", "ua": 0.9},
            "speakers": {f"s{n}": {"n": 12, "ua": 0.6, "wa": 0.6} for n in range(speakers)},
        },
        "summary": "Women are recognised 10 points better than men; with eight speakers a gap "
        "below 12 points would hardly be found.",
    }  # fmt: skip


def ambiguity_record(run_id, labels, ids):
    """A corpus with votes; the first clips disagree, and one label is suspected."""
    shares = {label: 1 / len(labels) for label in labels}
    return {
        "run_id": run_id, "notes": [], "votes": True, "reason": None,
        "agreement": [
            {"told": "all agree", "low": 1.0, "high": 1.0, "n": 60, "share": 0.625,
             "wa": 0.8, "wa_ci95": [0.7, 0.9]},
            {"told": "two thirds or more", "low": 0.667, "high": 1.0, "n": 36, "share": 0.375,
             "wa": 0.5, "wa_ci95": None},
        ],
        "ambiguous": {"told": "no majority of two thirds", "n": 14, "share": 0.146},
        "by_entropy": [
            {"low": x / 2, "high": (x + 1) / 2, "n": 30, "wa": 0.8 - x / 10,
             "wa_ci95": [0.7 - x / 10, 0.9 - x / 10], "tau": 0.5, "js": 0.1, "kl": 0.3}
            for x in range(3)
        ],
        "trends": {"accuracy": {"spearman": -0.31, "ci95": [-0.4, -0.2]}},
        "tau": {"defined": 96, "undefined": 0, "mean": 0.4, "lower_quartile": 0.2, "median": 0.5,
                "upper_quartile": 0.7, "seeds": 1, "centers": [0.0, 0.5, 1.0],
                "counts": [24, 48, 24]},
        "held_out": [
            {"told": "all clips", "n": 96, "share": 1.0, "ua": 0.6, "ua_ci95": [0.5, 0.7],
             "wa": 0.6, "wa_ci95": None}
        ],
        "disagreements": [
            {"id": one, "speaker": "s0", "path": f"/far/away/{one}.wav", "annotated": shares,
             "predicted": {labels[0]: 1.0}, "js": 0.4}
            for one in ids[:3]
        ],
        "label_errors": {
            "thresholds": shares, "confident_joint": [], "labels": list(labels), "share": 0.03,
            "ranked": [
                {"id": ids[0], "speaker": "s0", "path": "x.wav", "given": labels[0],
                 "suggested": labels[-1], "p_given": 0.05, "p_suggested": 0.9, "margin": 0.85}
            ],
        },
    }  # fmt: skip


def probes_record(run_id, cache_key, layers=("0", "1", "2")):
    """Emotion grows from layer to layer, the speaker fades."""

    def rows(start, slope):
        return [
            {"layer": layer, "ua": start + slope * n,
             "ci95": [start + slope * n - 0.05, start + slope * n + 0.05], "shuffled": 0.13}
            for n, layer in enumerate(layers)
        ]  # fmt: skip

    return {
        "run_id": run_id, "cache_key": cache_key, "notes": [], "layers": list(layers),
        "targets": {
            "emotion": {"classes": ["a", "b"], "n": 96, "chance": 0.125, "protocol": "by speaker",
                        "raw": rows(0.3, 0.1), "normalised": rows(0.35, 0.1)},
            "speaker": {"classes": ["s0", "s1"], "n": 96, "chance": 0.125, "protocol": "by clip",
                        "raw": rows(0.9, -0.1), "normalised": rows(0.2, 0.0)},
        },
        "left_out": {"age": "the corpus does not tell it"},
        "summary": "Emotion is read best from layer 2, the speaker from layer 0.",
    }  # fmt: skip


def projection_record(run_id, cache_key, ids, groups, seed=0):
    """Points around a center for each group, 0 to 1."""
    rng = np.random.default_rng(seed)
    centers = {group: rng.uniform(0.2, 0.8, 2) for group in sorted(set(groups))}
    points = np.clip([centers[g] + rng.normal(0, 0.07, 2) for g in groups], 0, 1).round(4)
    return {
        "run_id": run_id, "cache_key": cache_key, "notes": [], "layer": "1", "method": "t-sne",
        "settings": {"perplexity": 30, "seed": 0}, "ids": list(ids),
        "x": points[:, 0].tolist(), "y": points[:, 1].tolist(),
    }  # fmt: skip
