"""Recipes of syntheses: TOML files, found, read and checked.

What every synthesis has is here; each adds the tables of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from olmes.errors import OlmesError
from olmes.models.options import Asking, EngineOptions, Thinking
from olmes.models.spec import EMBEDDED
from olmes.tools import toml_tables as tables
from olmes.tools.as_json import as_json
from olmes.tools.hashing import content_hash
from olmes.tools.near_names import unknown
from olmes.tools.toml_tables import Bounds, NotNegative, PositiveInt
from olmes.types import Generation

AboveZeroToOne: TypeAlias = Annotated[float, Bounds(above=0, most=1)]
Temperature: TypeAlias = Annotated[float, Bounds(least=0)]
FILES = (".txt", ".jsonl", ".jsonl.gz", ".parquet", ".arrow", ".json", ".jinja", ".toml", ".py")
"""Endings of what a recipe names from where it lies."""
BUNDLED = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeModel:
    """A model of a recipe: which one, how it is run and asked, what it costs."""

    HINT: ClassVar[str] = 'write a table, { model = "openai:NAME@URL" }'

    model: str = ""
    """As `olmes run --model` takes it."""
    temperature: Temperature = 1.0
    top_p: AboveZeroToOne | None = None
    top_k: PositiveInt | None = None
    min_p: Annotated[float, Bounds(least=0, most=1)] | None = None
    max_tokens: PositiveInt = 1024
    """Of an answer; a thought may take more."""
    begin: bool = False
    """Whether an answer that must open with a label is begun with it (a prefill), for small models; a
    server must be able to continue an answer."""
    system: str = ""
    """A system turn before every chat."""
    dtype: str | None = None
    device: str | None = None
    batch_size: PositiveInt | None = None
    """Answers generated together; of a server: requests at once."""
    max_length: PositiveInt | None = None
    thinking: Thinking = "auto"
    thinking_budget: PositiveInt | None = None
    reasoning_tags: str | None = None
    chat_template: str | None = None
    template_args: Mapping[str, Any] = field(default_factory=dict)
    request_body: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    adapter: str | None = None
    input_price: NotNegative | None = None
    """Money a million tokens read."""
    output_price: NotNegative | None = None
    """Money a million tokens written, thoughts included."""

    @property
    def engine(self) -> EngineOptions:
        """How it is run."""
        return EngineOptions(
            dtype=self.dtype,
            device=self.device,
            batch_size=self.batch_size,
            max_length=self.max_length,
            asking=self.asking,
        )

    @property
    def asking(self) -> Asking:
        """How it is asked."""
        return Asking(
            **{one.name: getattr(self, one.name) for one in dataclasses.fields(Asking)},
        )

    @property
    def priced(self) -> bool:
        """Whether it is known what its tokens cost."""
        return self.input_price is not None or self.output_price is not None

    def generation(self, seed: int, **changes: Any) -> Generation:
        """How its answers are generated.

        Args:
            seed: of the sampled tokens.
            changes: fields that are otherwise here, such as `temperature=0.0` for a judge.
        """
        own = Generation(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            seed=seed,
        )
        return dataclasses.replace(own, **changes)

    def beside(self, folder: Path) -> RecipeModel:
        """The same, files and folders that lie beside the recipe named from there."""
        return dataclasses.replace(
            self,
            model=model_beside(folder, self.model),
            chat_template=self.chat_template and near(folder, self.chat_template),
            adapter=self.adapter and model_beside(folder, self.adapter),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a synthesis may cost, all of its models and sessions together."""

    tokens: PositiveInt | None = None
    """Read and written by models, at most."""
    money: Annotated[float, Bounds(above=0)] | None = None
    """At most, in the unit of the models' prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decontamination:
    """What the rows that are written must not have in common with."""

    against: tuple[str, ...] = ()
    """Suites and tasks."""
    data: str | tuple[str, ...] = ""
    """A folder of benchmark files, or several; '' looks where `olmes data list` says."""


@dataclass(frozen=True, kw_only=True)
class SynthesisRecipe:
    """What every synthesis has."""

    name: str = ""
    """'' is the recipe file's."""
    seed: int = 0
    """Of everything that is drawn."""
    license: str = ""
    """What the data card says of who may use the rows: the models' terms decide."""
    prompts: str = ""
    """A folder with prompts of one's own, by the bundled files' names; what it lacks is bundled."""
    budget: Budget = Budget()
    decontamination: Decontamination = Decontamination()

    def checked(self) -> None:
        """Return when the fields fit each other; each synthesis adds what it needs.

        Raises:
            OlmesError: they do not; the sentence begins with the key.
        """

    def beside(self, folder: Path) -> dict[str, Any]:
        """Fields that name files and models, from the folder of the recipe; each adds its own."""
        cleaning = self.decontamination
        return {
            "prompts": self.prompts and str(beside(folder, self.prompts)),
            "decontamination": dataclasses.replace(
                cleaning,
                against=tuple(near(folder, name) for name in cleaning.against),
                data=beside_each(folder, cleaning.data),
            ),
        }

    @property
    def hash(self) -> str:
        """64 hex digits over everything that decides what is made; not what it may cost."""
        fields: dict[str, Any] = as_json(self)
        return content_hash({k: v for k, v in fields.items() if k not in ("name", "budget")})


R = TypeVar("R", bound=SynthesisRecipe)


def read_recipe(
    name: str | Path, kind: str, default: R, settings: Mapping[str, str] | None = None
) -> R:
    """The recipe of a TOML file, or of a bundled one by its name.

    Args:
        name: path of a .toml file, or the name of a bundled one.
        kind: what the recipe must be for; a file says so as `synthesis = "personas"`.
        default: the recipe where the file says nothing.
        settings: `--set` pairs, by dotted key.

    Raises:
        OlmesError: the file is missing or not TOML, is for something else, has an unknown key, or a
            value that does not fit.
    """
    path = find_recipe(str(name))
    table = tables.override(tables.read_toml(path), settings or {})
    said = table.pop("synthesis", kind)
    if said != kind:
        raise OlmesError(f"{path} is a recipe for {said}; run it with 'olmes synth {said} {name}'.")
    recipe = tables.build(default, table, str(path))
    recipe = dataclasses.replace(
        recipe, name=recipe.name or path.stem, **recipe.beside(path.parent.resolve())
    )
    try:
        recipe.checked()
    except OlmesError as error:
        raise OlmesError(f"{path}: {error}") from None
    return recipe


def find_recipe(name: str) -> Path:
    """The file of a recipe: the path itself, or a bundled one.

    Raises:
        OlmesError: there is neither.
    """
    if name.endswith(".toml") or Path(name).is_file():
        return Path(name)
    bundled = {path.stem: path for path in BUNDLED.glob("*.toml")}
    if name in bundled:
        return bundled[name]
    raise OlmesError(unknown("recipe", name, sorted(bundled), "give a .toml file"))


def check_model(table: RecipeModel, key: str, budget: Budget) -> None:
    """Return when a recipe names a model, and its price where money is limited.

    Raises:
        OlmesError: it does not.
    """
    if not table.model:
        raise OlmesError(
            f"'{key}' names no model; write {key} = {{ model = \"openai:NAME@URL\" }}."
        )
    if budget.money is not None and not table.priced:
        raise OlmesError(
            f"'budget.money' is given, and '{key}' has no price; add input_price and output_price "
            "(money a million tokens; 0 for a model of your own)."
        )


def beside(folder: Path, name: str) -> Path:
    """A path as the recipe in a folder means it."""
    return folder / Path(name).expanduser()


def beside_each(folder: Path, named: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """A folder, or several, as the recipe in a folder means them."""
    if isinstance(named, tuple):
        return tuple(str(beside(folder, one)) for one in named)
    return named and str(beside(folder, named))


def near(folder: Path, name: str) -> str:
    """A file's path from the folder of the recipe; other names stay as they are."""
    return str(beside(folder, name)) if name.endswith(FILES) else name


def model_beside(folder: Path, name: str) -> str:
    """A model's name, a folder or recording from the folder of the recipe where there is one."""
    prefix, colon, rest = name.rpartition("replay:")
    if colon and not prefix:
        return f"replay:{beside(folder, rest)}"
    inside = name not in ("", EMBEDDED) and (folder / name).is_dir()
    return str(folder / name) if inside else name
