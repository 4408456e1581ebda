"""What the fused engine cannot train exactly: those networks go to the reference engine.

A network must be traced under ``jax.vmap``, the padding of a batch must weigh nothing, and bags of
words must go to dense layers alone, which can do without the multi-hot matrix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from hpsearch import keras_internals
from hpsearch.engines.failures import reason_of
from hpsearch.engines.fused.own_layers import rows_reason
from hpsearch.engines.fused.structure import activity_penalised
from hpsearch.engines.input_form import InputForm
from hpsearch.space.network_checks import is_of_keras
from hpsearch.task import Input, Problem

_OTHER_PRECISION = re.compile(r"float(?!32)\d")

_MIXING = ("CutMix", "MixUp")
"""Layers that mix the rows of a batch with each other, padding among them."""

_LONG_TO_COMPILE = ("RandAugment",)
"""Layers of which XLA makes a program in minutes: all of Keras's augmentations, for each choice."""

_ODD_SIZE = 1009
"""Rows of a batch that is never computed; no layer is as wide, so shapes tell rows from units."""


def untraceable_reason(
    model: Any, form: InputForm, problem: Problem, *, has_words: bool
) -> str | None:
    """Why a compiled network cannot train in a fused program, or None where it can.

    Parameters
    ----------
    form : how it takes rows.
    has_words : whether there are bags of words among the columns of the table.
    """
    arrays = form.described(problem)
    words_at = _words_at(form, arrays, problem) if has_words else []
    return (
        _class_reason(model)
        or _precision_reason(model)
        or _augmentation_reason(model)
        or _optimizer_reason(model)
        or _penalty_reason(model)
        or _tracing_reason(model, form, arrays)
        or rows_reason(model, lambda n: form.given(_batches(arrays, n)))
        or _several_words_reason(form, words_at, problem)
        or (_words_reason(model, form, arrays, words_at[0]) if words_at else None)
    )


def _class_reason(model: Any) -> str | None:
    import keras

    if not is_of_keras(model):
        return f"the network is of class {type(model).__name__}, defined outside Keras"
    if type(model).train_step is not keras.Model.train_step:
        return f"{type(model).__name__} has a train_step of its own"
    return None


def _precision_reason(model: Any) -> str | None:
    """The dtype policy of a layer, or the dtype of a weight, of another precision than float32."""
    policies = (layer.dtype_policy.name for layer in keras_internals.layers_of(model))
    weights = (str(weight.dtype) for weight in model.weights)
    precision = next(filter(_OTHER_PRECISION.search, (*policies, *weights)), None)
    return precision and f"its layers compute in {precision}, not in float32"


def _augmentation_reason(model: Any) -> str | None:
    """A layer of Keras that changes rows while they train, and cannot do so in a program."""
    reasons = dict.fromkeys(_MIXING, "mixes the rows of a batch with each other")
    reasons |= dict.fromkeys(_LONG_TO_COMPILE, "takes minutes to compile in a program")
    for layer in keras_internals.layers_of(model):
        name = type(layer).__name__
        if name in reasons and is_of_keras(layer):
            return f"layer '{layer.name}', a {name}, {reasons[name]}"
    return None


def _optimizer_reason(model: Any) -> str | None:
    from hpsearch.engines.fused.packing import Held

    name = type(model.optimizer).__name__
    if hasattr(model.optimizer, "inner_optimizer") or hasattr(model.optimizer, "optimizers"):
        return f"its optimizer is a {name}"
    try:
        model.optimizer.get_config()  # which asks its schedule, perhaps one's own
        lost = (
            None
            if is_of_keras(model.optimizer)
            else _lost(model.optimizer, Held.of(model).optimizer)
        )
    except BaseException as error:  # whatever a class of one's own raises
        return f"its optimizer, a {name}, cannot be made again: {reason_of(error).rstrip('.')}"
    return lost and f"its optimizer, a {name}, is made again without its {lost!r}"


def _lost(optimizer: Any, again: Any) -> str | None:
    """What an optimizer of one's own holds and its configuration doesn't tell, or None."""
    import keras

    plain = (bool, int, float, str, tuple, type(None))
    of_any = vars(keras.optimizers.SGD())
    missing = object()
    held = (name for name, value in vars(optimizer).items() if isinstance(value, plain))
    return next(
        (
            name
            for name in held
            if name not in of_any and vars(again).get(name, missing) != vars(optimizer)[name]
        ),
        None,
    )


def _penalty_reason(model: Any) -> str | None:
    """A penalty on what a layer gives that isn't a sum over rows."""
    known = {id(layer) for layer in activity_penalised(model)}
    for layer in keras_internals.layers_of(model):
        penalty = layer.activity_regularizer
        if penalty is not None and id(layer) not in known:
            name = type(penalty).__name__
            return f"layer '{layer.name}' penalises what it gives by {name}, not by L1 or L2"
    return None


def _batches(arrays: Sequence[Input], n_rows: int = _ODD_SIZE) -> list[Any]:
    """Batches of an odd size, which are never computed."""
    import jax

    return [
        jax.ShapeDtypeStruct((n_rows, *each.shape), each.dtype)  # type: ignore[no-untyped-call]
        for each in arrays
    ]


def _words_at(form: InputForm, arrays: Sequence[Input], problem: Problem) -> list[int]:
    """Which of the arrays hold words."""
    if not form.names:
        return [0]
    return [at for at, name in enumerate(form.names) if problem.inputs[name].is_bag]


def _several_words_reason(form: InputForm, words_at: Sequence[int], problem: Problem) -> str | None:
    """Whether words enter otherwise than all of them at one input, as a program takes them."""
    if not form.names or not words_at:
        return None
    if len(words_at) == 1 and problem.inputs[form.names[words_at[0]]].shape == (problem.n_words,):
        return None
    return "words enter by columns of their own, not all of them at one input ('words')"


def _tracing_reason(model: Any, form: InputForm, arrays: Sequence[Input]) -> str | None:
    import jax
    import keras

    from hpsearch.engines.fused.losses import unweighable_loss

    found: list[str] = []

    def forward(trainable: Any, frozen: Any, x: Any) -> Any:
        outputs = model.stateless_call(trainable, frozen, x, training=True)[0]
        masks = map(keras_internals.mask_of, keras.tree.flatten(outputs))
        if any(mask is not None for mask in masks):
            found.append("its output has a mask, by which the loss leaves out rows")
        return outputs

    try:
        with _watched_rows(model, found):
            outputs = jax.eval_shape(
                forward,
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
                form.given(_batches(arrays)),
            )
    except BaseException as error:  # whatever the layers of a space raise
        return reason_of(error)
    return found[0] if found else unweighable_loss(model, outputs)


def _words_reason(model: Any, form: InputForm, arrays: Sequence[Input], at: int) -> str | None:
    """What reads rows that hold bags of words, besides dense layers and dropout, or None."""
    import jax

    readers: list[str] = []

    def forward(*rows: Any) -> Any:
        with _bags_of(model, rows[at], readers):
            return model.stateless_call(
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
                form.given(rows),
                training=True,
            )[0]

    traced = jax.make_jaxpr(forward)(*_batches(arrays)).jaxpr
    words = traced.invars[at]
    is_read = any(words in step.invars for step in traced.eqns)
    if not is_read and words not in traced.outvars:
        return None
    reader = next(iter(readers), "an operation")
    return f"bags of words go to {reader}, which needs the multi-hot matrix, not to Dense alone"


@contextmanager
def _bags_of(model: Any, rows: Any, readers: list[str]) -> Iterator[None]:
    """Have dense layers and dropout do without the rows, and note which other layers read them."""
    import jax.numpy as jnp
    import keras

    from hpsearch.engines.fused.bags import dense

    def call(
        layer: Any, function: Callable[..., Any], values: Any, *more: Any, **options: Any
    ) -> Any:
        if not any(part is rows for part in keras.tree.flatten(values)):
            return function(values, *more, **options)
        if type(layer) is keras.layers.Dense:
            return dense(layer, lambda kernel: jnp.zeros((len(rows), kernel.shape[1])))
        if type(layer) in (keras.layers.Dropout, keras.layers.Flatten):
            return values
        given = function(values, *more, **options)
        if given is not rows:
            readers.append(f"layer '{layer.name}'")
        return given

    with ExitStack() as stack:
        for layer in keras_internals.layers_of(model):
            if not isinstance(layer, keras.Model):
                replaced = partial(call, layer, layer.call)
                stack.enter_context(keras_internals.replaced(layer, call=replaced))
        yield


@contextmanager
def _watched_rows(model: Any, found: list[str]) -> Iterator[None]:
    """Note layers that must leave out padding and cannot tell it, since rows are no axis there."""
    import keras

    def watch(
        layer: Any, function: Callable[..., Any], values: Any, *more: Any, **named: Any
    ) -> Any:
        if values.shape[:1] != (_ODD_SIZE,):
            found.append(f"layer '{layer.name}' computes with rows that were joined or split")
        return function(values, *more, **named)

    with ExitStack() as stack:
        for layer in activity_penalised(model):
            penalty = partial(watch, layer, layer.activity_regularizer)
            stack.enter_context(keras_internals.replaced(layer, activity_regularizer=penalty))
        for layer in keras_internals.layers_of(model):
            if type(layer) is keras.layers.BatchNormalization:
                call = partial(watch, layer, layer.call)
                stack.enter_context(keras_internals.replaced(layer, call=call))
        yield
