"""All settings, read once at start from the environment and `server/.env`; the environment wins.

An unknown key in the file, an unknown `MLOPX_…` variable or a bad value stops the start with a sentence that names it.
`mlopx-server config` shows every value and where it came from.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from server.components.holdout.drawing import read_share
from server.domain.errors import ConfigurationError

ENV_FILE = Path(__file__).parent / ".env"
OTHERS = {"MLOPX_URL", "MLOPX_STRICT_TESTS", "MLOPX_TEST_WORKERS", "MLOPX_BENCH_DATA"}
"""Variables with our prefix that are not the server's."""


class Settings(BaseModel):
    """The server's settings. Each field is set by the variable of its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    kfp_url: str | None = Field(
        None, description="Address of Kubeflow Pipelines; setting it chooses PLATFORM=kubeflow."
    )
    kfp_namespace: str = Field(
        "",
        description="Namespace of the runs in Kubeflow, or several with commas between them: a run goes to the one "
        "that its project names, others to the first. Empty where Kubeflow serves a single user (then `kubeflow`).",
    )
    kfp_ui_url: str = Field(
        "", description="Address of Kubeflow's UI server (ml-pipeline-ui), which hands out artifacts; empty: none are."
    )
    kfp_version: str = Field(
        "",
        pattern=r"^(v?[0-9]+\.[0-9]+([.-].*)?)?$",
        description="Version of Kubeflow Pipelines, such as 2.15, for one that does not tell its own; empty: as it "
        "tells, and one that tells none counts as older than 2.14.",
    )
    kfp_mode: Literal["auto", "observe", "place"] = Field(
        "auto", description="observe: only look; place: take runs; auto: as the namespace's label mlopx.dev/mode says."
    )
    max_hold: float = Field(
        0.0, ge=0, description="Seconds a run may wait here for room before Kubeflow gets it all the same."
    )
    replace_after: float = Field(
        600.0,
        ge=0,
        description="Seconds a task waits at Kubeflow until a new placement is offered (`mlopx replace`); 0: never.",
    )
    replace_automatically: bool = Field(
        True, description="Carry such an offer out at once where all that is finished is known to come from the cache."
    )
    kfp_placement: Literal["default", "prefer", "require"] = Field(
        "default", description="How firmly Kubeflow is asked for nodes: stable labels and wishes, wishes only, or pins."
    )
    kfp_iterations: Literal["own", "all", "none"] = Field(
        "own",
        description="Whose loops may have a node for each iteration, written beside the loop's items: those of our own "
        "pipelines, of all, or of none.",
    )
    kfp_token_file: Path | None = Field(
        None, description="File with the token for Kubeflow, read anew for each request."
    )
    kfp_user: str = Field("", description="Who this server is in a multi-user Kubeflow: value of KFP_USER_HEADER.")
    kfp_user_header: str = Field("kubeflow-userid", description="Header in which Kubeflow reads who calls.")
    kfp_cookie: SecretStr | None = Field(None, description="Cookie for Kubeflow behind a login page.")
    kfp_ca_file: Path | None = Field(None, description="Certificates to trust for Kubeflow, as a PEM file.")
    kfp_cert_file: Path | None = Field(
        None, description="Certificate that this server shows to Kubeflow, with its key, as a PEM file."
    )
    kfp_insecure: bool = Field(False, description="Do not check Kubeflow's certificate.")
    kfp_experiment: str = Field("mlopx", description="Experiment of runs in the project `default`.")
    kfp_service_account: str = Field("", description="Service account that runs use in Kubeflow; empty: its own.")
    kubeconfig: Path | None = Field(
        None, description="Kubeconfig file for the Kubernetes API; by default the pod's account, else ~/.kube/config."
    )
    kube_context: str | None = Field(None, description="Context of the kubeconfig; by default its current one.")
    prometheus_url: str | None = Field(
        None, description="Address of Prometheus, for the load of the nodes; a user and password may stand in it."
    )
    prometheus_token: SecretStr | None = Field(None, description="Bearer token for Prometheus, if it wants one.")
    prometheus_ca_file: Path | None = Field(None, description="Certificates to trust for Prometheus, as a PEM file.")
    prometheus_node_label: str | None = Field(
        None, description="Label of the series that names the node, where neither `node` nor `instance` does."
    )
    prometheus_window: str = Field(
        "2m", pattern=r"^\d+[smh]$", description="Window of rates; at least four scrape intervals."
    )
    prometheus_queries: Path | None = Field(None, description="JSON file with PromQL of your own (docs/nodes.md).")
    node_profiles: Path | None = Field(
        None, description="Folder with node profiles (`mlopx-server profile-node --out`): measured speeds of the nodes."
    )
    pipelines_dir: Path = Field(
        Path("pipelines"), description="Folder with pipeline definitions; `GET /` names them, none is ever run."
    )
    wait_interval: float = Field(
        15.0,
        gt=0,
        description="Seconds: the longest time new runs wait for a plan while nothing fits, and the idle re-plan.",
    )
    update_interval: float = Field(5.0, gt=0, description="Seconds between two looks at nodes and polled platforms.")
    placer: str = Field("online", description="The placement strategy: a name, or package.module:Class.")
    shadow: str = Field(
        "",
        description="Strategies, comma separated, that are asked beside PLACER and only noted down (docs/savings.md).",
    )
    holdout: str = Field(
        "0%",
        description="Share of runs that is left to the platform's own scheduler, at random: 10% (docs/savings.md).",
    )
    holdout_salt: str = Field("", description="Another salt draws other runs for the holdout.")
    rates: Path | None = Field(None, description="TOML file with the price of node and accelerator hours.")
    platform: Literal["local", "kubeflow"] | None = Field(
        None, description="What runs tasks; by default kubeflow when KFP_URL is set, else local."
    )
    state_dir: Path = Field(Path(".mlopx"), description="Folder for the database, artifacts, logs and agents.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the database; by default SQLite in STATE_DIR. PostgreSQL by postgresql://…"
    )
    cluster_file: Path | None = Field(
        None,
        description="cluster.toml with the local platform's nodes (by default three, made from this machine); beside"
        " Kubeflow its [[node_group]]s, which an autoscaler could grow.",
    )
    network: Path | None = Field(
        None,
        description="TOML file with the network between the nodes ([network], as in cluster files): strategies then"
        " count what fetching data costs.",
    )
    datasets_path: Path = Field(
        Path("data"), description="Folder with data sets; volume `datasets` of the local platform."
    )
    secrets_dir: Path = Field(Path("secrets"), description="Folder with secrets of the local platform: NAME/KEY files.")
    mlopx_token: SecretStr | None = Field(
        None, description="Token that callers must send; without one only this machine may write."
    )
    allowed_hosts: str = Field("", description="Host names, comma separated, under which the server may be called.")
    max_upload_bytes: int = Field(32 * 2**20, gt=0, description="Bytes: the largest request that is taken.")
    enable_caching: bool = Field(True, description="Whether equal work of an earlier run may stand for a task.")
    placer_time_limit: float = Field(5.0, gt=0, le=600, description="Seconds a strategy may take for one decision.")
    objective: Literal["turnaround", "makespan", "cost", "deadline", "fair"] = Field(
        "turnaround", description="What strategies that can choose aim at."
    )
    seed: int = Field(42, description="Seed of strategies that draw.")
    agent_grace_seconds: float = Field(
        60.0, ge=0, description="Seconds that node agents and their tasks outlive the server; 0: they end with it."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much is logged.")
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How log lines look: text, or one JSON object a line with the ids of run, task and decision.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Address of an OpenTelemetry collector (OTLP over HTTP) for traces; needs the extra `otel`.",
    )

    image_registries: str = Field(
        "*",
        description="Image registries (host names, comma separated) that may be asked for which processors an image is"
        " made, where a cluster has nodes of several kinds; *: any, empty: none.",
    )
    registry_auth_file: Path | None = Field(
        None, description="Passwords for image registries: a file as `docker login` writes it (config.json)."
    )

    @field_validator(
        "registry_auth_file",
        "database_url",
        "kfp_url",
        "kfp_token_file",
        "kfp_cookie",
        "kfp_ca_file",
        "kfp_cert_file",
        "kubeconfig",
        "kube_context",
        "prometheus_url",
        "prometheus_token",
        "prometheus_ca_file",
        "prometheus_node_label",
        "prometheus_queries",
        "node_profiles",
        "cluster_file",
        "network",
        "mlopx_token",
        "otel_exporter_otlp_endpoint",
        "rates",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("holdout")
    @classmethod
    def _is_share(cls, value: str) -> str:
        read_share(value)
        return value

    @property
    def shadows(self) -> tuple[str, ...]:
        """The strategies that run beside the live one."""
        return tuple(dict.fromkeys(name.strip() for name in self.shadow.split(",") if name.strip()))

    @property
    def platform_name(self) -> str:
        """The platform, after the rule for its default."""
        return self.platform or ("kubeflow" if self.kfp_url else "local")

    @property
    def database(self) -> str:
        """The database's URL, after the rule for its default."""
        return self.database_url or f"sqlite:///{self.state_dir.absolute() / 'mlopx.db'}"

    @property
    def hosts(self) -> frozenset[str]:
        """Host names under which the server may be called, besides loopback ones."""
        return frozenset(name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip())


def variable(field: str) -> str:
    """The environment variable of a field."""
    return field.upper()


def load(environment: Mapping[str, str] | None = None, file: Path = ENV_FILE) -> tuple[Settings, dict[str, str]]:
    """The settings, and where each came from: `environment`, `server/.env` or `default`. Raises ConfigurationError."""
    env = os.environ if environment is None else environment
    names = {variable(field): field for field in Settings.model_fields}
    from_file = _read(file) if file.exists() else {}
    for key in from_file:
        if key not in names:
            raise _unknown(key, f"in {file.name}", names)
    for key in env:
        if key.startswith("MLOPX_") and key not in names and key not in OTHERS:
            raise _unknown(key, "in the environment", names)
    found: dict[str, str] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for key, field in names.items():
        for source, values in (("environment", env), ("server/.env", from_file)):
            if key in values:
                found[field], sources[field] = values[key], source
                break
    try:
        return Settings.model_validate(found), sources
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        field = str(item["loc"][0])
        hint = Settings.model_fields[field].description if field in Settings.model_fields else None
        shown = "" if field in ("mlopx_token", "kfp_cookie") else f" {masked(found.get(field))!r}"
        raise ConfigurationError(
            f"setting {variable(field)}{shown} (from {sources.get(field)}) is wrong: {item['msg']}", hint=hint
        ) from error


def masked(value: object) -> str | None:
    """A value as it may be shown: no token, and no password inside an address."""
    return None if value is None else re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", str(value))


def _read(file: Path) -> dict[str, str]:
    if file.is_dir():
        raise ConfigurationError(f"the settings file {file} is a folder", hint="remove it, or put a file there")
    try:
        return {key: value or "" for key, value in dotenv_values(file).items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {file} cannot be read: {error}") from error


def _unknown(key: str, where: str, names: Mapping[str, str]) -> ConfigurationError:
    close = difflib.get_close_matches(key, names, 1)
    hint = f"did you mean {close[0]}?" if close else "`mlopx-server config` lists all settings"
    return ConfigurationError(f"there is no setting {key} (found {where})", hint=hint)
