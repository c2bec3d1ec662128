/* redirect FILE: prints to the console and, after each kind of redirection, to FILE.  What goes to
 * the console says "seen", what goes elsewhere says "elsewhere". */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print(const char *word)
{
	char line[64];
	int len = snprintf(line, sizeof(line), "%s\n", word);

	if (write(1, line, (size_t)len) != len)
		abort();
	fputs(line, stdout);
	fflush(stdout);
}

static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0)
		abort();
	return fd;
}

static void check(int ok)
{
	if (!ok)
		abort();
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/null";
	int console, file = open_file(path), copy;

	print("seen");
	console = dup(1);
	check(dup2(file, 1) == 1);
	print("elsewhere");
	check(dup2(console, 1) == 1);
	print("seen");
	check(dup3(file, 1, 0) == 1);
	print("elsewhere");
	check(close(1) == 0 && dup(console) == 1);
	print("seen");
	check(close_range(1, 1, 0) == 0 && fcntl(file, F_DUPFD, 1) == 1);
	print("elsewhere");
	check(dup2(console, 1) == 1);
	print("seen");
	/* The console on another fd, and through a stream of that fd. */
	copy = fcntl(console, F_DUPFD_CLOEXEC, 20);
	check(dprintf(copy, "%s\n", "seen") == 5);
	check(fclose(fdopen(copy, "w")) == 0);
	check(open(path, O_WRONLY | O_APPEND) >= 0 && dup2(file, copy) == copy);
	check(dprintf(copy, "%s\n", "elsewhere") == 10);
	check(freopen(path, "a", stdout) != NULL);
	print("elsewhere");
	fflush(stdout);
	check(dup2(console, fileno(stdout)) >= 0);
	fputs("seen\n", stdout);
	return 0;
}
