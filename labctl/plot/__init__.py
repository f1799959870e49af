"""Line plots in character cells, without a screen: raster, axes, figure, and text for the command line."""
