"""The vectors of the last texts: an analysis asks for what it has just stored."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import EmbeddingError
from ..ports import Embedder, Vectors


class RecentVectors:
    """Embeds the texts of a query, but for those that were embedded a moment ago. Safe for use from several threads, of
    which one may then embed what another has embedded, too."""

    def __init__(self) -> None:
        self._known: tuple[str, dict[str, Vectors]] = ("", {})

    def keep(self, model: str, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep the vectors of these texts by the model of that identity, shape (texts, dimensions), and no others."""
        self._known = model, dict(zip(texts, vectors, strict=True))

    def of(self, embedder: Embedder | None, texts: Sequence[str]) -> list[Vectors] | list[None]:
        """The vectors of the texts; None for each where there is no embedder, or it fails. These are kept, and no others."""
        if embedder is None:
            return [None] * len(texts)
        model, known = self._known
        found = {text: known[text] for text in texts if text in known} if model == embedder.identity else {}
        if lacking := [text for text in dict.fromkeys(texts) if text not in found]:
            try:
                found.update(zip(lacking, embedder.embed(lacking), strict=True))
            except EmbeddingError:
                return [None] * len(texts)
        self._known = embedder.identity, found
        return [found[text] for text in texts]
