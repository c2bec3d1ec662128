#include <errno.h>

#include "hashing/decimal.h"
#include "sinks/cache/apply.h"

enum { INTEGER_MAX = LF_DECIMAL_MAX + 1 }; /* with its sign */

/* As Redis takes it: what it would write itself, so no plus, no leading zero, no "-0", no space. */
static bool read_integer(struct lf_text text, int64_t *out)
{
	bool negative = text.len && text.data[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + negative, number = 0;
	size_t at = negative;

	if (text.len == at || text.len > INTEGER_MAX || (text.data[at] == '0' && text.len > 1))
		return false;
	for (; at < text.len; at++) {
		unsigned digit = (unsigned)((unsigned char)text.data[at] - '0');

		if (digit > 9 || number > (limit - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*out = (int64_t)(negative ? 0 - number : number);
	return true;
}

static struct lf_text write_integer(char out[INTEGER_MAX], int64_t number)
{
	char *end = out;

	if (number < 0)
		*end++ = '-';
	end = lf_decimal_put(end, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
	return (struct lf_text){ out, (size_t)(end - out) };
}

static int overflow(struct lf_error *err)
{
	return lf_fail(err, -ERANGE, "the result would be no 64-bit integer");
}

int lf_apply_number(const struct lf_apply *apply, struct lf_command_result *out, struct lf_error *err)
{
	int64_t number = 0, by = apply->command->number;
	char digits[INTEGER_MAX];
	struct lf_text value;
	int rc;

	if (apply->command->kind == LF_COMMAND_DECRBY) {
		if (by == INT64_MIN) /* has no opposite: Redis refuses it, whatever is there */
			return overflow(err);
		by = -by;
	}
	rc = lf_apply_type(apply->before, LF_RECORD_STRING, err);
	if (rc < 0)
		return rc;
	if (apply->before && !read_integer(apply->before->value, &number))
		return lf_fail(err, -EBADMSG, "the value is no integer: delete the key, or set it to one");
	if (__builtin_add_overflow(number, by, &out->number))
		return overflow(err);
	value = write_integer(digits, out->number);
	if (value.len > apply->command->value_max)
		return lf_apply_too_big(apply->command, err);
	return lf_apply_value(apply, LF_RECORD_STRING, value, out, err);
}
