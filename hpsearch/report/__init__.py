"""The report of a finished run: one HTML page, and the model's card in Markdown.

Pure functions of what a run left: nothing here opens a file of the run, and nothing trains.
``material`` is what is read; ``figures``, ``predictions`` and ``importance`` turn it into plain
numbers to draw, ``estimates`` into scores with intervals; ``sections`` says in words what each
picture shows; ``page`` makes one file of them, with everything it needs inside. ``card`` is the
model's card, ``command`` how to make the run again. Reading and writing belong to
``hpsearch.results``.
"""

from hpsearch.report.card import model_card_text
from hpsearch.report.material import FoldCurve, Material
from hpsearch.report.page import report_html

__all__ = ["FoldCurve", "Material", "model_card_text", "report_html"]
