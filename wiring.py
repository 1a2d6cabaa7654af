"""Builds the memory from the settings: which store, which embedder, which language model, which shared memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from .memory.embedding.background import BackgroundEmbedder
from .memory.memory import IncidentMemory
from .memory.ports import Embedder
from .memory.stores.sqlite import SqliteStore
from .settings import Settings

if TYPE_CHECKING:
    from .memory.hindsight.client import HindsightMemory
    from .memory.sync.service import SharedMemory
    from .prompts.groq import Access
    from .prompts.writer import GroqWriter


def build_memory(settings: Settings) -> IncidentMemory:
    """The memory of the settings' folder. The embedding model is loaded when it is first wanted.

    Raises:
        StoreError: the database cannot be opened.
    """
    store = SqliteStore(settings.database)

    return IncidentMemory(store, BackgroundEmbedder(lambda: load_embedder(settings), store), settings.index)


def connect_cloud(settings: Settings) -> HindsightMemory | None:
    """The team's memory, or None where none is set. For one event loop; nothing is sent yet."""
    url = settings.hindsight_url
    if url is None:
        return None
    from .memory.hindsight.client import HindsightMemory

    key = settings.hindsight_api_key
    return HindsightMemory(url, settings.hindsight_bank, key.get_secret_value() if key else None)


def share_memory(settings: Settings, memory: IncidentMemory) -> SharedMemory | None:
    """The memory, connected to the team's, or None where none is set."""
    cloud = connect_cloud(settings)
    if cloud is None:
        return None
    from .memory.sync.service import SharedMemory

    return SharedMemory(memory, cloud)


def build_writer(settings: Settings) -> GroqWriter | None:
    """The language model of the settings; None without a key."""
    if settings.groq_api_key is None:
        return None
    from .prompts.usage import UsageLog
    from .prompts.writer import GroqWriter

    return GroqWriter(groq_access(settings, settings.groq_api_key), UsageLog(settings.groq_log))


def groq_access(settings: Settings, key: SecretStr) -> Access:
    """How the settings reach Groq."""
    from .prompts.groq import Access

    return Access(key, settings.groq_model, settings.groq_base_url, settings.groq_deadline)


def load_embedder(settings: Settings) -> Embedder:
    """The embedder of the settings; takes from a fraction of a second to several.

    Raises:
        EmbeddingError: it cannot be loaded.
    """
    from .memory.embedding.sentence_transformer import BUNDLED_MODEL

    if settings.embedding_model == BUNDLED_MODEL:
        from .memory.embedding.onnx import load_or_make

        settings.make_home()  # the doctor comes here before there is a store that would make it
        return load_or_make(settings.models)
    from .memory.embedding.sentence_transformer import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(settings.embedding_model)
