"""Names of what can be done to images."""

from typing import Literal

ConditionName = Literal["colour", "grayscale", "noise", "blur"]
StimulusName = Literal["normal", "foreground", "silhouette", "frankenstein", "serrated"]
