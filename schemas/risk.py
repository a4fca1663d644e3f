"""How much may be lost, held and sent: the parameters in force, who changed them, what positions are worth, and the alarms. On catalyst.trading.

Money in USD. A share (`..._share`) is a fraction of equity: 0.20 is 20%. Signed profit: a loss is negative.
"""

from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from schemas.envelope import Data, Event, UtcTime

Environment = Literal["exchange", "paper", "live"]      # the paper exchange · the broker's paper account · real money

def _limit(default: str | int, doc: str, tight: Literal["smaller", "larger"], **bounds: Any) -> Any:
    return Field(Decimal(str(default)), description=doc, json_schema_extra={"tight": tight}, **bounds)


class RiskParameters(Data):
    """Every limit of one account. `tight` says which direction is cautious: a change the other way waits for an approval typed on the host."""

    max_order_value: Decimal = _limit(50_000, "largest value of one entry, USD", "smaller", gt=0)
    max_age_seconds: Decimal = _limit(60, "how old a request may be when it is judged, seconds", "smaller", gt=0)
    daily_loss: Decimal = _limit(2_000, "loss of the day, realised and open, at which entries end and positions are flattened, USD", "smaller", gt=0)
    position_share: Decimal = _limit("0.20", "value of one position, as a share of equity", "smaller", gt=0, le=1)
    max_positions: Decimal = _limit(5, "positions open at once, entries on their way counted", "smaller", ge=1, le=100)
    max_correlation: Decimal = _limit("0.7", "correlation of daily returns with any open position", "smaller", ge=0, le=1)
    correlation_days: Decimal = _limit(20, "fewest common daily returns a correlation is believed from", "larger", ge=5, le=250)
    sector_share: Decimal = _limit("0.40", "value of all positions in one sector, as a share of equity", "smaller", gt=0, le=1)
    gross_share: Decimal = _limit("1.0", "value of all positions, as a share of equity", "smaller", gt=0, le=4)
    stop_atr: Decimal = _limit(2, "where the stop goes when none is asked for: this many ATR(14) below the price", "smaller", gt=0, le=10)
    stop_share: Decimal = _limit("0.02", "the same where no ATR is known: this share of the price below it", "smaller", gt=0, lt=1)
    max_stop_atr: Decimal = _limit(4, "farthest stop that is let pass, in ATR(14)", "smaller", gt=0, le=20)
    max_stop_share: Decimal = _limit("0.10", "farthest stop that is let pass where no ATR is known, as a share of the price", "smaller", gt=0, lt=1)
    max_risk_share: Decimal = _limit("0.01", "what one trade may lose at its stop, as a share of equity; sizing keeps to it", "smaller", gt=0, le=1)
    price_collar: Decimal = _limit("0.05", "farthest a limit price may be from the last trade, as a share of it", "smaller", gt=0, le=1)
    max_price_age_seconds: Decimal = _limit(180, "oldest bar an entry is judged at, seconds of market time", "smaller", gt=0)
    orders_a_minute: Decimal = _limit(10, "entries sent within a minute", "smaller", ge=1, le=200)
    kelly_cap: Decimal = _limit("0.25", "largest part of the Kelly fraction that is used", "smaller", gt=0, le=1)
    kelly_trades: Decimal = _limit(30, "closed trades from which on Kelly sizing is used; before it the fixed fraction", "larger", ge=10)
    fixed_fraction: Decimal = _limit("0.005", "equity put at risk per trade while there are too few trades to know better", "smaller", gt=0, le=1)
    warn_share: Decimal = _limit("0.75", "share of a limit at which a warning is raised", "smaller", gt=0, lt=1)
    naked_seconds: Decimal = _limit(5, "longest a position may be without its stop, seconds", "smaller", gt=0, le=60)


class LimitsSet(Event, type="limits.set.v1", identity=("subject", "version")):
    """The risk parameters in force from here on. A decision names their version; a replay needs nothing else."""

    version: int                        # counted per account from 1
    parameters: RiskParameters
    changed: tuple[str, ...]            # names that differ from the version before; empty for the first
    origin: Literal["start", "file", "command", "approval"]
    approval_id: str | None = None      # the approval that let a loosening pass
    pace: Decimal = Decimal(1)          # market seconds in a wall second: 1, or the speed of a replayed feed; a request ages by the wall
    simulated_account: str | None = None    # takes what this account simulates; absent: there is none, and simulation mode is refused
    environment: Environment = "exchange"   # whose money it is: on a live account the mode autonomous waits for an approval


class ApprovalRequested(Event, type="approval.requested.v1", identity=("subject", "approval_id")):
    """Something that makes the account less cautious waits until a person types `catalyst approve ID` on the host."""

    approval_id: str                    # eight letters and digits, function of what is asked
    what: Literal["limits", "resume", "mode", "start"]
    summary: str                        # what would change, in words and figures
    changes: tuple[tuple[str, str], ...]    # (name, value) as asked
    expires: UtcTime


class ApprovalRefused(Event, type="approval.refused.v1", identity=("subject", "command_id")):
    """An approval named nothing that waits, or came too late; nothing changed."""

    command_id: UUID
    approval_id: str
    message: str                        # what was wrong and what to do


class ApprovalLapsed(Event, type="approval.lapsed.v1", identity=("subject", "approval_id")):
    """What waited can be approved no longer: its time is over, or what came since took its place."""

    approval_id: str
    reason: str


class EmergencyStopped(Event, type="emergency.stopped.v1", identity=("subject", "command_id")):
    """Everything is cancelled, every position is flattened, and no entry passes until a resume is approved. Holds across restarts."""

    command_id: UUID                    # the command or the breach that pulled it
    actor: str
    reason: str                         # untrusted text
    cancelled: tuple[UUID, ...]         # orders whose cancellation was asked for
    flattened: tuple[str, ...]          # symbols whose position is closed


class AccountResumed(Event, type="account.resumed.v1", identity=("subject", "approval_id")):
    """A halt or an emergency stop is over: entries may pass again. A person approved it on the host."""

    approval_id: str
    was: str                            # the code it stood under
    actor: str


class PositionMarked(Event, type="position.marked.v1", identity=("subject", "symbol", "number")):
    """What a position is worth now: at each sealed minute and after each of its fills."""

    symbol: str
    number: int                         # of the account.valued it belongs to
    quantity: Decimal                   # shares, short < 0
    price: Decimal                      # USD, last close
    priced_at: UtcTime                  # END of that bar
    value: Decimal                      # USD, quantity x price
    cost: Decimal                       # USD paid for what is held, average cost
    open_profit: Decimal                # USD, value - cost


class AccountValued(Event, type="account.valued.v1", identity=("subject", "number")):
    """The account in figures, each minute and after fills. `equity` is the broker's last word plus what changed since."""

    number: int                         # counted per account from 1
    equity: Decimal
    cash: Decimal
    exposure: Decimal                   # sum of absolute position values
    positions: int
    realised_today: Decimal
    open_profit: Decimal
    day_profit: Decimal                 # realised today plus change of open profit since the session began
    peak_equity: Decimal                # highest of the day
    drawdown: Decimal                   # peak - equity, >= 0


class RiskAlerted(Event, type="risk.alerted.v1", identity=("subject", "number")):
    """A limit is close (75% of it) or reached (enforced), or an order failed or is in doubt. An alarm is known by code and subject: it is
    raised (and may get worse), and cleared when its cause has ended; a cause that comes after that raises it anew."""

    code: str                           # of the check or limit: DAILY_LOSS, POSITION_SHARE … ORDER_REJECTED, ORDER_UNKNOWN, POSITION_NAKED, DIFFERENCE
    level: Literal["warning", "breach", "cleared"]
    number: int                         # counted per account from 1
    actual: Decimal
    limit: Decimal
    subject_of: str                     # symbol or order it concerns; "" for the account
    message: str
    action: Literal["none", "entries closed", "flattened", "halted"]


EVENTS = (
    LimitsSet, ApprovalRequested, ApprovalRefused, ApprovalLapsed, EmergencyStopped, AccountResumed, PositionMarked, AccountValued, RiskAlerted,
)
