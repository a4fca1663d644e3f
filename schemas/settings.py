"""Every setting, once: type, default, unit, meaning and environment name. `catalyst config` prints this table with each value and its source.

Sources, strongest first: the environment, CATALYST_HOME/config/catalyst.toml, what the embedded stack wrote to CATALYST_HOME/run/endpoints.json, the default.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError


class BadSettings(ValueError):
    """A setting has a value that cannot be used; the message names it, where it came from and what is allowed."""


def _env(name: str, unit: str = "") -> dict[str, Any]:
    return {"json_schema_extra": {"env": name, "unit": unit}}


Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """What one process needs to know. Frozen; built once at the edge and handed in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(Path("~/.catalyst"), description="where state, logs and configuration live", **_env("CATALYST_HOME"))
    kafka: str = Field("127.0.0.1:9092", description="bootstrap servers of the log, host:port[,host:port]", **_env("CATALYST_KAFKA"))
    namespace: str = Field("", pattern=r"^[a-z0-9-]*$", description="put before every topic name; keeps several systems apart on one broker",
                           **_env("CATALYST_NAMESPACE"))
    database_url: SecretStr = Field(SecretStr("postgresql://127.0.0.1:5432/catalyst"), description="the read models' PostgreSQL", **_env("DATABASE_URL"))
    broker_url: str = Field("https://paper-api.alpaca.markets", description="broker REST base, without the version", **_env("CATALYST_BROKER_URL"))
    stream_url: str = Field("wss://paper-api.alpaca.markets/stream", description="broker trade updates", **_env("CATALYST_STREAM_URL"))
    data_url: str = Field("https://data.alpaca.markets", description="market data REST base", **_env("CATALYST_DATA_URL"))
    data_stream_url: str = Field("wss://stream.data.alpaca.markets/v2/iex", description="market data stream", **_env("CATALYST_DATA_STREAM_URL"))
    broker_key: SecretStr = Field(SecretStr(""), description="broker key id", **_env("CATALYST_BROKER_KEY"))
    broker_secret: SecretStr = Field(SecretStr(""), description="broker secret", **_env("CATALYST_BROKER_SECRET"))
    broker_env: Literal["", "exchange", "paper", "live"] = Field(
        "", description="what the broker's address must be: exchange, paper or live; empty derives it, but never live", **_env("CATALYST_BROKER_ENV"))
    broker_account: str = Field("", pattern=r"^[A-Za-z0-9-]{0,32}$", description="number of the broker account that may trade; needed for live",
                                **_env("CATALYST_BROKER_ACCOUNT"))
    account: str = Field("paper", pattern=r"^[a-z0-9-]{1,32}$", description="our name of the account", **_env("CATALYST_ACCOUNT"))
    feed: str = Field("iex", pattern=r"^[a-z0-9-]{1,16}$", description="market data feed: iex or sip", **_env("CATALYST_FEED"))
    symbols: str = Field("*", description="symbols to record, comma-separated; * is all", **_env("CATALYST_SYMBOLS"))
    pace: Literal["live", "lockstep"] = Field("live", description="live: wall clock; lockstep: the exchange waits for us each minute", **_env("CATALYST_PACE"))
    speed: float = Field(1.0, gt=0, description="market minutes per wall minute of a paced exchange", **_env("CATALYST_SPEED", "x"))
    sim_url: str = Field("", description="control plane of the paper exchange; empty with a real broker", **_env("CATALYST_SIM_URL"))
    simulation_url: str = Field("", description="paper exchange of the simulated account beside ours; empty: there is none",
                                **_env("CATALYST_SIMULATION_URL"))
    seal_grace_ms: int = Field(1500, ge=0, description="how long after a minute's end its bars are waited for, live", **_env("CATALYST_SEAL_GRACE", "ms"))
    reference_requests_a_minute: int = Field(
        150, ge=0, description="most requests a minute for daily bars and corporate actions; 0: without limit. The broker's free plan gives 200 in all",
        **_env("CATALYST_REFERENCE_REQUESTS_A_MINUTE"))
    second_bars: str = Field(
        "", description="where minutes are asked for that the broker's history lacks after an outage, live: a folder of SYMBOL_1m.csv[.gz] files, or the REST "
        "base of another broker of the same kind; empty: nowhere", **_env("CATALYST_SECOND_BARS"))
    second_feed: str = Field("sip", pattern=r"^[a-z0-9-]{1,16}$", description="feed of the second bars' REST, which marks them; another one than CATALYST_FEED",
                             **_env("CATALYST_SECOND_FEED"))
    second_key: SecretStr = Field(SecretStr(""), description="key id of the second bars' REST; empty: the broker's", **_env("CATALYST_SECOND_KEY"))
    second_secret: SecretStr = Field(SecretStr(""), description="its secret", **_env("CATALYST_SECOND_SECRET"))
    max_order_value: int = Field(50_000, gt=0, description="largest value of one order, checked by risk and again at the broker adapter",
                                 **_env("CATALYST_MAX_ORDER_VALUE", "USD"))
    max_orders_a_minute: int = Field(60, gt=0, description="most orders sent within a minute, checked at the broker adapter",
                                     **_env("CATALYST_MAX_ORDERS_A_MINUTE"))
    command_ttl_s: int = Field(60, gt=0, description="how long a trade request may wait before it is too old to send", **_env("CATALYST_COMMAND_TTL", "s"))
    news_poll_s: float = Field(30.0, gt=0, description="how long after the last question a source of news is asked again, live",
                               **_env("CATALYST_NEWS_POLL", "s"))
    news_stream_url: str = Field("", description="the broker's news stream; empty: on the host of the market data stream", **_env("CATALYST_NEWS_STREAM_URL"))
    news_folder: Path | None = Field(None, description="folder with articles in *.jsonl files; empty: none", **_env("CATALYST_NEWS_FOLDER"))
    edgar_agent: str = Field("", pattern=r"^[ -~]{0,200}$", description="who asks the SEC, a name and a mail address; empty: it is not asked",
                             **_env("CATALYST_EDGAR_AGENT"))
    edgar_url: str = Field("https://www.sec.gov", description="EDGAR's current filings and list of companies", **_env("CATALYST_EDGAR_URL"))
    edgar_data_url: str = Field("https://data.sec.gov", description="EDGAR's submissions", **_env("CATALYST_EDGAR_DATA_URL"))
    benzinga_key: SecretStr = Field(SecretStr(""), description="Benzinga's key; empty: it is not asked", **_env("CATALYST_BENZINGA_KEY"))
    benzinga_url: str = Field("https://api.benzinga.com", description="Benzinga's news service", **_env("CATALYST_BENZINGA_URL"))
    benzinga_a_minute: int = Field(30, gt=0, description="most requests to Benzinga within a minute", **_env("CATALYST_BENZINGA_A_MINUTE"))
    benzinga_a_day: int = Field(10_000, gt=0, description="most requests to Benzinga within a day", **_env("CATALYST_BENZINGA_A_DAY"))
    newsapi_key: SecretStr = Field(SecretStr(""), description="NewsAPI's key; empty: it is not asked", **_env("CATALYST_NEWSAPI_KEY"))
    newsapi_url: str = Field("https://newsapi.org", description="NewsAPI, asked while Benzinga is not up", **_env("CATALYST_NEWSAPI_URL"))
    newsapi_a_day: int = Field(90, gt=0, description="most requests to NewsAPI within a day; they are made evenly", **_env("CATALYST_NEWSAPI_A_DAY"))
    sentiment_model: str = Field("embedded", min_length=1, description="what reads news: embedded (shipped), or a transformer model such as FinBERT by its "
                                 "directory or its id on the model hub, which is then fetched once; needs catalyst-trading[finbert]",
                                 **_env("CATALYST_SENTIMENT_MODEL"))
    benchmark: str = Field("SPY", pattern=r"^[A-Z.]{1,8}$", description="what relative strength is measured against", **_env("CATALYST_BENCHMARK"))
    watch: str = Field("", description="symbols whose indicators are told each minute beside candidates and what is held, comma-separated",
                       **_env("CATALYST_WATCH"))
    analysis_seal_minutes: int = Field(60, ge=5, le=1440, description="how often the analysis writes a checkpoint; a full market's takes 60 MB",
                                       **_env("CATALYST_ANALYSIS_SEAL", "min"))
    gateway_host: str = Field("127.0.0.1", description="address the gateway binds", **_env("CATALYST_GATEWAY_HOST"))
    gateway_port: Port = Field(5000, description="port of the MCP gateway", **_env("CATALYST_GATEWAY_PORT"))
    token_file: Path | None = Field(None, description="file with the gateway's bearer token; default HOME/run/token", **_env("CATALYST_TOKEN_FILE"))
    health_port: Port = Field(0, description="port of health and metrics; 0: the role's own default (5010-5019)", **_env("CATALYST_HEALTH_PORT"))
    instance: str = Field("", description="name of this process in leases and logs; default host-role-pid", **_env("CATALYST_INSTANCE"))
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe log line written", **_env("CATALYST_LOG_LEVEL"))

    @property
    def run_dir(self) -> Path:
        return self.home / "run"

    @property
    def token_path(self) -> Path:
        return self.token_file or self.run_dir / "token"


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as it is: printed by `catalyst config`."""

    name: str
    env: str
    value: str          # secrets masked
    source: str         # environment · the file's path · default
    unit: str
    doc: str


def load(environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings in force. `given` beats everything (tests, command-line options). Raises BadSettings."""
    return _load(environ, given)[0]


def explain(environ: Mapping[str, str] | None = None) -> list[Origin]:
    """Every setting with its value and where it came from, in the order of the model. Raises BadSettings."""
    settings, sources = _load(environ, {})
    rows = []
    for name, field in Settings.model_fields.items():
        extra = _extra(name)
        rows.append(Origin(name=name, env=extra["env"], value=str(getattr(settings, name)), source=sources.get(name, "default"),
                           unit=extra["unit"], doc=field.description or ""))
    return rows


def _extra(name: str) -> dict[str, str]:
    extra = Settings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return {key: str(value) for key, value in extra.items()}


def _load(environ: Mapping[str, str] | None, given: Mapping[str, Any]) -> tuple[Settings, dict[str, str]]:
    environ = os.environ if environ is None else environ
    named = {name: _extra(name)["env"] for name in Settings.model_fields}
    home = Path(given.get("home") or environ.get("CATALYST_HOME") or Settings.model_fields["home"].default).expanduser().absolute()
    layers = [
        (str(home / "run" / "endpoints.json"), _read(home / "run" / "endpoints.json", json.loads)),
        (str(home / "config" / "catalyst.toml"), _read(home / "config" / "catalyst.toml", tomllib.loads)),
        ("environment", {name: environ[env] for name, env in named.items() if environ.get(env)}),
        ("given", dict(given)),
    ]
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in layers:
        for name, value in layer.items():
            values[name], sources[name] = value, source
    values["home"] = home
    try:
        return Settings.model_validate(values), sources
    except ValidationError as error:
        raise BadSettings("\n".join(_complaint(problem, named, sources) for problem in error.errors(include_url=False))) from None


def _complaint(problem: Any, named: Mapping[str, str], sources: Mapping[str, str]) -> str:
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such setting (from {sources.get(name, 'unknown')}); `catalyst config` lists them all"
    secret = "SecretStr" in str(Settings.model_fields[name].annotation)
    shown = "***" if secret else repr(problem.get("input"))
    return f"{named.get(name, name)}: {problem['msg']} (got {shown} from {sources.get(name, 'default')})"


def _read(path: Path, parse: Any) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadSettings(f"{path}: cannot be read: {error.strerror}") from None
    try:
        values = parse(text)
    except ValueError as error:
        raise BadSettings(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise BadSettings(f"{path}: expected a table of settings")
    return values
