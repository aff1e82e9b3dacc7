"""The store in PostgreSQL, where it differs from others: its server, its errors, its views."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from emulated import content
from postgres import PASSWORD, USER, Server, Wire
from program import free_port, run, until

from daskingest.counts import Counts
from daskingest.doctor import places
from daskingest.doctor.finding import Verdict
from daskingest.errors import StoreError, UsageError
from daskingest.ledger import BatchId, Counted
from daskingest.packed import PackedCounts
from daskingest.pipeline.store_place import _found, strayed
from daskingest.publishing.route import Route, target_digest
from daskingest.stores import AlreadyCommitted, Replaced, Store, open_store
from daskingest.stores.urls import place_of, shown_url


def counts_of(*words: str, publication: str = "P", month: int | None = None) -> PackedCounts:
    counts = Counts()
    counts.add_article(publication, [(word, "ORG") for word in words], month)
    return counts.packed()


def one(number: int, run: str = "r") -> dict[BatchId, Counted]:
    return {BatchId(run, str(number)): Counted()}


@pytest.fixture
def database(postgresql_url: str) -> str:
    return postgresql_url.rpartition("/")[2]


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    with open_store(postgresql_url, create=True) as opened:
        yield opened


def refused(url: str, create: bool = True) -> str:
    """Why a store can't be opened, in one line that doesn't have the password."""
    with pytest.raises((StoreError, UsageError)) as error:
        open_store(url, create=create)
    told = str(error.value)
    assert "\n" not in told
    assert PASSWORD not in told
    return told


def test_what_can_be_queried(store: Store, postgresql: Server, database: str) -> None:
    counts = Counts()
    counts.add_article("The Post", [("U.S.", "GPE"), ("U.S.", "ORG"), ("rome", "GPE")], 557)
    store.commit(counts.packed(), one(1))
    store.commit(counts.packed(), one(2))
    query = "SELECT name, {} FROM daskingest.{} AS its JOIN daskingest.publications "
    query += "ON id = publication ORDER BY 2, 3"

    def found(columns: str, table: str) -> list[tuple[object, ...]]:
        return postgresql.execute(query.format(columns, table), database)

    assert found("word, its.count", "words") == [("The Post", "rome", 2), ("The Post", "u.s.", 4)]
    assert [row[1:] for row in found("word, label, its.count", "labels")] == [
        ("rome", "GPE", 2),
        ("u.s.", "GPE", 2),
        ("u.s.", "ORG", 2),
    ]
    assert [row[1:] for row in found("word, its.month::text, its.count", "months")] == [
        ("rome", "2016-06-01", 2),
        ("u.s.", "2016-06-01", 4),
    ]


def test_months_are_summed_up_at_times(store: Store, postgresql: Server, database: str) -> None:
    expected: Counter[int] = Counter()
    for number in range(300):
        store.commit(counts_of("a", month=number % 150 - 30), one(number))
        expected[number % 150 - 30] += 1
    assert store.article_months() == {"p": expected}
    assert store.word_months([("p", "a")]) == {("p", "a"): expected}
    for table in ("words", "publications"):
        query = f"SELECT max(length(months)) FROM daskingest.{table}"
        [(longest,)] = postgresql.execute(query, database)
        assert isinstance(longest, int)
        assert longest < 3000


def test_words_are_in_the_order_of_their_bytes(store: Store) -> None:
    words = ["a", "b", "a b", "a-b", "ab", "é", "z", "\uff5a", "😀", "\x7f", "ß"]
    store.commit(counts_of(*words), one(1))
    assert [each.word for each in store.words("p", 99)] == sorted(words, key=str.encode)
    assert [row[1] for row in store.all_words()] == sorted(words, key=str.encode)


def test_reading_makes_nothing(postgresql_url: str, postgresql: Server, database: str) -> None:
    assert "nothing has been counted there yet" in refused(postgresql_url, create=False)
    query = "SELECT count(*) FROM pg_namespace WHERE nspname = 'daskingest'"
    assert postgresql.execute(query, database) == [(0,)]


def test_a_store_is_made_once(postgresql_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        identities = [*threads.map(_found, [postgresql_url] * 8)]
    assert len(set(identities)) == 1
    [(identity, why)] = set(identities)
    assert identity
    assert not why


def test_who_may_not_use_it_is_told_so(
    store: Store, postgresql_url: str, postgresql: Server, database: str
) -> None:
    store.commit(counts_of("a"), one(1))
    postgresql.execute(f"CREATE USER u_{database} PASSWORD 'x'")
    mine = postgresql.url(database, f"u_{database}", "x")
    assert "permission denied" in refused(mine, create=False)
    grants = "GRANT USAGE ON SCHEMA daskingest TO u_{0};"
    grants += "GRANT SELECT ON ALL TABLES IN SCHEMA daskingest TO u_{0}"
    postgresql.execute(grants.format(database), database)
    assert content(mine) == content(postgresql_url)
    assert "permission denied for table words: ask" in refused(mine)
    postgresql.execute(
        f"GRANT ALL ON ALL TABLES IN SCHEMA daskingest TO u_{database};"
        f"REVOKE TEMP ON DATABASE {database} FROM PUBLIC",
        database,
    )
    assert "GRANT TEMP ON DATABASE" in refused(mine)
    postgresql.execute(f"GRANT TEMP ON DATABASE {database} TO u_{database}", database)
    with open_store(mine, create=True) as opened:
        opened.commit(counts_of("a"), one(2))
    postgresql.drop(database)
    postgresql.execute(f"DROP USER u_{database}")


def test_what_keeps_it_from_being_used(postgresql: Server, database: str) -> None:
    told = refused(postgresql.url(database, password="not this"))
    assert "password authentication failed" in told
    assert "PGPASSWORD" in told
    assert "createdb" in refused(postgresql.url("none"))
    assert "check the user" in refused(postgresql.url(database, user="nobody"))
    nobody = f"postgresql://{USER}:{PASSWORD[:3]}@127.0.0.1:{free_port()}/x"
    assert "that the server runs" in refused(nobody)
    assert "host" in refused("postgresql://u@no-such-host.invalid/x")
    assert "/no/such" in refused("postgresql://u@/x?host=/no/such")
    latin = postgresql.new_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    assert "expected a database in UTF8, found LATIN1" in refused(postgresql.url(latin))
    postgresql.drop(latin)


def test_passwords_that_are_not_encoded_are_not_told(postgresql: Server) -> None:
    for secret in ("se@cret", "se/cret", "se?cret", "se#cret", "se%cret", "se:cret@x/y"):
        told = refused(f"postgresql://{USER}:{secret}@127.0.0.1:{postgresql.port}/x")
        assert "cret" not in told


def test_a_store_that_can_only_be_read(
    store: Store, postgresql_url: str, postgresql: Server, database: str
) -> None:
    store.commit(counts_of("a"), one(1))
    store.close()
    postgresql.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    assert content(postgresql_url) == ({"p": 1}, {("p", "a", "ORG"): 1})
    assert "name the server that it follows" in refused(postgresql_url)


def test_other_tables_and_other_versions(postgresql: Server, database: str) -> None:
    url = postgresql.url(database)
    postgresql.execute("CREATE SCHEMA daskingest; CREATE TABLE daskingest.t ()", database)
    assert "are not daskingest's" in refused(url)
    assert "nothing has been counted" in refused(url, create=False)
    postgresql.execute("DROP TABLE daskingest.t", database)
    open_store(url, create=True).close()
    postgresql.execute("UPDATE daskingest.store SET version = 99", database)
    for create in (False, True):
        assert "a newer daskingest wrote this store" in refused(url, create)


def test_without_the_client_it_is_said_what_to_install() -> None:
    code = "import sys; sys.modules['psycopg'] = None; from daskingest.__main__ import main; main()"
    command = [sys.executable, "-c", code, "publications", "--store", "postgresql://h/d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_commits_are_durable_whatever_is_usual(
    store: Store, postgresql: Server, database: str
) -> None:
    store.close()
    postgresql.execute(f"ALTER DATABASE {database} SET synchronous_commit = off", database)
    postgresql.execute(
        "CREATE TABLE seen (how text); CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.seen SELECT current_setting(''synchronous_commit''); "
        "RETURN new; END'; CREATE TRIGGER t BEFORE INSERT ON daskingest.ledger FOR EACH ROW "
        "EXECUTE FUNCTION see()",
        database,
    )
    store.commit(counts_of("a"), one(1))
    assert postgresql.execute("SELECT how FROM seen", database) == [("on",)]


def test_a_server_that_was_away_is_used_again(store: Store, postgresql: Server) -> None:
    store.commit(counts_of("a"), one(1))
    postgresql.stop(at_once=True)
    try:
        for work in (store.publications, lambda: store.commit(counts_of("a"), one(2))):
            with pytest.raises(StoreError, match=r"cannot .* the store postgresql://") as error:
                work()
            assert "\n" not in str(error.value)
            assert PASSWORD not in str(error.value)
    finally:
        postgresql.start()
    store.commit(counts_of("a"), one(2))
    postgresql.stop()
    postgresql.start()
    assert [each.count for each in store.publications()] == [2]  # by a connection that was lost


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost(postgresql: Server, database: str, when: str) -> None:
    wire = Wire(postgresql)
    url = postgresql.url(database).replace(f":{postgresql.port}", f":{wire.port}")
    with open_store(url, create=True) as store:
        wire.cut_at = when
        with pytest.raises(StoreError, match="cannot write to the store"):
            store.commit(counts_of("a"), one(1))
        assert wire.cuts == 1
        if when == "after":
            with pytest.raises(AlreadyCommitted):
                store.commit(counts_of("a"), one(1))
        else:
            store.commit(counts_of("a"), one(1))
        assert store.ledger("r") == one(1)
        assert content(url)[1] == {("p", "a", "ORG"): 1}
    wire.close()


def test_whoever_takes_over_waits_for_a_commit_on_its_way(
    store: Store, postgresql_url: str, postgresql: Server, database: str
) -> None:
    """And what comes after that commit is refused."""
    hold = store.take_over("r", "one")
    with psycopg.connect(postgresql.socket_url(database), autocommit=True) as other:
        with other.transaction():
            other.execute("LOCK TABLE daskingest.ledger")
            with (
                ThreadPoolExecutor(2) as threads,
                open_store(postgresql_url, create=True) as second,
            ):
                late = threads.submit(store.commit, counts_of("a"), one(1), [hold])
                until(lambda: waiting(postgresql, database) == 1)
                taken = threads.submit(second.take_over, "r", "two")
                until(lambda: waiting(postgresql, database) == 2)
                other.execute("COMMIT")
                assert late.result() == 3
                assert taken.result().epoch == hold.epoch + 1
                assert second.ledger("r") == one(1)
        with pytest.raises(Replaced):
            store.commit(counts_of("a"), one(2), [hold])


def waiting(postgresql: Server, database: str) -> int:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' "
    [(found,)] = postgresql.execute(query + "AND wait_event_type = 'Lock'")
    assert isinstance(found, int)
    return found


def test_many_who_write_the_same_words_do_not_block_each_other(postgresql_url: str) -> None:
    writers, commits = 4, 15
    open_store(postgresql_url, create=True).close()
    together = threading.Barrier(writers)

    def write(number: int) -> None:
        shuffled = random.Random(number)
        with open_store(postgresql_url, create=True) as store:
            together.wait()
            for commit in range(commits):
                counts = Counts()
                for name in shuffled.sample(["P", "Q", "R", f"of {number}", f"{commit}"], 5):
                    words = shuffled.sample([*map(str, range(200))], 200)
                    found = [(word, shuffled.choice(["ORG", "GPE", "LOC"])) for word in words]
                    counts.add_article(name, found, shuffled.choice([557, 558]))
                store.commit(counts.packed(), one(commit, f"run {number}"))

    with ThreadPoolExecutor(writers) as threads:
        assert [*threads.map(write, range(writers))] == [None] * writers
    articles, words = content(postgresql_url)
    assert articles["p"] == writers * commits
    assert articles["3"] == writers
    each: Counter[tuple[str, str]] = Counter()
    for (key, word, _), count in words.items():
        each[key, word] += count
    assert all(count == articles[key] for (key, _), count in each.items())
    with open_store(postgresql_url) as store:
        assert sum(store.word_months([("p", "7")])["p", "7"].values()) == writers * commits


def test_passwords_are_not_shown(postgresql_url: str, tmp_path: Path) -> None:
    for url, shown in (
        ("postgresql://u:p@h:1/d", "postgresql://u:***@h:1/d"),
        ("postgres://u:a@b/c?d@h/d", "postgres://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql:///d?host=h&password=p&x=y", "postgresql:///d?host=h&password=***&x=y"),
        ("mysql+x://u:p@h", "mysql+x://u:***@h"),
        ("postgresql:/u:p@h/d", "postgresql:/u:***@h/d"),
        ("postgres//u:p@h/d", "postgres//u:***@h/d"),
        ("postgresql://u/x:p@h/d", "postgresql://u/x:***@h/d"),
        ("postgresql://u@h:5432,i:5432/d", "postgresql://u@h:5432,i:5432/d"),
        ("sqlite:///a:b@c", "sqlite:///a:b@c"),
        ("firestore://p/d", "firestore://p/d"),
    ):
        assert shown_url(url) == shown
    with open_store(postgresql_url, create=True) as store:
        store.commit(counts_of("a"), one(1))
    for command in (["publications"], ["top", "p"], ["top", "none"], ["export", "-"], ["prune"]):
        code, output = run(tmp_path, *command, "--store", postgresql_url)
        assert (code == 0) == ("none" not in command), output
        assert postgresql_url.split(":")[2].partition("@")[0] not in output
        assert PASSWORD not in output


def test_a_target_is_the_same_for_whoever_publishes_to_it() -> None:
    same = ["postgresql://a:x@H:5/d?sslmode=require", "postgres://b@h:5/d"]
    assert len({target_digest(url) for url in same}) == 1
    others = [*same[:1], "postgresql://a@h:6/d", "postgresql://a@h:5/e", "postgresql://a@h:5/"]
    others += ["postgresql://a@/d?host=h", "postgresql://a@/d?host=i", "postgresql://b@h:5/"]
    assert len({*map(place_of, others)}) == len(others)
    assert place_of("sqlite:///x") == "sqlite:///x"
    assert Route.between("sqlite:///a", same[0]).target.startswith("postgresql://a:***@H:5/d?")
    with pytest.raises(UsageError, match=r"a:\*\*\*@H"):
        Route.between(same[0], "sqlite:///a")


def test_the_saver_s_store_must_be_this_one(postgresql_url: str, postgresql: Server) -> None:
    here, _ = _found(postgresql_url)
    away, why = _found(postgresql.url("none"))
    assert not away
    assert "does not exist" in why
    answers = {"tcp://a": (here, ""), "tcp://b": OSError("it is gone")}
    assert strayed(here, answers, started=False) == ""
    assert "tcp://c reaches another" in strayed(here, {"tcp://c": ("other", "")}, started=True)
    assert "at tcp://d, cannot" in strayed(here, {"tcp://d": ("", why)}, started=False)
    assert strayed(here, {"tcp://d": ("", why)}, started=True) == ""


def test_doctor(postgresql_url: str, postgresql: Server) -> None:
    found = places.check_store(postgresql_url)
    assert (found.verdict, "can be created" in found.found) == (Verdict.OK, True)
    mine = postgresql_url.rpartition("/")[2]
    assert postgresql.execute("SELECT to_regnamespace('daskingest')", mine) == [(None,)]
    postgresql.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN PASSWORD 'x'")
    found = places.check_store(postgresql.url(mine, "stranger", "x"))
    assert (found.verdict, "may not create" in found.found) == (Verdict.PROBLEM, True)
    open_store(postgresql_url, create=True).close()
    found = places.check_store(postgresql_url)
    assert (found.verdict, "read and written" in found.found) == (Verdict.OK, True)
    assert ":***@" in found.found
    with pytest.raises(StoreError, match="createdb"):
        places.check_store(postgresql.url("none"))


def test_pages_of_rare_and_frequent_words(store: Store) -> None:
    """See `test_sqlite_words`: the frequent from an index, the others in order of the table."""
    times = {f"{letter}{n}": n for n, letter in itertools.product(range(1, 21), "abc")}
    for number in range(2):  # so that words have several labels
        counts = Counts()
        for word, n in times.items():
            counts.add_article("P", [(word, "AB"[number])] * n)
        store.commit(counts.packed(), one(number))
    for label, factor in ((None, 2), ("A", 1), ("B", 1)):
        expected = sorted((-n * factor, word) for word, n in times.items())
        for size in (7, 60, 100):
            found, after = [], None
            while page := store.words("p", size, after, label):
                found += [(-each.count, each.word) for each in page]
                after = page[-1].count, page[-1].word
            assert found == expected
        matching = [each for each in expected if "b1" in each[1]]
        assert [(-e.count, e.word) for e in store.search("p", "b1", 99, label)] == matching
        assert [(-e.count, e.word) for e in store.search("p", "b1", 3, label)] == matching[:3]
