"""Space files: texts that are no space, or one that builds no network that can be used.

A file is put together of parts that a space has (imports, a ``declare``, a signature, layers, a
loss), each fit or unfit, and sometimes damaged as bytes. It is loaded, its hyperparameters are
listed and its default network is built and checked, all in this process: what only a worker could
survive, such as code without end, is left to the tests.
"""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from benchmarks.fuzzing.base import Attempt, one_of
from benchmarks.fuzzing.mutations import Rng, damaged
from hpsearch.task import TASKS, Problem, Target

_UNFIT = 0.12
"""How often a part of a space is one that does not fit."""

_HEADS = ("", "", "import keras", "import numpy as np", "import parts", "from parts import *")
_UNFIT_HEADS = (
    *("# -*- coding: latin-1 -*-", "# -*- coding: utf-16 -*-", "# coding: no-such", "#!/bin/sh"),
    *("from parts import nothing", "from . import parts", "from __future__ import annotations"),
    *("import broken", "import random", "import package.deep", "import no_such_module"),
    *("1 / 0", "raise KeyboardInterrupt", "raise SystemExit", "raise GeneratorExit('x\\ny')"),
    *("class Mute(Exception):\n    def __str__(self): raise self\nraise Mute", "exec('a = ')"),
    *("def f(): f()\nf()", "x = " + "(" * 150 + ")" * 150, "x = " + "9" * 5000, "\0", "\x0c"),
    *("if True:\n\tx = 1\n        y = 2", "x = 'é\u2028'", "𝟙 = 1", "x = (", "    x = 1"),
    *("import warnings\nwarnings.warn('old\\nstyle')", "print('\\x1b[2J')", "import sys, os"),
    *("import keras\nkeras.config.set_floatx('float16')", "del __name__", "__file__ = None"),
)
_DECLARES = (
    *("", "hp.Choice('units', [2, 3])", "hp.Int('units', 1, 4)", "hp.Boolean('units')"),
    "\n    if hp.Boolean('deep'): hp.Int('epochs', 1, 2)",
    "\n    for i in range(hp.Int('n', 1, 3)): hp.Int(f'units_{i}', 1, 2)",
)
_UNFIT_DECLARES = (
    *("hp.Choice('units', [])", "hp.Int('units', 4, 1)", "hp.Float('units', 0, float('nan'))"),
    *("hp.Choice(3, [1])", "hp.Choice('a\\nb', ['x,y', 'z'])", "hp.Choice('units', [1, 'a'])"),
    *("hp.Int('epochs', 0, 3)", "hp.Choice('batch_size', ['a'])", "hp.Float('epochs', 1.5, 2)"),
    *("hp.Int('units', 1, 9, step=0)", "hp.Float('r', 0, 1, sampling='log')", "hp.Fixed('a', 1)"),
    *("hp.Int('units', 1, 10**12)", "hp.Choice('units', [1, 2], default=3)", "hp.get('none')"),
    *("hp.Int('u', 1, 2); hp.Choice('u', ['a'])", "hp.values = None", "del hp.values['x']"),
    "\n    with hp.conditional_scope('none', [1]): hp.Int('u', 1, 2)",
    *("raise ValueError('no\\nway')", "raise StopIteration", "return hp", "yield hp"),
)
_SIGNATURES = ("def build(hp, problem):", "def build(hp, problem=None):")
_UNFIT_SIGNATURES = (
    *("def build(hp):", "def build():", "def build(a, b, c):", "async def build(hp, problem):"),
    *(
        "def build(hp, *rest):",
        "def built(hp, problem):",
        "build = lambda hp, problem: None\nif 0:",
    ),
)
_LAYERS = ("Dense(4, 'relu')", "Dense(4, 'tanh')", "Dropout(0.5)", "BatchNormalization()")
_UNFIT_LAYERS = (
    *("Dense(-1)", "Dense('x')", "Dense(4, 'no such')", "Flatten()", "Reshape((7, 7))"),
    *("Conv2D(2, 3)", "LSTM(2)", "Embedding(5, 2)", "Lambda(lambda x: x)", "Softmax()"),
    *("Dense(2, lambda x: x)", "Dense(4, dtype='float16')", "Dropout(2)", "Identity()"),
)
_LASTS = ("keras.layers.Dense(problem.n_outputs, problem.output_activation)",)
_UNFIT_LASTS = (
    *(f"keras.layers.Dense({n}, {a!r})" for n in (1, 2, 3) for a in ("softmax", "tanh", None)),
    *("keras.layers.Dense(1, 'sigmoid')", "keras.layers.LSTM(1)", "keras.layers.Activation(abs)"),
)
_LOSSES = ("problem.loss",)
_UNFIT_LOSSES = (
    *("'mse'", "'binary_crossentropy'", "'no such'", "None", "3", "['mse', 'mae']", "abs", "{}"),
    *("lambda y, p: p", "keras.losses.BinaryCrossentropy(from_logits=True)"),
    *("{'none': 'mse'}", "keras.losses.CategoricalCrossentropy(from_logits=True)"),
)
_OPTIMIZERS = ("'adam'", "'sgd'")
_UNFIT_OPTIMIZERS = (
    *("'no such'", "None", "keras.optimizers.SGD(-1)", "keras.optimizers.Adam", "0.1"),
    "keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())",
)
_ENDS = ("return model",)
_UNFIT_ENDS = (
    *("", "return model, model", "return None", "return keras.Model", "return 'model'"),
    *("raise RuntimeError('in user code:\\n')", "raise KeyboardInterrupt", "yield model"),
    *("return keras.Model(model.inputs, model.outputs)", "model.summary(); return model"),
    "model = keras.Model(model.inputs, [model.outputs[0]] * 2); return model",
    *("hp.values.clear(); return model", "model.optimizer = None; return model"),
)
_INPUTS = ("keras.Input(problem.input_shape), ", "")
_UNFIT_INPUTS = ("keras.Input((5,)), ", "keras.Input((None, 3)), ", "keras.Input(()), ", "3, ")
_HYPERMODEL = (
    "import keras_tuner\nclass Space(keras_tuner.HyperModel):\n    build = build\ndel build"
)


def attempt(rng: Rng, folder: Path) -> Attempt:
    """A space file, or something that is none, and a problem that it is asked to solve."""
    for name, text in {
        "parts.py": "WIDTH = 4",
        "broken.py": "x = (",
        "random.py": "",
        "package/deep.py": "from . import deeper",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    kind = one_of(rng, ("regression", "binary", "multiclass", "multilabel"))
    if rng.random() < 0.05:
        path = _no_file(rng, folder)
        return Attempt(f"{str(path)[-60:]!r}", lambda: _used(path, kind))
    path, content, what = folder / "space.py", _text(rng).encode("utf-8", "surrogatepass"), "text"
    if rng.random() < 0.2:
        content, what = damaged(rng, content)
    path.write_bytes(content)
    return Attempt(f"a space of {len(content)} bytes ({what}), {kind}", lambda: _used(path, kind))


def _no_file(rng: Rng, folder: Path) -> Path:
    os.mkfifo(folder / "pipe.py")
    (folder / "zeros.py").symlink_to("/dev/zero")
    (folder / "circle.py").symlink_to("circle.py")
    (folder / "folder.py").mkdir()
    (folder / "secret.py").write_bytes(b"\xff\xfe\x00")
    names = ("pipe.py", "zeros.py", "circle.py", "folder.py", "secret.py", "none.py", "a\0b.py")
    return folder / one_of(rng, (*names, "x" * 5000 + ".py", "space.txt", "~nobody/space.py"))


def _text(rng: Rng) -> str:
    def part(fit: tuple[str, ...], unfit: tuple[str, ...]) -> str:
        return str(one_of(rng, unfit if rng.random() < _UNFIT else fit))

    declares = part(_DECLARES, _UNFIT_DECLARES)
    parts = [part(_HEADS, _UNFIT_HEADS) for _ in range(int(rng.integers(0, 3)))]
    if declares and rng.random() < 0.6:
        arguments = part(("hp, problem",), ("hp", "", "*all"))
        parts.append(f"def declare({arguments}):\n    {declares}")
    body = f"""
        import keras
        {declares if chr(10) not in declares else "hp.Boolean('other')"}
        layers = [{", ".join("keras.layers." + part(_LAYERS, _UNFIT_LAYERS) for _ in range(2))}]
        last = {part(_LASTS, _UNFIT_LASTS)}
        model = keras.Sequential([{part(_INPUTS, _UNFIT_INPUTS)}*layers, last])
        model.compile({part(_OPTIMIZERS, _UNFIT_OPTIMIZERS)}, {part(_LOSSES, _UNFIT_LOSSES)})
        {part(_ENDS, _UNFIT_ENDS)}
    """
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    parts.append(f"{part(_SIGNATURES, _UNFIT_SIGNATURES)}\n{lines}")
    parts.append(
        part(("",), ("build = None", "build = 3", "build = print", "del build", _HYPERMODEL))
    )
    ends = one_of(rng, ("\n", "\n", "\n", "\r\n", "\r"))
    return one_of(rng, ("", "", "", "\ufeff")) + "\n".join(parts).replace("\n", ends)


def _used(path: Path, kind: str) -> str:
    """What the search does with a space before it trains, up to the default network's checks."""
    from hpsearch.engines.input_form import InputForm
    from hpsearch.engines.network import OutputForm
    from hpsearch.space.hyperparameters import active_values, describe
    from hpsearch.space.network_checks import check_saves
    from hpsearch.space.space import Space, fit_settings

    labels = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "multilabel": ("a", "b")}
    target = Target(labels.get(kind, ("y",)), kind, labels.get(kind, ()))  # type: ignore[arg-type]
    task = TASKS[target.kind]
    outputs = target.n_outputs, task.output_activation, task.loss
    problem = Problem(target.kind, (3,), *outputs, n_train=20, epochs=2)
    space = Space.load(path)
    declared = space.declared(problem)
    describe(declared)
    values = space.settled(active_values(declared, declared.values), problem)
    fit_settings(values, 32, 2)
    model = Space.from_bytes(space.to_bytes()).build(values, problem)
    InputForm.of(model, problem.input_shape, problem.inputs)
    OutputForm.of(model, target)
    check_saves(space.name, model)
    return "a space"
