"""Load tests: scenarios with an SLO, driven by locust against running services, and what came of them as a report.

Imports gevent's monkey patches with locust; nothing else of the suite imports this folder.
"""
