#include "agent/hook/stub.h"

#include "agent/hook/fold.h"
#include "hashing/sys.h"

static ssize_t write_file(const struct lf_console_out *out, const char *data, size_t len)
{
	size_t taken = lf_real_fwrite(data, 1, len, out->file);

	return taken || !len ? (ssize_t)taken : -1;
}

static ssize_t write_fd(const struct lf_console_out *out, const char *data, size_t len)
{
	return lf_real_write(out->fd, data, len);
}

struct lf_console_out lf_stub_out(FILE *file, int fd)
{
	return (struct lf_console_out){ file ? write_file : write_fd, file, fd };
}

enum lf_outcome lf_stub_judge(struct lf_process *process, struct lf_slot *slot, FILE *file, int fd)
{
	struct lf_console_out out;

	if (!slot || lf_message_passes(process, slot) || !lf_stub_may_suppress(file))
		return LF_PASSED;
	out = lf_stub_out(file, fd);
	if (lf_lines_has_begun(process, lf_stream_of(&out))) {
		lf_message_went_on(process, slot);
		return LF_PASSED;
	}
	return lf_message_judge(process, slot, &out);
}

void lf_stub_tell_due(struct lf_process *process, FILE *file, int fd)
{
	struct lf_console_out out;

	if (LF_LIKELY(!lf_fold_any_waits(process)) || !lf_stub_may_suppress(file))
		return;
	out = lf_stub_out(file, fd);
	if (!lf_lines_has_begun(process, lf_stream_of(&out)))
		lf_fold_tell_due(process, &out);
}

void lf_stub_text_take(struct lf_stub_text *text, size_t size)
{
	void *memory = text->small;

	text->size = size;
	if (size > sizeof(text->small) &&
	    lf_sys_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0,
	                &memory) < 0)
		memory = NULL;
	text->data = memory;
}

void lf_stub_text_give(struct lf_stub_text *text)
{
	if (text->data && text->data != text->small)
		(void)lf_sys_munmap(text->data, text->size);
}

/* A system call that fails either way tells readable memory apart: rt_sigprocmask reads the eight
 * bytes of the set before it finds that `how` is none.  Where it may not be made nothing is readable. */
static bool is_word_readable(uintptr_t at)
{
	enum { NO_SUCH_HOW = 99, WORD = 8 };

	return lf_sys_sigmask(NO_SUCH_HOW, (const uint64_t *)(at & ~(uintptr_t)(WORD - 1)), NULL) ==
	       -EINVAL;
}

bool lf_stub_is_readable(const void *data, size_t len)
{
	uintptr_t first = (uintptr_t)data;

	if (!len)
		return true;
	if (first + len - 1 < first)
		return false;
	for (uintptr_t at = first; at - first < len; at += LF_PAGE_BYTES)
		if (!is_word_readable(at))
			return false;
	return is_word_readable(first + len - 1);
}
