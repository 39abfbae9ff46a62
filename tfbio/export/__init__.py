"""Export: trained models as SavedModels that TensorFlow Serving loads."""

from tfbio.export.labels import load_labels
from tfbio.export.saved_model import export_saved_model

__all__ = ["export_saved_model", "load_labels"]
