"""A run whose labels, ids, speakers, paths and records are what an attacker would choose."""

from __future__ import annotations

import copy
import json

from tests.heads.report import records

HOSTILE = '"><script>alert(1)</script>&\n\x07\u202e$\\frac'
NO_TEXT = f"{HOSTILE}\udcff"  # bytes of a file's name that are no UTF-8


def write_hostile(run):
    """The run with a label, its ids, its speakers and all texts of its records hostile."""

    def rename(results):
        old = results["corpus"]["labels"]
        results["corpus"]["labels"] = [HOSTILE, *old[1:]]
        results["per_class"] = {
            HOSTILE if label == old[0] else label: own
            for label, own in results["per_class"].items()
        }
        results["cache"]["encoder"]["id"] = results["head"]["name"] = HOSTILE
        results["versions"] = {NO_TEXT: NO_TEXT}

    labels = [HOSTILE, *run.labels[1:]]
    predictions = run.predictions.copy()
    predictions.columns = [
        name.replace(run.labels[0], HOSTILE) if name.endswith(run.labels[0]) else name
        for name in predictions.columns
    ]
    for name in ("id", "speaker"):
        predictions[name] = HOSTILE + predictions[name]
    ids = [HOSTILE + name for name in run.utterances]
    predictions.to_csv(run.path / "predictions.csv", index=False, errors="surrogateescape")
    clips = [u.to_json() for u in run.utterances.values()]
    for clip in clips:
        clip |= {"id": HOSTILE + clip["id"], "speaker": HOSTILE + clip["speaker"]}
        clip["path"] = NO_TEXT
    lines = "".join(json.dumps(clip) + "\n" for clip in clips)
    (run.path / "utterances.jsonl").write_text(lines)
    edit(run, rename)
    key = run.results["cache"]["key"]
    by = ((HOSTILE, HOSTILE, "male"),)
    run.write_report("bias", hostile(records.bias_record(run.id, labels, by)))
    run.write_report("ambiguity", records.ambiguity_record(HOSTILE, labels, ids))
    run.write_report("probes", records.probes_record(HOSTILE, key, (HOSTILE,)))
    run.write_report("projection", records.projection_record(run.id, key, ids, ids))


def hostile(record):
    return record | {"summary": NO_TEXT, "notes": [NO_TEXT]}


def edit(run, change):
    results = copy.deepcopy(run.results)
    change(results)
    (run.path / "results.json").write_text(json.dumps(results))
