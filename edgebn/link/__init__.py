"""The host's end of the serial link: `connect(url)` gives a `Device` that runs inputs and tells every layer's output and ticks.

Knows the wire format, which codegen/c/edgebn_frame.h and edgebn_link.h write down, and pyserial's URLs; nothing of models, programs
or boards.
"""

from edgebn.link.device import Device, Information, Run
from edgebn.link.exchange import NotBuiltInError, Patience, UnknownRequestError
from edgebn.link.layers import Layer
from edgebn.link.port import connect

__all__ = ["Device", "Information", "Layer", "NotBuiltInError", "Patience", "Run", "UnknownRequestError", "connect"]
