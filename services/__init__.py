"""The services: leaf applications, started as `python -m services.<name>`, imported only by their tests."""
