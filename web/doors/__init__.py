"""Doors for scripts that were written for other programs: their calls, answered by ours.

kerasui.py, datasets.py and items.py for KerasUI, with rest.py for the manners of Django REST framework, which
it uses; fastimage.py for FastImageClassification. docs/doors.md is for the people who come from there.
"""
