#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "agent/http/request.h"

static struct lf_text text_of(const char *text)
{
	return (struct lf_text){ text, strlen(text) };
}

static struct lf_http_request request_of(const char *path, const char *const *pairs)
{
	struct lf_http_request request = { .path = path };
	struct lf_error err;

	for (; *pairs; pairs += 2)
		cr_assert_eq(lf_http_add(&request, text_of(pairs[0]), text_of(pairs[1]), &err), 0, "%s", err.text);
	return request;
}

static void expect_key(const char *const *pairs, const char *key)
{
	struct lf_http_request request = request_of("/api/entries", pairs);
	char out[LF_HTTP_KEY_MAX];
	size_t len;

	cr_assert_eq(lf_http_key(&request, out, &len, NULL), 0);
	cr_assert_eq(len, strlen(key), "%.*s", (int)len, out);
	cr_assert_eq(memcmp(out, key, len), 0, "%.*s", (int)len, out);
}

Test(http_request, the_order_of_the_parameters_does_not_make_another_request)
{
	expect_key((const char *[]){ "limit", "5", "namespace", "shop", NULL }, "GET /api/entries?limit=5&namespace=shop");
	expect_key((const char *[]){ "namespace", "shop", "limit", "5", NULL }, "GET /api/entries?limit=5&namespace=shop");
	expect_key((const char *[]){ NULL }, "GET /api/entries");
}

Test(http_request, no_value_makes_the_request_of_another)
{
	expect_key((const char *[]){ "a", "1&b=2", NULL }, "GET /api/entries?a=1%26b%3D2");
	expect_key((const char *[]){ "a", "1", "b", "2", NULL }, "GET /api/entries?a=1&b=2");
	expect_key((const char *[]){ "a", "\xff %", NULL }, "GET /api/entries?a=%FF%20%25");
}

Test(http_request, a_parameter_is_given_once_and_not_more_than_eight_are)
{
	struct lf_http_request request = { .path = "/" };
	static const char names[] = "abcdefghi";
	struct lf_error err;

	for (int i = 0; i < LF_HTTP_PAIRS_MAX; i++)
		cr_assert_eq(lf_http_add(&request, (struct lf_text){ names + i, 1 }, text_of(""), &err), 0);
	cr_assert_eq(lf_http_add(&request, text_of("i"), text_of(""), &err), -EINVAL);
	request.pairs--;
	cr_assert_eq(lf_http_add(&request, text_of("c"), text_of("again"), &err), -EINVAL);
	cr_assert_str_eq(err.text, "a parameter is given twice: give it once");
}

Test(http_request, what_is_too_long_for_a_key_is_no_request)
{
	char value[LF_HTTP_KEY_MAX];
	struct lf_http_request request = { .path = "/" };
	char out[LF_HTTP_KEY_MAX];
	size_t len;

	memset(value, 'x', sizeof(value));
	cr_assert_eq(lf_http_add(&request, text_of("a"), (struct lf_text){ value, sizeof(value) }, NULL), 0);
	cr_assert_eq(lf_http_key(&request, out, &len, NULL), -EMSGSIZE);
	request.pair[0].value.len = sizeof(value) - strlen("GET /?a=");
	cr_assert_eq(lf_http_key(&request, out, &len, NULL), 0);
	cr_assert_eq(len, sizeof(out));
}

Test(http_request, only_a_name_of_the_loopback_at_our_port_is_our_host)
{
	static const char *const ours[] = { "127.0.0.1:8642", "localhost:8642", "LOCALHOST:8642", "[::1]:8642",
		                            "127.1.2.3:8642" };
	static const char *const others[] = { "",               "127.0.0.1",          "127.0.0.1:8641",       "127.0.0.1:",
		                              "127.0.0.1:8642x", "127.evil.com:8642", "localhost.evil.com:8642", "[::1",
		                              "[::2]:8642",     "127.0.0.1.evil:8642", "evil.com:8642",      ":8642",
		                              "127.0.0.1:+8642", "12.0.0.1:8642" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		cr_assert(lf_http_is_our_host(ours[i], 8642), "%s", ours[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		cr_assert_not(lf_http_is_our_host(others[i], 8642), "%s", others[i]);
	cr_assert(lf_http_is_our_host("localhost", 80));
	cr_assert_not(lf_http_is_our_host(NULL, 80));
}

Test(http_request, an_etag_is_found_in_a_list_weak_or_strong)
{
	const char *etag = "\"abc\"";

	cr_assert(lf_http_names_etag("\"abc\"", etag));
	cr_assert(lf_http_names_etag("W/\"abc\"", etag));
	cr_assert(lf_http_names_etag(" \"x\" , \"a,b\",\"abc\"", etag));
	cr_assert(lf_http_names_etag("*", etag));
	cr_assert_not(lf_http_names_etag("\"abcd\"", etag));
	cr_assert_not(lf_http_names_etag("abc", etag));
	cr_assert_not(lf_http_names_etag("\"x\"abc\"", etag));
	cr_assert_not(lf_http_names_etag("\"", etag));
	cr_assert_not(lf_http_names_etag("", etag));
	cr_assert_not(lf_http_names_etag(NULL, etag));
}
