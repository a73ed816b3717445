"""The ground truth: it is complete, and an analysis that knows nothing of it finds its findings."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from embedcache.synthesis.actors import Take, cast_actors, perform, plan_takes
from embedcache.synthesis.annotators import count_votes
from embedcache.synthesis.design import Config
from embedcache.synthesis.emotions import EMOTIONS
from embedcache.synthesis.ground_truth import findings, ground_truth

# --- What is written ---


def test_it_says_who_what_and_how_strongly() -> None:
    config = Config(speakers=3, clips_per_emotion=2)
    actors = cast_actors(config)
    takes = [take for actor in actors for take in plan_takes(actor, config)]
    truth = ground_truth(config, actors, takes)
    assert json.loads(json.dumps(truth)) == truth
    assert Config(**truth["config"]) == config
    assert tuple(truth["emotions"]) == EMOTIONS
    assert {name: s["age"] for name, s in truth["speakers"].items()} == {
        actor.name: actor.age for actor in actors
    }
    for take in takes:
        clip = truth["clips"][take.id]
        assert (clip["emotion"], clip["second"]) == (take.emotion, take.second)
        assert clip["strength"] == pytest.approx(take.strength, abs=1e-6)
        assert list(clip["prosody"].values()) == pytest.approx(take.cues.tolist(), abs=1e-6)


@given(
    st.builds(
        Config,
        speakers=st.integers(1, 3),
        weaker_gender=st.sampled_from(["female", "male"]),
        weaker_expression=st.sampled_from([0.0, 0.5, 1.0]),
        ambiguous_share=st.sampled_from([0.0, 0.2, 1.0]),
    )
)
def test_what_is_not_planted_is_not_claimed(config: Config) -> None:
    claimed = " ".join(findings(config))
    unequal = config.weaker_expression < 1 and config.speakers > 1
    order = {"male": "female speakers are above male", "female": "male speakers are above female"}
    assert ("speakers are above" in claimed) == unequal
    assert (f": {order[config.weaker_gender]} speakers" in claimed) == unequal
    assert ("ambiguous" in claimed) == (config.ambiguous_share == 0.2)


# --- What is found: mean and deviation of a log-mel spectrum, logistic regression ---


@dataclass
class Analysis:
    """Acted and recognised emotions on unseen speakers, and who and what the clips are."""

    acted: np.ndarray
    recognised: np.ndarray
    woman: np.ndarray
    ambiguous: np.ndarray
    votes: np.ndarray

    def recall(self, chosen: np.ndarray | slice = slice(None)) -> float:
        """Unweighted mean over the emotions."""
        acted, recognised = self.acted[chosen], self.recognised[chosen]
        return float(recall_score(acted, recognised, labels=EMOTIONS, average="macro"))


def log_mel(wave: np.ndarray, rate_hz: int) -> np.ndarray:
    pieces = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(pieces, 512)) ** 2
    edges_hz = 700 * (10 ** (np.linspace(30, 2800, 42) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(512, 1 / rate_hz)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    bank = np.minimum((bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)).clip(0)
    return np.log(power @ bank.T + 1e-8)


def features(take: Take, config: Config) -> np.ndarray:
    spectrum = log_mel(perform(take, config), config.rate_hz)
    return np.r_[spectrum.mean(axis=0), spectrum.std(axis=0)]


@pytest.fixture(scope="module", params=[0, 1, 2])
def analysis(request: pytest.FixtureRequest) -> Analysis:
    config = Config(seed=request.param)
    takes = [take for actor in cast_actors(config) for take in plan_takes(actor, config)]
    acted = np.array([take.emotion for take in takes])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=3000))
    # On matrices so small, threads spend their time waiting for one another.
    with threadpool_limits(1):
        recognised = cross_val_predict(
            model,
            np.array([features(take, config) for take in takes]),
            acted,
            groups=[take.actor.name for take in takes],
            cv=GroupKFold(6),
        )
    return Analysis(
        acted=acted,
        recognised=recognised,
        woman=np.array([take.actor.gender == "female" for take in takes]),
        ambiguous=np.array([take.second is not None for take in takes]),
        votes=np.array([count_votes(take, config) for take in takes]),
    )


def test_it_is_as_hard_as_real_speech(analysis: Analysis) -> None:
    assert 0.6 < analysis.recall() < 0.85


def test_women_are_recognised_better_than_men(analysis: Analysis) -> None:
    assert 0.05 < analysis.recall(analysis.woman) - analysis.recall(~analysis.woman) < 0.3


def test_mens_emotions_are_taken_for_neutral(analysis: Analysis) -> None:
    missed = (analysis.acted != "neutral") & (analysis.recognised == "neutral")
    assert missed[~analysis.woman].sum() > missed[analysis.woman].sum()


def test_clear_clips_are_recognised_better_than_ambiguous_ones(analysis: Analysis) -> None:
    assert analysis.recall(~analysis.ambiguous) > analysis.recall(analysis.ambiguous) + 0.1


def test_anger_is_confused_with_happiness_rather_than_sadness(analysis: Analysis) -> None:
    def confused(a: str, b: str) -> int:
        pairs = list(zip(analysis.acted, analysis.recognised, strict=True))
        return pairs.count((a, b)) + pairs.count((b, a))

    assert confused("angry", "happy") > 2 * confused("angry", "sad")


def test_annotators_disagree_about_ambiguous_clips(analysis: Analysis) -> None:
    shares = analysis.votes / analysis.votes.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
    ambiguous = analysis.ambiguous
    assert entropy[ambiguous].mean() > entropy[~ambiguous].mean() + 0.1


def test_annotators_hear_womens_emotions_better(analysis: Analysis) -> None:
    majority = np.array(EMOTIONS)[analysis.votes.argmax(axis=1)]
    right = majority == analysis.acted
    assert right[analysis.woman].mean() > right[~analysis.woman].mean() > 0.4
