"""The settings, and the only reader of the environment. A `.env` file in the working directory works, too."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

DATABASE_NAME = "memory.db"
_NOT_FROM_A_FILE = {
    "GROQ_BASE_URL",
    "HINDSIGHT_API_KEY",
    "HINDSIGHT_BASE_URL",
    "INCIDENTOS_HINDSIGHT_BANK",
    "INCIDENTOS_HINDSIGHT_HTTP",
}
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
HINDSIGHT_CLOUD = "https://api.hindsight.vectorize.io"


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?", url):
        raise ValueError("it must be an address such as https://hindsight.example, without a password in it")
    with contextlib.suppress(ValueError):
        if urlsplit(url).hostname and urlsplit(url).port != 0:
            return url
    raise ValueError("it is not an address that can be called")


def _key(given: SecretStr) -> SecretStr:
    key = given.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise ValueError("it holds a space or a letter that no key has")
    return SecretStr(key)


# Read by numpy's library when numpy is first imported, which is after this. Its threads spin while they wait, against
# those of the embedding model; seen on a busy machine of 2 cores, a search takes less than half as long with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class Settings(BaseSettings):
    """Everything that can be set from outside. No key is needed for anything to run."""

    # Never `populate_by_name`: the environment would set the fields by their own names, too, and $HOME be the memory.
    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("incidentos", appauthor=False)),
        validation_alias="INCIDENTOS_HOME",
        description="The folder that holds the memory; the user's data folder by default.",
    )
    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        validation_alias="INCIDENTOS_EMBEDDING_MODEL",
        description="The bundled model, or a folder or name that sentence-transformers takes.",
    )
    groq_api_key: SecretStr | None = Field(
        default=None, validation_alias="GROQ_API_KEY", description="With it, a language model words the answers."
    )
    groq_base_url: str = Field(
        default="https://api.groq.com",
        validation_alias="GROQ_BASE_URL",
        description="Another address that speaks Groq's protocol. From the environment only, never from a `.env` file.",
    )
    groq_model: str = Field(
        default="openai/gpt-oss-120b",
        validation_alias="INCIDENTOS_GROQ_MODEL",
        min_length=1,
        description="The model that is asked.",
    )
    groq_deadline: float = Field(
        default=8.0,
        validation_alias="INCIDENTOS_GROQ_DEADLINE",
        ge=0.2,
        le=60,
        description="Seconds after which the memory's own answer is given instead.",
    )
    hindsight_api_key: Annotated[SecretStr, AfterValidator(_key)] | None = Field(
        default=None, validation_alias="HINDSIGHT_API_KEY", description="Connects the team's shared memory."
    )
    hindsight_http: bool = Field(
        default=False,
        validation_alias="INCIDENTOS_HINDSIGHT_HTTP",
        description="Take http:// for a Hindsight server on another host, in a network that nobody else can read.",
    )
    hindsight_base_url: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None,
        validation_alias="HINDSIGHT_BASE_URL",
        description="A Hindsight server of one's own instead of Hindsight's cloud.",
    )
    hindsight_bank: str = Field(
        default="incidentos-incidents",
        validation_alias="INCIDENTOS_HINDSIGHT_BANK",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="The bank that the team shares.",
    )

    @property
    def hindsight_url(self) -> str | None:
        """Where the shared memory is; None where none is connected, which takes a key or an address."""
        if self.hindsight_base_url:
            return self.hindsight_base_url.rstrip("/")
        return HINDSIGHT_CLOUD if self.hindsight_api_key and self.hindsight_api_key.get_secret_value() else None

    def local_only(self) -> Settings:
        """These settings without a shared memory."""
        return self.model_copy(update={"hindsight_api_key": None, "hindsight_base_url": None})

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        """The sources, first to last. An assistant starts the server in whatever repository is open: the `.env` of a
        stranger's must not decide where a key and the texts of past incidents are sent."""

        def dotenv() -> dict[str, Any]:
            return {name: value for name, value in dotenv_settings().items() if name.upper() not in _NOT_FROM_A_FILE}

        return init_settings, env_settings, dotenv, file_secret_settings

    @field_validator("groq_api_key")
    @classmethod
    def _no_blank_key(cls, key: SecretStr | None) -> SecretStr | None:
        return key if key is not None and key.get_secret_value().strip() else None

    @field_validator("hindsight_base_url")
    @classmethod
    def _encrypted(cls, url: str | None, info: ValidationInfo) -> str | None:
        parts = urlsplit(url or HINDSIGHT_CLOUD)
        if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE and not info.data.get("hindsight_http"):
            raise ValueError(
                "it must be an https:// address (http:// for this machine only), or the key and every incident could be "
                "read on the way; in a network that nobody else can read, set INCIDENTOS_HINDSIGHT_HTTP=1"
            )
        return url

    @property
    def database(self) -> Path:
        """The one file of the memory."""
        return self.home.expanduser() / DATABASE_NAME

    def make_home(self) -> None:
        """Make the folder for its owner alone, if it is missing. Where that fails, opening what is in it says why."""
        with contextlib.suppress(OSError):
            self.home.expanduser().mkdir(parents=True, mode=0o700)

    @property
    def index(self) -> Path:
        """Where the search index of a large memory is kept; it can be deleted at any time."""
        return self.home.expanduser() / "index"

    @property
    def groq_log(self) -> Path:
        """Where the figures of the language model are kept; it can be deleted at any time."""
        return self.home.expanduser() / "groq.json"

    @property
    def models(self) -> Path:
        """Where the fast form of the bundled embedding model is kept; it can be deleted at any time."""
        return self.home.expanduser() / "models"
