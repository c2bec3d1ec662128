/* Password files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config/config.h"

enum { PASSWORD_MAX = 1024 };

/* Others must not read it.  A file of root's may be readable by a group: that is how root hands a secret to
 * a service that runs as its own user. */
static int check_mode(const char *file, const struct stat *st, struct lf_error *err)
{
	unsigned excess = st->st_mode & (st->st_uid == 0 ? 037 : 077);

	if (!S_ISREG(st->st_mode))
		return lf_fail(err, -EINVAL, "the password file '%.200s' is no file: name one", file);
	if (excess)
		return lf_fail(err, -EPERM,
		               "the password file '%.200s' is open to others (mode %04o): chmod %s it", file,
		               (unsigned)st->st_mode & 07777, st->st_uid == 0 ? "0640 or 0600" : "0600");
	return 0;
}

static ssize_t read_all(int fd, char *bytes, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (len < size) {
		got = read(fd, bytes + len, size - len);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return -errno;
		len += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)len;
}

/* One line, whose end may be missing. */
static int check_line(const char *file, char *bytes, size_t *len, struct lf_error *err)
{
	if (*len > 0 && bytes[*len - 1] == '\n')
		(*len)--;
	if (*len > 0 && bytes[*len - 1] == '\r')
		(*len)--;
	if (*len == 0)
		return lf_fail(err, -EINVAL, "the password file '%.200s' is empty: put the password into it", file);
	if (*len > PASSWORD_MAX)
		return lf_fail(err, -EINVAL, "the password file '%.200s' holds more than %d bytes: is it the "
		               "right file?", file, (int)PASSWORD_MAX);
	if (memchr(bytes, '\n', *len) || memchr(bytes, '\0', *len))
		return lf_fail(err, -EINVAL, "the password file '%.200s' holds more than one line of text: put "
		               "only the password into it", file);
	bytes[*len] = '\0';
	return 0;
}

static int cannot_read(const char *file, int error, struct lf_error *err)
{
	return lf_fail(err, -error, "the password file '%.200s' cannot be read: %s: %s", file, strerror(error),
	               error == ENOENT ? "put it there" : "let the agent's user read it");
}

static int read_password(int fd, const char *file, char **out, struct lf_error *err)
{
	char bytes[PASSWORD_MAX + 3]; /* one more than there may be, with CR LF */
	ssize_t got = read_all(fd, bytes, sizeof(bytes));
	size_t len = got > 0 ? (size_t)got : 0;
	int rc = got < 0 ? cannot_read(file, (int)-got, err) : check_line(file, bytes, &len, err);

	if (rc == 0) {
		*out = strdup(bytes);
		rc = *out ? 0 : cannot_read(file, ENOMEM, err);
	}
	explicit_bzero(bytes, sizeof(bytes));
	return rc;
}

int lf_config_password(const char *file, char **out, struct lf_error *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0)
		return cannot_read(file, errno, err);
	if (fstat(fd, &st) < 0)
		rc = cannot_read(file, errno, err);
	else
		rc = check_mode(file, &st, err);
	if (rc == 0)
		rc = read_password(fd, file, out, err);
	(void)close(fd);
	return rc;
}

void lf_config_forget_password(char *password)
{
	if (!password)
		return;
	explicit_bzero(password, strlen(password));
	free(password);
}
