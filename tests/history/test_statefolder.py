from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unionws.errors import StateError
from unionws.history.statefolder import StateFolder, endpoint_folder, simulated_folder

URL = "https://staging.graphql.union.build/v1/graphql"


def test_each_source_has_a_folder_with_a_name_people_can_read() -> None:
    """Endpoint, MAINNET_ONLY, seed and rate tell sources apart."""
    folders = [
        endpoint_folder("state", URL, False),
        endpoint_folder("state", URL, True),
        endpoint_folder("state", URL.replace("/v1/", "/v2/"), False),
        endpoint_folder("state", URL + "?view=a", False),
        simulated_folder("state", 1, 5.0, False),
        simulated_folder("state", 2, 5.0, False),
        simulated_folder("state", 1, 6.0, False),
        simulated_folder("state", 1, 5.0, True),
    ]
    assert len(set(folders)) == len(folders)
    assert folders[0].name.startswith("staging.graphql.union.build-")
    assert folders[4].name.startswith("simulated-seed1-rate5-")
    assert {folder.parent for folder in folders} == {Path("state")}


def test_a_password_neither_shows_nor_counts() -> None:
    """It may be changed without losing the history."""
    plain, secret = endpoint_folder("s", URL, False), URL.replace("//", "//me:hidden@")
    assert endpoint_folder("s", secret, False) == plain


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    """The second is told the process; after a release it may."""
    first, second = StateFolder(tmp_path / "a"), StateFolder(tmp_path / "a")
    first.acquire()
    first.acquire()
    with pytest.raises(StateError, match=f"in use by process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    """kill -9 leaves nothing to clean up."""
    code = "import sys, time; from pathlib import Path; from unionws.history.statefolder import StateFolder\n"
    code += "StateFolder(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    code = code.replace(
        "StateFolder(Path(sys.argv[1])).acquire()", "f = StateFolder(Path(sys.argv[1])); f.acquire()"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    folder = StateFolder(tmp_path / "a")
    with pytest.raises(StateError, match=f"process {child.pid}:"):
        folder.acquire()
    child.kill()
    child.wait()
    child.stdout.close()
    folder.acquire()
    folder.release()


def test_a_folder_made_again_is_locked_again(tmp_path: Path) -> None:
    """The lock of a removed file keeps nobody out."""
    first, second = StateFolder(tmp_path / "a"), StateFolder(tmp_path / "a")
    first.acquire()
    shutil.rmtree(tmp_path / "a")
    first.acquire()
    with pytest.raises(StateError, match="in use"):
        second.acquire()
    first.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message has the path and the system's reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be used: Not a directory"):
        StateFolder(tmp_path / "file" / "a").acquire()
