"""agent.toml, as `logfold agent` reads and prints it."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

KEYS_BEGIN = "<!-- keys: the output of `logfold agent --print-keys` -->\n"
KEYS_END = "<!-- end of keys -->\n"


def printed(logfold, *arguments, **how):
    done = logfold("agent", *arguments, **how)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def keys_of(config_text):
    """section.key → value, both as text, of what --print-config and the sample look like."""
    keys, section = {}, None
    for line in config_text.splitlines():
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
        elif pair := re.fullmatch(r"#?(\w+) = (.*)", line):
            keys[f"{section}.{pair[1]}"] = pair[2]
    return keys


@pytest.fixture
def config(tmp_path):
    """config(text) → the path of a file that holds it."""
    def write(text, name="agent.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path
    return write


# --- one table, four appearances ---


def test_the_sample_at_the_top_of_the_tree_is_what_the_command_prints(logfold):
    assert (ROOT / "agent.toml").read_text() == printed(logfold, "--print-sample"), \
        "run: logfold agent --print-sample >agent.toml"


def test_the_table_in_the_readme_is_what_the_command_prints(logfold):
    table = (ROOT / "README.md").read_text().split(KEYS_BEGIN)[1].split(KEYS_END)[0]
    assert table == printed(logfold, "--print-keys"), \
        "put the output of `logfold agent --print-keys` between the two comments"


def test_sample_and_table_hold_every_key_with_its_default(logfold, config):
    defaults = keys_of(printed(logfold, "-c", config(""), "--print-config"))
    assert len(defaults) > 40
    assert keys_of(printed(logfold, "--print-sample")) == defaults
    table = dict(re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", printed(logfold, "--print-keys"), re.M))
    assert table == defaults


def test_the_sample_changes_nothing_also_when_all_its_keys_are_uncommented(logfold, config):
    sample = printed(logfold, "--print-sample")
    defaults = printed(logfold, "-c", config(""), "--print-config")
    assert printed(logfold, "-c", config(sample), "--print-config") == defaults
    uncommented = re.sub(r"^#(\w+ = )", r"\1", sample, flags=re.M)
    assert uncommented != sample
    assert printed(logfold, "-c", config(uncommented), "--print-config") == defaults


def test_what_is_printed_reads_back_as_the_same(logfold, config):
    path = config('[agent]\nstore = "/a \\"b\\"\\\\ä\\t.db"\nnamespaces = ["a", "u:*"]\nusers = "all"\n'
                  'fallback = ["mongo"]\n[mongo]\nenabled = true\nuri = "mongodb://u:geheim@h/?w=1"\n'
                  '[health]\nmemory_limit_mb = 1_000\n[hook]\nskip_frames = ["say", "libä.so.1!emit"]\n')
    first = printed(logfold, "-c", path, "--print-config")
    assert "geheim" not in first and "mongodb://u:***@h/?w=1" in first
    assert 'memory_limit_mb = 1000\n' in first and 'namespaces = ["a", "u:*"]' in first
    assert 'skip_frames = ["say", "libä.so.1!emit"]' in first
    assert printed(logfold, "-c", config(first, "again.toml"), "--print-config") == first


# --- check ---


def test_check_says_that_a_good_file_is_ok(logfold, config):
    path = config("[mongo]\nenabled = true\n")
    assert printed(logfold, "-c", path, "--check") == f"{path}: ok\n"


WRONG = [
    ("[mongo]\n\nurll = 'x'\n", "3: there is no key 'mongo.urll': did you mean 'uri'?"),
    ("[mongo]\nuri = 'mongodb://a'\nuri = 'mongodb://b'\n",
     "3: 'uri' is there already, in line 2: remove one of them"),
    ("[redis]\nttl_s = '1h'\n", "2: redis.ttl_s is a string: it takes 10 to 31536000 s"),
    ("[redis]\nttl_s = 1\n", "2: redis.ttl_s is 1: it takes 10 to 31536000 s"),
    ("[agent]\nrun_dir = /run\n", "2: '/run' is no value: a text stands between \"…\", and there are "
                                  "numbers, true, false, [arrays] and {tables}"),
]
FILE_MISSING = [
    ("[redis]\nenabled = true\ntls_ca_file = '/nowhere/ca'\nurl = 'rediss://h'\n",
     "3: redis.tls_ca_file: '/nowhere/ca' cannot be read: No such file or directory: put it there"),
    ("[mongo]\nenabled = true\npassword_file = '/nowhere/pw'\n",
     "3: mongo.password_file: the password file '/nowhere/pw' cannot be read: No such file or directory: "
     "put it there"),
]


@pytest.mark.parametrize("text, complaint", WRONG + FILE_MISSING)
def test_what_is_wrong_is_one_line_with_file_line_and_remedy(logfold, config, text, complaint):
    path = config(text)
    done = logfold("agent", "-c", path, "--check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"logfold: {path}:{complaint}\n"


@pytest.mark.parametrize("text, complaint", WRONG)
def test_the_agent_does_not_start_with_a_file_that_is_wrong(logfold, config, text, complaint):
    path = config(text)
    done = logfold("agent", "-c", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"logfold: {path}:{complaint}\n"


def test_check_minds_no_files_of_a_tier_that_is_off(logfold, config):
    path = config("[mongo]\npassword_file = '/nowhere/pw'\n")
    assert printed(logfold, "-c", path, "--check") == f"{path}: ok\n"


@pytest.mark.parametrize("text", (
    "[redis] url = 'redis://:geheim@h'\n", "[redis]\nurl = 'redis://:ge'heim@h'\n",
    "[redis]\nenabled = true url = 'redis://:geheim@h'\n", "[redis]\nurl = redis://:geheim@h\n",
    "[mongo]\nuri = 'http://u:geheim@h'\n", "[mongo]\n'mongodb://u:geheim@h'\n",
    "[mongo]\npassword_file = 'geheim'\n"))
def test_no_complaint_shows_a_password(logfold, config, text):
    done = logfold("agent", "--check", "-c", str(config(text)))
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "heim" not in done.stdout + done.stderr


def test_check_minds_whether_the_users_exist(logfold, config):
    done = logfold("agent", "--check", "-c", str(config("[agent]\nnamespaces = ['nobody-knows:shop']\n")))
    assert done.returncode == 1 and done.stdout == ""
    assert "there is no user 'nobody-knows'" in done.stderr


def test_check_minds_who_can_read_a_password_and_keeps_it_to_itself(logfold, config):
    password = config("geheim\n", "password")
    path = config(f"[redis]\nenabled = true\npassword_file = '{password}'\n")
    password.chmod(0o600)
    assert printed(logfold, "-c", path, "--check") == f"{path}: ok\n"
    password.chmod(0o644)
    refused = logfold("agent", "-c", path, "--check")
    assert refused.returncode == 1
    assert f"{path}:3: redis.password_file: the password file '{password}' is open to others (mode 0644)" \
        in refused.stderr
    assert "geheim" not in refused.stderr


@pytest.mark.parametrize("variable, value", [
    ("LOGFOLD_MONGO_URI", "http://u:geheim@h"), ("LOGFOLD_REDIS_URL", "redis:h"),
    ("LOGFOLD_MONGO_PASSWORD_FILE", "pw"), ("LOGFOLD_REDIS_PASSWORD_FILE", "pw"),
])
def test_what_is_wrong_in_the_environment_names_the_variable(logfold, config, variable, value):
    done = logfold("agent", "-c", config(""), "--check", env={variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"logfold: {variable}: ") and done.stderr.count("\n") == 1
    assert "geheim" not in done.stderr


# --- which file ---


def check_as_root(logfold, etc, env):
    """`logfold agent --check` of a root whose /etc is the folder; what it prints."""
    if pathlib.Path("/etc/ld.so.cache").exists():
        shutil.copy("/etc/ld.so.cache", etc)
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = 'mount --bind "$1" /etc && exec "$2" agent --check'
    done = subprocess.run(["unshare", *user, "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh",
                           etc, logfold.binary], env=logfold.environment(env), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=30)
    if done.returncode != 0:
        pytest.fail("needs a mount namespace (run it as root, or allow user namespaces), or logfold failed: "
                    f"{done.stderr}")
    return done.stdout


def test_without_c_the_file_in_etc_comes_first_for_root_then_that_of_the_user(logfold, tmp_path):
    none = {"XDG_CONFIG_HOME": None}
    etc = tmp_path / "etc"
    etc.mkdir()
    assert check_as_root(logfold, etc, none) == "the defaults: ok\n"
    own = pathlib.Path(logfold.env["HOME"]) / ".config" / "logfold" / "agent.toml"
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert check_as_root(logfold, etc, none) == f"{own}: ok\n"
    other = tmp_path / "xdg" / "logfold" / "agent.toml"
    other.parent.mkdir(parents=True)
    other.write_text("")
    xdg = {"XDG_CONFIG_HOME": tmp_path / "xdg"}
    assert check_as_root(logfold, etc, xdg) == f"{other}: ok\n"
    (etc / "logfold").mkdir()
    (etc / "logfold" / "agent.toml").write_text("")
    assert check_as_root(logfold, etc, xdg) == "/etc/logfold/agent.toml: ok\n"


def test_a_file_that_c_names_must_be_there(logfold, tmp_path):
    done = logfold("agent", "-c", tmp_path / "none.toml", "--check")
    assert done.returncode == 1
    assert done.stderr.startswith(f"logfold: {tmp_path}/none.toml cannot be read: No such file or directory: ")


@pytest.mark.parametrize("arguments, mistake", [
    (["--check", "--print-keys"], "--check and the --print options are one at a time: give one"),
    (["-c"], "--config needs a value"),
    (["-c", ""], "--config is empty"),
    (["agent.toml"], "'agent.toml' is too much"),
])
def test_wrong_usage_is_status_64_and_one_line(logfold, arguments, mistake):
    done = logfold("agent", *arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert mistake in done.stderr and done.stderr.count("\n") == 1
