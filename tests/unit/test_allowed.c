#include "agent/core/allowed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct lf_error why;

static struct lf_allowed *allow(const char *const *patterns, size_t count)
{
	struct lf_allowed *allowed = NULL;

	cr_assert_eq(lf_allowed_new(&allowed, patterns, count, &why), 0, "%s", why.text);
	return allowed;
}

Test(allowed, without_a_pattern_everybody_may_count_everywhere)
{
	struct lf_allowed *none = allow(NULL, 0);

	cr_assert(lf_allowed_is(none, 1000, "shop"));
	cr_assert(lf_allowed_is(NULL, 1000, "shop"));
	lf_allowed_free(none);
}

Test(allowed, a_namespace_alone_is_every_users_and_no_other_is)
{
	static const char *const patterns[] = { "shop" };
	struct lf_allowed *allowed = allow(patterns, 1);

	cr_assert(lf_allowed_is(allowed, 0, "shop"));
	cr_assert(lf_allowed_is(allowed, 4321, "shop"));
	cr_assert_not(lf_allowed_is(allowed, 0, "shop2"));
	cr_assert_not(lf_allowed_is(allowed, 0, "sho"));
	lf_allowed_free(allowed);
}

Test(allowed, a_user_is_known_by_name_or_number_and_nobody_else_is_he)
{
	static const char *const patterns[] = { "root:shop", "4321:bank" };
	struct lf_allowed *allowed = allow(patterns, 2);

	cr_assert(lf_allowed_is(allowed, 0, "shop"));
	cr_assert_not(lf_allowed_is(allowed, 4321, "shop"));
	cr_assert(lf_allowed_is(allowed, 4321, "bank"));
	cr_assert_not(lf_allowed_is(allowed, 0, "bank"));
	lf_allowed_free(allowed);
}

Test(allowed, a_star_stands_for_any_user_and_any_namespace)
{
	static const struct {
		const char *pattern, *namespace;
		bool is;
	} cases[] = {
		{ "*", "shop", true },    { "*:*", "shop", true },    { "0:*", "shop", true },
		{ "1:*", "shop", false }, { "*:shop", "shop", true }, { "*:shop", "bank", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lf_allowed *allowed = allow(&cases[i].pattern, 1);

		cr_expect_eq(lf_allowed_is(allowed, 0, cases[i].namespace), cases[i].is, "%s of %s",
		             cases[i].pattern, cases[i].namespace);
		lf_allowed_free(allowed);
	}
}

Test(allowed, what_is_no_pattern_is_refused_with_the_reason)
{
	static const char *const bad[] = { "", ":", ":shop", "root:", "sh op", "root:a:b", "a/b", "sh*p",
		                           "nobody-has-this-name:shop", "4294967295:shop", "-1:shop" };
	struct lf_allowed *allowed = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why.text[0] = '\0';
		cr_expect_eq(lf_allowed_new(&allowed, &bad[i], 1, &why), -EINVAL, "'%s' passes", bad[i]);
		cr_expect(strlen(why.text) > 0);
	}
	cr_assert_null(allowed);
}
