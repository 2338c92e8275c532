"""The 25 verifiable instructions of IFEval (Zhou et al. 2023, arXiv:2311.07911)."""

from __future__ import annotations

from olmes.scoring.constraints.base import by_reference
from olmes.scoring.constraints.catalog import Catalog
from olmes.scoring.constraints.ifeval import casing, combination, content, keywords, layout, length
from olmes.scoring.constraints.ifeval.base import IFEvalConstraint

KINDS: tuple[type[IFEvalConstraint], ...] = (
    keywords.Existence,
    keywords.Frequency,
    keywords.ForbiddenWords,
    keywords.LetterFrequency,
    casing.ResponseLanguage,
    casing.EnglishCapital,
    casing.EnglishLowercase,
    casing.CapitalWordFrequency,
    length.NumberSentences,
    length.NumberWords,
    length.NumberParagraphs,
    length.NthParagraphFirstWord,
    layout.NumberBulletLists,
    layout.ConstrainedResponse,
    layout.NumberHighlightedSections,
    layout.MultipleSections,
    layout.JsonFormat,
    layout.Title,
    content.NumberPlaceholders,
    content.Postscript,
    combination.TwoResponses,
    combination.RepeatPrompt,
    content.EndChecker,
    content.Quotation,
    content.NoComma,
)

IFEVAL: Catalog[IFEvalConstraint] = Catalog(*KINDS)
"""Every instruction, judged as it is stated."""

IFEVAL_BY_REFERENCE: Catalog[IFEvalConstraint] = Catalog(*map(by_reference, KINDS))
"""The same, judged by the published checks."""
