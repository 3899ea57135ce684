"""One module, or folder, an idea. Found by listing this folder: a new file is a new
idea.
"""
