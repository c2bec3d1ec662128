/* Calls that print bytes to an fd. */
#include <limits.h>

#include "agent/hook/caller.h"
#include "agent/hook/text_call.h"
#include "hashing/sys.h"

#define CALLER __builtin_return_address(0)

static ssize_t print_write(struct lf_text_call *call)
{
	call->result = lf_real_write(call->fd, call->text.data, call->text.len);
	return call->result;
}

static void pretend_write(struct lf_text_call *call, ssize_t taken)
{
	call->result = taken;
}

static __attribute__((noinline)) ssize_t write_long(const void *ret, int fd, const void *data,
                                                    size_t len, uint32_t method)
{
	struct lf_text_call call = {
		.ret = ret,
		.fd = fd,
		.method = method,
		.text = { data, len },
		.may_be_constant = true,
		.site_len = len,
		.print = print_write,
		.pretend = pretend_write,
	};

	lf_text_call(&call);
	return call.result;
}

#define LF_STUB_write(symbol, method) \
	LF_EXPORT ssize_t symbol(int fd, const void *data, size_t len); \
	ssize_t symbol(int fd, const void *data, size_t len) \
	{ \
		if (lf_console_class(fd) & LF_FD_OTHER) \
			return lf_real_##symbol(fd, data, len); \
		return write_long(CALLER, fd, data, len, lf_method_code(LF_METHOD_##method, fd)); \
	}

static size_t iov_bytes(const struct iovec *iov, int count)
{
	size_t bytes = 0;

	for (int i = 0; i < count; i++)
		if (__builtin_add_overflow(bytes, iov[i].iov_len, &bytes))
			return 0;
	return bytes;
}

/* What the kernel took of the pieces, in one: counted piece by piece, the line that goes through two of
 * them could be mixed up with that of another thread. */
static void count_pieces(struct lf_process *process, uintptr_t stream, struct lf_origin origin,
                         const struct iovec *iov, size_t taken)
{
	struct lf_stub_text whole;
	size_t have = 0;

	lf_stub_text_take(&whole, taken);
	for (; have < taken; iov++) {
		size_t len = iov->iov_len < taken - have ? iov->iov_len : taken - have;

		if (whole.data)
			memcpy(whole.data + have, iov->iov_base, len);
		else
			lf_lines_count(process, stream, origin,
			               (struct lf_text){ iov->iov_base, len }, false);
		have += len;
	}
	if (whole.data)
		lf_lines_count(process, stream, origin, (struct lf_text){ whole.data, taken }, false);
	lf_stub_text_give(&whole);
}

/* The kernel gathers the pieces for us, with all its checks: through a copy of the process's own
 * memory.  False when that is not allowed or a piece cannot be read. */
static bool gather(const struct iovec *iov, int count, struct lf_stub_text *out)
{
	size_t bytes;
	struct iovec whole;

	if (count > IOV_MAX || !lf_stub_is_readable(iov, (size_t)count * sizeof(*iov)))
		return false;
	bytes = iov_bytes(iov, count);
	if (!bytes)
		return false;
	lf_stub_text_take(out, bytes);
	whole = (struct iovec){ out->data, bytes };
	if (out->data && lf_sys_process_vm_readv(lf_sys_getpid(), &whole, 1, iov,
	                                         (unsigned long)count) == (ssize_t)bytes)
		return true;
	lf_stub_text_give(out);
	return false;
}

static ssize_t writev_judged(struct lf_process *process, int fd, struct lf_stub_text *text,
                             struct lf_origin origin)
{
	struct lf_console_out out = lf_stub_out(NULL, fd);
	ssize_t taken = lf_lines_print_judged(process, origin,
	                                      (struct lf_text){ text->data, text->size }, &out);

	lf_stub_text_give(text);
	return taken;
}

/* The flags of a pwritev2 that goes on where the last output ended. */
enum { NO_FLAGS = -1 };

static ssize_t writev_real(int fd, const struct iovec *iov, int count, int flags)
{
	return flags == NO_FLAGS ? lf_real_writev(fd, iov, count)
	                         : lf_real_pwritev2(fd, iov, count, -1, flags);
}

/* With flags only the real call does what they say. */
static __attribute__((noinline)) ssize_t writev_long(const void *ret, int fd,
                                                     const struct iovec *iov, int count, int flags,
                                                     uint32_t method)
{
	struct lf_process *process = lf_process_of_console(fd);
	struct lf_stub_text text;
	struct lf_origin origin;
	ssize_t taken;

	if (!process || count <= 0)
		return writev_real(fd, iov, count, flags);
	lf_stub_tell_due(process, NULL, fd);
	origin = lf_message_origin(process, lf_caller_unskipped(process, ret), method);
	if ((flags == NO_FLAGS || flags == 0) && lf_message_any_rules(process) && gather(iov, count, &text))
		return writev_judged(process, fd, &text, origin);
	taken = writev_real(fd, iov, count, flags);
	if (taken > 0)
		count_pieces(process, lf_stream_of_fd(fd), origin, iov, (size_t)taken);
	return taken;
}

#define LF_STUB_writev(symbol, method) \
	LF_EXPORT ssize_t symbol(int fd, const struct iovec *iov, int count); \
	ssize_t symbol(int fd, const struct iovec *iov, int count) \
	{ \
		if (lf_console_class(fd) & LF_FD_OTHER) \
			return lf_real_##symbol(fd, iov, count); \
		return writev_long(CALLER, fd, iov, count, NO_FLAGS, \
		                   lf_method_code(LF_METHOD_##method, fd)); \
	}

/* At an offset it is no output behind what was printed: as pwritev, it is left alone. */
#define LF_STUB_pwritev2(symbol, method) \
	LF_EXPORT ssize_t symbol(int fd, const struct iovec *iov, int count, off_t offset, int flags); \
	ssize_t symbol(int fd, const struct iovec *iov, int count, off_t offset, int flags) \
	{ \
		lf_process_start(); \
		if (offset != -1 || flags == NO_FLAGS || (lf_console_class(fd) & LF_FD_OTHER)) \
			return lf_real_##symbol(fd, iov, count, offset, flags); \
		return writev_long(CALLER, fd, iov, count, flags, \
		                   lf_method_code(LF_METHOD_##method, fd)); \
	}

#define LF_FD_CALL(symbol, method, shape) LF_STUB_##shape(symbol, method)
#include "agent/hook/interposed.def"
