"""Constraints of IFEval-OOD and IFBench on counts (docs/protocol.md, section 4.6.1, `count:*`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice, product
from random import Random
from typing import Self

from olmes.errors import OlmesError
from olmes.scoring.constraints.ifbench.base import OodConstraint, require_at_least
from olmes.scoring.constraints.ifbench.vocabulary import CONJUNCTIONS, PERSON_NAMES, PRONOUNS
from olmes.scoring.constraints.spoken import EDGES, bare_words, unpunctuated
from olmes.scoring.constraints.vocabulary import draw_words
from olmes.scoring.text import word_tokens, words

# "1,000" and "3.14" are one number each, "10-15" and "1, 2" two.
NUMBER = re.compile(r"\d+(?:,\d{3}(?!\d))*(?:\.\d+)?")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
TIMES = (1, 2, 3, 5, 7)


@dataclass(frozen=True)
class Conjunctions(OodConstraint):
    """Enough different words of and, but, for, nor, or, so, yet."""

    id = "count:conjunctions"
    instruction = "Use at least {small_n} different coordinating conjunctions in the response."

    small_n: int

    def __post_init__(self) -> None:
        if self.small_n > len(CONJUNCTIONS):
            raise OlmesError(
                f"the argument 'small_n' must be at most {len(CONJUNCTIONS)}, the number of "
                f"coordinating conjunctions, not {self.small_n}; correct the item's kwargs."
            )

    def check(self, text: str) -> bool:
        """Enough different conjunctions; case and marks around them do not matter."""
        found = {word.strip(EDGES).lower() for word in text.split()} & CONJUNCTIONS
        return len(found) >= self.small_n

    def reference(self, text: str) -> bool:
        """The same conjunction written in two ways ("and", "And,") counts twice."""
        found = {word for word in text.split() if word.strip(EDGES).lower() in CONJUNCTIONS}
        return len(found) >= self.small_n

    def example(self) -> str:
        """The conjunctions in a row."""
        return " ".join(["So", *sorted(CONJUNCTIONS)][: max(self.small_n, 1) + 1])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Two to six."""
        return cls(rng.randint(2, 6))


@dataclass(frozen=True)
class Numbers(OodConstraint):
    """Exactly so many numbers in digits."""

    id = "count:numbers"
    instruction = "Include exactly {N} numbers in the response."

    N: int

    def check(self, text: str) -> bool:
        """Numbers with thousands separators and decimals are one, those of a range two."""
        return len(NUMBER.findall(text)) == self.N

    def reference(self, text: str) -> bool:
        """Marks are deleted first, so that "10-15" and "1/2" are one number each."""
        return len(re.findall(r"\d+", unpunctuated(text))) == self.N

    def example(self) -> str:
        """The numbers from 1."""
        return " ".join(["Here:", *map(str, range(1, self.N + 1))])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to six."""
        return cls(rng.randint(1, 6))


@dataclass(frozen=True)
class PersonNames(OodConstraint):
    """Enough different names of a list of fifty, which the prompt gives."""

    id = "count:person_names"
    instruction = (
        "Mention at least {N} different person names in the response, from this list of person "
        f"names: {', '.join(PERSON_NAMES)}."
    )

    N: int

    def __post_init__(self) -> None:
        if len(PERSON_NAMES) < self.N:
            raise OlmesError(
                f"the argument 'N' must be at most {len(PERSON_NAMES)}, the length of the list, "
                f"not {self.N}; correct the item's kwargs."
            )

    def check(self, text: str) -> bool:
        """Whole words with a capital."""
        return len(set(words(text)) & set(PERSON_NAMES)) >= self.N

    def example(self) -> str:
        """The first names of the list."""
        return ", ".join(PERSON_NAMES[: max(self.N, 1)])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to fifty."""
        return cls(rng.randint(1, len(PERSON_NAMES)))


@dataclass(frozen=True)
class Pronouns(OodConstraint):
    """Enough pronouns: personal to indefinite; each use counts, also before a noun ("my house")."""

    id = "count:pronouns"
    instruction = "The response should include at least {N} pronouns."

    N: int

    def check(self, text: str) -> bool:
        """The number of Treebank tokens that are pronouns; "she/her" holds two."""
        tokens = word_tokens(text.replace("/", " ").lower())
        return sum(token in PRONOUNS for token in tokens) >= self.N

    def example(self) -> str:
        """Pronouns in a row."""
        return " ".join(islice(cycle(("you", "they", "it")), max(self.N, 1)))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """One to 25."""
        return cls(rng.randint(1, 25))


@dataclass(frozen=True)
class PunctuationMarks(OodConstraint):
    """Each of the six standard marks and an interrobang."""

    id = "count:punctuation"
    instruction = (
        "Use every standard punctuation mark at least once, including semicolons, colons, and the "
        "interrobang (?!)."
    )

    def check(self, text: str) -> bool:
        """An interrobang (?!, !? or ‽), and . , ! ? ; : each once more beside it."""
        found = next((mark for mark in ("?!", "!?", "‽") if mark in text), None)
        return found is not None and not set(".,!?;:") - set(text.replace(found, "", 1))

    def example(self) -> str:
        """A text with all of them."""
        return "Well, look: it works; does it not?! Yes! Really? It does."


@dataclass(frozen=True)
class UniqueWordCount(OodConstraint):
    """Enough different words; case and marks around them do not matter."""

    id = "count:unique_word_count"
    instruction = "Use at least {N} unique words in the response."

    N: int

    def check(self, text: str) -> bool:
        """The number of different words, without regard to case."""
        return len({word.lower() for word in bare_words(text)}) >= self.N

    def reference(self, text: str) -> bool:
        """A mark between blanks, such as a dash, counts as one more word."""
        return len({word.strip(EDGES) for word in text.lower().split()}) >= self.N

    def example(self) -> str:
        """Made-up words of three letters."""
        letters = product("bcdfgklmnprst", "aeiou", "bcdfgklmnprst")
        return " ".join(map("".join, islice(letters, max(self.N, 1))))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """20 to 200."""
        return cls(rng.randint(20, 200))


@dataclass(frozen=True)
class WordCountRange(OodConstraint):
    """A number of words within bounds."""

    id = "count:word_count_range"
    instruction = "The response must contain between {min_words} and {max_words} words."

    min_words: int
    max_words: int

    def __post_init__(self) -> None:
        require_at_least(max(self.min_words, 1), max_words=self.max_words)

    def check(self, text: str) -> bool:
        """Both bounds are allowed; "don't" and "well-known" are one word each."""
        return self.min_words <= len(bare_words(text)) <= self.max_words

    def reference(self, text: str) -> bool:
        """Runs of letters, digits and underscores are words: "don't" is two."""
        return self.min_words <= len(words(text)) <= self.max_words

    def example(self) -> str:
        """One word, often enough."""
        return " ".join(["garden"] * max(self.min_words, 1))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """100 to 500 words, 5 to 10 % more at most."""
        least = rng.randint(100, 500)
        return cls(least, least + rng.randint(least // 20, least // 10))


@dataclass(frozen=True)
class WordsJapanese(OodConstraint):
    """Every N-th word is written with kana or kanji."""

    id = "count:words_japanese"
    instruction = "Every {N}th word of your response must be in Japanese."

    N: int

    def __post_init__(self) -> None:
        require_at_least(1, N=self.N)

    def check(self, text: str) -> bool:
        """There is an N-th word, and it and every N-th after it is Japanese."""
        nth = bare_words(text)[self.N - 1 :: self.N]
        return bool(nth) and all(map(JAPANESE.search, nth))

    def reference(self, text: str) -> bool:
        """A shorter text passes, and so do digits; a dash between blanks counts as a word."""
        nth = (word.strip(EDGES) for word in text.split()[self.N - 1 :: self.N])
        return all(JAPANESE.search(word) for word in nth if word and not word.isdigit())

    def example(self) -> str:
        """One round."""
        return " ".join(["garden"] * (self.N - 1) + ["庭"])

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Every 4th to every 20th, which all take "th"."""
        return cls(rng.randint(4, 20))


@dataclass(frozen=True)
class KeywordsMultiple(OodConstraint):
    """Five keywords, exactly once, twice, three, five and seven times."""

    id = "count:keywords_multiple"
    instruction = (
        "Include keyword {keyword1} once in your response, keyword {keyword2} twice in your "
        "response, keyword {keyword3} three times in your response, keyword {keyword4} five times "
        "in your response, and keyword {keyword5} seven times in your response."
    )

    keyword1: str
    keyword2: str
    keyword3: str
    keyword4: str
    keyword5: str

    @cached_property
    def keywords(self) -> list[str]:
        """The keywords in lower case."""
        given = (self.keyword1, self.keyword2, self.keyword3, self.keyword4, self.keyword5)
        return [keyword.strip().lower() for keyword in given]

    def check(self, text: str) -> bool:
        """Whole words, in any case: "indoor" is no "door"."""
        patterns = [rf"(?<!\w){re.escape(keyword)}(?!\w)" for keyword in self.keywords]
        found = [len(re.findall(pattern, text, re.IGNORECASE)) for pattern in patterns]
        return found == list(TIMES)

    def reference(self, text: str) -> bool:
        """Also inside other words."""
        return [text.lower().count(keyword) for keyword in self.keywords] == list(TIMES)

    def example(self) -> str:
        """The keywords in a row."""
        pairs = zip(self.keywords, TIMES, strict=True)
        return " ".join(keyword for keyword, times in pairs for _ in range(times))

    @classmethod
    def drawn(cls, rng: Random) -> Self:
        """Five nouns."""
        return cls(*draw_words(rng, len(TIMES)))
