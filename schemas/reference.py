"""What is known about securities apart from their prices. The attributes of a symbol come from here and nowhere else."""

from schemas.envelope import Event


class SecurityListed(Event, type="security.listed.v1", identity=("source", "subject")):
    """A symbol exists at the broker. `subject` is the symbol; its id in `securities` is a function of the symbol."""

    name: str
    exchange: str                       # the broker's code: NASDAQ, NYSE, ARCA …
    asset_class: str                    # us_equity …
    tradable: bool
    fractionable: bool
    shortable: bool


EVENTS = (SecurityListed,)
