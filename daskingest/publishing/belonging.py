"""Whether a store, a target and the file between them belong together.

Each of the three can be made anew, restored from a backup or copied, without the others. So each
knows something of the others: the file has the run by which the target knows its commits, and the
source is held, under the target's name, by that run, in an epoch that grows with each publish. If
they don't fit, nobody can tell what the target lacks, and publishing would count twice. Unless the
target has never heard of the run: then it has nothing of the source, and lacks all of it.
"""

from __future__ import annotations

from daskingest.errors import UsageError
from daskingest.publishing.published import PublishedFile, State
from daskingest.publishing.route import Route
from daskingest.stores import Hold, Store


def prepare(route: Route, source: Store, target: Store, file: PublishedFile) -> int:
    """Have the source know that it is published; returns its epoch.

    What the file says is forgotten if the target has nothing of it. Raises UsageError, saying what
    to do, if the three don't belong together.
    """
    if starts_anew(route, source, target, file.state):
        file.reset(file.state.run)
    return source.take_over(route.mark, file.state.run).epoch


def starts_anew(route: Route, source: Store, target: Store, state: State) -> bool:
    """Whether the target has nothing of what was published to it before.

    Raises UsageError as `prepare` does.
    """
    mark = source.hold(route.mark)
    runs = {state.run, mark.owner if mark else state.run}
    if any(_knows(target, run) for run in runs):
        check(route, state, mark)
        return False
    return state.number > 0 or len(runs) > 1


def check(route: Route, state: State, mark: Hold | None) -> None:
    """Raise UsageError if the source, held so, is not the one that the file is about."""
    file, source, target = route.published_path, route.source, route.target
    if mark is not None and mark.owner != state.run:
        raise UsageError(
            f"{source} was published to {target} before, and {file}, which should say how much of "
            "it, does not: put the one back that was there then. Without it, what is published "
            "already would count twice"
        )
    if (mark.epoch if mark else 0) < state.source_epoch:
        raise UsageError(
            f"{source} is not as it was when it was published to {target} last: it was made anew, "
            f"or restored from a backup. Put the one back that was published; or, if this is a new "
            f"store of other articles, remove {file}"
        )


def astray(route: Route, found: str) -> UsageError:
    """What is to be told when the file and the target say different things."""
    return UsageError(
        f"{route.published_path} and {route.target} don't agree on what was published ({found} "
        "commits): one of them was restored from a backup, or the store was copied and published "
        "from elsewhere since. Publish from the store and with the file that were used last"
    )


def _knows(target: Store, run: str) -> bool:
    return target.hold(run) is not None or bool(target.ledger(run))
