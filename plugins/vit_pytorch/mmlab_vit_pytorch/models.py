"""The library's models by name: found in its modules, made with checked arguments."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Iterable, Mapping
from importlib import import_module

import torch
from torch import Tensor, nn

from mmlab.plugin import SpecError, explain

#: What the encoder gives by itself.
GIVEN = ("num_classes", "image_size")


def make_model(name: str, dim: int, image_size: int, arguments: Mapping[str, object]) -> nn.Module:
    """The model of a module of vit-pytorch, with `dim` outputs for pictures of `image_size`.

    Raises SpecError for an unknown name, for arguments that its class does not take or refuses, and
    for a model that does not give one vector per picture.
    """
    factory = _find(name)
    parameters = inspect.signature(factory).parameters
    _check_arguments(name, parameters, arguments)
    own: dict[str, object] = {"num_classes": dim, "image_size": image_size}
    given = {key: value for key, value in own.items() if key in parameters}
    given |= {key: _as_tuple(value) for key, value in arguments.items()}
    try:
        model = factory(**given)
        result = _look(model, image_size)
    # The library states what it refuses by assertions, and leaves the rest to torch.
    except (
        AssertionError,
        TypeError,
        ValueError,
        RuntimeError,
        ArithmeticError,
        LookupError,
    ) as error:
        raise SpecError(_refused(name, error)) from error
    if not isinstance(result, Tensor) or result.shape != (1, dim):
        raise SpecError(_not_one_vector(name, result, dim))
    return model


def _find(name: str) -> type[nn.Module]:
    """The class with a classification head that a module of the library defines."""
    import vit_pytorch

    known = sorted(module.name for module in pkgutil.iter_modules(vit_pytorch.__path__))
    if name not in known:
        raise SpecError(_unknown("model", "vit-pytorch has no such model", name, known))
    try:
        module = import_module(f"vit_pytorch.{name}")
    except ImportError as error:
        raise SpecError(_refused(name, error)) from error
    for found in vars(module).values():
        if not (inspect.isclass(found) and issubclass(found, nn.Module)):
            continue
        if found.__module__ == module.__name__ and _has_head(found):
            return found
    raise SpecError(_not_one_vector(name, None, 0))


def _has_head(factory: type[nn.Module]) -> bool:
    """Whether a class is a whole classifier of pictures, not a wrapper of one."""
    names = inspect.signature(factory).parameters.keys()
    return "num_classes" in names and "vit" not in names


def _check_arguments(
    name: str, parameters: Mapping[str, inspect.Parameter], arguments: Mapping[str, object]
) -> None:
    known = [key for key in parameters if key not in GIVEN]
    for key in arguments:
        if key not in known:
            raise SpecError(_unknown("arguments", f"{name} has no such argument", key, known))
    required = [key for key in known if parameters[key].default is inspect.Parameter.empty]
    missing = [key for key in required if key not in arguments]
    if missing:
        raise SpecError(
            explain(
                "vit_pytorch.arguments",
                f"{name} needs more arguments",
                found=f"no {', '.join(missing)}",
                allowed=", ".join(known),
                next_step="add them to `arguments` of this encoder",
            )
        )


@torch.no_grad()
def _look(model: nn.Module, image_size: int) -> object:
    """What the model makes of one grey picture, in eval mode so that nothing in it changes."""
    result: object = model.eval()(torch.zeros(1, 3, image_size, image_size))
    model.train()
    return result


def _as_tuple(value: object) -> object:
    return tuple(_as_tuple(each) for each in value) if isinstance(value, list) else value


def _unknown(option: str, fault: str, found: str, known: Iterable[str]) -> str:
    names = list(known)
    nearest = difflib.get_close_matches(found, names, n=1)
    hint = f' (did you mean "{nearest[0]}"?)' if nearest else ""
    return explain(
        f"vit_pytorch.{option}",
        f"{fault}{hint}",
        found=found,
        allowed=", ".join(names),
        next_step=f"correct `{option}` of this encoder",
    )


def _refused(name: str, error: Exception) -> str:
    return explain(
        "vit_pytorch.arguments",
        f"vit-pytorch cannot make {name} of these arguments",
        found=f"{type(error).__name__}: {error}",
        allowed="arguments as in the library's documentation",
        next_step="correct `arguments` or `image_size` of this encoder",
    )


def _not_one_vector(name: str, result: object, dim: int) -> str:
    shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
    return explain(
        "vit_pytorch.model",
        f"{name} does not turn a picture into one vector",
        found=f"{shape}" if dim else "no classifier of pictures in this module",
        allowed="models with a classification head: vit, simple_vit, deepvit, cait, levit, ...",
        next_step="choose another model",
    )
