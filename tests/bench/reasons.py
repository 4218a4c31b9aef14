"""Why a target is missed, and what was tried: shown on the page beside the figures of the last full run."""

from collections.abc import Mapping

_INSERT = (
    "The bare table has the columns and the primary key, nothing else; of the table with its indexes and checks,"
    " without triggers, it is the share told below. Ours writes an audit row with each row (a second table, two more"
    " indexes), keeps three more indexes up to date for claims, listing and retention, leaves half of each page free"
    " for claims, and checks every size and state. Of 1,131,000 instructions for a single row the checks take"
    " 590,000, because PostgreSQL reads their text anew for each statement; the bare row takes 165,000. Tried: every"
    " rule said once and in fewer words (the text of checks and triggers is 19 kB instead of 48, a single insert"
    " 1,131,000 instructions instead of 2,112,000), audit metadata made from texts, four commits at a time that may"
    " carry a wake-up instead of eight, a trigger in place of the checks (dearer in bulk)."
)

WHY: Mapping[str, str] = {
    "drain.one.of_pgqueuer": (
        "It writes one log row and deletes the job; ours write the row twice, the try and the audit line. A bare loop"
        " of our statements, with no worker around it, is no faster than pgqueuer (1.0 x in each of two runs), and the"
        " worker reaches 0.8 to 0.9 of that loop. Worker and server together spend 1.3 to 1.5 times per row what those"
        " of pgqueuer spend. Ours use 0.80 of both cores in one process and 0.90 in two. The claiming thread is at"
        " work for four fifths of the time, and half of that is neither the database's work nor the reading of the"
        " rows: it waits for a core or for the interpreter. Tried: two batches recorded at a time (the worker waited"
        " for its one writer), what a worker starts with kept from the garbage collector; without gain: claims further"
        " ahead, larger claims, an answer to the claim in one piece instead of row by row, shorter turns of the"
        " interpreter's lock, audit lines made from texts, results that do not wake the writer one by one. Longer turns"
        " of that lock gain 6 % and cost a fifth of the e-mail's rate. On other machines it was 0.97 x and 0.93 x."
    ),
    "drain.one.of_procrastinate": (
        "It waits for a round trip and a commit with each row, where ours is bound by CPU: on this machine both are"
        " quicker than where the target was set, and it does nearly twice the rate of there. By CPU, worker and"
        " server together, it is 15 times ours. On a faster machine it was 19 x, on one a quarter as fast 27 x."
    ),
    "drain.one.of_afternoon": (
        "As with procrastinate: a rate bound by waiting is compared with one bound by CPU. It is 13 times ours by CPU."
        " On a faster machine it was 19 x, on one a quarter as fast 31 x."
    ),
    "enqueue.bulk.of_bare": _INSERT,
    "enqueue.single16.of_bare": _INSERT,
}
"""By the key of the figure."""
