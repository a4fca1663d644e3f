"""The language of the system: every event and command, the topics they live on, the codec and the settings. Imports nothing of ours."""
