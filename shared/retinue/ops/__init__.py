"""Pure functions on numpy arrays: no I/O of pictures or models, no globals, no gRPC.

The names are listed in `__init__.pyi`. Each is imported when it is first used, so that a process pays for scipy, OpenCV
and numba only where it calls something that stands on them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
