"""What the README shows is what happens."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minenet import losses, models

README = Path(__file__).parent.parent / "README.md"


def snippets():
    """The blocks of Python that have a prompt, as one program."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    return "\n".join(block for block in blocks if ">>>" in block)


def test_snippets_give_what_they_show():
    test = doctest.DocTestParser().get_doctest(snippets(), {}, "README", README, 0)
    shown = [example for example in test.examples if example.want]
    assert len(shown) >= 4  # a transform, a model, a loss, a metric
    report = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)


def test_every_model_and_loss_is_told_of():
    words = set(re.findall(r"\w+", README.read_text()))
    assert {*models.names(), *losses.names()} - {"linear"} <= words


@pytest.mark.parametrize("part", ["losses", "metrics", "models", "ops"])
def test_what_other_code_imports_brings_no_files_along(part):
    # In a process of its own, every module of the part: floors look at our imports
    # alone, this at what they import in turn.
    program = f"""
import importlib, pkgutil, sys, minenet.{part} as part
for module in pkgutil.walk_packages(part.__path__, "minenet.{part}."):
    importlib.import_module(module.name)
print(*{{name.split(".")[0] for name in sys.modules}})
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert {"jax", "minenet"} <= found
    assert not found & {"rasterio", "grain", "orbax", "geopandas"}
