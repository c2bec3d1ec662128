#include "agent/hook/stub.h"
#include "hashing/sys.h"

ssize_t lf_stub_write_file(const struct lf_lines_out *out, const char *data, size_t len)
{
	size_t taken = lf_real_fwrite(data, 1, len, out->stream);

	return taken || !len ? (ssize_t)taken : -1;
}

ssize_t lf_stub_write_fd(const struct lf_lines_out *out, const char *data, size_t len)
{
	return lf_real_write(out->fd, data, len);
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
 * bytes of the set before it finds that `how` is none.  Sandboxes allow it everywhere. */
static bool is_word_readable(uintptr_t at)
{
	enum { NO_SUCH_HOW = 99, WORD = 8 };

	return lf_sys_sigmask(NO_SUCH_HOW, (const uint64_t *)(at & ~(uintptr_t)(WORD - 1)), NULL) !=
	       -EFAULT;
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
