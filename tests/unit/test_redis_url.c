#include "sinks/redis/url.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct lf_redis_url parsed(const char *text)
{
	struct lf_error err = { "" };
	struct lf_redis_url url = { .db = -1 };

	cr_assert_eq(lf_redis_url_parse(&url, text, &err), 0, "%s: %s", text, err.text);
	return url;
}

static void expect_refused(const char *text, const char *reason)
{
	struct lf_redis_url url;
	struct lf_error err = { "" };

	cr_assert_eq(lf_redis_url_parse(&url, text, &err), -EINVAL, "'%s' is taken", text);
	cr_assert_not_null(strstr(err.text, reason), "'%s' is refused with: %s", text, err.text);
	cr_assert_null(strstr(err.text, "secret"), "a password is told: %s", err.text);
}

Test(redis_url, a_host_alone_gets_the_usual_port_and_database)
{
	struct lf_redis_url url = parsed("redis://cache.example");

	cr_assert_str_eq(url.name, "cache.example");
	cr_assert_eq(url.port, 6379);
	cr_assert_eq(url.db, 0);
	cr_assert(!url.tls && !url.local && !*url.user && !*url.password);
}

Test(redis_url, everything_may_be_said)
{
	struct lf_redis_url url = parsed("rediss://log:se%63ret%40%2F@10.0.0.1:7000/12");

	cr_assert(url.tls);
	cr_assert_str_eq(url.user, "log");
	cr_assert_str_eq(url.password, "secret@/");
	cr_assert_str_eq(url.name, "10.0.0.1");
	cr_assert_eq(url.port, 7000);
	cr_assert_eq(url.db, 12);
}

Test(redis_url, a_password_needs_no_user)
{
	struct lf_redis_url url = parsed("redis://:secret@h");

	cr_assert_str_eq(url.user, "");
	cr_assert_str_eq(url.password, "secret");
}

Test(redis_url, a_password_may_hold_a_colon_and_an_at_sign)
{
	cr_assert_str_eq(parsed("redis://u:a:b@c@h").password, "a:b@c");
}

Test(redis_url, an_ipv6_address_stands_in_brackets)
{
	struct lf_redis_url url = parsed("redis://u:p@[::1]:7000/1");

	cr_assert_str_eq(url.name, "::1");
	cr_assert_eq(url.port, 7000);
	cr_assert_str_eq(parsed("redis://[fe80::1]").name, "fe80::1");
}

Test(redis_url, a_unix_socket_is_a_path)
{
	struct lf_redis_url url = parsed("unix:///run/redis%20a.sock?db=3");

	cr_assert(url.local);
	cr_assert_str_eq(url.name, "/run/redis a.sock");
	cr_assert_eq(url.db, 3);
	cr_assert_str_eq(parsed("unix://u:p@/run/r.sock").password, "p");
}

Test(redis_url, what_cannot_be_is_refused_and_says_why)
{
	expect_refused("", "scheme");
	expect_refused("http://h", "scheme");
	expect_refused("redis://", "host");
	expect_refused("redis://u:secret@", "host");
	expect_refused("redis://[::1", "host");
	expect_refused("redis://:6379", "host");
	expect_refused("redis://h:0", "port");
	expect_refused("redis://h:65536", "port");
	expect_refused("redis://h:", "port");
	expect_refused("redis://[::1]x", "port");
	expect_refused("redis://h/abc", "database");
	expect_refused("redis://h/1?ssl=true", "options");
	expect_refused("redis://u:secret%zz@h", "%25");
	expect_refused("redis://u:secret%00@h", "%25");
	expect_refused("unix://run/redis.sock", "three");
	expect_refused("unix://u:secret", "path");
	expect_refused("unix:///r?database=1", "db=N");
}

Test(redis_url, what_is_too_long_is_refused)
{
	char text[1024] = "unix:///";

	memset(text + strlen(text), 'x', 200);
	expect_refused(text, "longer than");
	memset(text, 'y', 1000);
	memcpy(text, "redis://", 8);
	expect_refused(text, "longer than");
}
