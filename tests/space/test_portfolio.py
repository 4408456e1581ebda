"""A space's ``portfolio``: found beside its build, held against the space, narrowed by fixes."""

import subprocess
import sys

import keras_tuner
import pytest

from hpsearch.errors import SpaceError
from hpsearch.space.space import Space
from hpsearch.task import Problem

PROBLEM = Problem("binary", (10,), 1, "sigmoid", "binary_crossentropy", n_train=1000, epochs=100)
DECLARED = """
def declare(hp, problem):
    hp.Choice("optimizer", ["adam", "sgd"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.0, 0.9, default=0.5)
        hp.Int("units", 2, 8)
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Int("units", 16, 64)


def build(hp, problem):
    raise NotImplementedError


"""
ADAM = {"optimizer": "adam", "units": 16}


@pytest.fixture
def space(tmp_path):
    """The space that a file with this text defines, behind the declarations."""

    def space(text):
        path = tmp_path / "mine.py"
        path.write_text(DECLARED + text)
        return Space.load(path)

    return space


def returning(text):
    return f"def portfolio(problem):\n    return {text}\n"


def portfolio(space, fixes=None):
    return list(space.portfolio(PROBLEM, space.declared(PROBLEM), fixes))


def test_what_a_configuration_leaves_out_has_its_default(space):
    found = portfolio(space(returning("[{'units': 32}, {'optimizer': 'sgd'}, {}]")))
    sgd = {"optimizer": "sgd", "momentum": 0.5, "units": 2}
    assert found == [ADAM | {"units": 32}, sgd, ADAM]


def test_a_space_without_one_knows_of_no_configuration(space):
    assert portfolio(space("")) == portfolio(space(returning("[]"))) == []


def test_it_may_follow_from_the_problem(space):
    found = portfolio(space(returning("[{'units': 32}] if problem.n_train == 1000 else []")))
    assert found == [ADAM | {"units": 32}]


def test_what_is_fixed_keeps_its_value_and_equal_configurations_fall_together(space):
    made = space(returning("[{'optimizer': 'sgd', 'momentum': 0.1}, {'units': 20}, {}]"))
    assert portfolio(made, {"optimizer": "adam"}) == [ADAM, ADAM | {"units": 20}]
    assert portfolio(made, {"momentum": "0.9"}) == [
        {"optimizer": "sgd", "momentum": 0.9, "units": 2},
        ADAM | {"units": 20},
        ADAM,
    ]


def test_a_value_that_the_branch_which_a_fix_chose_does_not_allow_has_its_default(space):
    made = space(returning("[{'units': 20}]"))
    sgd = {"optimizer": "sgd", "momentum": 0.5, "units": 2}
    assert portfolio(made, {"optimizer": "sgd"}) == [sgd]


def test_numpys_scalars_become_pythons(space):
    made = space("import numpy as np\n" + returning("[{'units': np.int64(20)}]"))
    assert type(portfolio(made)[0]["units"]) is int


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{'unit': 3}]", "configuration 1 of 1: The space declares no hyperparameter 'unit'. Did"),
        ("[{}, {'units': 9}]", r"configuration 2 of 2: Hyperparameter 'units' allows .*received 9"),
        ("[{'units': None}]", "configuration 1 of 1: Hyperparameter 'units' allows"),
        ("[{'units': [20]}]", "configuration 1 of 1: Hyperparameter 'units' allows"),
        ("{'units': 20}", "must return a list of dictionaries .*; it returned dict"),
        ("None", "must return a list of dictionaries .*; it returned NoneType"),
        ("[{}, 'units']", "it returned one with str"),
        ("[{3: 4}]", "it returned one with dict"),
        ("({} for _ in range(2))", "it returned generator"),
    ],
)
def test_what_the_space_does_not_have_is_one_line(space, text, said):
    with pytest.raises(SpaceError, match=rf"^portfolio of 'mine.py'.*{said}") as caught:
        portfolio(space(returning(text)))
    assert "\n" not in str(caught.value)


def test_a_fix_hides_no_mistake(space):
    made = space(returning("[{'optimizer': 'sgd', 'momentum': 7}]"))
    with pytest.raises(SpaceError, match="Hyperparameter 'momentum' allows"):
        portfolio(made, {"optimizer": "adam"})


def test_what_it_raises_is_told_with_its_line(space):
    made = space("def portfolio(problem):\n    return [][1]\n")
    with pytest.raises(SpaceError, match=r"raised IndexError in its portfolio \(.*mine.py:16\)"):
        portfolio(made)


@pytest.mark.parametrize(
    "text",
    ["def portfolio():\n    pass\n", "def portfolio(hp, problem):\n    pass\n", "portfolio = []"],
)
def test_it_must_take_the_problem_alone(space, text):
    with pytest.raises(SpaceError, match=r"portfolio of 'mine.py' must be a function portfolio\(p"):
        space(text)


def test_a_function_has_it_as_an_attribute():
    def build(hp):
        hp.Int("units", 2, 8)

    build.portfolio = lambda problem: [{"units": 5}]
    made = Space.load(build)
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 2, 8)
    assert made.portfolio(PROBLEM, hp) == ({"units": 5},)
    assert Space.from_bytes(made.to_bytes()).portfolio(PROBLEM, hp) == ({"units": 5},)


class Mine(keras_tuner.HyperModel):
    """A hypermodel that knows where to begin."""

    def build(self, hp):
        hp.Int("units", 2, 8)

    def portfolio(self, problem):
        return [{"units": 5}]


@pytest.mark.parametrize("given", [Mine, Mine()])
def test_a_hypermodel_has_it_as_a_method(given):
    hp = keras_tuner.HyperParameters()
    hp.Int("units", 2, 8)
    assert Space.load(given).portfolio(PROBLEM, hp) == ({"units": 5},)


def test_another_portfolio_is_another_space(space):
    assert space(returning("[{}]")).sha256 != space(returning("[{'units': 32}]")).sha256


def test_it_is_read_without_keras(space, tmp_path):
    space(returning("[{'units': 32}]"))
    code = (
        "import sys\n"
        "from hpsearch.space.source import definition, read_text\n"
        f"print(definition(read_text({str(tmp_path / 'mine.py')!r})).portfolio(None))\n"
        "assert 'keras' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[{'units': 32}]\n"
