"""convlab: what a convolutional network computes, small enough to read.

Each module is one room; open the one that you need::

    from convlab import ops, shapes

``import convlab`` needs numpy alone: torch, matplotlib and widgets load when their room is opened.
"""

__version__ = "0.1.0"
