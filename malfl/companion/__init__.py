"""The companion to both papers: published numbers, tables, figures, pages.

Nothing else in malfl knows it. What is public is listed beside this file, in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
