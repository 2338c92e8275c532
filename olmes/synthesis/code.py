"""Rows of the kind `code`: Python functions, held against assertions where the recipe asks for them.

Tülu 3, section 3.1.2 and figures 35 and 36. Nothing that a model wrote is executed outside the
sandbox; where there is none, these rows are left out and the reason is said.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from olmes.errors import OlmesError
from olmes.sandbox.choice import chosen
from olmes.sandbox.pool import SandboxPool
from olmes.sandbox.program import Execution, Limits, Program
from olmes.scoring.code.answer import parts_of
from olmes.scoring.code.source import tree_of
from olmes.synthesis.candidates import INSTRUCTION, Candidate, Kind, Workshop, grouped, repeated
from olmes.synthesis.persona_recipe import PersonaRecipe
from olmes.synthesis.replies import trouble
from olmes.types import JsonObject, Response

LABEL = "Question:"
BEGINNING = "write a python function"
SOLUTION, TESTS, ANSWER = "solution", "tests", "verified answer"
LIMITS = Limits(wall_s=5.0)
FEWEST = 1
"""Assertions that a row must have."""


class CodeKind(Kind):
    """Python functions."""

    name = "code"
    prompt_names = ("code-problem", "code-solution", "code-tests")

    def __init__(self, workshop: Workshop) -> None:
        super().__init__(workshop)
        self.table = self.recipe.code
        self.no_sandbox = ""
        """Why nothing can be executed here."""
        if self.table.tests and self.table.instructions:
            try:
                chosen()
            except OlmesError as error:
                self.no_sandbox = str(error)

    @staticmethod
    def wanted(recipe: PersonaRecipe) -> int:
        """As the recipe says."""
        return recipe.code.instructions

    @property
    def count(self) -> int:
        """Questions that the recipe asks for; none where what is tested could not be executed."""
        return 0 if self.no_sandbox else self.table.instructions

    def propose(self, numbers: Sequence[int]) -> list[Candidate]:
        """Questions of personas."""
        asked = [(number, *self.personas.of(self.name, number)) for number in numbers]
        asks = [
            (
                str(number),
                self.workshop.generator.request(
                    self.prompts.filled("code-problem", persona=persona),
                    self.recipe.seed,
                    turn,
                    label=LABEL,
                ),
            )
            for number, persona, turn in asked
        ]
        found = []
        for (number, persona, _), response in zip(
            asked, self.generate("questions", asks), strict=True
        ):
            text = self.written(INSTRUCTION, response, LABEL)
            if text and not text.lower().startswith(BEGINNING):
                self.steps.lost(self.name, INSTRUCTION, "not in the form that was asked for")
            elif text:
                self.steps.kept(self.name, INSTRUCTION)
                found.append(Candidate(kind=self.name, number=number, persona=persona, prompt=text))
        return found

    def rows(self, candidates: Sequence[Candidate]) -> list[JsonObject]:
        """Questions with the first function that can be kept."""
        count = self.table.solutions
        requests = [
            self.workshop.responder.request(
                self.prompts.filled("code-solution", problem=one.prompt), self.recipe.seed
            )
            for one in candidates
        ]
        responses = self.respond("solutions", repeated(candidates, requests, count))
        solved = []
        for one, group in zip(candidates, grouped(responses, count), strict=True):
            if functions := self.functions(group):
                solved.append((one, functions))
        if self.table.tests:
            return self.tested(solved)
        return [self.row(one, fenced(found[0])) for one, found in solved]

    def functions(self, responses: Sequence[Response]) -> list[str]:
        """The programs among responses that define a function, all of one name, counted as one step."""
        found = [
            code
            for response in responses
            if not trouble(response) and name_in(code := code_of(response.text))
        ]
        if not found:
            why = trouble(responses[0]) or "no Python function"
            self.steps.lost(self.name, SOLUTION, why)
            return []
        self.steps.kept(self.name, SOLUTION)
        usual = Counter(map(name_in, found)).most_common(1)[0][0]
        return [code for code in found if name_in(code) == usual]

    def tested(self, solved: Sequence[tuple[Candidate, list[str]]]) -> list[JsonObject]:
        """Those of which a function passes assertions that a model wrote from the question alone."""
        asks = [
            (
                one.id,
                self.workshop.generator.request(
                    self.prompts.filled(
                        "code-tests", problem=one.prompt, signature=signature_of(functions[0])
                    ),
                    self.recipe.seed,
                ),
            )
            for one, functions in solved
        ]
        cases: list[tuple[Candidate, list[str], str]] = []
        for (one, functions), response in zip(solved, self.generate("tests", asks), strict=True):
            tests = "" if trouble(response) else assertions(response.text, name_in(functions[0]))
            if tests:
                self.steps.kept(self.name, TESTS)
                cases.append((one, functions, tests))
            else:
                self.steps.lost(self.name, TESTS, trouble(response) or "no assertion that calls it")
        programs = [
            Program(source=code, tests=tests, limits=LIMITS)
            for _, functions, tests in cases
            for code in functions
        ]
        passed = iter([execution.passed for execution in executed(programs)])
        rows = []
        for one, functions, tests in cases:
            good = [code for code, fine in [(code, next(passed)) for code in functions] if fine]
            if good:
                self.steps.kept(self.name, ANSWER)
                verifier = {"code": {"tests": tests}, "doc": {}}
                rows.append(self.row(one, fenced(good[0]), tests=tests, verifiers=[verifier]))
            else:
                self.steps.lost(self.name, ANSWER, "the tests do not pass")
        return rows


def executed(programs: Sequence[Program]) -> list[Execution]:
    """What comes of programs, each in a sandbox of its own, in their order.

    Raises:
        OlmesError: no sandbox could be started.
    """
    if not programs:
        return []
    pool = SandboxPool()
    try:
        with ThreadPoolExecutor(len(pool.threads)) as threads:
            return list(threads.map(pool.execute, programs))
    finally:
        pool.close()


def code_of(text: str) -> str:
    """The program in an answer: of its last fence, or all of it."""
    parts = parts_of(text)
    whole = [part for part in parts if tree_of(part) is not None and name_in(part)]
    return whole[-1].strip("\n") if whole else ""


def name_in(code: str) -> str:
    """The name of the last function that a program defines; '' where it defines none."""
    tree = tree_of(code) if code.strip() else None
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    return names[-1] if names else ""


def signature_of(code: str) -> str:
    """The first line of the function that a program defines last."""
    tree = tree_of(code)
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    return f"def {found[-1].name}({ast.unparse(found[-1].args)})" if found else ""


def assertions(text: str, name: str) -> str:
    """The assertions in an answer that call a function, and nothing else of it; '' for none."""
    lines = []
    for part in parts_of(text):
        tree = tree_of(part)
        for node in tree.body if tree else ():
            calls = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
            called = any(isinstance(call, ast.Name) and call.id == name for call in calls)
            if isinstance(node, ast.Assert) and called:
                lines.append(ast.unparse(node))
    return "\n".join(dict.fromkeys(lines)) if len(lines) >= FEWEST else ""


def fenced(code: str) -> str:
    """A program as an answer in a chat."""
    return f"```python\n{code}\n```"
