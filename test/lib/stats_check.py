"""Snapshots made once more, in another way, from the events of the log: for test/t/500.

    stats_check.py FOLDER      with events, snapshots, staff and setup as JSON lines

Everything at once, event by event, with exact lists of durations; prints what differs.
"""
import collections
import datetime
import json
import math
import os
import sys
import zoneinfo

UTC = datetime.timezone.utc
COUNTS = """visits joined walk_ups transferred_in called recalled started completed no_show cancelled expired revoked
    transferred_out requeued held deferred reinstated released admitted abandoned within_target""".split()


def read(name):
    with open(os.path.join(sys.argv[1], name)) as lines:
        return [json.loads(line) for line in lines]


def moment(text):
    return datetime.datetime.fromisoformat(text).astimezone(UTC)


def seconds(span):
    return span / datetime.timedelta(microseconds=1) / 1e6


setup = read("setup")[0]
queues = {q["queue_id"]: q for q in setup["queues"]}
branches = {b["branch_id"]: b["organization_id"] for b in setup["branches"]}
zone_of_branch = {b["branch_id"]: zoneinfo.ZoneInfo(b["zone"]) for b in setup["branches"]}
zone_of_organization = {o["organization_id"]: zoneinfo.ZoneInfo(o["zone"]) for o in setup["organizations"]}
class_name = {c["customer_class_id"]: c["name"] for c in setup["classes"]}
now = moment(setup["now"])

events = read("events")
for event in events:
    event["at"] = moment(event["at"])
    event["data"] = event["data"] or {}
events.sort(key=lambda event: event["event_id"])
by_id = {event["event_id"]: event for event in events}

# What was undone did not happen, with the recalls of a call.
for event in events:
    if event["kind"] == "ticket.undone":
        undone = by_id[event["data"]["undone_event_id"]]
        undone["undone"] = True
        if undone["kind"] == "ticket.called":
            for other in events:
                if (other["kind"] == "ticket.recalled" and other["ticket_id"] == event["ticket_id"]
                        and undone["event_id"] < other["event_id"] < event["event_id"]):
                    other["undone"] = True
happened = [event for event in events if not event.get("undone")]


def hour_of(at, zone):
    local = at.astimezone(zone)
    return at - datetime.timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


class Figures:
    def __init__(self):
        self.n = collections.Counter()
        self.lists = {"wait": [], "service": [], "abandoned_wait": []}


# key: (level, id, period, starts_at, class)
figures = collections.defaultdict(Figures)


def places(queue_id, at):
    """The rows that something in a queue at a moment counts in."""
    queue = queues[queue_id]
    organization = queue["organization_id"]
    zone = zone_of_branch[queue["branch_id"]] if queue["branch_id"] else zone_of_organization[organization]
    hour = hour_of(at, zone)
    day = hour.astimezone(zone).date()
    rows = [("queue", queue_id, "hour", hour), ("queue", queue_id, "day", day)]
    if queue["branch_id"]:
        rows += [("branch", queue["branch_id"], "hour", hour), ("branch", queue["branch_id"], "day", day)]
    # An organization has the hours of its branches that begin in its own.
    over = hour_of(hour, zone_of_organization[organization])
    rows += [("organization", organization, "hour", over),
             ("organization", organization, "day", over.astimezone(zone_of_organization[organization]).date())]
    return rows


def add(event, customer_class, count, queue_id=None, **durations):
    queue_id = queue_id or event["queue_id"]
    for row in places(queue_id, event["at"]):
        for name in (None, class_name[customer_class]):
            entry = figures[row + (name,)]
            entry.n[count] += 1
            for kind, duration in durations.items():
                if duration is not None:
                    entry.lists[kind].append(duration)
                    if kind == "wait" and duration <= queues[queue_id]["target"]:
                        entry.n["within_target"] += 1


tickets = collections.defaultdict(list)
for event in happened:
    if event["ticket_id"]:
        tickets[event["ticket_id"]].append(event)

served_by_event = {}
for history in tickets.values():
    customer_class = None
    spans = None            # of waiting since it came into line; None: it is not in line
    open_span = None
    called = started = None

    def close(at):
        global spans, open_span
        if open_span is not None:
            spans.append(max(seconds(at - open_span), 0))
            open_span = None

    def begin(event):
        global spans, open_span
        spans = []
        open_span = event["at"] if event["state"] == "waiting" else None

    for event in history:
        kind, data, at = event["kind"][7:], event["data"], event["at"]
        customer_class = data.get("customer_class_id", customer_class)
        if kind == "joined":
            add(event, customer_class, "joined")
            if event["visit_id"] == event["ticket_id"]:
                add(event, customer_class, "visits")
            begin(event)
            if data.get("walk_up"):
                add(event, customer_class, "walk_ups")
                spans = open_span = None
        elif kind in ("called", "released"):
            if open_span is not None:
                close(at)
            add(event, customer_class, kind, wait=sum(spans) if spans is not None else None)
            spans = open_span = None
            called, started = (at, None) if kind == "called" else (None, None)
        elif kind == "recalled":
            add(event, customer_class, "recalled")
        elif kind == "serving":
            add(event, customer_class, "started")
            started = called if data.get("implied") else at
            spans = open_span = None
        elif kind == "completed":
            duration = max(seconds(at - (started or called)), 0)
            served_by_event[event["event_id"]] = duration
            add(event, customer_class, "completed", service=duration)
        elif kind in ("no_show", "cancelled", "expired", "revoked"):
            add(event, customer_class, kind)
            if spans is not None and kind in ("cancelled", "expired"):
                close(at)
                add(event, customer_class, "abandoned", abandoned_wait=sum(spans))
            spans = open_span = None
        elif kind == "held":
            if data.get("hold_kind") != "other_ticket":
                add(event, customer_class, "held")
            if spans is not None:
                close(at)
            called = started = None
        elif kind in ("resumed", "arrived"):
            if data.get("reinstated"):
                add(event, customer_class, "reinstated")
                begin(event)
                called = started = None
            elif spans is None:
                begin(event)
            elif open_span is None:
                open_span = at
        elif kind == "requeued":
            add(event, customer_class, "requeued")
            begin(event)
        elif kind == "transferred":
            add(event, customer_class, "transferred_in")
            add(event, customer_class, "transferred_out", queue_id=data["from_queue_id"])
            begin(event)
            called = started = None
        elif kind == "deferred":
            add(event, customer_class, "deferred")
            if event["state"] == "on_hold":
                close(at)
        elif kind == "admitted":
            add(event, customer_class, "admitted")
            started = at
        elif kind == "undone" and event["state"] == "on_hold" and spans is not None:
            close(at)

# ---- counters: stretches of time, then cut at the hours ----
stretches = []      # (branch, staff, what, reason, from, to)
done = collections.defaultdict(collections.Counter)     # (branch, staff, hour): counts
served = collections.defaultdict(list)
counters = {}
implied = {}        # ticket: its last call, if the service turns out to have begun with it
last_call = {}
for event in happened:
    if event["kind"] == "ticket.called":
        last_call[event["ticket_id"]] = event["event_id"]
    elif event["kind"] == "ticket.serving" and event["data"].get("implied"):
        implied[last_call[event["ticket_id"]]] = True


def note(counter, until):
    if counter["open"] and until > counter["since"]:
        what = counter["at"] or ("paused" if counter["pause"] is not None else "idle")
        stretches.append((counter["branch"], counter["staff"], what, counter["pause"], counter["since"], until))
    counter["since"] = max(until, counter["since"])


for event in happened:
    kind, data, at = event["kind"], event["data"], event["at"]
    counter_id = data.get("from_counter_id") or event["counter_id"]
    if not counter_id or kind.split(".")[0] not in ("ticket", "counter") or kind in ("ticket.recalled", "ticket.undone"):
        continue
    if kind == "counter.opened":
        counters[counter_id] = {"open": True, "staff": event["staff_id"], "at": None, "pause": None, "since": at,
                                "branch": event["branch_id"]}
        continue
    if kind not in ("counter.paused", "counter.resumed", "counter.closed", "ticket.called", "ticket.serving", "ticket.completed",
                    "ticket.no_show", "ticket.cancelled", "ticket.held", "ticket.requeued", "ticket.transferred", "ticket.expired"):
        continue
    counter = counters[counter_id]
    note(counter, at)
    tally = done[counter["branch"], counter["staff"], hour_of(at, zone_of_branch[counter["branch"]])]
    if kind == "counter.paused":
        counter["pause"] = data["reason"]
    elif kind == "counter.resumed":
        counter["pause"] = None
    elif kind == "counter.closed":
        counter["open"] = False
    elif kind == "ticket.called":
        counter["at"] = "serving" if event["event_id"] in implied else "walking"
        tally["called"] += 1
    elif kind == "ticket.serving":
        counter["at"] = "serving"
    else:
        counter["at"] = None
        word = {"ticket.completed": "served", "ticket.no_show": "no_show", "ticket.transferred": "transferred",
                "ticket.requeued": "requeued"}.get(kind)
        if word:
            tally[word] += 1
        if event["event_id"] in served_by_event:
            served[counter["branch"], counter["staff"], hour_of(at, zone_of_branch[counter["branch"]])].append(
                served_by_event[event["event_id"]])
for counter in counters.values():
    note(counter, now)

spent = collections.defaultdict(collections.Counter)    # (branch, staff, hour): seconds of each kind
for branch, staff, what, reason, since, until in stretches:
    while since < until:
        hour = hour_of(since, zone_of_branch[branch])
        end = min(until, hour + datetime.timedelta(hours=1))
        entry = spent[branch, staff, hour]
        entry[what] += seconds(end - since)
        if what == "paused":
            entry["pause " + reason] += seconds(end - since)
        since = end

# ---- compare ----
problems = []
compared = 0


def differ(where, what, stored, mine):
    problems.append("%s %s: %s, not %s" % (where, what, stored, mine))


def near(a, b):
    return abs(a - b) <= 0.0005 + 1e-9 * abs(b)


def check_list(where, name, row, values):
    global compared
    compared += 1
    if row[name + "_count"] != len(values):
        differ(where, name + "_count", row[name + "_count"], len(values))
    if not near(row[name + "_sum"], sum(values)):
        differ(where, name + "_sum", row[name + "_sum"], sum(values))
    if not near(row[name + "_max"], max(values, default=0)):
        differ(where, name + "_max", row[name + "_max"], max(values, default=0))
    if not math.isclose(row[name + "_squares"], sum(v * v for v in values), rel_tol=1e-6, abs_tol=1e-3):
        differ(where, name + "_squares", row[name + "_squares"], sum(v * v for v in values))
    for q, stored in zip((0.5, 0.9, 0.95), row.get(name + "_quantiles") or ()):
        if values:
            exact = sorted(values)[max(math.ceil(q * len(values)) - 1, 0)]
            # Beyond a week there is one bin, below a second another.
            if exact < 604800 and abs(stored - exact) > 0.01 * exact + 1e-5 and not (exact < 1 and stored == 0):
                differ(where, "%s p%g" % (name, 100 * q), stored, exact)


seen = set()
for row in read("snapshots"):
    level, identity = (("queue", row["queue_id"]) if row["queue_id"] else ("branch", row["branch_id"]) if row["branch_id"]
                       else ("organization", row["organization_id"]))
    start = moment(row["starts_at"]) if row["period"] == "hour" else datetime.date.fromisoformat(row["local_date"])
    key = (level, identity, row["period"], start, row["customer_class"])
    if key in seen:
        problems.append("twice: %s" % (key,))
    seen.add(key)
    mine = figures.get(key)
    if mine is None:
        problems.append("nothing happened: %s" % (key,))
        continue
    compared += 1
    for count in COUNTS:
        if row[count] != mine.n[count]:
            differ(key, count, row[count], mine.n[count])
    for name, values in mine.lists.items():
        check_list(key, name, row, values)
    zone = {"queue": lambda: zone_of_branch.get(queues[identity]["branch_id"], zone_of_organization[row["organization_id"]]) if level == "queue" else None,
            "branch": lambda: zone_of_branch[identity], "organization": lambda: zone_of_organization[identity]}[level]()
    if row["period"] == "day":
        first = datetime.datetime.combine(start, datetime.time(), zone).astimezone(UTC)
        last = datetime.datetime.combine(start + datetime.timedelta(days=1), datetime.time(), zone).astimezone(UTC)
        if (moment(row["starts_at"]), moment(row["ends_at"])) != (first, last):
            differ(key, "bounds", (row["starts_at"], row["ends_at"]), (first, last))
    elif row["local_hour"] != start.astimezone(zone).hour:
        differ(key, "local_hour", row["local_hour"], start.astimezone(zone).hour)
for key in figures:
    if key not in seen:
        problems.append("missing: %s" % (key,))

rows = read("staff")
mine_of_day = collections.defaultdict(lambda: [collections.Counter(), collections.Counter(), []])
for key in set(spent) | set(done) | set(served):
    day = mine_of_day[key[0], key[1], key[2].astimezone(zone_of_branch[key[0]]).date()]
    day[0].update(spent.get(key, {}))
    day[1].update(done.get(key, {}))
    day[2].extend(served.get(key, []))
seen = set()
for row in rows:
    if row["period"] == "hour":
        key = (row["branch_id"], row["staff_id"], moment(row["starts_at"]))
        mine = spent.get(key, collections.Counter()), done.get(key, collections.Counter()), served.get(key, [])
    else:
        key = (row["branch_id"], row["staff_id"], datetime.date.fromisoformat(row["local_date"]))
        mine = mine_of_day.get(key, (collections.Counter(), collections.Counter(), []))
    seen.add(key)
    compared += 1
    for what in ("idle", "walking", "serving", "paused"):
        if not near(row[what], mine[0][what]):
            differ(key, what, row[what], mine[0][what])
    pauses = {k[6:]: v for k, v in mine[0].items() if k.startswith("pause ")}
    if set(pauses) != set(row["pauses"]) or any(not near(row["pauses"][k], v) for k, v in pauses.items()):
        differ(key, "pauses", row["pauses"], pauses)
    for what in ("called", "served", "no_show", "transferred", "requeued"):
        if row[what] != mine[1][what]:
            differ(key, what, row[what], mine[1][what])
    check_list(key, "service", row, mine[2])
for key, what in list(spent.items()) + list(mine_of_day.items()):
    if key not in seen and (isinstance(what, list) or sum(what.values()) > 0):
        problems.append("staff missing: %s %s" % (key, what))

print("events %d, undone %d, rows compared %d, problems %d" % (len(events), len(events) - len(happened), compared, len(problems)))
for problem in problems[:40]:
    print(problem)
sys.exit(1 if problems else 0)
