"""The constraints of IFEval-OOD (Lambert et al. 2024) and IFBench (Pyatkin et al. 2025).

IFBench's 58 types, of which 48 are Tülu 3's, and the four of Tülu 3 that IFBench dropped.
"""

from __future__ import annotations

from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.ifbench import (
    count as ood_count,
)
from olmes.scoring.constraints.ifbench import (
    custom as ood_custom,
)
from olmes.scoring.constraints.ifbench import (
    dropped as ood_dropped,
)
from olmes.scoring.constraints.ifbench import (
    format as ood_format,
)
from olmes.scoring.constraints.ifbench import (
    lines as ood_lines,
)
from olmes.scoring.constraints.ifbench import (
    nesting as ood_nesting,
)
from olmes.scoring.constraints.ifbench import (
    order as ood_order,
)
from olmes.scoring.constraints.ifbench import (
    overlap as ood_overlap,
)
from olmes.scoring.constraints.ifbench import (
    ratio as ood_ratio,
)
from olmes.scoring.constraints.ifbench import (
    repeat as ood_repeat,
)
from olmes.scoring.constraints.ifbench import (
    sentence as ood_sentence,
)
from olmes.scoring.constraints.ifbench import (
    tables as ood_tables,
)
from olmes.scoring.constraints.ifbench import (
    words as ood_words,
)
from olmes.scoring.constraints.ifbench.base import OodConstraint, by_reference

DROPPED: tuple[type[OodConstraint], ...] = (
    ood_dropped.Countries,
    ood_dropped.Levenshtein,
    ood_dropped.WordsFrench,
    ood_dropped.CamelCase,
)
"""In Tülu 3's table, in no published data."""

KINDS: tuple[type[OodConstraint], ...] = (
    ood_count.Conjunctions,
    ood_count.KeywordsMultiple,
    ood_count.Numbers,
    ood_count.PersonNames,
    ood_count.Pronouns,
    ood_count.PunctuationMarks,
    ood_count.UniqueWordCount,
    ood_count.WordCountRange,
    ood_count.WordsJapanese,
    ood_format.Emoji,
    ood_format.Newline,
    ood_format.NoWhitespace,
    ood_format.Options,
    ood_format.OutputTemplate,
    ood_format.TitleCase,
    ood_lines.BulletsAfterSentences,
    ood_lines.LineIndent,
    ood_lines.ListMarker,
    ood_lines.SubBullets,
    ood_lines.Thesis,
    ood_nesting.Parentheses,
    ood_nesting.QuoteUnquote,
    ood_nesting.Quotes,
    ood_overlap.Overlap,
    ood_ratio.SentenceBalance,
    ood_ratio.SentenceType,
    ood_ratio.SentenceWords,
    ood_ratio.StopWords,
    ood_sentence.AlliterationIncrement,
    ood_sentence.Increment,
    ood_sentence.Keyword,
    ood_sentence.KeywordPosition,
    ood_words.Consonants,
    ood_words.Palindromes,
    ood_words.PrimeLengths,
    ood_words.Repeats,
    ood_words.StartVerb,
    ood_words.Vowels,
    ood_order.Alphabet,
    ood_order.LastFirst,
    ood_order.NoConsecutive,
    ood_order.OddEvenSyllables,
    ood_order.ParagraphLastFirst,
    ood_order.WordsPosition,
    ood_repeat.RepeatChange,
    ood_repeat.RepeatSimple,
    ood_repeat.RepeatSpan,
    ood_custom.CharacterReverse,
    ood_custom.DateFormatList,
    ood_custom.EuropeanCapitals,
    ood_custom.Multiples,
    ood_custom.ReverseNewline,
    ood_custom.SentenceAlphabet,
    ood_custom.WordReverse,
    ood_tables.CsvCity,
    ood_tables.CsvQuotes,
    ood_tables.CsvSpecialCharacter,
    ood_tables.QuizLengths,
    *DROPPED,
)

IFBENCH = Catalog(*KINDS)
"""Judged by what the constraints say."""
IFBENCH_BY_REFERENCE = Catalog(*map(by_reference, KINDS))
"""Judged by the checks that were published with the benchmark."""
