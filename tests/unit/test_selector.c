#include "agent/cli/selector.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define TEXT(literal) ((struct lf_text){ literal, sizeof(literal) - 1 })

static const struct lf_entry entry = {
	.hash = TEXT("3f2a9c00000000000000000000000001"),
	.method = TEXT("printf"),
	.message_template = TEXT("user %s in\n"),
	.top_frame = TEXT("shop!login"),
	.tags = TEXT("[\"noisy\"]"),
	.family = TEXT("77bc"),
};

static struct lf_selectors *selectors_of(const char *const *words)
{
	struct lf_selectors *selectors = NULL;
	struct lf_error err = { "" };
	size_t count = 0;

	while (words[count])
		count++;
	cr_assert_eq(lf_selectors_new(&selectors, words, count, &err), 0, "%s", err.text);
	return selectors;
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static bool matches(const char *const *words)
{
	struct lf_selectors *selectors = selectors_of(words);
	bool match = lf_selectors_match(selectors, &entry);

	lf_selectors_free(selectors);
	return match;
}

static void expect_refused(const char *word, const char *reason)
{
	const char *words[] = { word, NULL };
	struct lf_selectors *selectors = NULL;
	struct lf_error err = { "" };

	cr_assert_eq(lf_selectors_new(&selectors, words, 1, &err), -EINVAL, "'%s' is taken", word);
	cr_assert_null(selectors);
	cr_assert_not_null(strstr(err.text, reason), "'%s' is refused with: %s", word, err.text);
}

Test(selector, a_bare_word_is_a_hash_prefix_in_either_case)
{
	cr_assert(matches(WORDS("3f2a")));
	cr_assert(matches(WORDS("3F2A9c")));
	cr_assert(matches(WORDS("3f2a9c00000000000000000000000001")));
	cr_assert_not(matches(WORDS("3f2b")));
	cr_assert_not(matches(WORDS("f2a9")));
}

Test(selector, method_and_family_are_compared_whole)
{
	cr_assert(matches(WORDS("method=printf")));
	cr_assert_not(matches(WORDS("method=print")));
	cr_assert_not(matches(WORDS("method=printff")));
	cr_assert(matches(WORDS("family=77bc")));
	cr_assert_not(matches(WORDS("family=77")));
}

Test(selector, template_and_frame_are_searched_by_extended_regular_expressions)
{
	cr_assert(matches(WORDS("template~=^user")));
	cr_assert(matches(WORDS("template~=(in|out)")));
	cr_assert_not(matches(WORDS("template~=^in")));
	cr_assert(matches(WORDS("frame~=!log.n")));
	cr_assert_not(matches(WORDS("frame~=^login")));
}

Test(selector, the_end_of_a_line_of_the_template_is_an_end)
{
	cr_assert(matches(WORDS("template~=in$")));
}

Test(selector, a_regex_sees_no_more_than_the_text)
{
	struct lf_selectors *selectors = selectors_of(WORDS("template~=secret"));
	struct lf_entry cut = entry;

	cut.message_template = (struct lf_text){ "public secret", 6 };
	cr_assert_not(lf_selectors_match(selectors, &cut));
	lf_selectors_free(selectors);
}

Test(selector, a_tag_is_one_of_the_tags)
{
	cr_assert(matches(WORDS("tag=noisy")));
	cr_assert_not(matches(WORDS("tag=nois")));
}

Test(selector, several_of_one_kind_widen_the_choice)
{
	cr_assert(matches(WORDS("aaaa", "3f2a")));
	cr_assert(matches(WORDS("method=puts", "method=printf")));
	cr_assert_not(matches(WORDS("aaaa", "bbbb")));
}

Test(selector, different_kinds_narrow_the_choice)
{
	cr_assert(matches(WORDS("method=printf", "frame~=login")));
	cr_assert_not(matches(WORDS("method=printf", "frame~=logout")));
	cr_assert_not(matches(WORDS("3f2a", "method=puts")));
}

Test(selector, no_selector_chooses_every_entry)
{
	const char *none[] = { NULL };

	cr_assert(matches(none));
}

Test(selector, what_is_no_selector_is_refused_with_the_reason)
{
	expect_refused("3f2", "4 to 32");
	expect_refused("3f2a9c000000000000000000000000011", "4 to 32");
	expect_refused("", "is no selector");
	expect_refused("printf", "is no selector");
	expect_refused("methods=printf", "is no selector");
	expect_refused("template=x", "is no selector");
	expect_refused("method=", "has no value");
	expect_refused("template~=(", "is no regular expression");
}

Test(selector, what_was_taken_before_a_wrong_word_is_given_back)
{
	struct lf_selectors *selectors = NULL;
	struct lf_error err;

	cr_assert_eq(lf_selectors_new(&selectors, WORDS("template~=a+", "frame~=b", "wrong"), 3, &err),
		     -EINVAL);
	cr_assert_null(selectors);
}

Test(selector, the_store_is_asked_for_the_only_prefix_and_the_only_method)
{
	struct lf_selectors *selectors = selectors_of(WORDS("3F2A", "method=printf", "frame~=x"));
	struct lf_query query = { 0 };

	lf_selectors_narrow(selectors, &query);
	cr_assert_str_eq(query.hash_prefix, "3f2a");
	cr_assert_str_eq(query.method, "printf");
	lf_selectors_free(selectors);
}

Test(selector, of_several_prefixes_the_store_is_asked_for_none)
{
	struct lf_selectors *selectors = selectors_of(WORDS("3f2a", "77bc", "method=a", "method=b"));
	struct lf_query query = { 0 };

	lf_selectors_narrow(selectors, &query);
	cr_assert_null(query.hash_prefix);
	cr_assert_null(query.method);
	cr_assert_str_eq(lf_selectors_prefix(selectors, 1), "77bc");
	cr_assert_null(lf_selectors_prefix(selectors, 2));
	lf_selectors_free(selectors);
}
