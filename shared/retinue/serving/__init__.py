"""The kit that each service stands on: settings, server, health, interceptor, metrics, wire conversions, the OIP face."""
