"""Interactive figures: for each a Python class, a front-end module, and a style sheet of the same name."""

from convlab.figures.convolution_arithmetic import ConvolutionArithmetic
from convlab.figures.convolution_stepper import ConvolutionStepper
from convlab.figures.dilation_grid import DilationGrid
from convlab.figures.feature_map_browser import FeatureMapBrowser
from convlab.figures.figure import Figure
from convlab.figures.filter_anatomy import FilterAnatomy
from convlab.figures.own_photo import OwnPhoto
from convlab.figures.pooling_explorer import PoolingExplorer
from convlab.figures.pyramid_builder import PyramidBuilder
from convlab.figures.receptive_field_tracer import ReceptiveFieldTracer
from convlab.figures.roi_mapper import RoIMapper
from convlab.figures.scale_profiles import ScaleProfiles

__all__ = [
    "ConvolutionArithmetic",
    "ConvolutionStepper",
    "DilationGrid",
    "FeatureMapBrowser",
    "Figure",
    "FilterAnatomy",
    "OwnPhoto",
    "PoolingExplorer",
    "PyramidBuilder",
    "ReceptiveFieldTracer",
    "RoIMapper",
    "ScaleProfiles",
]
