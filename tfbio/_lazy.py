"""Public names and libraries that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    module_name: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Let a package give its public names without importing the modules that define them.

    The package writes down the same imports under `if TYPE_CHECKING:`, for editors and type
    checkers, which do not run this.

    Args:
        module_name: the package's `__name__`.
        names: each public name, with the module that defines it.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__` (PEP 562).

    Raises:
        ValueError: a name is also that of the module in the package that defines it: once the
            module is imported, Python gives the module under this name.

    Example:
        >>> import sys, types
        >>> zoo = sys.modules["zoo"] = types.ModuleType("zoo")
        >>> zoo.__getattr__, zoo.__dir__, zoo.__all__ = attach("zoo", {"Fraction": "fractions"})
        >>> "Fraction" in vars(zoo), zoo.Fraction(1, 2), "Fraction" in vars(zoo)
        (False, Fraction(1, 2), True)
        >>> del sys.modules["zoo"]
    """
    for name, module in names.items():
        if module == f"{module_name}.{name}":
            raise ValueError(f"Expected another name than that of its module, received {name!r}.")

    def get_attribute(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(names[name]), name)
        # Found at once the next time.
        setattr(sys.modules[module_name], name, value)
        return value

    def list_attributes() -> list[str]:
        return sorted({*vars(sys.modules[module_name]), *names})

    return get_attribute, list_attributes, sorted(names)


def lazy_module(name: str) -> Any:
    """A module that is imported when something of it is first asked for.

    Args:
        name: of the module, absolute.

    Returns:
        What stands for the module. A missing module raises its `ModuleNotFoundError` at first use.

    Example:
        >>> fractions = lazy_module("fractions")
        >>> fractions.Fraction(1, 2)
        Fraction(1, 2)
    """
    return _LazyModule(name)


class _LazyModule(types.ModuleType):
    def __getattr__(self, attribute: str) -> Any:
        # Tools that look around, such as doctest, ask for these; they are no reason to import.
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}")
        return getattr(importlib.import_module(self.__name__), attribute)
