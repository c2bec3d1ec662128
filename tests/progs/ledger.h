/* What balance.c and soak.c share: the ledger, chance, and the messages that take more than a line.
 *
 * A ledger is a file of struct row, one for each kind of message: how many were begun and how many are
 * done, whatever becomes of them.  It lives on when the process is killed.
 */
#ifndef LOGFOLD_TESTS_LEDGER_H
#define LOGFOLD_TESTS_LEDGER_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct row {
	_Atomic uint64_t begun, done;
};

/* NULL: the file cannot be used. */
static inline struct row *map_ledger(const char *path, unsigned kinds)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *memory = MAP_FAILED;

	if (fd >= 0)
		memory = mmap(NULL, kinds * sizeof(struct row), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

static inline unsigned draw(uint64_t *state, unsigned below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*state >> 33) % below;
}

/* A text that is no constant. */
static inline void say_text(unsigned number)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "delta saw %u of them\n", number);
	(void)fputs(text, stdout);
}

/* A line in two pieces of one call. */
static inline void say_pieces(unsigned number)
{
	char text[64];
	struct iovec pieces[2] = { { (char[]){ "eta " }, 4 }, { text, 0 } };

	pieces[1].iov_len = (size_t)snprintf(text, sizeof(text), "%u\n", number);
	if (writev(2, pieces, 2) != (ssize_t)(4 + pieces[1].iov_len))
		abort();
}

#endif
