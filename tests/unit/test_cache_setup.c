#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/core/cache_setup.h"
#include "tests/unit/folder_fixture.h"

static struct lf_config *config;
static struct lf_cache_setup setup;
static char folder[FOLDER_MAX], path[FOLDER_MAX + 16];

/* Good until the next call. */
static const char *in_folder(const char *name)
{
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make_folder(void)
{
	new_folder(folder);
}

static void write_file(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	(void)close(fd);
}

static int set_up(const char *toml, struct lf_error *err)
{
	const char *file = in_folder("agent.toml");

	write_file(file, toml);
	cr_assert_eq(lf_config_read(&config, file, err), 0, "%s", err->text);
	return lf_cache_setup_init(&setup, config, "/var/lib/shop/entries.db", err);
}

static void forget(void)
{
	lf_cache_setup_fini(&setup);
	lf_config_free(config);
}

TestSuite(cache_setup, .init = make_folder, .fini = forget);

Test(cache_setup, without_a_word_it_is_memory_over_a_file_beside_the_store)
{
	const struct lf_cache_options *options = &setup.options;
	struct lf_error err;

	cr_assert_eq(set_up("", &err), 0, "%s", err.text);
	cr_assert_str_eq(options->app, "logfold-agent");
	cr_assert_str_eq(options->env, "production");
	cr_assert_str_eq(options->sqlite.file, "/var/lib/shop/cache.db");
	cr_assert_not(options->sqlite.off);
	cr_assert(options->redis.off && options->mongo.off);
	cr_assert_eq(options->memory.max_bytes, UINT64_C(64) << 20);
	cr_assert_eq(options->memory.policy, LF_CACHE_LRU);
	cr_assert_eq(options->classes_count, 1);
	cr_assert_null(options->classes[0].type);
	cr_assert_eq(options->classes[0].ttl_ms, 3600000);
	cr_assert_eq(options->deadline_ms, 500);
	cr_assert_eq(options->hit_rate_degraded_pct, 80);
}

Test(cache_setup, the_servers_are_those_that_the_tiers_are_sent_to)
{
	const struct lf_cache_options *options = &setup.options;
	char password[sizeof(path)], toml[1024];
	struct lf_error err;

	(void)strcpy(password, in_folder("password"));
	write_file(password, "geheim\n");
	(void)snprintf(toml, sizeof(toml), "[redis]\nenabled = true\nurl = 'redis://h:1'\npassword_file = '%s'\n"
	               "[mongo]\nenabled = true\nuri = 'mongodb://h'\ndatabase = 'd'\n[cache]\ncritical = ['a:*:*']\n", password);
	cr_assert_eq(set_up(toml, &err), 0, "%s", err.text);
	cr_assert_not(options->redis.off || options->mongo.off);
	cr_assert_str_eq(options->redis.url, "redis://h:1");
	cr_assert_str_eq(options->redis.password, "geheim");
	cr_assert_str_eq(options->mongo.url, "mongodb://h");
	cr_assert_str_eq(options->mongo.database, "d");
	cr_assert_null(options->mongo.password);
	cr_assert_eq(options->critical_count, 1);
	cr_assert_str_eq(options->critical[0], "a:*:*");
}

Test(cache_setup, a_server_that_the_cache_shall_not_use_is_off)
{
	struct lf_error err;

	cr_assert_eq(set_up("[redis]\nenabled = true\n[mongo]\nenabled = true\n[cache]\nredis = false\nmongo = false\n"
	                    "sqlite = false\n", &err), 0, "%s", err.text);
	cr_assert(setup.options.redis.off && setup.options.mongo.off && setup.options.sqlite.off);
}

Test(cache_setup, a_password_that_others_can_read_is_no_password)
{
	char password[sizeof(path)], toml[1024];
	struct lf_error err;

	(void)strcpy(password, in_folder("password"));
	write_file(password, "geheim\n");
	cr_assert_eq(chmod(password, 0644), 0);
	(void)snprintf(toml, sizeof(toml), "[redis]\nenabled = true\npassword_file = '%s'\n", password);
	cr_assert_lt(set_up(toml, &err), 0);
	cr_assert(strstr(err.text, password), "%s", err.text);
}

Test(cache_setup, the_environment_comes_before_the_file)
{
	struct lf_error err;

	cr_assert_eq(setenv("CACHE_DEFAULT_TTL", "7", 1), 0);
	cr_assert_eq(set_up("[cache]\nttl_s = 60\n", &err), 0, "%s", err.text);
	cr_assert_eq(setup.options.classes[0].ttl_ms, 7000);
}
