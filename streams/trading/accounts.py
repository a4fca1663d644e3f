"""Which accounts this installation trades: the one of the settings, those of CATALYST_HOME/config/accounts.toml, and the simulated one beside them.

Each is told as Settings of its own, so that whatever works for one account works for each. Read by the trading role and the lockstep driver at their start,
which take none when one is wrong, and by `catalyst panic`, which takes every one that is not.
Secrets never stand in the file: it names the environment variable or the file that holds them.
"""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from schemas.settings import Settings
from streams.trading import guard

SIMULATED = "-sim"      # how the name of a simulated account ends, and of no other: `paper-sim` takes what `paper` simulates
FIELDS = ("broker_url", "stream_url", "sim_url", "key_env", "key_file", "secret_env", "secret_file", "broker_env", "broker_account", "simulated")
SECRETS = {"key": "broker_key", "secret": "broker_secret"}


class BadAccounts(ValueError):
    """The accounts cannot be used as they are written; the message names the file, the account, what is wrong and what to do. Nothing is traded."""


def path_of(home: Path) -> Path:
    return home / "config" / "accounts.toml"


def is_simulated(account: str) -> bool:
    """Whether nothing of this account is real: told by its name, so that everybody who reads the log can tell."""
    return account.endswith(SIMULATED)


def simulated_beside(account: str, accounts: Collection[str]) -> str | None:
    """The simulated account that takes what this one simulates, where there is one."""
    return account + SIMULATED if account + SIMULATED in accounts else None


def accounts(settings: Settings, environ: Mapping[str, str] | None = None) -> Mapping[str, Settings]:
    """Every account by its name, that of the settings first. Raises BadAccounts."""
    found = dict[str, Settings]()
    for name, told in every(settings, environ).items():
        if isinstance(told, BadAccounts):
            raise told
        found[name] = told
    return found


def every(settings: Settings, environ: Mapping[str, str] | None = None) -> Mapping[str, "Settings | BadAccounts"]:
    """The same, and for an account that cannot be used why not: in an emergency the others go on without it. Raises BadAccounts for a file
    that cannot be read."""
    path = path_of(settings.home)
    tables = _tables(path)
    if tables is None:
        found: dict[str, Settings | BadAccounts] = {settings.account: settings}
    else:
        order = sorted(tables, key=lambda name: name != settings.account)
        found = {name: _tried(_account, settings, path, name, tables[name], os.environ if environ is None else environ) for name in order}
        if settings.account not in tables:
            found = {settings.account: BadAccounts(
                f"{path}: CATALYST_ACCOUNT is {settings.account!r}, which the file does not have; it has {', '.join(tables) or 'none'}. "
                "Add it, or set CATALYST_ACCOUNT to one of them."), **found}
    beside = settings.account + SIMULATED
    if settings.simulation_url and beside not in found and not is_simulated(settings.account):
        found[beside] = _tried(_made, settings, f"the simulated account {beside}", account=beside, **_on_exchange(settings))
    return {**found, **_twice(path, found)}


def named(settings: Settings, account: str | None) -> str:
    """The account that is meant: the one named, or that of the settings. Raises BadAccounts for a name that this installation does not trade under."""
    if account is None or account == settings.account:
        return settings.account
    try:
        known: Collection[str] = every(settings)
    except BadAccounts:
        return account          # nobody can tell: the log will
    if account not in known:
        raise BadAccounts(f"no account {account!r}; there are: {', '.join(known)} (CATALYST_ACCOUNT and {path_of(settings.home)})")
    return account


def _tried(make: Callable[..., Settings], *of: Any, **given: Any) -> Settings | BadAccounts:
    try:
        return make(*of, **given)
    except BadAccounts as wrong:
        return wrong


def _tables(path: Path) -> dict[str, Any] | None:
    """The file's tables; None without a file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadAccounts(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        twice = re.search(r"Cannot (?:declare|overwrite|mutate).*", str(error))
        raise BadAccounts(f"{path}: {error}" + (". Two accounts have one name: give each its own" if twice else "")) from None


def _account(settings: Settings, path: Path, name: str, table: Any, environ: Mapping[str, str]) -> Settings:
    where = f"{path} [{name}]"
    if not isinstance(table, dict):
        raise BadAccounts(f"{path}: {name!r} stands outside of any account; begin with a table, for instance [paper]")
    for field in table:
        if field in SECRETS:
            raise BadAccounts(f"{where}: {field} does not stand in this file: name the environment variable that holds it with {field}_env, or the file with "
                              f"{field}_file")
        if field not in FIELDS:
            near = get_close_matches(field, FIELDS, 1)
            raise BadAccounts(f"{where}: no field {field!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(FIELDS)}"))
    if table.get("simulated", is_simulated(name)) is not is_simulated(name):
        raise BadAccounts(f"{where}: simulated = {str(table['simulated']).lower()} does not go with the name: simulated accounts, and only they, are called "
                          f"NAME{SIMULATED}")
    given = {field: value for field, value in table.items() if field in ("broker_url", "stream_url", "sim_url", "broker_env", "broker_account")}
    if "broker_url" in given:
        given = {**_addresses(settings, str(given["broker_url"])), **given}
    for secret, field in SECRETS.items():
        given[field] = _secret(where, secret, table, environ) or (SecretStr("") if "broker_url" in table else getattr(settings, field))
    made = _made(settings, where, account=name, **given)
    _allowed(where, made)
    return made


def _addresses(settings: Settings, broker_url: str) -> dict[str, str]:
    """What follows from the broker's address. Where the market is simulated, an exchange of one's own is simulated with it; the guard refuses all others."""
    stream = re.sub(r"^http", "ws", broker_url.rstrip("/")) + "/stream"
    sim = (broker_url.rstrip("/") if guard.is_here(broker_url) else settings.sim_url) if settings.sim_url else ""
    return {"stream_url": stream, "sim_url": sim, "broker_env": "", "broker_account": ""}


def _on_exchange(settings: Settings) -> dict[str, str]:
    """Of the simulated account on a paper exchange of its own."""
    url = settings.simulation_url.rstrip("/")
    return {**_addresses(settings, url), "broker_url": url, "broker_env": "exchange"}


def _secret(where: str, name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> SecretStr | None:
    variable, file = table.get(f"{name}_env"), table.get(f"{name}_file")
    if variable is not None and file is not None:
        raise BadAccounts(f"{where}: {name}_env and {name}_file are both given; keep one")
    if variable is not None:
        if not environ.get(str(variable)):
            raise BadAccounts(f"{where}: the environment variable {variable} ({name}_env) is not set")
        return SecretStr(environ[str(variable)])
    if file is None:
        return None
    try:
        held = Path(where.partition(" [")[0]).parent.joinpath(Path(str(file)).expanduser()).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadAccounts(f"{where}: {file} ({name}_file) cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    if not held:
        raise BadAccounts(f"{where}: {file} ({name}_file) is empty")
    return SecretStr(held)


def _made(settings: Settings, where: str, **given: Any) -> Settings:
    try:
        return Settings.model_validate({**dict(settings), **given})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise BadAccounts(f"{where}: {'name' if problem['loc'][0] == 'account' else problem['loc'][0]}: {problem['msg']}") from None


def _allowed(where: str, settings: Settings) -> None:
    """The account agrees with itself, as the adapter will ask once more."""
    try:
        kind = guard.environment(settings)
    except guard.WrongBroker as wrong:
        raise BadAccounts(f"{where}: " + re.sub(r"CATALYST_(BROKER_\w+|STREAM_URL)", lambda found: found[1].lower(), str(wrong))) from None
    if kind == "live" and is_simulated(settings.account):
        raise BadAccounts(f"{where}: a simulated account cannot trade real money: {guard.place_of(settings.broker_url)} is live")
    if kind != "exchange" and not (settings.broker_key.get_secret_value() and settings.broker_secret.get_secret_value()):
        raise BadAccounts(f"{where}: {guard.place_of(settings.broker_url)} takes a key: name where it is with key_env and secret_env, or key_file and "
                          "secret_file")


def _twice(path: Path, found: Mapping[str, Settings | BadAccounts]) -> Mapping[str, BadAccounts]:
    """Those that are one of the broker's accounts with an earlier one: each would take the other's orders for a stranger's."""
    seen: dict[Sequence[str], str] = {}
    wrong = dict[str, BadAccounts]()
    for name, settings in found.items():
        if isinstance(settings, BadAccounts):
            continue
        here = guard.is_here(settings.broker_url)
        at = guard.place_of(settings.broker_url)
        place = (at.rpartition(":")[2],) if here else (at, settings.broker_key.get_secret_value())      # this machine has more than one name
        if len(found) > 1 and (other := seen.setdefault(place, name)) != name:
            wrong[name] = BadAccounts(f"{path}: {other} and {name} are one account at {at}" +
                                      (": a paper exchange holds one account, so start another on a port of its own" if here
                                       else ": each needs a key of its own"))
    return wrong
