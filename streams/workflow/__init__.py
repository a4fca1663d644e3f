"""The trading day: planned from the exchange's calendar, lived phase by phase, steered by command. Pure cores; the account's actor is their shell."""
