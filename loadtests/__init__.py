"""What drives running services from outside: the demo, benchmarks and load tests. Nothing but tests imports it."""
