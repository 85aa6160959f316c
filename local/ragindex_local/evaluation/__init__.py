"""How good an index is at questions whose answers are known: read the questions, ask the service, count."""

from ragindex_local.evaluation.data import Task, read_task
from ragindex_local.evaluation.measure import Report, document_name, evaluate

__all__ = ["Report", "Task", "document_name", "evaluate", "read_task"]
