#include "agent/map/repeats.h"

#include <string.h>

#include "hashing/decimal.h"

enum { NAME_CHARS = 60, CHAR_BYTES = 4 };

_Static_assert(NAME_CHARS * CHAR_BYTES + sizeof(" … repeated  times in . s\n") +
               3 * LF_DECIMAL_MAX <= LF_REPEATS_MAX, "the sentence fits");

/* At most so many characters of it, without what would leave the line.  A program that links the API may
 * give bytes that are no characters. */
static char *put_name(char *out, struct lf_text name)
{
	const char *limit = out + NAME_CHARS * CHAR_BYTES;
	unsigned chars = 0;

	for (size_t i = 0; i < name.len && out < limit; i++) {
		bool begins = ((unsigned char)name.data[i] & 0xc0) != 0x80;

		if (begins && chars++ == NAME_CHARS)
			break;
		if (name.data[i] != '\n' || i + 1 < name.len)
			*out++ = (unsigned char)name.data[i] < ' ' ? ' ' : name.data[i];
	}
	return out;
}

static char *put(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return out + len;
}

size_t lf_repeats_tell(struct lf_text template, uint32_t repeats, uint32_t over_ms,
                       char out[LF_REPEATS_MAX])
{
	char *end = put_name(out, template);

	end = put(end, " … repeated ");
	end = lf_decimal_put(end, repeats);
	end = put(end, repeats == 1 ? " time in " : " times in ");
	end = lf_decimal_put(end, over_ms / 1000);
	*end++ = '.';
	end = lf_decimal_put(end, over_ms % 1000 / 100);
	end = put(end, " s\n");
	return (size_t)(end - out);
}
