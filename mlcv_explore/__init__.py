"""Twenty computer-vision ideas, each with a question, an experiment that trains for
real, and an honest answer.
"""

__version__ = "0.1.0"
