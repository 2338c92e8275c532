"""The constraints of IFEval-OOD (Lambert et al. 2024) and IFBench (Pyatkin et al. 2025).

IFBench's 58 types, of which 48 are Tülu 3's, and the four of Tülu 3 that IFBench dropped.
"""

from __future__ import annotations

from olmes.scoring.constraints.base import by_reference
from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.ifbench import (
    count,
    custom,
    dropped,
    lines,
    nesting,
    order,
    overlap,
    ratio,
    repeat,
    sentence,
    tables,
    words,
)
from olmes.scoring.constraints.ifbench import format as formats
from olmes.scoring.constraints.ifbench.base import OodConstraint

DROPPED: tuple[type[OodConstraint], ...] = (
    dropped.Countries,
    dropped.Levenshtein,
    dropped.WordsFrench,
    dropped.CamelCase,
)
"""In Tülu 3's table, in no published data."""

KINDS: tuple[type[OodConstraint], ...] = (
    count.Conjunctions,
    count.KeywordsMultiple,
    count.Numbers,
    count.PersonNames,
    count.Pronouns,
    count.PunctuationMarks,
    count.UniqueWordCount,
    count.WordCountRange,
    count.WordsJapanese,
    formats.Emoji,
    formats.Newline,
    formats.NoWhitespace,
    formats.Options,
    formats.OutputTemplate,
    formats.TitleCase,
    lines.BulletsAfterSentences,
    lines.LineIndent,
    lines.ListMarker,
    lines.SubBullets,
    lines.Thesis,
    nesting.Parentheses,
    nesting.QuoteUnquote,
    nesting.Quotes,
    overlap.Overlap,
    ratio.SentenceBalance,
    ratio.SentenceType,
    ratio.SentenceWords,
    ratio.StopWords,
    sentence.AlliterationIncrement,
    sentence.Increment,
    sentence.Keyword,
    sentence.KeywordPosition,
    words.Consonants,
    words.Palindromes,
    words.PrimeLengths,
    words.Repeats,
    words.StartVerb,
    words.Vowels,
    order.Alphabet,
    order.LastFirst,
    order.NoConsecutive,
    order.OddEvenSyllables,
    order.ParagraphLastFirst,
    order.WordsPosition,
    repeat.RepeatChange,
    repeat.RepeatSimple,
    repeat.RepeatSpan,
    custom.CharacterReverse,
    custom.DateFormatList,
    custom.EuropeanCapitals,
    custom.Multiples,
    custom.ReverseNewline,
    custom.SentenceAlphabet,
    custom.WordReverse,
    tables.CsvCity,
    tables.CsvQuotes,
    tables.CsvSpecialCharacter,
    tables.QuizLengths,
    *DROPPED,
)

IFBENCH: Catalog[OodConstraint] = Catalog(*KINDS)
"""Judged by what the constraints say."""
IFBENCH_BY_REFERENCE: Catalog[OodConstraint] = Catalog(*map(by_reference, KINDS))
"""Judged by the checks that were published with the benchmark."""
