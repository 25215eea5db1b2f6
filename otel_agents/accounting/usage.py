"""Token usage of one model call, in the one form that the rest of the package uses."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one call, counted by the GenAI conventions' inclusion rules.

    ``input`` includes cache reads and writes, ``output`` includes reasoning; the other counts are
    parts of those two. Providers that report otherwise (Anthropic's ``input_tokens`` excludes the
    cache) are converted by their wire format, never here.

    Attributes:
        input: tokens sent, cache read and write included.
        output: tokens produced, reasoning included.
        cache_read: part of ``input`` that was served from the provider's cache.
        cache_write: part of ``input`` that was written to the provider's cache.
        cache_write_1h: part of ``cache_write`` with a lifetime of one hour (dearer at Anthropic).
        reasoning: part of ``output`` that is hidden reasoning.
        input_audio: part of ``input`` that is audio.
        output_audio: part of ``output`` that is audio.
        cache_audio_read: part of ``cache_read`` that is audio.
        unsplit: tokens of which nobody said whether they were sent or produced; in none of the others.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    input_audio: int = 0
    output_audio: int = 0
    cache_audio_read: int = 0
    unsplit: int = 0

    @property
    def total(self) -> int:
        """``input + output + unsplit``."""
        return self.input + self.output + self.unsplit

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.cache_write_1h + other.cache_write_1h,
            self.reasoning + other.reasoning,
            self.input_audio + other.input_audio,
            self.output_audio + other.output_audio,
            self.cache_audio_read + other.cache_audio_read,
            self.unsplit + other.unsplit,
        )
