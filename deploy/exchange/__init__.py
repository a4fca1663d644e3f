"""The paper exchange: an Alpaca-compatible broker and market data server on one local port.

A stranger on the wire: it imports nothing of the other rooms, and they talk to it with the real alpaca-py client, only URLs
differ. Inside, a pure engine (`engine`, `orders`) decides; `journal` makes its decisions last; `rest`, `stream` and `control`
serve them.
"""
