"""A pickle of plain values and byte arrays, read without executing anything in it.

A pickle is a program that can call whatever is installed. This walks its instructions, knows the
few that make dicts, lists, numbers, texts and numpy's arrays of bytes, and refuses all others;
names in it are compared with numpy's and never looked up.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: What a pickle may name: how numpy says "an array", under the names of its versions.
_RECONSTRUCT = frozenset(
    {"numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct"}
)
_NDARRAY, _DTYPE = "numpy ndarray", "numpy dtype"
_ENCODE = "_codecs encode"


class PickleError(ValueError):
    """The pickle holds something else than dicts, lists, numbers, texts and arrays of bytes."""


@dataclass(frozen=True)
class _Name:
    """A name that a pickle mentions."""

    text: str


@dataclass
class _Array:
    """An array that is being described; its state makes it one."""

    value: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = None


class _Dtype:
    """numpy's type of unsigned bytes, the only one allowed."""


_MARK = object()


def read_pickle(content: bytes) -> object:
    """The value of a pickle of protocol 0 to 5. Keys and texts are str; bytes stay bytes.

    Raises PickleError for any instruction or name that plain data do not need, and for damage.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.step(opcode.name, argument)
        return _Finisher().of(machine.result)
    except PickleError:
        raise
    except MemoryError as error:
        raise PickleError("it needs more memory than there is") from error
    except RecursionError as error:
        raise PickleError("it is nested too deeply") from error
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise PickleError(f"not a whole pickle of plain data: {error}") from error


class _Finisher:
    """Puts arrays in the place of their descriptions.

    What is there several times is finished once: a few bytes can say "this list, ten times" over
    and over, and also that a list holds itself.
    """

    def __init__(self) -> None:
        self._known: dict[int, object] = {}  # by id: the machine's values stay alive

    def of(self, value: object) -> object:
        """The value, finished. Raises PickleError for one that holds itself."""
        if not isinstance(value, (dict, list)):
            return _plain(value)
        if id(value) not in self._known:
            self._known[id(value)] = _UNFINISHED
            self._known[id(value)] = (
                {key: self.of(item) for key, item in value.items()}
                if isinstance(value, dict)
                else [self.of(item) for item in value]
            )
        found = self._known[id(value)]
        if found is _UNFINISHED:
            raise PickleError("it holds itself")
        return found


_UNFINISHED = object()


def _plain(value: object) -> object:
    if isinstance(value, _Array):
        if value.value is None:
            raise PickleError("an array without content")
        return value.value
    if isinstance(value, (_Name, _Dtype)) or value is _MARK:
        raise PickleError("an instruction is left over")
    return value


class _Machine:
    """The stack on which a pickle builds its value, and what it has put aside."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.result: object = None

    def step(self, name: str, argument: object) -> None:
        """Follow one instruction."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _LITERALS:
            self.stack.append(argument)
        elif name in _IGNORED:
            return
        else:
            handler = _HANDLERS.get(name)
            if handler is None:
                raise PickleError(f"the instruction {name}")
            handler(self, argument)

    def pop_marked(self) -> list[object]:
        """Everything above the last mark."""
        place = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items


def _put(machine: _Machine, argument: object) -> None:
    number = argument if isinstance(argument, int) else len(machine.memo)
    machine.memo[number] = machine.stack[-1]


def _get(machine: _Machine, argument: object) -> None:
    assert isinstance(argument, int), "pickletools reads a number"
    machine.stack.append(machine.memo[argument])


def _global(machine: _Machine, argument: object) -> None:
    machine.stack.append(_Name(str(argument)))


def _stack_global(machine: _Machine, argument: object) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(_Name(f"{module} {name}"))


def _tuple(count: int) -> Callable[[_Machine, object], None]:
    def make(machine: _Machine, argument: object) -> None:
        items = tuple(machine.stack[-count:])
        del machine.stack[-count:]
        machine.stack.append(items)

    return make


def _marked_tuple(machine: _Machine, argument: object) -> None:
    machine.stack.append(tuple(machine.pop_marked()))


def _marked_list(machine: _Machine, argument: object) -> None:
    machine.stack.append(machine.pop_marked())


def _marked_dict(machine: _Machine, argument: object) -> None:
    items = machine.pop_marked()
    machine.stack.append(dict(zip(map(_text, items[::2]), items[1::2], strict=True)))


def _append(machine: _Machine, argument: object) -> None:
    item = machine.stack.pop()
    _list(machine).append(item)


def _appends(machine: _Machine, argument: object) -> None:
    items = machine.pop_marked()
    _list(machine).extend(items)


def _list(machine: _Machine) -> list[object]:
    found = machine.stack[-1]
    if not isinstance(found, list):
        raise PickleError("something is added to what is no list")
    return found


def _set_item(machine: _Machine, argument: object) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _dict(machine)[_text(key)] = value


def _set_items(machine: _Machine, argument: object) -> None:
    items = machine.pop_marked()
    _dict(machine).update(zip(map(_text, items[::2]), items[1::2], strict=True))


def _dict(machine: _Machine) -> dict[str, object]:
    found = machine.stack[-1]
    if not isinstance(found, dict):
        raise PickleError("something is put into what is no dict")
    return found


def _text(key: object) -> str:
    """A key of a dict; those of Python 2 are bytes."""
    if isinstance(key, bytes):
        return key.decode("latin-1")
    if isinstance(key, str):
        return key
    raise PickleError(f"a key of the type {type(key).__name__}")


def _reduce(machine: _Machine, argument: object) -> None:
    """The only calls: an empty array, the type of bytes, and bytes written as text."""
    arguments, called = machine.stack.pop(), machine.stack.pop()
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise PickleError("a call")
    if called.text in _RECONSTRUCT and arguments[:1] == (_Name(_NDARRAY),):
        machine.stack.append(_Array())
    elif called.text == _DTYPE and arguments and _text(arguments[0]) == "u1":
        machine.stack.append(_Dtype())
    elif called.text == _ENCODE and len(arguments) == 2 and isinstance(arguments[0], str):
        machine.stack.append(arguments[0].encode("latin-1"))
    else:
        raise PickleError(f"a call of {called.text}")


def _build(machine: _Machine, argument: object) -> None:
    """The state of a type is of no interest; that of an array is its shape and bytes."""
    state, target = machine.stack.pop(), machine.stack[-1]
    if isinstance(target, _Dtype):
        return
    if not isinstance(target, _Array) or not isinstance(state, tuple) or len(state) != 5:
        raise PickleError("the state of an object")
    _, shape, kind, is_fortran, values = state
    raw = values.encode("latin-1") if isinstance(values, str) else values
    is_plain = isinstance(kind, _Dtype) and isinstance(raw, bytes) and isinstance(shape, tuple)
    if not is_plain or not all(type(size) is int and size >= 0 for size in shape):
        raise PickleError("an array of something else than bytes")
    values = np.frombuffer(raw, np.uint8)
    target.value = values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)


def _stop(machine: _Machine, argument: object) -> None:
    machine.result = machine.stack.pop()


def _mark(machine: _Machine, argument: object) -> None:
    machine.stack.append(_MARK)


def _pop(machine: _Machine, argument: object) -> None:
    machine.stack.pop()


_CONSTANTS: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_LITERALS = frozenset(
    {"INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"}
    | {"STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"}
    | {"BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_IGNORED = frozenset({"PROTO", "FRAME"})
_HANDLERS: dict[str, Callable[[_Machine, object], None]] = {
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _put,
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "MARK": _mark,
    "POP": _pop,
    "TUPLE": _marked_tuple,
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "LIST": _marked_list,
    "DICT": _marked_dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "REDUCE": _reduce,
    "BUILD": _build,
    "STOP": _stop,
}
