"""Fine-tuning: an encoder's upper layers and a head trained together, from audio to a checkpoint.

settings.py    what is asked for
request.py     the same with nothing left open, and what is refused at once
plan.py        the corpus heard, its targets and folds, and where checkpoints will lie
clips.py       the clips, decoded ahead of the batches that they make
network.py     encoder and head, and their optimiser
epochs.py      the loop over batches and epochs
state.py       what an interrupted training goes on from
checkpoint.py  what is written in the end
run.py         the whole of it, fold by fold
"""
