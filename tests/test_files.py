"""Outputs appear whole or not at all."""

import errno
import json
import os

import pytest

from minenet import files
from minenet.types import InputError


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "map [1].txt"
    with files.replacing(path) as part:
        part.write_text("half")
        assert not path.exists()
        assert part.suffix == path.suffix
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_stood_there_and_nothing_else(tmp_path):
    path = tmp_path / "map [1].txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replacing(path) as part:
        part.write_text("half")
        part.with_name(part.name + ".aux.xml").write_text("side-car")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path):
    path = tmp_path / "index.csv"
    with pytest.raises(InputError, match="index.csv: cannot be written") as told:
        with files.replacing(path) as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "space left" in str(told.value) and "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_body_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "a") as part:
        part.with_name("none").read_text()


def test_json_comes_back_and_nan_is_refused(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": (1, 2)})
    assert files.read_json(path) == {"a": [1, 2]} == files.as_json({"a": (1, 2)})
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": [1, 2]}
