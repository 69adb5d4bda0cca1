"""Learning reward functions by watching agents learn.

A running companion to *Multi-Agent Learning from Learners* (ICML 2023) and *Learning from a
Learner* (ICML 2019). What is public is listed beside this file, in ``__init__.pyi``, and is
imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
