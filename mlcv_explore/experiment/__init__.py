"""One experiment from settings to verdict: film, runs, studies, jobs, and what
identifies them.
"""
