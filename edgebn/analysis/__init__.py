"""What a program costs: parameters, multiply-accumulates, bytes. Plain data; tables are drawn by the command line."""

from edgebn.analysis.layer_rows import LayerRow
from edgebn.analysis.report import Analysis, analyze

__all__ = ["Analysis", "LayerRow", "analyze"]
