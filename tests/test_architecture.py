"""Imports go one way, heavy libraries are imported where they are used, and files stay small."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hpsearch"

# From the bottom up: a module may import its own layer and those above it in this list.
LAYERS = (
    {
        "errors",
        "keras_internals",
        "options",
        "paths",
        "progress",
        "snippets",
        "system",
        "versions",
        "words",
    },
    {"keras_settings"},
    {"data", "task"},
    {"preprocessing", "folds", "stats", "metrics", "diagnoses", "space", "transformers"},
    {"decisions"},
    {"ledger"},
    {"report"},
    {"engines", "oracles", "export", "results"},
    {"scoring"},
    {"logs"},
    {"search"},
    {"console"},
    {"tuner"},
    {"cli", "estimators", "__main__"},
)
MOST_LINES = 560
MOST_LINES_OF_A_FUNCTION = 60  # without its docstring
MOST_MODULES_AT_THE_TOP = 14
HEAVY = {"tensorflow", "keras", "keras_tuner", "jax", "sklearn", "optuna", "torch"}
# Modules that only a process which trains or predicts imports.
MAY_IMPORT_HEAVY_LIBRARIES = {
    *(f"engines/fused/{name}.py" for name in ("program", "bags", "layers", "losses", "packing")),
    *(f"engines/reference/{name}.py" for name in ("program", "rates")),
    # Estimators are scikit-learn's classes; nothing imports them before one is asked for.
    *(f"estimators/{name}.py" for name in ("base", "made", "rows", "searches", "single")),
}
# The one module that names what Keras keeps private; private names of others, and who uses them.
KNOWS_KERAS = "keras_internals.py"
OTHERS_PRIVATE_NAMES = {
    "metrics/scorers.py": {"_score_func", "_sign", "_kwargs", "_response_method"},
    "engines/workers/loky.py": {
        *("_processes", "_result_queue", "_writer", "_MAX_MEMORY_LEAK_SIZE"),
    },
}

FILES = sorted(PACKAGE.rglob("*.py"))
# The public names come from every layer, so that file has none.
LAYERED = [path for path in FILES if path != PACKAGE / "__init__.py"]
LIGHT = [
    *(p for p in FILES if p.relative_to(PACKAGE).as_posix() not in MAY_IMPORT_HEAVY_LIBRARIES),
    *sorted((PACKAGE.parent / "spaces").glob("*.py")),
]


def short(path):
    return path.relative_to(PACKAGE.parent).as_posix()


def name_of(path):
    """The part of the package that a file belongs to: its folder, or its own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def layer_of(name):
    return next((level for level, names in enumerate(LAYERS) if name in names), None)


def imported_modules(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports name the whole path"
        if node.module == "hpsearch":
            return [f"hpsearch.{alias.name}" for alias in node.names]
        return [node.module]
    return []


def parts_imported_by(source):
    """Parts of hpsearch that a source imports anywhere, inside functions and for types too."""
    modules = [name for node in ast.walk(ast.parse(source)) for name in imported_modules(node)]
    return {name.split(".")[1] for name in modules if name.startswith("hpsearch.")}


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported_on_import(nodes):
    """Top-level packages that are imported when the module is, in ``try`` and ``if`` as well."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_for_types_only(node):
            continue
        found |= {name.split(".")[0] for name in imported_modules(node)}
        found |= imported_on_import(ast.iter_child_nodes(node))
    return found


def is_private(name):
    if not isinstance(name, str) or name == "_exit":  # os._exit is for everybody
        return False
    return name.startswith("_") and not name.startswith("__")


def private_names_of_others(source):
    """Private names that a source reads or sets, by attribute or by string, and does not define."""
    named, own = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
        if isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            (own if is_own else named).add(node.attr)
        if isinstance(node, ast.Call):
            named |= {keyword.arg for keyword in node.keywords}
            if ast.unparse(node.func) in ("getattr", "setattr", "hasattr"):
                named.add(getattr(node.args[1], "value", None))
    return {name for name in named - own if is_private(name)}


MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in FILES
}


def at_run_time(node):
    """What is below a node, but for imports that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if not is_for_types_only(child):
            yield child
            yield from at_run_time(child)


def modules_imported_by(path):
    """Modules of hpsearch that a file imports, inside functions as well."""
    found = set()
    for node in at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        for module in imported_modules(node):
            inside = [f"{module}.{alias.name}" for alias in node.names]
            found |= {name for name in inside if name in MODULES} or {module}
    return found & set(MODULES)


def functions_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            n_lines = node.end_lineno - node.lineno + 1
            yield node.name, n_lines - len(docstring.splitlines())


def names_keras_src(source):
    """Whether a source imports from ``keras.src`` or names something there."""
    for node in ast.walk(ast.parse(source)):
        names = [*imported_modules(node), getattr(node, "value", None)]
        if any(isinstance(name, str) and name.startswith("keras.src") for name in names):
            return True
    return False


@pytest.mark.parametrize("path", LAYERED, ids=short)
def test_no_module_imports_a_higher_layer(path):
    own = name_of(path)
    level = layer_of(own)
    assert level is not None, f"give {own!r} a layer in LAYERS"
    imported = parts_imported_by(path.read_text(encoding="utf-8")) - {own}
    higher = {name for name in imported if (layer_of(name) or 0) > level}
    assert not higher, f"{path.name} is below {sorted(higher)}"


def test_there_is_no_circle_of_imports():
    graph = {name: modules_imported_by(path) - {name} for name, path in MODULES.items()}
    assert sum(map(len, graph.values())) > len(graph), "imports are found"
    assert list(graphlib.TopologicalSorter(graph).static_order())  # raises, and names the circle


@pytest.mark.parametrize("path", LAYERED, ids=short)
def test_the_package_itself_is_imported_for_its_modules_alone(path):
    """Public names and the version stand above everything, so only the command line takes them."""
    if path.name in ("cli.py", "__main__.py"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert "hpsearch" not in [alias.name for alias in node.names]
            for name in imported_modules(node):
                if name.count(".") == 1 and name.startswith("hpsearch."):
                    assert name in MODULES, name


@pytest.mark.parametrize("path", FILES, ids=short)
def test_files_and_functions_stay_small(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MOST_LINES
    assert {n: size for n, size in functions_of(path) if size > MOST_LINES_OF_A_FUNCTION} == {}


def test_few_modules_stand_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_MODULES_AT_THE_TOP


@pytest.mark.parametrize("path", LIGHT, ids=short)
def test_heavy_libraries_are_imported_inside_functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not imported_on_import(tree.body) & HEAVY


@pytest.mark.parametrize("path", [p for p in FILES if p.name != KNOWS_KERAS], ids=short)
def test_one_module_names_what_keras_keeps_private(path):
    source = path.read_text(encoding="utf-8")
    allowed = OTHERS_PRIVATE_NAMES.get(path.relative_to(PACKAGE).as_posix(), set())
    assert private_names_of_others(source) <= allowed, f"move it to {KNOWS_KERAS}"
    assert not names_keras_src(source), f"move it to {KNOWS_KERAS}"


def test_private_names_are_found_in_attributes_strings_and_keywords():
    source = "class A:\n    def _f(self):\n        self._x = b._x + b._y + getattr(b, '_z')\n"
    assert private_names_of_others(source) == {"_y", "_z"}
    assert private_names_of_others("patched(b, _w=1)") == {"_w"}


def test_what_is_in_keras_src_is_found_in_imports_and_strings():
    assert names_keras_src("def f():\n    from keras.src.utils import module_utils")
    assert names_keras_src("is_of('keras.src.layers')")
    assert not names_keras_src("import keras\nkeras.layers.Dense")


def test_an_import_inside_a_function_counts_for_the_direction():
    assert parts_imported_by("def f():\n    from hpsearch.cli import main") == {"cli"}
    assert parts_imported_by("from hpsearch import words") == {"words"}


def test_only_imports_outside_functions_count_as_heavy():
    source = "try:\n    import keras.ops\nexcept ImportError:\n    pass\ndef f():\n    import jax"
    assert imported_on_import(ast.parse(source).body) == {"keras"}


def test_layers_name_only_what_is_there():
    there = {name_of(path) for path in LAYERED}
    assert set().union(*LAYERS) <= there
