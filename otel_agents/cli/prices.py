"""``otel-agents prices``: how old the prices are, which models seen have none, what a model costs."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_agents.cli.periods import Since

if TYPE_CHECKING:
    from otel_agents.accounting.listing import Age, Price
    from otel_agents.config import Settings

#: Exit status when a model has no price; 1 and 2 are errors.
UNPRICED = 3
#: Days after which the list is called old.
_OLD = 60


@dataclass(slots=True)
class Seen:
    """One model in Langfuse: its calls, those that used tokens and have no cost, and USD."""

    calls: int = 0
    without: int = 0
    cost: float = 0.0


def add(app: typer.Typer) -> None:
    """Registers the command and its subcommands."""
    prices = typer.Typer(no_args_is_help=True, help="Prices: their age, their gaps, and those of a model.")
    prices.command("check")(check)
    prices.command("show")(show)
    app.add_typer(prices, name="prices")


def check(
    since: Since = "30d",
    offline: Annotated[
        bool, typer.Option("--offline", help="Only the price list and your own file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell how old the prices are and which models seen have none; exit status 3 when there is a gap."""
    from otel_agents.accounting import contracts, listing
    from otel_agents.cli.periods import moment
    from otel_agents.config import resolve

    start = moment(since)
    settings = resolve({"mode": "disabled"})
    contracts.use(settings)
    age = listing.age()
    seen = {} if offline else _seen(settings, start)
    nameless = seen.pop("", Seen())
    rows = {model: (one, listing.look_up(model)) for model, one in sorted(seen.items())}
    # Calls of a model that does not exist fail and use nothing: that one needs no price.
    missing = [
        model for model, (one, price) in rows.items() if not price.source and (one.without or one.cost)
    ]
    if as_json:
        print(json.dumps(_plain(age, rows, missing, nameless), indent=2, default=str))
    else:
        _print(settings, age, rows, missing, nameless, offline)
    if missing or nameless.without:
        raise typer.Exit(UNPRICED)


def show(
    model: Annotated[str, typer.Argument(help="As requests or answers name it.", show_default=False)],
    provider: Annotated[str | None, typer.Option(help="Such as openai, anthropic, aws.bedrock.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a model costs for a million tokens, and where that comes from."""
    from otel_agents.accounting import contracts, listing
    from otel_agents.cli.errors import CommandError
    from otel_agents.config import resolve

    contracts.use(resolve({"mode": "disabled"}))
    found = listing.look_up(model, provider)
    if as_json:
        print(json.dumps({"model": model, **asdict(found)}, indent=2, default=float))
    if not found.source:
        if as_json:
            raise typer.Exit(UNPRICED)
        where = f" at {provider}" if provider else ""
        raise CommandError(
            f"no price for {model!r}{where}; give one in the file that OTEL_AGENTS_PRICES_FILE names",
            UNPRICED,
        )
    if as_json:
        return
    print(f"{model}: {_source(found)}")
    if found.rates is None:
        print("  its price depends on the size of the request or the time of day")
    for kind, rate in (found.rates or {}).items():
        print(f"  {kind:<15} ${float(rate):g} for a million tokens")
    if found.comment:
        print(f"  {found.comment}")


def _seen(settings: Settings, since: datetime) -> dict[str, Seen]:
    """What was seen of each model; of calls that name none, under the empty name."""
    from otel_agents.cli.progress import counting
    from otel_agents.cli.project import open_reader

    found: dict[str, Seen] = defaultdict(Seen)
    with open_reader(settings) as reader, counting("observations") as progress:
        fields = ("core", "basic", "model", "usage")
        for one in reader.observations(since=since, fields=fields, progress=progress):
            if one.type not in ("GENERATION", "EMBEDDING"):
                continue
            model = found[one.model or ""]
            model.calls += 1
            model.cost += one.cost or 0.0
            model.without += one.cost is None and one.tokens > 0
    return dict(found)


def _plain(
    age: Age, rows: dict[str, tuple[Seen, Price]], missing: list[str], nameless: Seen
) -> dict[str, Any]:
    models = {
        model: {**asdict(one), "source": price.source, "found_as": price.found_as}
        for model, (one, price) in rows.items()
    }
    return {
        "price_list": asdict(age),
        "models": models,
        "without_price": missing,
        "without_model": asdict(nameless),
    }


def _print(
    settings: Settings,
    age: Age,
    rows: dict[str, tuple[Seen, Price]],
    missing: list[str],
    nameless: Seen,
    offline: bool,
) -> None:
    from otel_agents.accounting import contracts
    from otel_agents.cli.output import counted, dollars, print_table, visible, whole

    said = [f"genai-prices {age.version}"]
    today = datetime.now(UTC).date()
    if age.installed is not None:
        said.append(f"installed {_ago(age.installed, today)}")
    if age.newest is not None:
        said.append(f"newest dated price of {age.newest} ({_ago(age.newest, today)})")
    print(f"price list: {', '.join(said)}")
    if age.installed is not None and (today - age.installed).days > _OLD:
        print(f"  older than {_OLD} days; update it: pip install --upgrade genai-prices")
    own = contracts.in_force
    if own is not None:
        number = len(own.exact) + len(own.patterns)
        print(f"own prices: {settings.prices_file}: {counted(number, 'price')}, {len(own.aliases)} aliases")
    if offline:
        return
    print()
    if not rows and not nameless.calls:
        print("no model calls in that time")
        return
    cells = [
        (visible(model), whole(one.calls), whole(one.without), dollars(one.cost), _source(price))
        for model, (one, price) in rows.items()
    ]
    if nameless.calls:
        figures = whole(nameless.calls), whole(nameless.without), dollars(nameless.cost)
        cells.append(("(no model)", *figures, "none"))
    print_table(("model", "calls", "without cost", "cost", "price"), cells)
    if missing:
        print(
            f"\n{counted(len(missing), 'model')} without a price; give them one, or an alias, in the file "
            "that OTEL_AGENTS_PRICES_FILE names"
        )
    if nameless.without:
        print(
            f"\n{counted(nameless.without, 'call')} without a cost and without a model; say which it is, or "
            "what it costs: `model` in a task's metadata, or `cost=`"
        )


def _source(price: Price) -> str:
    return {
        "": "none",
        "contract": f"own: {price.found_as}",
        "discount": f"own: {price.found_as}",
        "list": f"list: {price.found_as}",
        "alias": f"list, as {price.found_as}",
    }[price.source]


def _ago(day: date, today: date) -> str:
    days = (today - day).days
    return "today" if days == 0 else f"{days} day{'s' if days != 1 else ''} ago"
