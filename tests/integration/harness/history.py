"""Whether what clients were answered, and what a watcher of events was told, can both be true.

Of one plugin there are calls, each with a begin and an end, and events in the order in which they were told. A history is a moment
for each event, in that order, within the call that it tells of, and not after it was told. There must be one in which every
call that succeeded has its event, no event is without a call, each is possible in the plugin's state before it, and the state at
some moment of each other call explains its answer."""

import dataclasses
import math

#: Attempts to find a history, far beyond what any that exists has taken.
MOST_STEPS = 200_000

ABSENT, DISABLED, ENABLED = "absent", "disabled", "enabled"
PRESENT = frozenset({DISABLED, ENABLED})


@dataclasses.dataclass(frozen=True)
class Event:
    action: str
    time: float  # when it was told, at the latest


@dataclasses.dataclass(frozen=True)
class Deed:
    """What one call did, or may have done: where it is not `certain`, it may have no event."""
    actions: tuple  # its event is one of these
    begin: float
    end: float = math.inf
    certain: bool = True


@dataclasses.dataclass(frozen=True)
class Sight:
    """What one call has seen: at some moment of it, the plugin was in one of `states`."""
    what: str
    begin: float
    end: float
    states: frozenset


class Impossible(AssertionError):
    """There is no such history."""


class Rules:
    """What each action of an event makes of a plugin: action -> {state before: state after}."""

    def __init__(self, **actions):
        self.actions = actions

    def states(self, events):
        """The states between the events, one more than these."""
        state, states = ABSENT, [ABSENT]
        for number, event in enumerate(events):
            after = self.actions[event.action].get(state)
            if after is None:
                before = ", ".join(earlier.action for earlier in events[max(0, number - 5):number]) or "nothing"
                raise Impossible(f"event {number}, {event.action}, of a plugin that is {state}: before it came {before}")
            state = after
            states.append(state)
        return states


#: The events of brokerd's own stream: of the state that is on the disk.
OWN = Rules(installed={ABSENT: DISABLED}, enabled={DISABLED: ENABLED}, disabled={ENABLED: DISABLED}, set={DISABLED: DISABLED},
            upgraded={DISABLED: DISABLED}, removed={DISABLED: ABSENT})
#: Docker's: a plugin that is removed by force is not told to be disabled, and an upgrade is called pull.
DOCKER = Rules(create={ABSENT: DISABLED}, pull={ABSENT: DISABLED, DISABLED: DISABLED}, enable={DISABLED: ENABLED},
               disable={ENABLED: DISABLED}, remove={DISABLED: ABSENT, ENABLED: ABSENT})


def _candidates(event, deeds, left, now):
    """Deeds that the event may tell of: certain ones first, then those that end first."""
    fitting = [number for number in left if event.action in deeds[number].actions and deeds[number].begin <= event.time
               and max(now, deeds[number].begin) <= deeds[number].end]
    return sorted(fitting, key=lambda number: (not deeds[number].certain, deeds[number].end))


def assign(events, deeds):
    """For each event the deed that it tells of."""
    chosen, nows = [], [-math.inf]
    left = set(range(len(deeds)))
    choices = []  # of each event that has been reached: what is still to be tried
    furthest = 0
    for _ in range(MOST_STEPS):
        now = nows[-1]
        overdue = any(deeds[number].certain and deeds[number].end < now for number in left)
        if len(chosen) == len(events) and not overdue and not any(deeds[number].certain for number in left):
            return [deeds[number] for number in chosen]
        if len(choices) == len(chosen):
            dead = overdue or len(chosen) == len(events)
            choices.append([] if dead else _candidates(events[len(chosen)], deeds, left, now))
        furthest = max(furthest, len(chosen))
        if choices[-1]:
            number = choices[-1].pop(0)
            chosen.append(number)
            left.remove(number)
            nows.append(max(now, deeds[number].begin))
        else:
            choices.pop()
            if not chosen:
                break
            left.add(chosen.pop())
            nows.pop()
    raise Impossible(_why(events, deeds, furthest))


def _why(events, deeds, furthest):
    missing = []
    for action in sorted({action for deed in deeds for action in deed.actions} | {event.action for event in events}):
        told = sum(event.action == action for event in events)
        certain = sum(deed.actions == (action,) and deed.certain for deed in deeds)
        possible = sum(action in deed.actions for deed in deeds)
        if not certain <= told <= possible:
            missing.append(f"{told} events {action} for {certain} to {possible} calls")
    where = f"event {furthest}, {events[furthest]}" if furthest < len(events) else f"the end of {len(events)} events"
    return f"no order of the calls gives these events; {'; '.join(missing) or 'as many as there should be'}; it goes as far as {where}"


def check(rules, events, deeds, sights):
    """Raises Impossible with the reason where there is no history."""
    states = rules.states(events)
    assign(events, deeds)
    # Of two calls that both fit, either may be the one that an event tells of: each moment's limits are the widest.
    fitting = [[deed for deed in deeds if event.action in deed.actions and deed.begin <= event.time] for event in events]
    earliest, moment = [], -math.inf
    for those in fitting:
        moment = max(moment, min(deed.begin for deed in those if deed.end >= moment))
        earliest.append(moment)
    latest, moment = [], math.inf
    for event, those, first in zip(reversed(events), reversed(fitting), reversed(earliest)):
        moment = min(moment, event.time, max(deed.end for deed in those if deed.end >= first))
        latest.insert(0, moment)
    since, until = [-math.inf, *earliest], [*latest, math.inf]
    for sight in sights:
        if not any(state in sight.states and since[number] <= sight.end and until[number] >= sight.begin
                   for number, state in enumerate(states)):
            around = [state for number, state in enumerate(states) if since[number] <= sight.end and until[number] >= sight.begin]
            raise Impossible(f"{sight.what}, but all that time the plugin was {' or '.join(dict.fromkeys(around))}")
