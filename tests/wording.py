"""What refusals, warnings and notes must not say: a user knows their own tree, not our classes."""

import ast
import importlib
import re
import warnings

from rooms import LIBRARY, files, tree

import jaxanneal as ja
from jaxanneal import _checks, _warn
from jaxanneal._chain import calls

# What a test provoked so far, of refusals, warnings and notes on errors of the user's own.
TEXTS = []

# Of JAX and of Python: how a tree is kept, where an object lies, what stands for an array.
_INTERNALS = r"PyTreeDef|CustomNode|<flat index|<object|\bat 0x|jaxlib\.|ShapedArray|\bjaxanneal\._"


def _is_public(name):
    return any(name in vars(place) for place in (ja, ja.moves, ja.cooling))


def private_classes():
    """Return the names of the library's classes that no user can import."""
    return {
        node.name
        for name in files(LIBRARY)
        for node in ast.walk(tree(LIBRARY, name))
        if isinstance(node, ast.ClassDef) and not _is_public(node.name)
    } - {"Metropolis", "Run"}  # a name that everybody knows, and in a remedy a verb


_PRIVATE = re.compile(rf"\b({'|'.join(sorted(private_classes()))})\b")
_FOREIGN = re.compile(_INTERNALS)


def foreign(text):
    """Return the words of a text that are not the user's."""
    return [found[0] for found in (*_FOREIGN.finditer(text), *_PRIVATE.finditer(text))]


def foreign_texts():
    """Return the texts that were provoked with words that are not the user's, and forget all."""
    wrong = {text: words for text in TEXTS if (words := foreign(text))}
    TEXTS.clear()
    return wrong


def record_texts():
    """Keep every text that the library makes from now on in ``TEXTS``."""
    for name in files(LIBRARY):
        if not name.endswith("__main__"):
            importlib.import_module(f"jaxanneal.{name}".rstrip("."))
    _everywhere(_checks.refusal, lambda text, *_: text)
    _everywhere(calls.annotate, lambda _, __, note: note)
    _warn.warnings = _Heard()


def _everywhere(function, text_of):
    """Let every module that has imported a function call one that also records."""

    def recorded(*inputs):
        returned = function(*inputs)
        TEXTS.append(text_of(returned, *inputs))
        return returned

    for name in files(LIBRARY):
        module = importlib.import_module(f"jaxanneal.{name}".rstrip("."))
        if vars(module).get(function.__name__) is function:
            setattr(module, function.__name__, recorded)


class _Heard:
    """Stand for the module ``warnings`` where the library warns."""

    @staticmethod
    def warn(text, stacklevel):
        TEXTS.append(text)
        warnings.warn(text, stacklevel=stacklevel + 1)
