"""Small nodes that calculate: enough to test an engine that knows nothing of pictures."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine import Aliases, AssetPort, Context, Node, Output, Registry, Value


@dataclass(frozen=True, slots=True)
class Token(Value):
    """A value that cannot be written as a literal."""

    name: str


@dataclass(frozen=True, slots=True)
class Coin(Value):
    """Another value, which is no Token."""

    worth: int


class Num(Output):
    """One whole number."""

    value: int


class Real(Output):
    """One real number."""

    value: float


class Said(Output):
    """One text."""

    text: str


class Made(Output):
    """One token."""

    token: Token


class Minted(Output):
    """One coin."""

    coin: Coin


class Number(Node[Num]):
    """Give a whole number."""

    value: int

    def run(self, ctx: Context) -> Num:
        return Num(value=self.value)


class Add(Node[Num]):
    """Add two whole numbers."""

    left: int
    right: int

    def run(self, ctx: Context) -> Num:
        return Num(value=self.left + self.right)


class Sum(Node[Num]):
    """Add any number of whole numbers."""

    items: tuple[int, ...]

    def run(self, ctx: Context) -> Num:
        return Num(value=sum(self.items))


class Scale(Node[Real]):
    """Multiply a real number."""

    x: Annotated[float, Field(description="What to multiply.")]
    by: Annotated[float, Field(ge=0, le=100, description="The factor.")] = 1.0

    def run(self, ctx: Context) -> Real:
        return Real(value=self.x * self.by)


class Text(Node[Said]):
    """Give a text."""

    text: Annotated[str, Field(max_length=10_000, description="What to say.")] = ""
    style: Annotated[Literal["plain", "loud"], Aliases((("Plain a", '"loud"'),))] = "plain"

    def run(self, ctx: Context) -> Said:
        return Said(text=self.text.upper() if self.style == "loud" else self.text)


class Count(Node[Num]):
    """Count within bounds: a stand-in for a sampler's steps and seed."""

    steps: Annotated[int, Field(ge=1, le=150, multiple_of=1, description="How many.")] = 25
    seed: Annotated[int, Field(ge=0, le=2**64 - 1)] = 0
    twice: bool = False
    size: Annotated[int | None, Field(ge=8, multiple_of=8)] = None

    def run(self, ctx: Context) -> Num:
        return Num(value=self.steps * (2 if self.twice else 1) + self.seed % 7 + (self.size or 0))


class MakeToken(Node[Made]):
    """Make a token."""

    name: str = "token"

    def run(self, ctx: Context) -> Made:
        return Made(token=Token(self.name))


class MakeCoin(Node[Minted]):
    """Make a coin."""

    worth: int = 1

    def run(self, ctx: Context) -> Minted:
        return Minted(coin=Coin(self.worth))


class UseToken(Node[Said]):
    """Read a token, and another one if there is one."""

    token: Token
    spare: Token | None = None

    def run(self, ctx: Context) -> Said:
        return Said(text=self.token.name + (self.spare.name if self.spare else ""))


class Tokens(Node[Said]):
    """Read a list of tokens."""

    tokens: tuple[Token, ...] = ()

    def run(self, ctx: Context) -> Said:
        return Said(text=" ".join(token.name for token in self.tokens))


class Opened(Node[Said]):
    """Read something that lies outside the graph."""

    name: Annotated[str, AssetPort("picture")] = "auto"

    def run(self, ctx: Context) -> Said:
        found = ctx.asset("name")
        return Said(text=found.sha256)


class Chance(Node[Num]):
    """Give a number that nobody can key."""

    pure: ClassVar[bool] = False

    least: int = 0

    def run(self, ctx: Context) -> Num:
        import secrets

        return Num(value=self.least + secrets.randbelow(1_000_000))


def arithmetic() -> Registry:
    """Return a registry with all of them."""
    return Registry([Number, Add, Sum, Scale, Text, Count, MakeToken, MakeCoin, UseToken, Tokens, Opened, Chance])
