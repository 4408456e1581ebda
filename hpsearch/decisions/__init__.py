"""What is decided with out-of-fold predictions, once a trial is selected.

A file a decision, each pure functions of predictions and a frozen record. What a decision is worth
is told by rows that did not decide it: it is made again in each bootstrap sample of the selection,
on the rows drawn, and scored on those left out. Which trial is selected belongs to
``hpsearch.search``; what stands in the ledger to ``hpsearch.ledger``.

Nothing is imported here, since options are checked by one of the files before anything heavy is.
"""
