"""What can be set: environment variables `MARROW_…`, each with a default that runs. `marrow settings` lists them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of a process. Everything that is secret lies in files, never in a variable."""

    model_config = SettingsConfigDict(env_prefix="MARROW_", frozen=True, extra="ignore")

    home: Path = Field(Path(".marrow"), description="Folder of the embedded store and of the local keys.")
    database_url: str | None = Field(
        None, description="PostgreSQL of this study; when not set, an embedded server under the home folder is used."
    )
    migration_url: str | None = Field(
        None, description="The same database as its owner, to create and upgrade tables; default: the database URL."
    )
    protocol_file: Path | None = Field(None, description="Protocol document; default: the one of NCT01129739.")

    issuer: str = Field("marrow-local", description="`iss` of accepted tokens; an OIDC issuer's URL, or the local one.")
    audience: str = Field("marrow", description="`aud` of accepted tokens.")
    jwks_url: str | None = Field(
        None, description="JWK set of an external issuer; when set, the local issuer's tokens are refused."
    )

    sealing_key_file: Path | None = Field(
        None, description="32 bytes that wrap the data keys of sealed content; default: in the home folder."
    )
    checkpoint_key_file: Path | None = Field(
        None, description="Ed25519 private key (PEM) that signs checkpoints; default: in the home folder."
    )
    log_origin: str = Field("marrow.local/nct01129739", description="Origin line of the log's checkpoints.")

    append_queue_max: int = Field(1024, ge=1, description="Waiting appends a process holds before it answers 503.")
    body_bytes_max: int = Field(9_000_000, ge=1024, description="Largest request body accepted, in bytes.")
    clock_interval_s: float = Field(
        300.0, gt=0, description="How often it is looked whether something follows from the time that has passed."
    )
    read_wait_s: float = Field(2.0, ge=0, description="How long a GET waits for the position that it asks for.")
    database_pool_max: int = Field(8, ge=2, description="Connections a process holds for read models.")

    subject_authority: str = Field(
        "MARROW", description="HL7 assigning authority of the trial's subject ids (PID-3.4)."
    )
    subject_system: str = Field("urn:marrow:subject", description="FHIR identifier system of the trial's subject ids.")
    mllp_token_file: Path | None = Field(
        None, description="Token of the lab system that the MLLP listener receives from; read anew for each message."
    )
    mllp_certificate_file: Path | None = Field(None, description="Certificate (PEM) of the MLLP listener, for TLS.")
    mllp_private_key_file: Path | None = Field(None, description="Private key (PEM) of that certificate.")
    mllp_client_ca_file: Path | None = Field(
        None, description="Certificates (PEM) that vouch for the lab system's own; TLS then asks for one."
    )
    mllp_idle_s: float = Field(
        300.0, gt=0, description="How long the MLLP listener waits for the next whole message, or to be read."
    )
    mllp_connections_max: int = Field(64, ge=1, description="Connections the MLLP listener holds at a time.")
    cors_origins: list[str] = Field([], description="Origins whose browsers may call the services (JSON list).")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")


@lru_cache
def settings_from_environment() -> Settings:
    """The settings of this process, read once."""
    return Settings()
