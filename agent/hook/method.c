#include "agent/hook/method.h"

#include <string.h>

#include "hashing/decimal.h"

#define LF_NAME(method) [LF_METHOD_##method] = #method
static const char *const names[LF_METHOD_COUNT] = {
	LF_NAME(dprintf),  LF_NAME(vdprintf), LF_NAME(write),    LF_NAME(writev),
	LF_NAME(pwritev2), LF_NAME(syslog),   LF_NAME(vsyslog),  LF_NAME(printf),
	LF_NAME(fprintf),  LF_NAME(vprintf),  LF_NAME(vfprintf), LF_NAME(puts),
	LF_NAME(fputs),    LF_NAME(fputc),    LF_NAME(putc),     LF_NAME(putchar),
	LF_NAME(fwrite),   LF_NAME(putw),     LF_NAME(wprintf),  LF_NAME(fwprintf),
	LF_NAME(vwprintf), LF_NAME(vfwprintf), LF_NAME(fputws),  LF_NAME(fputwc),
	LF_NAME(putwc),    LF_NAME(putwchar), LF_NAME(warn),     LF_NAME(vwarn),
	LF_NAME(warnx),    LF_NAME(vwarnx),   LF_NAME(err),      LF_NAME(verr),
	LF_NAME(errx),     LF_NAME(verrx),    LF_NAME(error),    LF_NAME(error_at_line),
	LF_NAME(perror),   LF_NAME(herror),   LF_NAME(psignal),  LF_NAME(psiginfo),
	LF_NAME(assert),
};
#undef LF_NAME

/* As in <syslog.h>, by number. */
static const char *const priorities[] = { "emerg", "alert",  "crit", "err",
	                                  "warning", "notice", "info", "debug" };

size_t lf_method_text(uint32_t code, char out[LF_METHOD_MAX])
{
	uint32_t method = code >> LF_METHOD_SHIFT ? code >> LF_METHOD_SHIFT : code;
	uint32_t number = code >> LF_METHOD_SHIFT ? code & ((1U << LF_METHOD_SHIFT) - 1) : 0;
	size_t len = strlen(names[method]);

	memcpy(out, names[method], len);
	if (!number)
		return len;
	out[len++] = '.';
	if (method != LF_METHOD_syslog && method != LF_METHOD_vsyslog)
		return (size_t)(lf_decimal_put(out + len, number - 1) - out);
	memcpy(out + len, priorities[(number - 1) & 7], strlen(priorities[(number - 1) & 7]));
	return len + strlen(priorities[(number - 1) & 7]);
}
