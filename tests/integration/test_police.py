"""sample, limit, fold, pass and tag on programs that run, and what is told of what they leave out.

What is printed when is counted by calls, never by time: periods are an hour where nothing may be over, and
else the end of one is waited for.
"""

import json
import os
import re
import sqlite3
import subprocess

import pytest
from conftest import DEADLINE_S, wait_until
from fleet import generation_of, in_mongo, in_redis
from test_mute import CHATTER, Slow, command, slow, the_entry  # noqa: F401  slow is a fixture

OUTCOMES = ("Passed", "Muted", "Sampled", "Limited", "Folded")


def outcomes(entry):
    """{outcome: calls}, those that are not 0."""
    assert entry["countTotal"] == sum(entry["count" + how] for how in OUTCOMES)
    return {how: entry["count" + how] for how in OUTCOMES if entry["count" + how]}


class TestCommands:
    def test_each_policy_holds_from_the_next_call_on_until_it_is_taken_away(self, slow, logfold):
        chatter = slow()
        chatter.print(2)
        done = command(logfold, "sample", CHATTER, "1/3")
        assert re.fullmatch(r"sampled 1/3 [0-9a-f]+…  printf  chatter number %ld\\n\n", done.stdout)
        chatter.print(7)
        assert chatter.printed() == [0, 1, 2, 5, 8]
        assert command(logfold, "limit", CHATTER, "2/60m").stdout.startswith("limited to 2/3600s ")
        chatter.print(5)
        assert chatter.printed()[5:] == [9, 10]
        assert command(logfold, "fold", CHATTER, "1h").stdout.startswith("folded for 3600s ")
        chatter.print(4)
        assert chatter.printed()[7:] == [14]
        assert command(logfold, "pass", CHATTER).stdout.startswith("passed ")
        chatter.print(2)
        assert chatter.printed()[8:] == [18, 19]
        assert chatter.end() == 0
        entry = the_entry(logfold, "chatter")
        assert outcomes(entry) == {"Passed": 10, "Sampled": 4, "Limited": 3, "Folded": 3}
        assert "policy" not in entry and entry["flagsVersion"] == 4

    def test_a_mute_comes_before_the_policy_and_an_unmute_leaves_it(self, slow, logfold):
        chatter = slow()
        chatter.print(1)
        command(logfold, "mute", CHATTER)
        muted = command(logfold, "sample", CHATTER, "1/2")
        assert "it is muted and stays so" in muted.stderr
        chatter.print(2)
        command(logfold, "unmute", CHATTER)
        chatter.print(4)
        assert chatter.printed() == [0, 3, 5]
        assert chatter.end() == 0
        entry = the_entry(logfold, "chatter")
        assert (outcomes(entry), entry["policy"]) == ({"Passed": 3, "Muted": 2, "Sampled": 2}, "sample 1/2")

    def test_a_policy_is_obeyed_by_programs_that_no_agent_looks_after(self, slow, logfold):
        chatter = slow(agent=False)
        chatter.print(1)
        command(logfold, "limit", CHATTER, "1/1h")
        chatter.print(4)
        assert chatter.printed() == [0, 1]
        assert chatter.end() == 0
        assert outcomes(the_entry(logfold, "chatter")) == {"Passed": 2, "Limited": 3}

    def test_the_repeats_of_a_fold_are_told_on_its_stream_when_the_period_is_over(self, slow, logfold):
        chatter = slow()
        errors = chatter.output.with_name("errors-0")
        chatter.print(1)
        command(logfold, "fold", CHATTER, "300ms")
        chatter.print(4)

        def told():
            """By whoever tells it: the next call in time, or the agent when this machine is too slow."""
            chatter.print()
            return re.findall(r"chatter number %ld … repeated (\d+) times? in \d+\.\d s\n",
                              chatter.output.read_text() + errors.read_text())

        assert int(wait_until(told, "it is told")[0]) >= 3
        command(logfold, "pass", CHATTER)
        before = chatter.told
        chatter.print(2)
        assert chatter.output.read_text().endswith(f"chatter number {before}\nchatter number {before + 1}\n")
        assert chatter.end() == 0

    def test_what_changes_nothing_says_so_and_what_is_wrong_changes_nothing(self, logfold):
        logfold("run", "--summary", "none", "--", "bash", "-c", "echo noise; echo other")
        which = "template~=noise"
        for done, already in (("sample", "1/2"), ("limit", "3/5s"), ("fold", "5s"), ("tag", "x")):
            assert command(logfold, done, which, already).stdout
            again = command(logfold, done, which, already)
            assert again.stdout == "" and "already" in again.stderr
        assert command(logfold, "untag", which, "y").stderr == "logfold: it is not tagged so\n"
        command(logfold, "pass", which)
        assert command(logfold, "pass", which).stderr == "logfold: it has no policy\n"
        for wrong in (["sample", which, "1/1"], ["sample", which, "2"], ["limit", which, "0/5s"],
                      ["limit", which, "5"], ["fold", which, "5"], ["fold", "5s"], ["sample", which],
                      ["tag", which, ""], ["tag", which, "a\nb"], ["tag", which]):
            done = logfold(*wrong)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1), wrong
        assert logfold("sample", "template~=nowhere", "1/2").returncode == 1
        assert the_entry(logfold, "noise")["flagsVersion"] == 5

    def test_tags_choose_messages_and_lists_show_what_is_set(self, logfold):
        logfold("run", "--summary", "none", "--", "bash", "-c", "echo noise; echo din; echo signal")
        command(logfold, "tag", "template~=noise|din", "loud", 'a "b"')
        tagged = json.loads(command(logfold, "untag", "--json", "template~=din", 'a "b"').stdout)
        assert (tagged["tags"], tagged["flagsVersion"]) == (["loud"], 2)
        assert command(logfold, "sample", "tag=loud", "1/5").stdout.count("sampled 1/5 ") == 2
        assert command(logfold, "limit", 'tag=a "b"', "1/1h").stdout.count("\n") == 1
        logfold("run", "--summary", "none", "--", "bash", "-c", "for i in 1 2 3; do echo noise; echo din; done")
        listed = command(logfold, "ls").stdout
        titles = listed.splitlines()[0].split()
        assert titles == ["COUNT", "METHOD", "MESSAGE", "FRAME", "HASH", "SAMPLED", "LIMITED", "POLICY", "TAGS"]
        assert re.search(r'4 +printf +din .* 2 +sample 1/5 +"loud"$', listed, re.M)
        assert re.search(r'4 +printf +noise .* 2 +limit 1/3600s +"loud","a \\"b\\""$', listed, re.M)
        shown = command(logfold, "show", "template~=din").stdout
        assert "countSampled: 2\n" in shown and "policy: sample 1/5\n" in shown

    def test_tags_need_no_room_in_the_flags_table(self, logfold):
        logfold("run", "--summary", "none", "--", "echo", "x")
        with sqlite3.connect(logfold.store) as store:
            store.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                          " INSERT INTO entries (namespace, hash, method, messageTemplate, templateKind, topFrame,"
                          " firstSeenAt, lastSeenAt, enabled) SELECT 'shop', printf('%032x', i), 'puts', i,"
                          " 'format', '', '', '', 0 FROM n")
        refused = logfold("sample", "method=puts", "1/2")
        assert refused.returncode == 1 and "the flags table" in refused.stderr
        done = command(logfold, "tag", "method=puts", "many")
        assert (done.stdout.count("tagged "), done.stderr) == (3000, "")

    def test_the_overflow_entry_can_be_tagged_but_not_policed(self, logfold):
        logfold("run", "--summary", "none", "--", "echo", "x")
        with sqlite3.connect(logfold.store) as store:
            store.execute("UPDATE entries SET method = 'overflow', topFrame = 'logfold!overflow',"
                          " messageTemplate = 'messages that the map had no room for'")
        for how in (["sample", "method=overflow", "1/2"], ["limit", "method=overflow", "1/2s"],
                    ["fold", "method=overflow"]):
            done = logfold(*how)
            assert (done.returncode, done.stdout) == (1, "") and "overflow entry cannot be" in done.stderr
        assert logfold("tag", "method=overflow", "x").returncode == 0


class TestMany:
    COUNT = 300

    def test_a_policy_for_many_messages_is_one_commit_one_publish_and_obeyed_by_all(self, logfold, tmp_path):
        words = [a + b + c for a in "abcdefgh" for b in "klmnopqr" for c in "stuvw"][:self.COUNT]
        go, here = tmp_path / "go", tmp_path / "here"
        script = ("say() { for w in $1; do echo \"this is $w speaking\"; done; }\n"
                  f'say "$1"; : > "{here}"; until [ -e "{go}" ]; do sleep 0.01; done; say "$1"; say "$1"')
        output = tmp_path / "output"
        with output.open("wb") as out:
            job = logfold.start("run", "--summary", "none", "--", "bash", "-c", script, "bash",
                                " ".join(words), stdout=out, stderr=subprocess.DEVNULL)
        wait_until(here.exists, "all have spoken once")
        assert len(logfold.entries("template~=^this is")) == self.COUNT
        [flags] = logfold.run_dir.glob("run-*/flags")
        generation = generation_of(flags)

        def sequence():
            with sqlite3.connect(f"file:{logfold.store}?mode=ro", uri=True) as store:
                return store.execute("SELECT count(DISTINCT flagsChanged), min(flagsVersion),"
                                     " max(flagsVersion) FROM entries WHERE policy IS NOT NULL").fetchone()

        done = command(logfold, "sample", "template~=^this is", "1/2")
        assert done.stdout.count("sampled 1/2 ") == self.COUNT
        assert sequence() == (1, 1, 1)
        assert generation_of(flags) == generation + 2
        go.touch()
        assert job.wait(timeout=DEADLINE_S) == 0
        assert output.read_bytes().count(b"\n") == 2 * self.COUNT
        assert all(outcomes(entry) == {"Passed": 2, "Sampled": 1}
                   for entry in logfold.entries("template~=^this is"))


class TestTold:
    def test_a_run_tells_when_it_begins_and_the_summary_the_rest(self, slow, logfold):
        chatter = slow()
        errors = chatter.output.with_name("errors-0")
        chatter.print(1)
        command(logfold, "mute", CHATTER)
        chatter.print(3)
        wait_until(lambda: "muted: " in errors.read_text(), errors.read_text)
        command(logfold, "unmute", CHATTER)
        wait_until(lambda: "muted no more: " in errors.read_text(), errors.read_text)
        assert chatter.end() == 0
        assert re.fullmatch(r"logfold: muted: [0-9a-f]{10}…  chatter number %ld: [1-3] calls? "
                            r"since \d\d:\d\d:\d\d\n"
                            r"logfold: muted no more: [0-9a-f]{10}…  chatter number %ld: 3 calls in all since "
                            r"\d\d:\d\d:\d\d\nlogfold: 3 calls were muted in 1 message\n", errors.read_text())

    def test_a_run_whose_stderr_nobody_reads_still_counts_and_obeys(self, logfold, build, tmp_path, wait_for):
        progress, output = tmp_path / "progress", tmp_path / "output"
        reader, writer = os.pipe()
        with output.open("wb") as out:
            job = logfold.start("run", "--summary", "none", "--", build / "progs" / "chatter", "slow", progress,
                                stdin=subprocess.PIPE, stdout=out, stderr=writer)
        chatter = Slow(job, output, progress, wait_for)
        os.set_blocking(writer, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writer, b".")
        os.set_blocking(writer, True)
        os.close(writer)
        chatter.print(1)
        command(logfold, "mute", CHATTER)
        chatter.print(2)

        def counted():
            with sqlite3.connect(logfold.store, timeout=DEADLINE_S) as store:
                return store.execute("SELECT countMuted FROM entries").fetchone()[0]

        wait_for(lambda: counted() == 2, "the agent has met what it has to tell")
        command(logfold, "unmute", CHATTER)
        chatter.print(2)
        wait_for(lambda: the_entry(logfold, "chatter")["countTotal"] == 5, "the agent goes on")
        assert chatter.printed() == [0, 3, 4]
        os.close(reader)  # for what is told at the end is waited
        assert chatter.end() == 0

    def test_a_daemon_tells_when_it_begins_while_it_lasts_and_at_its_end(self, agent, build, tmp_path):
        one = agent(agent={"announce_interval_s": 1, "drain_interval_ms": 50})
        host = one.start_host(build / "progs" / "chatter", "slow", tmp_path / "progress",
                              stdin=subprocess.PIPE)
        host.stdin.write(b".")
        host.stdin.flush()
        one.settled(1)
        for verb, told, times in ((["sample", "1/2"], "sampled out:", 2), (["pass"], "sampled out no more:", 1),
                                  (["mute"], "muted:", 2)):
            assert one.ask(verb[0], "method=printf", *verb[1:]).returncode == 0

            def feeds():
                host.stdin.write(b"..")
                host.stdin.flush()
                return one.said().count(f"logfold: {told} ") >= times
            wait_until(feeds, one.said)
        assert one.stop() == 0
        host.stdin.close()
        assert host.wait(timeout=DEADLINE_S) == 0
        said = [re.sub(": [0-9a-f]{10}… .*", "", line) for line in one.said().splitlines()]
        assert said.count("logfold: sampled out no more") == 1
        assert said[0] == "logfold: sampled out" and said[-1] == "logfold: muted until now"

    def test_repeats_that_a_process_leaves_untold_are_told_by_the_agent_once(self, slow, logfold):
        """One goes on without a word, another ends."""
        chatters = [slow(arguments=["--fold=200ms"]), slow(arguments=["--fold=1h"])]
        errors = [chatter.output.with_name(f"errors-{i}") for i, chatter in enumerate(chatters)]
        chatters[0].print(2)
        chatters[1].print(5)
        wait_until(lambda: "repeated" in errors[0].read_text(), errors[0].read_text)
        assert chatters[1].end() == chatters[0].end() == 0
        said = [text.read_text() for text in errors]
        hashed = r"logfold: folded: [0-9a-f]{10}…  chatter number %ld … repeated "
        assert re.findall(hashed + "(.*)", said[0]) == ["1 time in 0.2 s"]
        [told] = re.findall(hashed + r"(\d times) in .* s\n", said[1])
        assert told == "4 times"
        assert "logfold: 4 calls were folded in 1 message\n" in said[1]
        assert [chatter.printed() for chatter in chatters] == [[0], [0]]


class TestRunFold:
    def test_every_message_of_the_run_is_folded_and_only_of_that_one(self, logfold):
        script = "for i in 1 2 3; do echo one; echo two; done; echo >&2 three; echo >&2 three"
        bare = logfold("run", "--summary", "none", "--", "bash", "-c", script)
        folded = logfold("run", "--summary", "json", "--fold", "--", "bash", "-c", script)
        assert bare.stdout == "one\ntwo\n" * 3
        assert folded.stdout == "one\ntwo\n"
        rows = [json.loads(line) for line in folded.stderr.splitlines() if line.startswith("{")]
        assert sorted((row["messageTemplate"], row["countFolded"]) for row in rows) == [
            ("one", 2), ("three", 1), ("two", 2)]
        assert all("policy" not in row for row in rows)

    def test_a_line_that_goes_out_byte_by_byte_goes_out_whole(self, logfold):
        script = "for i in 1 2 3; do printf 'user %s in\\n' $i; printf '%s: unit\\n' user; done"
        bare = logfold("run", "--summary", "none", "--", "bash", "-c", script)
        folded = logfold("run", "--summary", "none", "--fold", "--", "bash", "-c", script)
        assert bare.stdout.splitlines()[:2] == ["user 1 in", "user: unit"]
        assert folded.stdout == bare.stdout

    def test_with_a_daemon_it_has_a_directory_of_its_own(self, agent, logfold):
        one = agent()
        env = {"LOGFOLD_RUN_DIR": one.run_dir}
        script = "echo a; echo a"
        assert logfold("run", "--fold=1h", "--", "bash", "-c", script, env=env).stdout == "a\n"
        assert logfold("run", "--", "bash", "-c", script, env=env).stdout == "a\na\n"
        one.settled(2)
        assert the_entry(logfold, "a")["countFolded"] == 1

    @pytest.mark.parametrize("period", ["", "5", "x", "0s"])
    def test_a_period_that_is_none_is_wrong_usage(self, logfold, period):
        done = logfold("run", f"--fold={period}", "--", "true")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
        assert "500ms, 30s, 5m or 2h" in done.stderr or "1ms to 720h" in done.stderr


class TestFromElsewhere:
    def test_a_policy_that_another_program_writes_into_the_store_is_obeyed(self, slow, logfold):
        chatter = slow()
        errors = chatter.output.with_name("errors-0")
        chatter.print(1)
        command(logfold, "ls")
        with sqlite3.connect(logfold.store, timeout=DEADLINE_S) as store:
            store.execute("UPDATE entries SET policy = 'sample 1/0'")
        wait_until(lambda: "policy" in errors.read_text(), errors.read_text)
        assert re.fullmatch(r"logfold: the policy 'sample 1/0' of [0-9a-f]{10}… in namespace '[^']*' has no "
                            r"effect: write sample 1/N, limit N/PERIOD or fold PERIOD\n", errors.read_text())
        chatter.print(3)
        assert chatter.printed() == [0, 1, 2, 3]
        with sqlite3.connect(logfold.store, timeout=DEADLINE_S) as store:
            store.execute("UPDATE entries SET policy = 'limit 1/1h'")

        def is_obeyed():
            before = len(chatter.printed())
            chatter.print()
            return len(chatter.printed()) == before

        wait_until(is_obeyed, "nothing more is printed")
        assert chatter.end() == 0

    @pytest.fixture(params=["redis", "mongo"])
    def tier(self, request):
        """(a section of agent.toml, set_there(namespace, hash, policy), the policy that is there or None)"""
        server = request.getfixturevalue(request.param)
        if request.param == "mongo":
            entries = server.db.entries

            def set_in_mongo(_, entry_hash, policy):
                entries.update_one({"hash": entry_hash}, {"$set": {"policy": policy}})

            return {"mongo": server}, set_in_mongo, lambda _, entry_hash: entries.find_one(
                {"hash": entry_hash}).get("policy")
        client = server.client()

        def set_in_redis(namespace, entry_hash, policy):
            client.hset(f"logfold:{namespace}:entry:{{{entry_hash}}}", "policy", policy)
            client.publish(f"logfold:{namespace}:flags", entry_hash)

        return {"redis": server}, set_in_redis, lambda namespace, entry_hash: client.hget(
            f"logfold:{namespace}:entry:{{{entry_hash}}}", "policy")

    def test_a_policy_set_in_a_tier_is_obeyed_and_one_taken_away_here_is_so_there(self, agent, tier, build,
                                                                                 tmp_path):
        section, set_there, found_there = tier
        one = agent(**section)
        output, progress = tmp_path / "output", tmp_path / "progress"
        with output.open("wb") as out:
            host = one.start_host(build / "progs" / "chatter", "slow", progress, stdin=subprocess.PIPE,
                                  stdout=out)
        host.stdin.write(b".")
        host.stdin.flush()
        one.settled(1)
        key, = one.counts()
        (name, server), = section.items()
        wait_until(lambda: key in (in_redis if name == "redis" else in_mongo)(server), "the tier has it")

        def prints():
            """How many of ten calls."""
            before, calls = output.read_bytes().count(b"\n"), int.from_bytes(progress.read_bytes(), "little")
            host.stdin.write(b"." * 10)
            host.stdin.flush()
            wait_until(lambda: int.from_bytes(progress.read_bytes(), "little") == calls + 10, "it has printed")
            return output.read_bytes().count(b"\n") - before

        set_there(*key, "sample 1/5")
        wait_until(lambda: prints() == 2, "it is sampled")
        set_there(*key, "sample 1 in 5")
        wait_until(lambda: prints() == 10, "what is no policy has no effect")
        wait_until(lambda: "the policy 'sample 1 in 5' of " in one.said(), one.said)
        assert one.ask("limit", key[1], "1/1h").returncode == 0
        wait_until(lambda: found_there(*key) == "limit 1/3600s", lambda: found_there(*key))
        assert one.ask("pass", key[1]).returncode == 0
        wait_until(lambda: not found_there(*key), lambda: found_there(*key))
        assert prints() == 10
        host.stdin.close()
        assert host.wait(timeout=DEADLINE_S) == 0
        assert one.said().count("has no effect") == 1
