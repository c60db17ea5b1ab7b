"""Where a store lies: the only thing that tells a folder from a bucket.

A folder is looked into without TensorStore, for a forked process could not use it where
its parent did. So it is imported only where it is needed, and not at the top.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minenet.types import InputError


def absolute(url: str | os.PathLike[str]) -> str:
    """Returns a URL as it is, and a local path absolute.

    >>> absolute("gs://bucket/chips/")
    'gs://bucket/chips'
    """
    name = os.fspath(url).rstrip("/")
    return name if "://" in name else os.path.abspath(os.path.expanduser(name))


def spec(url: str, path: str = "") -> dict[str, Any]:
    """Returns TensorStore's key-value store of a store, or of an array in it."""
    if "://" not in url:
        return {"driver": "file", "path": os.path.join(url, path, "")}
    import tensorstore

    return tensorstore.KvStore.Spec(f"{url}/{path}".rstrip("/") + "/").to_json()


def read_json(url: str, key: str) -> Any | None:
    """Returns a JSON value of the store, None where there is no such key."""
    if "://" not in url:
        path = Path(url, key)
        return json.loads(path.read_text()) if path.is_file() else None
    found = _keys(url).read(key).result()
    return json.loads(found.value) if found.state == "value" else None


def write_json(url: str, key: str, value: Any) -> None:
    """Writes a JSON value, whole or not at all."""
    text = json.dumps(value, allow_nan=False)
    try:
        _keys(url).write(key, text).result()
    except (ValueError, OSError) as error:
        raise unwritable(url, error) from error


def shards(url: str) -> set[int]:
    """Returns the numbers of the shards whose images are there, whole."""
    if "://" not in url:
        # What is being written has another ending.
        found = Path(url, "image/c").glob("*/0/0/0")
        return {int(path.parts[-4]) for path in found}
    import tensorstore

    wanted = tensorstore.KvStore.KeyRange("image/c/", "image/c0")  # "0" follows "/"
    keys = _keys(url).list(wanted).result()
    return {int(key.decode().split("/")[2]) for key in keys}


def unwritable(url: str, error: BaseException) -> InputError:
    """Returns the error for what TensorStore could not write."""
    reason = " ".join(str(error).split())
    return InputError(
        f"{url}: cannot be written ({reason}); see that there is space and permission"
    )


def _keys(url: str):
    import tensorstore

    return tensorstore.KvStore.open(spec(url)).result()
