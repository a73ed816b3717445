"""openSMILE's frames are the package's own, on a grid that a cache can count on."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from embedcache.encoders import encoder_ids, load_encoder, opensmile
from embedcache.errors import UsageError
from tests.material import noise

SETS = sorted(opensmile.GRIDS)


@pytest.fixture
def package() -> Any:
    return pytest.importorskip("opensmile")


@pytest.mark.parametrize("name", SETS)
def test_frames_are_the_packages_own(package: Any, name: str) -> None:
    encoder = load_encoder(f"opensmile:{name}", "last", "cpu", "auto")
    smile = package.Smile(package.FeatureSet[name], package.FeatureLevel.LowLevelDescriptors)
    clip = noise(1.0, 1)
    found = encoder.encode([clip, clip[:8000]])
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(found[0][0], smile.process_signal(clip, 16_000).to_numpy())
    np.testing.assert_array_equal(found[1][0], encoder.encode([clip[:8000]])[0][0])
    assert encoder.spec.config["columns"] == smile.feature_names


@pytest.mark.parametrize("name", SETS)
def test_the_grid_of_each_set_is_known(package: Any, name: str) -> None:
    encoder = load_encoder(f"opensmile:{name}", "last", "cpu", "auto")
    receptive, shortest = opensmile.GRIDS[name]
    edges = [receptive + n * 160 + d for n in (5, 20, 97) for d in (-1, 0, 1)]
    for samples in (shortest, shortest + 1, *edges):
        frames = encoder.encode([noise(samples / 16_000, samples)])[0]
        assert frames.shape == (1, encoder.spec.frame_count(samples), encoder.spec.dim)
        assert np.isfinite(frames).all()
    assert encoder.spec.frame_count(shortest - 1) == 0


@pytest.mark.filterwarnings("ignore:Segment too short")
@pytest.mark.parametrize("name", SETS)
def test_what_is_too_short_would_be_nothing_but_nan(package: Any, name: str) -> None:
    encoder = load_encoder(f"opensmile:{name}", "last", "cpu", "auto")
    clip = noise(1.0, 2)[: encoder.spec.shortest - 1]
    assert np.isnan(encoder.encode([clip])[0]).all()


def test_the_default_is_egemaps(package: Any) -> None:
    plain = load_encoder("opensmile", "last", "cpu", "auto").spec
    named = load_encoder("opensmile:eGeMAPSv02", "last", "cpu", "auto").spec
    assert (plain.config, plain.dim) == (named.config, 25)


def test_its_licence_is_shown(package: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    load_encoder("opensmile", "last", "cpu", "auto")
    assert "may not be used in products without a licence from audEERING" in caplog.text
    lines = encoder_ids()
    assert all("non-commercial licence" in lines[name] for name in opensmile.IDS)


def test_without_the_package_one_sentence_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(
        UsageError, match=r"needs the package opensmile.*pip install 'ser-embedcache\[opensmile\]'"
    ):
        load_encoder("opensmile", "last", "cpu", "auto")


def test_what_it_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown openSMILE set 'Mine': there are: ComParE_2016"):
        load_encoder("opensmile:Mine", "last", "cpu", "auto")
    with pytest.raises(UsageError, match="opensmile has one layer; give last"):
        load_encoder("opensmile", "1", "cpu", "auto")
    with pytest.raises(UsageError, match="opensmile computes in float32 only"):
        load_encoder("opensmile", "last", "cpu", "float16")
