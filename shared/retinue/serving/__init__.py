"""The kit that each service stands on: settings, host, interceptor, health, metrics, wire, the OIP face."""
