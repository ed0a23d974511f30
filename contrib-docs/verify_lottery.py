#!/usr/bin/env python3
"""verify_lottery.py: compute the draw of a qms waiting room again.  Python 3, nothing else.

  What was told before the draw must be kept:   sha256(seed) = commitment
  the list of those who took part is the one:   sha256(ids ascending, 8 bytes each) = list_hash
  and their order follows from these two:       ascending by sha256(seed || list_hash || id, 8 bytes)

Get the public data in any of these ways, then run it:

  psql --csv -c "SELECT * FROM qms.lottery_draw(7)" > draw.csv
  psql --csv -c "SELECT e.* FROM generate_series(0, 999999, 10000) a, qms.lottery_entries(7, a, 10000) e" > entries.csv
  verify_lottery.py --draw draw.csv --entries entries.csv

  verify_lottery.py --url https://hall.example --queue 7     # asks POST /rpc/lottery_draw and /rpc/lottery_entries
  verify_lottery.py everything.json                          # {"draw": {...}, "entries": [{...}, ...]}; - is stdin

Files are CSV with a header, a JSON array of objects, or JSON objects line by line.  With
--commitment HEX it is compared with what you wrote down before the draw, and not only with what
the same answer says; with --ticket ID the rank of one ticket is told.

Exit code: 0 the draw is right, 1 it is not (each wrong line is named), 2 the data cannot be read.
"""
import argparse
import csv
import hashlib
import io
import json
import sys
import urllib.request

PAGE = 10000
SHOWN = 10  # wrong lines of a kind


class Unusable(Exception):
    """The data cannot be read, so nothing is said about the draw."""


def octets(value, what):
    """The bytes of "\\x0a1b" or "0a1b"."""
    text = str(value or "").strip()
    if text.startswith("\\x"):
        text = text[2:]
    try:
        result = bytes.fromhex(text)
    except ValueError:
        raise Unusable(f"{what} is not hexadecimal: {value!r}") from None
    if len(result) != 32:
        raise Unusable(f"{what} has {len(result)} bytes, not 32" if result else f"{what} is missing: not drawn yet?")
    return result


def number(row, key, line):
    """A whole number of a line."""
    value = row.get(key)
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        result = int(value)
    except (TypeError, ValueError):
        raise Unusable(f"line {line} of the entries has no {key}: {value!r}") from None
    if not 0 < result < 2**63:
        raise Unusable(f"line {line} of the entries has a {key} out of range: {result}")
    return result


def rows_of(text, what):
    """Rows of CSV with a header, of a JSON array, or of JSON lines."""
    text = text.lstrip("\ufeff").strip()
    try:
        if text.startswith("["):
            rows = json.loads(text)
        elif text.startswith("{"):
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = list(csv.DictReader(io.StringIO(text)))
    except (ValueError, csv.Error) as error:
        raise Unusable(f"{what} cannot be read: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise Unusable(f"{what} is not a list of rows")
    return rows


def content(name):
    """The text of a file; - is stdin."""
    try:
        if name == "-":
            return sys.stdin.read()
        with open(name, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{name}: {error}") from None


def ask(url, function, arguments):
    """Rows that a function answers over HTTP."""
    request = urllib.request.Request(f"{url.rstrip('/')}/rpc/{function}", json.dumps(arguments).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return rows_of(answer.read().decode(), function)
    except OSError as error:
        raise Unusable(f"{url}: {error}") from None


def ask_all(url, queue):
    """Draw and entries, page by page."""
    draw = ask(url, "lottery_draw", {"queue_id": queue})
    entries, page = [], [None]
    while page:
        page = ask(url, "lottery_entries", {"queue_id": queue, "after_rank": len(entries), "max_rows": PAGE})
        entries += page
    return draw, entries


def read(options):
    """(draw, entries) from wherever they are."""
    if options.url:
        if options.queue is None:
            raise Unusable("--url needs --queue")
        draw, entries = ask_all(options.url, options.queue)
    elif options.draw and options.entries:
        draw, entries = rows_of(content(options.draw), "the draw"), rows_of(content(options.entries), "the entries")
    elif options.file:
        try:
            both = json.loads(content(options.file))
            draw, entries = both["draw"], both["entries"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unusable(f"{options.file} is not {{\"draw\": ..., \"entries\": [...]}}: {error}") from None
        draw = draw if isinstance(draw, list) else [draw]
    else:
        raise Unusable("nothing to verify: give a file, --draw and --entries, or --url and --queue (see --help)")
    if len(draw) != 1 or not isinstance(draw[0], dict):
        raise Unusable(f"there must be one draw, not {len(draw)}")
    return draw[0], entries


def lines(entries):
    """[(line, rank, ticket)] as they came."""
    return [(n, number(row, "rank", n), number(row, "ticket_id", n)) for n, row in enumerate(entries, 1)]


def verify(draw, entries, promised=None):
    """What is wrong, as a list of sentences; empty: the draw is right."""
    seed, commitment, list_hash = (octets(draw.get(key), key) for key in ("seed", "commitment", "list_hash"))
    listed = lines(entries)
    wrong = []
    if promised is not None and promised != commitment:
        wrong.append(f"commitment: {commitment.hex()} is not the one promised before the draw, {promised.hex()}")
    if hashlib.sha256(seed).digest() != commitment:
        wrong.append(f"seed: its hash is {hashlib.sha256(seed).hexdigest()}, not the commitment {commitment.hex()}")
    if str(draw.get("entries")) != str(len(listed)):
        wrong.append(f"entries: the draw says {draw.get('entries')}, {len(listed)} are listed")
    if len({ticket for _, _, ticket in listed}) != len(listed):
        wrong.append("entries: a ticket is listed twice")
    got = hashlib.sha256(b"".join(t.to_bytes(8, "big") for t in sorted(t for _, _, t in listed))).digest()
    if got != list_hash:
        wrong.append(f"list_hash: that of the tickets listed is {got.hex()}, not {list_hash.hex()}: somebody was added, left out or exchanged")
    order = sorted((t for _, _, t in listed), key=lambda t: hashlib.sha256(seed + list_hash + t.to_bytes(8, "big")).digest())
    place = {ticket: n for n, ticket in enumerate(order, 1)}
    bad = [(n, rank, ticket) for n, rank, ticket in listed if place[ticket] != rank]
    for n, rank, ticket in bad[:SHOWN]:
        wrong.append(f"line {n}: ticket {ticket} has rank {rank}, the seed gives it rank {place[ticket]}")
    if len(bad) > SHOWN:
        wrong.append(f"... and {len(bad) - SHOWN} more lines")
    return wrong


def main():
    """Read, verify, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help='JSON with "draw" and "entries"; - is stdin')
    parser.add_argument("--draw", help="the row of qms.lottery_draw()")
    parser.add_argument("--entries", help="the rows of qms.lottery_entries()")
    parser.add_argument("--url", help="a qms gateway or PostgREST to ask instead")
    parser.add_argument("--queue", type=int, help="its queue")
    parser.add_argument("--commitment", help="the commitment as it was before the draw")
    parser.add_argument("--ticket", type=int, help="tell the rank of this ticket")
    options = parser.parse_args()
    try:
        draw, entries = read(options)
        promised = octets(options.commitment, "--commitment") if options.commitment else None
        wrong = verify(draw, entries, promised)
    except Unusable as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    for sentence in wrong:
        print(f"WRONG  {sentence}")
    if options.ticket is not None:
        ranks = [rank for _, rank, ticket in lines(entries) if ticket == options.ticket]
        print(f"ticket {options.ticket}: " + (f"rank {ranks[0]} of {len(entries)}" if ranks else "did not take part"))
    print(f"{'the draw is NOT right' if wrong else 'the draw is right'}: {len(entries)} entries, queue {draw.get('queue_id')}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
