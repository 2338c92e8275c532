r"""Whether what follows a mark can be an answer, or says nothing: "given below", "First we add"."""

from __future__ import annotations

import re

from olmes.scoring.answers.announcement import ANSWER

WRAPPING = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|emph|bm|boldsymbol)\s*\{|[*_`$\"“”{}]"
    r"|\\[()\[\],;:! ]|\\(?:left|right|displaystyle|quad)\b"
)
"""What stands around words and numbers without being one."""
FILLER = re.compile(
    r"(?:[\s,:;~≈=]|\b(?:therefore|thus|then|hence|so|simply|just|only|exactly|precisely|approximately"
    r"|approx\.?|about|around|roughly|nearly|almost|indeed|clearly|equal to|the number|the value"
    r"|an? total of|now|indeed|either)\b)*",
    re.IGNORECASE,
)
MATHEMATICS = re.compile(
    r"[-+−±–]?\s?(?:[$€£¥₹]|US\$|\b(?:Rs\.?|USD|EUR|GBP|INR)\s?(?=[\d.]))?\s?[-+−]?"
    r"(?:[\d(\[\\√∞π∅|<>≤≥⁻]|\.\d|(?!(?:[aA]|I)\s+[a-zA-Z]{2})[a-zA-Z](?![a-zA-Z'’])"
    r"|(?:sqrt|pi|sin|cos|tan|log|ln)\b)"
)
COMPARISON = re.compile(
    r"(?:between|less|more|greater|fewer|at least|at most|half|twice|double|over|under)\b",
    re.IGNORECASE,
)
CLAUSE = re.compile(r"that\b", re.IGNORECASE)
NOTHING = re.compile(
    r"(?:is|are|was|were|be|will|given|shown|found|obtained|calculated|computed|determined|derived"
    r"|provided|stated|below|above|as|in|correct|right|wrong|incorrect|clear|obvious|known|unknown|not"
    r"|also|always|already|still|expressed|rounded|reasonable|sensible|plausible|consistent|valid|unique"
    r"|verified|confirmed|exact|final|required|called|written|based|because|since|by|to|what|which|how"
    r"|this|these|here|there|it|we|I|he|she|they|you|let|let's|first|firstly|second|next|step|note|using"
    r"|if|when|of|on|from|for|with|at|after|before|each|every|all|one can|sure|consider|start"
    r"|and|but|or|do|does|did|can|could|should|would|must|may|might|has|have|had|supposed|going"
    r"|the (?:same|following|correct|sum|product|difference|question|problem|only|one|required|desired"
    r"|final|[a-z]+est)"
    r"|my|our|your|his|her|[a-z]+ly)"
    r"(?![a-zA-Z])|.*\banswers?\b",
    re.IGNORECASE | re.DOTALL,
)
"""First words of what is no answer in words."""
DRESSED = re.compile(r"[$*`\"]|\\(?:[(\[]|text)")
WORD = re.compile(r"(?<!\\)\b[a-zA-Z]{2,}")
NAMED = re.compile(
    r"(?:(?:the|this)(?:\s[a-zA-Z]+){1,3}|[a-zA-Z])\s(?:is|are|equals?)\s", re.IGNORECASE
)
"""What is named before it is said: "the value is 13", "c equals 13"."""
MOST_WORDS = 6
MOST_WORDS_OF_A_LABEL = 4
COMPUTATION = re.compile(r"[-−(]*[$€£]?(?:[\d.]|\\[dt]?frac)[^=]*=")
"""An equation that begins with a number."""
ENUMERATED = re.compile(r"(\d{1,2})[.)]?\Z")


def plain(text: str) -> str:
    """`text` without what only wraps, beginning with its first word or number."""
    bare = WRAPPING.sub(" ", text).lstrip()
    return bare[FILLER.match(bare).end() :].lstrip()  # type: ignore[union-attr]


def after_verb(said: str) -> bool:
    """Whether what follows "the answer is" can be an answer: mathematics, or a few words."""
    bare = plain(said)
    if MATHEMATICS.match(bare) or COMPARISON.match(bare) or CLAUSE.match(bare):
        return True
    return bool(bare) and not NOTHING.match(bare) and len(WORD.findall(bare)) <= MOST_WORDS


def after_label(said: str, following: str) -> bool:
    """Whether what follows "Answer:" is an answer and nothing but one, not the start of the work.

    Args:
        said: the first sentence after the label.
        following: the rest of the response.
    """
    bare = plain(said)
    words = len(WORD.findall(bare))
    named = NAMED.match(bare)
    if ANSWER.search(bare):  # "check our answer: 17 + 4 is 21, so our answer is correct"
        return False
    if "=" in following and COMPUTATION.match(bare, named.end() if named else 0):
        return False
    if not MATHEMATICS.match(bare):
        # "Answer: James slept 9 hours" may go on; "Answer: the value is 9" does not.
        in_words = named or DRESSED.match(said) or not any(map(str.isdigit, bare))
        return (
            bool(bare and in_words) and not NOTHING.match(bare) and words <= MOST_WORDS_OF_A_LABEL
        )
    counted = ENUMERATED.fullmatch(bare.rstrip())
    if counted and re.search(rf"^\W*{int(counted[1]) + 1}[.)]\s", following[:2000], re.MULTILINE):
        return False
    return words <= MOST_WORDS
