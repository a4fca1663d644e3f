"""Events in, events out: the log, the workers and the services, one folder a service. Imports schemas alone."""
