"""A history in words, for a person who looks for what went wrong."""

from schemas import codec

TOLD = ("holder", "purpose", "symbol", "side", "quantity", "client_order_id", "sending", "request", "outcome", "cause", "broker_status",
        "cumulative_quantity", "inputs", "code", "message", "reason", "idempotency_key", "update_id", "timer_id")


def told(value: bytes) -> str:
    """A record for a person."""
    try:
        event = codec.decode(value)
    except codec.Undecodable as error:
        return f"(unreadable: {error})"[:120]
    shown = []
    for name in TOLD:
        if (seen := getattr(event, name, None)) not in (None, ""):
            text = f"{len(seen)}" if isinstance(seen, tuple) else str(seen)
            shown.append(f"{name}={text[:60]}")
    return f"{event.type.removesuffix('.v1')} {' '.join(shown)}"
