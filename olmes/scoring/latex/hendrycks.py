r"""Equality of two LaTeX answers as strings, after the normalisation of the MATH benchmark.

Source: Hendrycks et al. 2021, `is_equiv` of the benchmark's own repository, in the variant that
lm-eval 0.4.3 has and the Tülu 3 protocol uses (docs/protocol.md, section 3.6). Nothing is evaluated:
`1/2`, `\frac12`, `0.5` and `x=\frac{1}{2}` are one string, `2/4` is another.
"""

from __future__ import annotations

from functools import lru_cache

DELETED = (r"\left", r"\right", r"^{\circ}", r"^\circ", r"\$")
UNIT = r"\text{ "
"""What a unit on the right begins with."""


class NoNormalFormError(Exception):
    """The reference raises on this string; it is then compared as it is."""


def equal(left: str, right: str) -> bool:
    """Whether both have the same normal form, or are the same string where one has none."""
    if left == right:
        return True
    try:
        return normal_form(left) == normal_form(right)
    except NoNormalFormError:
        return False


@lru_cache(maxsize=8192)
def normal_form(text: str) -> str:
    r"""The string that stands for `text` and for its usual variants.

    In this order: line breaks, `\!`, sizes of fractions and brackets, degrees, dollars, a unit on
    the right and percent signs go; a decimal gets its leading 0; `x=` (at most two characters
    before the one `=`) goes; roots and fractions get their braces; spaces go; `0.5` and `a/b` of
    integers become fractions.

    Raises:
        NoNormalFormError: two units, a root or a fraction of nothing, or a quotient of other things
            than integers. The last is the rule of lm-eval, not of the original.
    """
    text = text.replace("\n", "").replace(r"\!", "").replace("\\\\", "\\")
    text = text.replace("tfrac", "frac").replace("dfrac", "frac")
    for expression in DELETED:
        text = text.replace(expression, "")
    text, *units = text.split(UNIT)
    if len(units) > 1:
        raise NoNormalFormError
    text = text.replace(r"\%", "").replace(r"\%", "")  # twice, as the reference: `\\%%` is gone too
    text = text.replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text.startswith("."):
        text = "0" + text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = braced_fractions(braced_roots(text).replace(" ", ""))
    return stacked(r"\frac{1}{2}" if text == "0.5" else text)


def braced_roots(text: str) -> str:
    r"""`\sqrt3` as `\sqrt{3}`: the character after every root in braces, unless it is a brace."""
    head, *roots = text.split(r"\sqrt")
    if "" in roots:
        raise NoNormalFormError
    return head + "".join(
        r"\sqrt" + (root if root[0] == "{" else "{" + root[0] + "}" + root[1:]) for root in roots
    )


def braced_fractions(text: str) -> str:
    r"""`\frac12` and `\frac1{2}` as `\frac{1}{2}`.

    Text with a fraction that ends after one unbraced character is left as it is.
    """
    head, *fractions = text.split(r"\frac")
    out = [head]
    for fraction in fractions:
        if not fraction:
            raise NoNormalFormError
        if fraction[0] == "{":
            out.append(fraction)
        elif len(fraction) == 1:
            return text
        elif fraction[1] == "{":
            out.append("{" + fraction[0] + "}" + fraction[1:])
        else:
            out.append("{" + fraction[0] + "}{" + fraction[1] + "}" + fraction[2:])
    return r"\frac".join(out)


def stacked(text: str) -> str:
    r"""`a/b` as `\frac{a}{b}` when both are integers, plainly written."""
    sides = text.split("/")
    if len(sides) != 2:
        return text
    try:
        above, below = int(sides[0]), int(sides[1])
        plain = text == f"{above}/{below}"
    except ValueError:  # not an integer, or one of more digits than Python converts
        raise NoNormalFormError from None
    return rf"\frac{{{above}}}{{{below}}}" if plain else text
