"""The floors of the house: imports point only downwards."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

VERSION = "minenet.__version__"

# Module prefix → (own modules it may import, third parties it may import). What a
# floor may import, the floors that stand on it may too.
NUMERICAL = {"jax", "numpy", "optax"}
FILES = {"numpy", "affine", "rasterio", "geopandas", "pandas", "shapely", "pyproj"}
OPTIMIZER = {
    "minenet.types",
    "minenet.train.choices",
    "minenet.train.paths",
    "minenet.train.plateau",
    "minenet.train.rules",
    "minenet.train.schedules",
}
FLOORS = {
    "minenet.types": (set(), {"numpy"}),
    "minenet.files": ({"minenet.types"}, set()),
    "minenet.geo.windows": ({"minenet.types"}, set()),
    "minenet.geo": (
        {"minenet.types", "minenet.files", "minenet.geo"},
        FILES | {"scipy"},
    ),
    "minenet.ops": ({"minenet.types", "minenet.ops"}, NUMERICAL),
    "minenet.losses": ({"minenet.types", "minenet.losses"}, NUMERICAL),
    # Distances and objects on the host: not imported with the package.
    "minenet.metrics.surface": (
        {"minenet.types", "minenet.metrics"},
        NUMERICAL | {"scipy"},
    ),
    "minenet.metrics.objects": (
        {"minenet.types", "minenet.metrics"},
        NUMERICAL | {"scipy"},
    ),
    "minenet.metrics": ({"minenet.types", "minenet.metrics"}, NUMERICAL),
    "minenet.data": (
        {"minenet.types", "minenet.files", "minenet.geo", "minenet.data"},
        FILES | {"grain", "tensorstore", "zarr", "distributed", "scipy"},
    ),
    "minenet.models": ({"minenet.types", "minenet.models"}, NUMERICAL | {"flax"}),
    "minenet.train.sharding": ({"minenet.types"}, NUMERICAL),
    "minenet.train.state": (
        {"minenet.types", "minenet.train.sharding"},
        NUMERICAL | {"flax"},
    ),
    **dict.fromkeys(
        [
            "minenet.train.accumulate",
            "minenet.train.choices",
            "minenet.train.paths",
            "minenet.train.plateau",
            "minenet.train.rules",
            "minenet.train.schedules",
            "minenet.train.optimizer",
        ],
        (OPTIMIZER, NUMERICAL),
    ),
    "minenet.train.heads": ({"minenet.types", "minenet.losses"}, NUMERICAL),
    "minenet.train.step": (
        {
            "minenet.types",
            "minenet.ops",
            "minenet.losses",
            "minenet.metrics",
            "minenet.train.state",
            "minenet.train.accumulate",
            "minenet.train.heads",
            "minenet.train.paths",
        },
        NUMERICAL,
    ),
    "minenet.train.pretrained": (
        {"minenet.types", "minenet.models"},
        NUMERICAL | {"safetensors", "torch"},
    ),
    "minenet.train": (
        {
            "minenet.types",
            "minenet.files",
            "minenet.ops",
            "minenet.losses",
            "minenet.metrics",
            "minenet.models",
            "minenet.train",
        },
        NUMERICAL | {"flax", "orbax", "absl", "tqdm", "tensorboardX"},
    ),
    "minenet.infer.blend": ({"minenet.types"}, NUMERICAL),
    "minenet.infer": (
        {
            "minenet.types",
            "minenet.files",
            "minenet.geo",
            "minenet.ops",
            "minenet.models",
            "minenet.infer",
            "minenet.train.sharding",
            "minenet.train.checkpoint",
        },
        NUMERICAL | FILES | {"safetensors", "absl", "flax", "tqdm"},
    ),
    "minenet.assess": (
        {
            "minenet.types",
            "minenet.files",
            "minenet.geo",
            "minenet.metrics",
            "minenet.data",
            "minenet.infer",
            "minenet.assess",
        },
        NUMERICAL | FILES | {"matplotlib", "absl", "scipy"},
    ),
}


def modules():
    for path in sorted((ROOT / "minenet").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def imports(path):
    """The absolute module names that a file imports, also inside functions."""
    tree = ast.parse(path.read_text())
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def under(name, prefixes):
    return any(name == p or name.startswith(p + ".") for p in prefixes)


def floor_of(name):
    return max((p for p in FLOORS if under(name, [p])), key=len)


@pytest.mark.parametrize(("name", "path"), [m for m in modules() if m[0] != "minenet"])
def test_imports_point_downwards(name, path):
    own, third = FLOORS[floor_of(name)]
    for imported in imports(path):
        top = imported.split(".")[0]
        if top in sys.stdlib_module_names or imported in ("minenet", VERSION):
            continue
        allowed = under(imported, own) if top == "minenet" else top in third
        assert allowed, f"{name} imports {imported}"


@pytest.mark.parametrize("half", ["ops", "losses", "metrics", "models"])
def test_the_numerical_half_touches_no_files(half):
    for name, path in modules():
        if under(name, [f"minenet.{half}"]):
            assert not {"pathlib", "os", "json", "open"} & set(imports(path)), path
            assert "open(" not in path.read_text(), path


def test_there_is_no_circle_between_modules():
    paths = dict(modules())
    names = set(paths)
    edges = {
        name: {
            max((n for n in names if under(i, [n])), key=len)
            for i in imports(path)
            if under(i, names)
        }
        for name, path in paths.items()
    }
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " → ".join([*trail, name])
        if name not in done:
            for target in edges[name] - {name, "minenet"}:
                visit(target, [*trail, name])
            done.add(name)

    for name in names:
        visit(name, [])


def test_no_file_is_named_after_nothing():
    vague = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert not [n for n, _ in modules() if n.split(".")[-1] in vague]
