"""The log into Postgres: engine, read models, rebuild, verify."""
