"""Modules of a space's own: found beside it, carried with it, part of its fingerprint."""

import sys
import textwrap

import pytest

from hpsearch.errors import SpaceError
from hpsearch.space.local_modules import make_importable
from hpsearch.space.space import Space
from hpsearch.task import TASKS, Problem

TASK = TASKS["regression"]
PROBLEM = Problem("regression", (3,), 1, TASK.output_activation, TASK.loss, 60, 10)
DECLARES = """
    def declare(hp, problem):
        hp.Choice("width", [WIDTH])

    def build(hp, problem): ...
    """

PLAIN = "import parts\ndef build(hp): ..."


@pytest.fixture(autouse=True)
def nothing_stays():
    before = set(sys.modules)
    yield
    make_importable(())
    assert {name for name in set(sys.modules) - before if name.startswith("parts")} == set()


@pytest.fixture
def write(tmp_path):
    """Write files into the test's folder; gives the path of the last."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return path

    return write


def width_of(space):
    return space.declared(PROBLEM).values["width"]


def names_of(space):
    return [module.name for module in space.source.modules]


@pytest.mark.parametrize(
    "imports",
    ["from parts import WIDTH", "import parts\nWIDTH = parts.WIDTH", "from parts import *"],
)
def test_a_module_beside_the_space_is_found(write, imports):
    space = Space.load(
        write({"parts.py": "WIDTH = 4", "s.py": imports + textwrap.dedent(DECLARES)})
    )
    assert names_of(space) == ["parts"]
    assert width_of(space) == 4


def test_a_module_imported_inside_a_function_is_found(write):
    text = """
        def declare(hp, problem):
            from parts import WIDTH
            hp.Choice("width", [WIDTH])

        def build(hp, problem): ...
        """
    assert width_of(Space.load(write({"parts.py": "WIDTH = 4", "s.py": text}))) == 4


def test_modules_are_taken_as_they_were_when_the_space_was_loaded(write, tmp_path):
    text = """
        import keras

        def build(hp):
            import parts
            model = keras.Sequential([keras.layers.Dense(parts.WIDTH), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
            return model
        """
    data = Space.load(write({"parts.py": "WIDTH = 4", "s.py": text})).to_bytes()
    (tmp_path / "parts.py").unlink()
    for _ in range(2):
        assert Space.from_bytes(data).build({}, PROBLEM).layers[0].units == 4


def test_packages_and_what_they_import_from_themselves_are_found(write):
    space = Space.load(
        write(
            {
                "parts/__init__.py": "from .sizes import WIDTH",
                "parts/sizes.py": "from parts.deeper import numbers\nWIDTH = numbers.FOUR",
                "parts/deeper/numbers.py": "FOUR = 4",
                "parts/unused.py": "raise RuntimeError",
                "s.py": "from parts import WIDTH" + textwrap.dedent(DECLARES),
            }
        )
    )
    assert names_of(space) == ["parts", "parts.deeper", "parts.deeper.numbers", "parts.sizes"]
    assert width_of(space) == 4
    words = [module.words for module in space.source.modules]
    assert words == [
        *("parts/__init__.py", "parts/deeper", "parts/deeper/numbers.py", "parts/sizes.py")
    ]


def test_what_the_space_does_not_import_is_left_alone(write):
    space = Space.load(
        write({"random.py": "1 / 0", "numpy.py": "1 / 0", "s.py": "def build(hp): ..."})
    )
    assert names_of(space) == []


@pytest.mark.parametrize(
    ("name", "owner"), [("random", "Python"), ("numpy", "an installed package")]
)
def test_a_module_that_somebody_else_has_too_is_refused(write, name, owner):
    path = write({f"{name}.py": "WIDTH = 4", "s.py": f"import {name}\ndef build(hp): ..."})
    with pytest.raises(
        SpaceError,
        match=rf"imports '{name}', which is .*{name}.py' and a module of {owner} as well",
    ):
        Space.load(path)


def test_the_fingerprint_follows_the_modules(write, tmp_path):
    path = write({"parts.py": "WIDTH = 4", "s.py": PLAIN})
    first = Space.load(path)
    write({"parts.py": "WIDTH = 32", "other.py": ""})
    second = Space.load(path)
    assert first.sha256 != second.sha256
    (tmp_path / "other.py").write_text("WIDTH = 5")
    assert Space.load(path).sha256 == second.sha256


def test_modules_count_for_what_a_space_mentions(write):
    space = Space.load(write({"parts.py": "LAYER = 'Conv2D'", "s.py": PLAIN}))
    assert space.mentions("Conv2D")


def test_two_spaces_have_modules_of_one_name_apart(write, tmp_path):
    text = textwrap.dedent(DECLARES).replace("hp.Choice", "from parts import WIDTH; hp.Choice")
    first = Space.load(write({"parts.py": "WIDTH = 4", "s.py": text}))
    second = Space.load(write({"parts.py": "WIDTH = 32", "s.py": text}))
    assert [width_of(space) for space in (first, second, first)] == [4, 32, 4]


def test_an_error_in_a_module_is_placed_there(write):
    path = write({"parts.py": "WIDTH = 4\nWIDTH / 0", "s.py": PLAIN})
    with pytest.raises(SpaceError, match=r"ZeroDivisionError in its import \(.*parts.py:2\)"):
        Space.load(path)
    write({"parts.py": "WIDTH = \n"})
    with pytest.raises(SpaceError, match=r"SyntaxError in its import \(.*parts.py:1\)"):
        Space.load(path)


def test_a_module_that_cannot_be_read_is_refused(write, tmp_path):
    path = write({"s.py": PLAIN})
    (tmp_path / "parts.py").write_bytes(b"# caf\xe9")
    with pytest.raises(SpaceError, match=r"parts.py', which the code imports, cannot be read"):
        Space.load(path)


# -- Python objects


BUILD = """
    import keras
    import parts

    def build(hp):
        model = keras.Sequential([keras.layers.Dense(parts.WIDTH), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model
    """


def test_modules_of_a_function_go_with_it(write, tmp_path, monkeypatch):
    write({"parts.py": "WIDTH = 4", "parts_nets.py": BUILD})
    monkeypatch.syspath_prepend(tmp_path)
    import parts_nets

    data = Space.load(parts_nets.build).to_bytes()
    assert names_of(Space.from_bytes(data)) == ["parts", "parts_nets"]
    for name in ("parts", "parts_nets"):
        del sys.modules[name]
        (tmp_path / f"{name}.py").unlink()
    assert Space.from_bytes(data).build({}, PROBLEM).layers[0].units == 4


def test_what_a_function_takes_along_is_part_of_its_fingerprint():
    def space(width, factor):
        def units():
            return width * factor

        def build(hp):
            return units()

        return Space.load(build)

    assert space(4, 2).sha256 == space(4, 2).sha256
    assert "def units():" in space(4, 2).source.text
    assert len({space(4, 2).sha256, space(5, 2).sha256, space(4, 3).sha256}) == 3


def test_what_a_hypermodel_holds_is_part_of_its_fingerprint():
    import keras_tuner

    class Sized(keras_tuner.HyperModel):
        def __init__(self, width):
            super().__init__()
            self.width = width

        def build(self, hp): ...

    assert Space.load(Sized(4)).sha256 == Space.load(Sized(4)).sha256
    assert Space.load(Sized(4)).sha256 != Space.load(Sized(5)).sha256


# -- the text itself


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfNAME = 'caf\xc3\xa9'\ndef build(hp): ...",
        b"# -*- coding: latin-1 -*-\nNAME = 'caf\xe9'\ndef build(hp): ...",
        b"NAME = 'caf\xc3\xa9'\r\ndef build(hp): ...\r\n",
    ],
)
def test_a_file_is_decoded_as_python_would(content, tmp_path):
    path = tmp_path / "space.py"
    path.write_bytes(content)
    assert "'café'" in Space.load(path).source.text
