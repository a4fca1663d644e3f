"""The way in for people: MCP server, command line, queries. Publishes commands and reads projections, nothing else."""
