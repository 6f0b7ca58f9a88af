"""chainrule: write a fully-connected network down, prove its gradients, train it, read the result.

The public names are listed in `__init__.pyi`; each is imported when it is first used, so importing the package is free.

>>> import chainrule as cr
>>> cr.mlp([32], activation="tanh").sized(64, 10)
Network(64 | linear 32 | tanh | linear 10; 2,410 parameters)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
