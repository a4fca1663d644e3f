"""The market role: bars from the broker onto the log, and the word that a minute is complete. One leased writer per feed."""
