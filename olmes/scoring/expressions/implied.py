"""Mathematics with multiplication signs and brackets left out, as an expression.

`2x` is `2*x`, `3 sqrt 2` is `3*sqrt(2)`, `sin 3x` is `sin(3*x)`. The text comes from
`notation.tidied`; what is read is put into Python's notation and parsed there (see `expression`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from olmes.scoring.expressions.expression import Expression, UnreadableExpressionError, parse

ROOTS = ("sqrt", "root", "binomial")
"""Functions of the operand that follows, and of nothing after it."""
OF_PRODUCTS = {
    **{name: name + "({0})" for name in ("sin", "cos", "tan", "log", "ln", "exp")},
    "cot": "(cos({0})/sin({0}))",
    "sec": "(1/cos({0}))",
    "csc": "(1/sin({0}))",
}
"""Functions of the whole product that follows, each as it is written in Python's notation."""
GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "sigma", "phi"),
    *("omega", "rho", "tau", "psi"),
)
CONSTANTS = {"pi": "pi", "i": "I", "e": "E"}
OTHER_LETTERS = {"E": "E_", "I": "I_", "lambda": "lambda_"}
"""Letters whose names mean something else in Python's notation."""
NUMBER = r"(?P<number>(?:\d+(?:\.\d*)?|\.\d+))(?P<exponent>[eE][-+]?\d+)?"
SIGN = r"(?P<operator>\*\*|[-+*/(),])|(?P<space>\s+)"
WITH_NAMES = re.compile(rf"{NUMBER}|(?P<word>[a-zA-Z]+)|{SIGN}")
WITH_ANY_LETTER = re.compile(
    rf"{NUMBER}|(?P<function>{'|'.join((*ROOTS, *OF_PRODUCTS))})(?:\s?_(?P<base>\w+))?"
    rf"|(?P<word>(?:pi|oo|{'|'.join(GREEK)}|[a-zA-Z])(?:_[a-zA-Z0-9]+)?)|(?P<after>[!°])|{SIGN}"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text: a number, an operand, a function, a bracket or an operator."""

    kind: str
    text: str
    base: str = ""
    """The subscript of a logarithm."""


def read(text: str, names: Collection[str] | None = ()) -> Expression:
    """The expression of a tidied piece of text, with multiplication signs where they are left out.

    Args:
        text: from `tidied`, without what surrounds the expression.
        names: the letters it may hold, in lower case; the text's case does not matter. None for any
            letters, as they are written: then `i` and `e` are the constants, `°` and `!` are read,
            and so are functions beyond roots.

    Raises:
        UnreadableExpressionError: it is not an expression, or holds other letters.
    """
    text = text.replace("{", "(").replace("}", ")").replace("[", "(").replace("]", ")")
    return parse(_Writer(_tokens(text, names)).everything())


class _Writer:
    """Writes tokens in Python's notation, from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = [*tokens, Token("end", "")]
        self.at = 0

    def everything(self) -> str:
        source: list[str] = []
        before = ""
        while (token := self._next).kind != "end":
            starts = token.kind in ("number", "operand", "function", "(")
            if starts and before == "operand":
                source.append("*")
                if token.kind == "number":
                    raise UnreadableExpressionError("a number right after an operand")
            if token.kind == "function":
                source.append(self._applied())
            else:
                self.at += 1
                source.append(token.text)
            before = "" if token.kind in ("operator", "(") else "operand"
        return " ".join(source)

    @property
    def _next(self) -> Token:
        return self.tokens[self.at]

    def _applied(self) -> str:
        """A function with its argument."""
        function = self._take()
        power = ""
        if self._next.text == "**" and function.text in OF_PRODUCTS:
            self._take()
            power = f"**({self._operand()})"
        if function.text in ROOTS or self._next.kind == "(":
            argument = self._operand()
        else:
            argument = self._product()
        if function.base:
            argument = f"{argument}, {function.base}"
        form = OF_PRODUCTS.get(function.text, function.text + "({0})")
        return f"({form.format(argument)}{power})" if power else form.format(argument)

    def _take(self) -> Token:
        token = self._next
        self.at += 1
        return token

    def _operand(self) -> str:
        """The number, letter, function or bracket that follows, without the bracket's own signs."""
        token = self._next
        if token.kind == "function":
            return self._applied()
        if token.kind in ("number", "operand"):
            return self._take().text
        if token.kind != "(":
            raise UnreadableExpressionError("a function of nothing")
        start, depth = self.at, 0
        while True:
            token = self._take()
            depth += (token.kind == "(") - (token.kind == ")")
            if token.kind == "end":
                raise UnreadableExpressionError("a bracket that is never closed")
            if depth == 0:
                return _Writer(self.tokens[start + 1 : self.at - 1]).everything()

    def _product(self) -> str:
        """The operands that follow without a sign between them, with their powers."""
        start = self.at
        while self._next.kind in ("number", "operand", "(", "after") or self._next.text == "**":
            if self._next.kind == "(" or self._next.text == "**":
                self.at += self._next.text == "**"
                self._operand()
            else:
                self._take()
        if self.at == start:
            raise UnreadableExpressionError("a function of nothing")
        return _Writer(self.tokens[start : self.at]).everything()


def _tokens(text: str, names: Collection[str] | None) -> list[Token]:
    """The words of a text.

    Raises:
        UnreadableExpressionError: a character or a letter is not allowed.
    """
    pattern = WITH_ANY_LETTER if names is None else WITH_NAMES
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        found = pattern.match(text, at)
        if found is None:
            raise UnreadableExpressionError(f"{text[at]!r} is not allowed")
        at = found.end()
        if operator := found["operator"]:
            tokens.append(Token(operator if operator in "()" else "operator", operator))
        elif found["number"]:
            tokens += _number(found["number"], found["exponent"] or "", names)
        elif found["word"]:
            tokens += _letters(found["word"], names)
        elif not found["space"]:
            tokens.append(_special(found))
    return tokens


def _special(found: re.Match[str]) -> Token:
    """A function, a factorial or a degree."""
    if found["function"]:
        return Token("function", found["function"], found["base"] or "")
    return Token("after", "!" if found["after"] == "!" else "*pi/180")


def _number(number: str, exponent: str, names: Collection[str] | None) -> list[Token]:
    """A number; `3e8` is one where `e` is no letter, and `2e - 5` is none where it can be."""
    signed = not exponent[1:].isdigit()
    if exponent and ("e" not in names if names is not None else not signed or "." in number):
        return [Token("number", number + exponent)]
    # Python refuses leading zeros; people write them.
    found = [Token("number", str(int(number)) if number.isdigit() else number)]
    if exponent and not signed:
        raise UnreadableExpressionError("a number right after an operand")
    if exponent:
        letter = "e" if names is not None else "E"
        found += [Token("operand", letter), Token("operator", exponent[1])]
        found.append(Token("number", str(int(exponent[2:]))))
    return found


def _letters(word: str, names: Collection[str] | None) -> list[Token]:
    """The letters of a word, or the function or constant it is."""
    if names is None:
        return [Token("operand", CONSTANTS.get(word) or OTHER_LETTERS.get(word, word))]
    lower = word.lower()
    if lower in ROOTS[:2]:
        return [Token("function", lower)]
    if lower == "pi" and not set(lower) <= set(names):
        return [Token("operand", lower)]
    if not set(lower) <= set(names):
        raise UnreadableExpressionError(f"{word!r} is not allowed")
    return [Token("operand", letter) for letter in lower]
