"""What columns tell of a frame: said by the encoder, kept by the cache, no part of its key."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from embedcache.encoders import ColumnRoles, load_encoder
from embedcache.errors import SerError
from embedcache.extract import extract
from embedcache.request import ExtractConfig, key_parts
from embedcache.store.cache import read_meta
from embedcache.store.key import cache_key
from embedcache.store.reader import CacheReader


def edit(folder, change):
    file = folder / "meta.json"
    record = json.loads(file.read_text())
    change(record)
    file.write_text(json.dumps(record, indent=2) + "\n")


@pytest.mark.parametrize("encoder", ["lld", "logmel", "mfcc", "random:wav2vec2-tiny"])
def test_a_cache_tells_what_its_encoder_said(config: ExtractConfig, encoder: str) -> None:
    folder = extract(replace(config, encoder=encoder, limit=1)).folder
    spec = load_encoder(encoder, "last", "cpu", "auto").spec
    meta = CacheReader(folder).meta
    assert meta.roles == spec.roles
    assert meta.column_names == tuple(spec.config.get("columns", ()))
    if encoder == "lld":
        columns = [meta.column_names[i] for i in (*meta.roles.level, meta.roles.voiced)]
        assert columns == ["energy", "voiced"]


def test_the_key_does_not_change_for_it(config: ExtractConfig) -> None:
    spec = load_encoder("lld", "last", "cpu", "auto").spec
    other = replace(spec, roles=ColumnRoles(level=(3,), level_db=2.0))
    assert cache_key(key_parts(spec, config)) == cache_key(key_parts(other, config))


def test_a_cache_of_an_earlier_version_is_read_and_learns_it_from_the_next_extraction(
    config: ExtractConfig,
) -> None:
    config = replace(config, encoder="lld")
    first = extract(config)
    whole = (first.folder / "meta.json").read_text()
    edit(first.folder, lambda record: record.pop("roles"))
    assert CacheReader(first.folder).meta.roles == ColumnRoles()
    again = extract(config)
    assert (again.folder, again.encoded) == (first.folder, 0)
    assert (first.folder / "meta.json").read_text() == whole


def test_roles_that_make_no_sense_are_damage(config: ExtractConfig) -> None:
    folder = extract(replace(config, limit=1)).folder
    edit(folder, lambda record: record.update(roles={"loudness": 3}))
    with pytest.raises(SerError, match="meta.json is damaged .*loudness"):
        read_meta(folder)
