/* The system log: a console whatever stdout and stderr are. */
#include <stdatomic.h>
#include <syslog.h>

#include "agent/hook/caller.h"
#include "agent/hook/said.h"

/* What setlogmask() was told: libc keeps it behind a lock. */
static _Atomic int mask = 0xff;

#define LF_STUB_setlogmask(symbol, method) \
	LF_EXPORT int symbol(int new_mask); \
	int symbol(int new_mask) \
	{ \
		int before; \
\
		lf_process_start(); \
		before = lf_real_##symbol(new_mask); \
		if (new_mask) \
			atomic_store_explicit(&mask, new_mask, memory_order_relaxed); \
		return before; \
	}

struct call {
	struct lf_said said;
	int priority;
};

static void log_real(int priority, int fortify, const char *format, va_list args)
{
	if (fortify == LF_NOT_FORTIFIED)
		lf_real_vsyslog(priority, format, args);
	else
		lf_real___vsyslog_chk(priority, fortify, format, args);
}

static void log_text(int priority, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	lf_real_vsyslog(priority, format, args);
	va_end(args);
}

/* A line of our own, among those of this priority. */
static ssize_t write_log(const struct lf_console_out *out, const char *data, size_t len)
{
	const struct call *call = (const void *)((const char *)out - offsetof(struct call, said.out));

	log_text(call->priority, "%.*s", (int)len, data);
	return (ssize_t)len;
}

static void render(const struct lf_said *said, struct lf_said_text *out)
{
	va_list args;

	va_copy(args, *said->args);
	lf_said_add_format(out, said->fortify, said->text, args);
	va_end(args);
}

static void log_call(const void *ret, enum lf_method method, int priority, int fortify,
                     const char *format, va_list args)
{
	struct call call = {
		.said = {
			.ret = ret,
			.method = lf_method_code(method, LOG_PRI(priority)),
			.text = format,
			.render = render,
			.fortify = fortify,
			.may_leave_out = true,
			.out = { write_log, NULL, LF_NO_FD },
		},
		.priority = priority,
	};
	va_list copy;
	bool left_out;

	lf_process_start();
	if (!(LOG_MASK(LOG_PRI(priority)) & atomic_load_explicit(&mask, memory_order_relaxed)) ||
	    !format) {
		log_real(priority, fortify, format, args);
		return;
	}
	va_copy(copy, args);
	call.said.args = &copy;
	left_out = lf_said(&call.said);
	va_end(copy);
	if (!left_out)
		log_real(priority, fortify, format, args);
}

#define DIRECT_CALLER __builtin_return_address(0)

#define LF_STUB_syslog(symbol, method) \
	LF_EXPORT void symbol(int priority, const char *format, ...); \
	void symbol(int priority, const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		log_call(DIRECT_CALLER, LF_METHOD_##method, priority, LF_NOT_FORTIFIED, format, args); \
		va_end(args); \
	}
#define LF_STUB_syslog_chk(symbol, method) \
	LF_EXPORT void symbol(int priority, int flag, const char *format, ...); \
	void symbol(int priority, int flag, const char *format, ...) \
	{ \
		va_list args; \
\
		va_start(args, format); \
		log_call(DIRECT_CALLER, LF_METHOD_##method, priority, flag, format, args); \
		va_end(args); \
	}
#define LF_STUB_vsyslog(symbol, method) \
	LF_EXPORT void symbol(int priority, const char *format, va_list args); \
	void symbol(int priority, const char *format, va_list args) \
	{ \
		log_call(LF_WRAPPER_CALLER, LF_METHOD_##method, priority, LF_NOT_FORTIFIED, format, \
		         args); \
	}
#define LF_STUB_vsyslog_chk(symbol, method) \
	LF_EXPORT void symbol(int priority, int flag, const char *format, va_list args); \
	void symbol(int priority, int flag, const char *format, va_list args) \
	{ \
		log_call(LF_WRAPPER_CALLER, LF_METHOD_##method, priority, flag, format, args); \
	}

#define LF_LOG_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"
