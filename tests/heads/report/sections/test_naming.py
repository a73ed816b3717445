"""What runs are called in a page."""

from __future__ import annotations

from heads.report.sections.naming import name_runs
from heads.results import Run


def changed(results, run_id, **parts):
    return {**results, "run_id": run_id, **{k: {**results[k], **v} for k, v in parts.items()}}


def test_names_hold_what_sets_runs_apart(hard_run, soft_run):
    hard = Run(hard_run).results
    alone, soft = (name_runs([r])[0] for r in (hard, Run(soft_run).results))
    assert (alone.short, soft.short) == ("attention, speaker", "mlp, random")
    both = name_runs([hard, changed(hard, "b", head={"name": "svm"})])
    assert [own.short for own in both] == ["attention", "svm"]
    encoders = name_runs([hard, changed(hard, "b", cache={"encoder": {"id": "wavlm"}})])
    assert [own.short for own in encoders] == ["attention, logmel", "attention, wavlm"]


def test_runs_that_are_alike_carry_their_ids_ends_and_at_last_a_number(hard_run):
    hard = Run(hard_run).results
    twins = [changed(hard, f"same-{end}") for end in ("aaaaaa", "bbbbbb", "bbbbbb")]
    names = [own.short for own in name_runs(twins)]
    assert names[0] == "attention, speaker (aaaaaa)"
    assert len(set(names)) == 3
    assert len({own.anchor for own in name_runs(twins)}) == 3
