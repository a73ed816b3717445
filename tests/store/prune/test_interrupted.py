"""A prune that is killed is completed by the next one; real kills."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.inventory import take_inventory
from embedcache.store.prune import prune
from embedcache.store.tombstones import half_buried
from embedcache.store.verify import verify
from tests.material import REPOSITORY
from tests.store.prune.scene import GONE, asked, files, frames, process, refer, same, total


def test_a_prune_that_was_cut_short_is_completed(config: ExtractConfig, left: Path) -> None:
    """Whatever is done of the steps: the checksum is renamed, then the shard goes."""
    whole = files(left)
    prune(asked(config), [])
    pruned = {name.removesuffix(".pruned") for name in files(left) if name.endswith(".pruned")}
    after = files(left)
    for name in pruned:  # its shard did not go any more
        (left / f"{name}.h5").write_bytes(whole[f"{name}.h5"])
    assert len(half_buried(left)) == 2
    assert not list(verify(left)) and not take_inventory(left).pending
    assert len(take_inventory(left).rows) == 10
    shutil.copytree(left, config.cache_dir.parent / "kept")
    assert total(prune(asked(config), [])) > 0
    assert files(left) == after
    shutil.rmtree(left)
    shutil.copytree(config.cache_dir.parent / "kept", left)
    assert extract(config).encoded == 0
    assert files(left) == after


def test_killed_at_any_moment_the_next_one_ends_with_the_same(
    config: ExtractConfig, tmp_path: Path
) -> None:
    """A prune that is killed after each file that it touches."""
    kill = (
        "import os, sys, pathlib\nfrom embedcache.store.prune import PruneConfig, prune\n"
        "left = [int(sys.argv[2])]\n"
        "def count(event, arguments):\n"
        "    if event in ('os.rename', 'os.remove', 'open') and 'folder' in str(arguments[0]):\n"
        "        left[0] -= event != 'open' or 'w' in str(arguments[1]) or 'x' in "
        "str(arguments[1])\n"
        "        if left[0] < 0: os._exit(9)\n"
        "sys.addaudithook(count)\n"
        "prune(PruneConfig(cache_dir=pathlib.Path(sys.argv[1]), yes=True), [])\n"
    )
    extract(config)
    for folder in config.root.glob(f"*/{GONE}"):
        shutil.rmtree(folder)
    source = extract(config).folder
    wanted = frames(source)
    shutil.copytree(config.cache_dir, tmp_path / "whole")
    prune(asked(config), [])
    expected = files(source)
    cut_short = 0
    for steps in range(12):
        cache_dir = tmp_path / f"cut{steps}"
        shutil.copytree(tmp_path / "whole", cache_dir)
        done = subprocess.run([sys.executable, "-c", kill, str(cache_dir), str(steps)],
                              cwd=REPOSITORY, check=False)  # fmt: skip
        folder = cache_dir / "folder" / source.name
        cut_short += done.returncode == 9
        assert not list(verify(folder)) and not take_inventory(folder).pending
        assert same(frames(folder), wanted)
        prune(asked(config, cache_dir=cache_dir), [])
        ours = {name: data for name, data in files(folder).items() if name != "meta.json"}
        assert ours == {name: data for name, data in expected.items() if name != "meta.json"}
        if done.returncode == 0:
            break
    assert cut_short >= 4 and done.returncode == 0


def test_a_removal_that_was_killed_leaves_no_cache(config: ExtractConfig) -> None:
    """Under its name it is whole or gone; the next prune removes the rest."""
    folder = extract(config).folder
    code = (
        "import os, sys, shutil\nfrom pathlib import Path\nimport embedcache.atomic as atomic\n"
        "atomic._remove = lambda path: os._exit(9)\natomic.remove_folder(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=REPOSITORY, check=False)
    assert done.returncode == 9 and not folder.exists()
    assert list(config.cache_dir.glob("folder/.tmp-*/meta.json"))
    from embedcache.store.cache import list_caches

    assert list_caches(config.cache_dir) == []
    assert total(prune(asked(config), [])) > 0
    assert not list(config.cache_dir.glob("folder/.tmp-*"))


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(
    config: ExtractConfig, left: Path
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom embedcache.atomic import _temporary\n"
        "with _temporary(Path(sys.argv[1]) / 'x') as path:\n"
        "    path.write_bytes(b'x' * 1000)\n    print('ready', flush=True)\n    sys.stdin.read()"
    )
    users = [refer(left)]  # of no account here: no run can refer to these
    with process(code, left / "shards") as living, process(code, left / "plans") as killed:
        killed.kill()
        killed.wait()
        assert total(prune(asked(config), users)) == 1000
        assert len(list(left.rglob(".tmp-*"))) == 1
        living.kill()
        living.wait()
        assert "1 file of processes that were killed" in prune(asked(config), users)
    assert not list(left.rglob(".tmp-*"))
