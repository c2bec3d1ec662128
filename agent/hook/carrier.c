#include "agent/hook/carrier.h"

#include <stddef.h>
#include <string.h>

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static bool equals_upper(const char *word, size_t len, const char *upper)
{
	for (size_t i = 0; i < len; i++, upper++)
		if ((word[i] >= 'a' && word[i] <= 'z' ? word[i] - 32 : word[i]) != *upper)
			return false;
	return *upper == '\0';
}

static bool is_level(const char *word, size_t len)
{
	static const char *const levels[] = {
		"ALERT", "CRIT",  "CRITICAL", "DBG",   "DEBUG",   "EMERG", "ERR",     "ERROR",
		"FATAL", "INFO",  "NOTICE",   "TRACE", "VERBOSE", "WARN",  "WARNING",
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (equals_upper(word, len, levels[i]))
			return true;
	return false;
}

/* The letter of the conversion that begins at `p` (a '%'), behind flags, width, precision and length. */
static const char *letter_of(const char *p)
{
	p++;
	while (*p && strchr("-+ #0'I123456789.*$hljztLqZ", *p))
		p++;
	return p;
}

/* "%%" is text, and is skipped all the same: it holds no letter. */
static const char *skip_conversion(const char *p)
{
	p = letter_of(p);
	return *p ? p + 1 : p;
}

/* Not libc's: of the program (register_printf_specifier), which may notice that it is rendered twice. */
static bool is_foreign(const char *p)
{
	return !strchr("diouxXeEfFgGaAbBcspnmCSw%", *letter_of(p));
}

/* Behind "ESC [ … letter". */
static const char *skip_escape(const char *p)
{
	p++;
	if (*p != '[')
		return p;
	p++;
	while (*p && !(*p >= '@' && *p <= '~')) {
		if (*p == '%')
			p = skip_conversion(p);
		else
			p++;
	}
	return *p ? p + 1 : p;
}

bool lf_format_is_carrier(const char *format)
{
	const char *p = format;

	while (*p) {
		const char *start = p;

		if (*p == '%' && is_foreign(p))
			return false;
		if (*p == '%') {
			p = skip_conversion(p);
			continue;
		}
		if (*p == '\033') {
			p = skip_escape(p);
			continue;
		}
		while (is_letter(*p))
			p++;
		if (p - start >= 2 && !is_level(start, (size_t)(p - start)))
			return false;
		if (p == start)
			p++;
	}
	return true;
}

uint32_t lf_format_fixed_len(const char *format)
{
	uint32_t len = 0;

	for (const char *p = format; *p; p++, len++) {
		if (*p != '%')
			continue;
		if (p[1] != '%')
			return 0;
		p++;
	}
	return len + 1;
}
