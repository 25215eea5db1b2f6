"""Usage with what some providers bill beyond tokens of text and audio, and what they say it cost."""

from __future__ import annotations

from typing import Final

from otel_agents.accounting.usage import Usage


class MeteredUsage(Usage, frozen=True, gc=False):
    """A :class:`Usage` with more meters. A format makes one only when it has a value for them.

    Attributes:
        input_image: part of ``input`` that is images.
        output_image: part of ``output`` that is images.
        cache_image_read: part of ``cache_read`` that is images.
        input_characters: characters of text that was read aloud, for models billed by these.
        audio_seconds: seconds of audio that was heard, for models billed by these.
        web_searches: searches that the provider ran and bills by the piece.
        cost: USD that the provider says the call cost. It is authoritative: discounts, routing and
            fees are in it, which no price list knows. None when it says nothing.
        shares: what each model had of these counts, where the provider asked several within the call;
            None stands for the call's own model. Empty where there was but one.
    """

    input_image: int = 0
    output_image: int = 0
    cache_image_read: int = 0
    input_characters: int = 0
    audio_seconds: float = 0.0
    web_searches: int = 0
    cost: float | None = None
    shares: tuple[tuple[str | None, Usage], ...] = ()

    def meters(self) -> dict[str, int | float]:
        """What was counted beyond :class:`Usage`, by the price library's names; only what is above zero."""
        counted = {_LIBRARY_NAMES.get(name, name): getattr(self, name) for name in _METERS}
        if self.audio_seconds:
            counted["input_audio_seconds"] = self.audio_seconds  # the library wants the part and the whole
        return {name: value for name, value in counted.items() if value}


def shared(*shares: tuple[str | None, Usage]) -> Usage:
    """The usage of a call in which the provider asked several models; with one share, just that."""
    if len(shares) == 1:
        return shares[0][1]
    total: dict[str, int | float] = {}
    for _, usage in shares:
        for name in (*Usage.__struct_fields__, *(_METERS if isinstance(usage, MeteredUsage) else ())):
            total[name] = total.get(name, 0) + getattr(usage, name)
    said = getattr(shares[0][1], "cost", None)  # of the call, so it is in the first share or nowhere
    return MeteredUsage(**total, cost=said, shares=shares)  # type: ignore[arg-type]


_LIBRARY_NAMES: Final = {
    "input_image": "input_image_tokens",
    "output_image": "output_image_tokens",
    "cache_image_read": "cache_image_read_tokens",
}
_METERS: Final = tuple(
    name
    for name in MeteredUsage.__struct_fields__
    if name not in {*Usage.__struct_fields__, "cost", "shares"}
)
