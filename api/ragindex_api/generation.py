"""The language models of an index, opened once and kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ragindex_core.errors import InvalidInput, Misconfigured, Unavailable
from ragindex_core.object.spec import GenerationSpec
from ragindex_core.ports import Generator
from ragindex_providers.routes import GenerationChoice

OpenGenerator = Callable[[Sequence[GenerationChoice]], Generator]


class Generators:
    """One for each list of routes, whatever index names it: a route that rests does so for all."""

    def __init__(self, open_generator: OpenGenerator) -> None:
        self._open_generator = open_generator
        self._opened: dict[tuple[GenerationChoice, ...], Generator] = {}

    def of(self, spec: GenerationSpec) -> Generator | None:
        """None when the index has no routes. Raises Unavailable for routes that cannot be opened."""
        choices = tuple(
            GenerationChoice(route.provider.value, route.model, route.endpoint_ref.name if route.endpoint_ref else None)
            for route in spec.routes
        )
        if not choices:
            return None
        generator = self._opened.get(choices)
        if generator is None:
            try:
                generator = self._opened[choices] = self._open_generator(choices)
            except (InvalidInput, Misconfigured) as error:
                raise Unavailable(f"the language models of this index cannot be opened: {error}", 30) from error
        return generator

    async def close(self) -> None:
        for generator in self._opened.values():
            await generator.close()
        self._opened.clear()
