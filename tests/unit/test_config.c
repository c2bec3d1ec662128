#include "agent/config/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/internal.h"
#include "agent/config/nearest.h"

static char path[] = "/tmp/logfold-config-XXXXXX";

static void forget_environment(void)
{
	const struct lf_key *key;

	for (key = lf_keys; key->name; key++)
		if (key->variable)
			(void)unsetenv(key->variable);
}

static void remove_file(void)
{
	(void)unlink(path);
}

TestSuite(config, .init = forget_environment, .fini = remove_file);

static const char *file_of(const char *text, size_t len, mode_t mode)
{
	int fd;

	(void)unlink(path);
	memset(path + strlen(path) - 6, 'X', 6);
	fd = mkstemp(path);
	cr_assert(fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0);
	(void)close(fd);
	return path;
}

static struct lf_config *read_text(const char *text)
{
	struct lf_config *config = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_config_read(&config, file_of(text, strlen(text), 0600), &err), 0, "%s", err.text);
	return config;
}

/* The sentence, without the file's name. */
static void expect_error(const char *text, const char *sentence)
{
	struct lf_config *config = NULL;
	struct lf_error err = { "" };
	const char *file = file_of(text, strlen(text), 0600);

	cr_assert_eq(lf_config_read(&config, file, &err), -EINVAL, "taken: %s", text);
	cr_assert_null(config);
	cr_assert_eq(strncmp(err.text, file, strlen(file)), 0, "%s", err.text);
	cr_assert_eq(err.text[strlen(file)], ':', "%s", err.text);
	cr_assert(strncmp(err.text + strlen(file) + 1, sentence, strlen(sentence)) == 0,
	          "'%s' is refused with: %s", text, err.text);
}

static char *printed(const struct lf_config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	lf_config_print(config, out);
	(void)fclose(out);
	return text;
}

/* ---- Values ---- */

Test(config, without_a_file_every_key_has_its_default)
{
	struct lf_config *config = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_config_read(&config, NULL, &err), 0, "%s", err.text);
	cr_assert_str_empty(config->agent.run_dir);
	cr_assert_str_eq(config->agent.namespace, "console-manager-entries");
	cr_assert_eq(config->agent.namespaces.count, 1);
	cr_assert_not(config->agent.all_users);
	cr_assert_eq(config->agent.fallback_count, 4);
	cr_assert_eq(config->agent.fallback[2], LF_READ_REDIS);
	cr_assert_not(config->mongo.enabled);
	cr_assert_eq(config->redis.ttl_s, 3600);
	cr_assert_eq(config->redis.max_entries, 1000);
	cr_assert_eq(config->health.hit_rate.degraded, 80);
	cr_assert_eq(config->health.memory.critical, 95);
	lf_config_free(config);
}

Test(config, an_empty_file_is_the_defaults)
{
	struct lf_config *empty = read_text(""), *defaults = NULL;
	char *one, *other;

	cr_assert_eq(lf_config_read(&defaults, NULL, NULL), 0);
	one = printed(empty);
	other = printed(defaults);
	cr_assert_str_eq(one, other);
	free(one);
	free(other);
	lf_config_free(empty);
	lf_config_free(defaults);
}

Test(config, values_of_all_types_are_taken_from_the_file)
{
	struct lf_config *config = read_text("[agent]\nstore = '/var/x.db'\nusers = 'all'\n"
	                                     "namespaces = ['shop', '1000:*', 'web:blog']\n"
	                                     "fallback = ['sqlite', 'memory']\n"
	                                     "[mongo]\nenabled = true\ntimeout_ms = 60_000\n"
	                                     "[health]\nlatency_degraded_ms = 0x20\n");

	cr_assert_str_eq(config->agent.store, "/var/x.db");
	cr_assert(config->agent.all_users);
	cr_assert_eq(config->agent.namespaces.count, 3);
	cr_assert_str_eq(config->agent.namespaces.item[1], "1000:*");
	cr_assert_eq(config->agent.fallback_count, 2);
	cr_assert_eq(config->agent.fallback[0], LF_READ_SQLITE);
	cr_assert(config->mongo.enabled);
	cr_assert_not(config->redis.enabled);
	cr_assert_eq(config->mongo.timeout_ms, 60000);
	cr_assert_eq(config->health.latency_ms.degraded, 32);
	lf_config_free(config);
}

/* How many lines of the two texts differ; each of them must be the key's. */
static size_t changed_lines(const char *before, const char *after, const char *name)
{
	size_t changed = 0;

	while (*before && *after) {
		size_t one = strcspn(before, "\n"), other = strcspn(after, "\n");

		if (one != other || memcmp(before, after, one) != 0) {
			cr_assert_eq(strncmp(after, name, strlen(name)), 0, "%s changed %.*s", name,
			             (int)other, after);
			changed++;
		}
		before += one + 1;
		after += other + 1;
	}
	return changed;
}

/* No two keys may have one place: each, set alone, changes its own line and no other. */
Test(config, every_number_is_read_into_a_member_of_its_own)
{
	struct lf_config *defaults = NULL, *config;
	const struct lf_key *key;
	char text[256], *before, *after;

	cr_assert_eq(lf_config_read(&defaults, NULL, NULL), 0);
	before = printed(defaults);
	for (key = lf_keys; key->name; key++) {
		if (key->kind != &lf_value_integer)
			continue;
		(void)snprintf(text, sizeof(text), "[%s]\n%s = %" PRId64, key->section, key->name,
		               *(int64_t *)lf_key_value(defaults, key) + 1);
		config = read_text(text);
		after = printed(config);
		cr_assert_eq(changed_lines(before, after, key->name), 1, "%s.%s", key->section, key->name);
		free(after);
		lf_config_free(config);
	}
	free(before);
	lf_config_free(defaults);
}

/* ---- What is wrong ---- */

Test(config, a_misspelled_name_is_told_with_the_one_that_was_meant)
{
	expect_error("\n[mongo]\nurll = 1", "3: there is no key 'mongo.urll': did you mean 'uri'?");
	expect_error("[redis]\nuri = ''", "2: there is no key 'redis.uri': did you mean 'url'?");
	expect_error("[mongod]", "1: there is no section 'mongod': did you mean [mongo]?");
	expect_error("[agent]\ncolour = 1", "2: there is no key 'agent.colour': `logfold agent --print-keys`");
	expect_error("[weather]", "1: there is no section 'weather': `logfold agent --print-keys`");
	expect_error("run_dir = '/x'", "1: the key 'run_dir' stands outside a section: put it below a line "
	                               "[agent]");
	expect_error("agent = 1", "1: 'agent' is a section: write [agent] on a line of its own");
	expect_error("[[redis]]", "1: 'redis' is a section");
	expect_error("[mongo]\n\"a\\nb\" = 1", "2: there is no key 'mongo.a?b'");
	expect_error("[mongo]\ntls.ca_file = 1", "2: there is no key 'mongo.tls'");
}

Test(config, a_value_of_another_type_or_out_of_its_range_is_told_with_what_is_right)
{
	expect_error("[mongo]\nenabled = 'yes'", "2: mongo.enabled is a string: it takes true or false");
	expect_error("[mongo]\ntimeout_ms = 5.0", "2: mongo.timeout_ms is a float: it takes 10 to 3600000 ms");
	expect_error("[agent]\ndrain_interval_ms = 9", "2: agent.drain_interval_ms is 9: it takes 10 to 60000");
	expect_error("[agent]\ndrain_interval_ms = 60001", "2: agent.drain_interval_ms is 60001: it takes 10");
	expect_error("[agent]\ndrain_interval_ms = 2024-01-01", "2: agent.drain_interval_ms is a date or time");
	expect_error("[agent]\nrun_dir = 'run'", "2: agent.run_dir is 'run': it takes an absolute path");
	expect_error("[agent]\nrun_dir = \"/a\\u0000b\"", "2: agent.run_dir holds a NUL");
	expect_error("[agent]\nnamespace = 'a b'", "2: agent.namespace is 'a b': it takes 1 to 64 of letters");
	expect_error("[agent]\nnamespace = ''", "2: agent.namespace is ''");
	expect_error("[agent]\nusers = 'some'", "2: agent.users is 'some': it takes \"own\" or \"all\"");
	expect_error("[agent]\nnamespaces = []", "2: agent.namespaces is empty");
	expect_error("[agent]\nnamespaces = ['a:b:c']", "2: agent.namespaces is 'a:b:c': it takes a list of");
	expect_error("[agent]\nnamespaces = [1]", "2: agent.namespaces holds an integer");
	expect_error("[hook]\nskip_frames = ['a', 1]", "2: hook.skip_frames holds an integer");
	expect_error("[hook]\nskip_frames = ['']", "2: hook.skip_frames is ''");
	expect_error("[hook]\nskip_frames = ['lib.so!']", "2: hook.skip_frames is 'lib.so!'");
	expect_error("[hook]\nskip_frames = [\"a\\nb\"]", "2: hook.skip_frames is 'a");
	expect_error("[agent]\nfallback = ['memory', 'disk']", "2: agent.fallback is 'disk': it takes a list");
	expect_error("[agent]\nfallback = ['redis', 'redis']", "2: agent.fallback names 'redis' twice");
	expect_error("[agent]\nfallback = []", "2: agent.fallback is empty");
	expect_error("[mongo]\ndatabase = 'a.b'", "2: mongo.database is 'a.b'");
}

Test(config, a_server_listens_where_nobody_comes_from_another_machine_or_not_at_all)
{
	static const char *const good[] = { "127.0.0.1:1", "127.8.9.1:65535", "localhost:80", "[::1]:8642", "unix:/run/x" };
	static const char *const bad[] = { "0.0.0.0:80",   "192.168.0.1:80", "[::]:80",  "example.com:80", "127.0.0.1",
		                           "127.0.0.1:0",  "127.0.0.1:65536", ":80",     "127.0.0.1:+80",  "unix:run/x",
		                           "127.0.0.1:80x", "[::1:80",        "127.1:80", "[::1%lo]:80",   "" };
	char text[160];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct lf_config *config;

		(void)snprintf(text, sizeof(text), "[http]\nlisten = '%s'", good[i]);
		config = read_text(text);
		cr_assert_str_eq(config->http.listen, good[i]);
		lf_config_free(config);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char sentence[120];

		(void)snprintf(text, sizeof(text), "[http]\nlisten = '%s'", bad[i]);
		(void)snprintf(sentence, sizeof(sentence), "2: http.listen is '%s': it takes 127.0.0.1:PORT", bad[i]);
		expect_error(text, sentence);
	}
}

Test(config, the_cache_has_a_policy_patterns_and_names)
{
	struct lf_config *config = read_text("[cache]\npolicy = 's3fifo'\ncritical = ['user:*:*', 'a:b:c']\napp = 'ä b'\n");

	cr_assert_eq(config->cache.policy, LF_CACHE_S3FIFO);
	cr_assert_eq(config->cache.critical.count, 2);
	cr_assert_str_eq(config->cache.critical.item[1], "a:b:c");
	cr_assert_str_eq(config->cache.app, "ä b");
	lf_config_free(config);
	config = read_text("");
	cr_assert_eq(config->cache.policy, LF_CACHE_LRU);
	cr_assert_eq(config->cache.critical.count, 0);
	lf_config_free(config);
	expect_error("[cache]\npolicy = 'mru'", "2: cache.policy is 'mru': it takes \"lru\", \"lfu\"");
	expect_error("[cache]\ncritical = ['']", "2: cache.critical is '': it takes a list of TYPE:ORG:ID");
	expect_error("[cache]\napp = ''", "2: cache.app is '': it takes a text of 1 to 128 bytes");
	expect_error("[cache]\nfile = 'cache.db'", "2: cache.file is 'cache.db': it takes an absolute path");
}

Test(config, values_that_contradict_each_other_are_told_in_the_later_line)
{
	expect_error("[breaker]\nbackoff_min_ms = 500\nbackoff_max_ms = 400",
	             "3: breaker.backoff_min_ms (500) is above backoff_max_ms (400)");
	expect_error("[breaker]\nbackoff_min_ms = 40000", "2: breaker.backoff_min_ms (40000) is above");
	expect_error("[health]\nhit_rate_degraded_pct = 50",
	             "2: health.hit_rate_critical_pct (60) is above hit_rate_degraded_pct (50)");
	expect_error("[health]\nerror_rate_degraded_pct = 6", "2: health.error_rate_degraded_pct (6) is above");
	expect_error("[health]\nlatency_critical_ms = 9", "2: health.latency_degraded_ms (10) is above");
	expect_error("[health]\nmemory_degraded_pct = 96", "2: health.memory_degraded_pct (96) is above");
	expect_error("[mongo]\ntls_key_file = '/k'", "2: mongo.tls_key_file is given without");
	expect_error("[redis]\ntls_ca_file = '/c'", "2: redis.tls_ca_file is given, but redis.url asks for no "
	                                            "TLS: begin it with rediss://");
}

Test(config, a_file_that_cannot_be_read_is_told_with_a_remedy)
{
	struct lf_config *config = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_config_read(&config, "/nowhere/agent.toml", &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "/nowhere/agent.toml cannot be read"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "--print-sample"), "%s", err.text);
	cr_assert_eq(lf_config_read(&config, "/", &err), -EISDIR);
	cr_assert_null(config);
}

/* ---- Secrets ---- */

static void expect_masked(const char *uri, const char *shown)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	lf_print_masked_uri(uri, out);
	(void)fclose(out);
	cr_assert_eq(strncmp(text + 1, shown, len - 2), 0, "%s", text);
	cr_assert_eq(len - 2, strlen(shown), "%s", text);
	free(text);
}

Test(config, passwords_in_uris_are_masked_when_printed)
{
	expect_masked("mongodb://h:27017/db?a=b", "mongodb://h:27017/db?a=b");
	expect_masked("mongodb://u:geheim@h1:1,h2:2/db", "mongodb://u:***@h1:1,h2:2/db");
	expect_masked("mongodb://u:a:b@h", "mongodb://u:***@h");
	expect_masked("mongodb://cn@h/?tls=true", "mongodb://cn@h/?tls=true");
	expect_masked("mongodb://h/?tlsCertificateKeyFilePassword=geheim&w=1",
	              "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1");
	expect_masked("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x",
	              "mongodb://h/?authMechanismProperties=***");
	expect_masked("redis://:geheim@h:1/0", "redis://:***@h:1/0");
	expect_masked("redis://geheim@h:1/0", "redis://***@h:1/0");
	expect_masked("unix:///run/redis.sock", "unix:///run/redis.sock");
}

Test(config, no_error_tells_a_uri)
{
	static const char *const bad[] = { "mongo://u:geheim@h", "mongodb://u:ge/heim@h", "mongodb://u:geheim@h o",
		                           "mongodb://u:gehe?im@h" };
	char text[128];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct lf_config *config = NULL;
		struct lf_error err = { "" };

		(void)snprintf(text, sizeof(text), "[mongo]\nuri = '%s'", bad[i]);
		cr_assert_eq(lf_config_read(&config, file_of(text, strlen(text), 0600), &err), -EINVAL, "%s",
		             bad[i]);
		cr_assert_null(strstr(err.text, "heim"), "%s", err.text);
	}
}

Test(config, the_environment_comes_before_the_file_and_is_named_in_errors)
{
	struct lf_config *config;
	struct lf_error err = { "" };

	(void)setenv("LOGFOLD_MONGO_URI", "mongodb://env", 1);
	(void)setenv("LOGFOLD_REDIS_PASSWORD_FILE", "/env", 1);
	(void)setenv("LOGFOLD_REDIS_URL", "", 1);
	config = read_text("[mongo]\nuri = 'mongodb://file'\n[redis]\nurl = 'redis://file'\n");
	cr_assert_str_eq(config->mongo.uri, "mongodb://env");
	cr_assert_str_eq(config->redis.uri, "redis://file");
	cr_assert_str_eq(config->redis.password_file, "/env");
	lf_config_free(config);
	(void)setenv("LOGFOLD_MONGO_URI", "http://env", 1);
	config = NULL;
	cr_assert_eq(lf_config_read(&config, NULL, &err), -EINVAL);
	cr_assert_eq(strncmp(err.text, "LOGFOLD_MONGO_URI: mongo.uri ", 29), 0, "%s", err.text);
	(void)setenv("LOGFOLD_MONGO_URI", "", 1);
	(void)setenv("LOGFOLD_MONGO_PASSWORD_FILE", "relative", 1);
	cr_assert_eq(lf_config_read(&config, NULL, &err), -EINVAL);
	cr_assert_eq(strncmp(err.text, "LOGFOLD_MONGO_PASSWORD_FILE: ", 29), 0, "%s", err.text);
}

static void expect_password_of(const char *text, size_t len, mode_t mode, const char *password)
{
	struct lf_error err = { "" };
	char *got = NULL;

	cr_assert_eq(lf_config_password(file_of(text, len, mode), &got, &err), 0, "%s", err.text);
	cr_assert_str_eq(got, password);
	lf_config_forget_password(got);
}

static void expect_password(const char *text, size_t len, const char *password)
{
	expect_password_of(text, len, 0600, password);
}

static void expect_no_password(const char *text, size_t len, mode_t mode, int rc, const char *reason)
{
	struct lf_error err = { "" };
	char *got = NULL;

	cr_assert_eq(lf_config_password(file_of(text, len, mode), &got, &err), rc, "%s", err.text);
	cr_assert_null(got);
	cr_assert_not_null(strstr(err.text, reason), "%s", err.text);
}

Test(config, a_password_is_the_one_line_of_its_file)
{
	static char longest[1024];

	expect_password("geheim", 6, "geheim");
	expect_password("geheim\n", 7, "geheim");
	expect_password("geheim\r\n", 8, "geheim");
	expect_password(" blank \n", 8, " blank ");
	memset(longest, 'x', sizeof(longest) - 1);
	expect_password(longest, sizeof(longest) - 1, longest);
}

Test(config, a_password_file_that_holds_no_password_alone_is_refused)
{
	static char longer[1026];

	expect_no_password("", 0, 0600, -EINVAL, "is empty");
	expect_no_password("\n", 1, 0600, -EINVAL, "is empty");
	expect_no_password("a\nb\n", 4, 0600, -EINVAL, "more than one line");
	expect_no_password("a\0b", 3, 0600, -EINVAL, "more than one line");
	memset(longer, 'x', sizeof(longer));
	expect_no_password(longer, sizeof(longer), 0600, -EINVAL, "more than 1024 bytes");
}

Test(config, a_password_file_that_others_can_read_is_refused)
{
	expect_no_password("geheim", 6, 0644, -EPERM, "chmod");
	expect_no_password("geheim", 6, 0604, -EPERM, "(mode 0604)");
	expect_no_password("geheim", 6, 0620, -EPERM, "chmod");
	/* Root may hand a secret of its own to a group. */
	if (geteuid() == 0)
		expect_password_of("geheim", 6, 0640, "geheim");
	else
		expect_no_password("geheim", 6, 0640, -EPERM, "chmod 0600");
}

Test(config, a_password_that_is_no_file_is_told)
{
	struct lf_error err = { "" };
	char *got = NULL;

	cr_assert_eq(lf_config_password("/nowhere/password", &got, &err), -ENOENT);
	cr_assert_not_null(strstr(err.text, "'/nowhere/password' cannot be read"), "%s", err.text);
	cr_assert_eq(lf_config_password("/dev", &got, &err), -EINVAL);
	lf_config_forget_password(NULL);
}

/* ---- Names ---- */

Test(nearest, only_a_name_within_two_edits_was_meant)
{
	static const char *const names[] = { "enabled", "uri", "timeout_ms", NULL };

	cr_assert_str_eq(lf_nearest("enabeld", names), "enabled");
	cr_assert_str_eq(lf_nearest("timeout", (const char *const[]){ "timeouts", NULL }), "timeouts");
	cr_assert_null(lf_nearest("timeout", names));
	cr_assert_null(lf_nearest("xyz", names));
}
