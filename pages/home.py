"""Home."""

from mlcv_explore.ui import home

home.show()
