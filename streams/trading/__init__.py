"""The account: one serial actor, one story. Cores: order, account, evidence, decide. Shells: alpaca, actor, agent."""
