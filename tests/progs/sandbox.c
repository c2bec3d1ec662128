/* Prints inside a sandbox: sandbox HOW WHEN WHAT…
 *
 *   HOW   strict   SECCOMP_MODE_STRICT: read, write, exit and sigreturn
 *         prctl    a filter that kills whoever asks for anything else than FEW, by prctl
 *         seccomp  the same by seccomp(2), as libseccomp does it
 *         errno    what is not among FEW fails with EPERM, by prctl
 *         LIST     numbers of system calls with commas between: then WHAT is run under a filter that
 *                  kills whoever asks for others
 *   WHEN  before or after its first print
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ROOM = 400 };

/* What stdio itself needs. */
static const int few[] = { SYS_read, SYS_write, SYS_writev, SYS_exit, SYS_exit_group,
	                   SYS_rt_sigreturn, SYS_newfstatat, SYS_lseek };

static struct sock_filter steps[ROOM];
static unsigned short length;

static void step(unsigned short code, unsigned char no, unsigned k)
{
	steps[length++] = (struct sock_filter)BPF_JUMP(code, k, 0, no);
}

static void allow(int number)
{
	step(BPF_JMP | BPF_JEQ | BPF_K, 1, (unsigned)number);
	step(BPF_RET | BPF_K, 0, SECCOMP_RET_ALLOW);
}

static void start_filter(void)
{
	step(BPF_LD | BPF_W | BPF_ABS, 0, offsetof(struct seccomp_data, nr));
}

static void end_filter(unsigned otherwise, int by_prctl)
{
	struct sock_fprog program = { 0, steps };
	long rc;

	step(BPF_RET | BPF_K, 0, otherwise);
	program.len = length;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		exit(99);
	rc = by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) :
	                syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	if (rc < 0)
		exit(98);
}

static void enter(const char *how)
{
	if (!strcmp(how, "strict")) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			exit(97);
		return;
	}
	start_filter();
	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		allow(few[i]);
	end_filter(strcmp(how, "errno") ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM,
	           strcmp(how, "seccomp"));
}

static void print(int round)
{
	struct iovec pieces[] = { { "writev ", 7 }, { "here\n", 5 } };
	char line[64];

	printf("printf %d of %s\n", round, "some");
	fprintf(stderr, "to stderr %d\n", round);
	puts("puts");
	fputs("no end", stdout);
	fputc('\n', stdout);
	fflush(stdout);
	if (write(1, "write\n", 6) != 6 || write(2, line, (size_t)sprintf(line, "write %d\n", round)) < 0)
		_exit(96);
	if (round < 1 && writev(1, pieces, 2) != 12)
		_exit(95);
	for (int i = 0; i < 600; i++)
		if (write(1, line, (size_t)sprintf(line, "%.*s word%c%c%c\n", i % 26 + 1,
		                                   "abcdefghijklmnopqrstuvwxyz", 'a' + i / 26,
		                                   'a' + i % 26, 'b' + round)) < 0)
			_exit(94);
}

int main(int argc, char **argv)
{
	static char room[2][BUFSIZ];

	if (argc < 3)
		return 64;
	if (argc > 3) {
		start_filter();
		for (char *number = strtok(argv[1], ","); number; number = strtok(NULL, ","))
			allow(atoi(number));
		end_filter(SECCOMP_RET_KILL_PROCESS, 1);
		execv(argv[3], argv + 3);
		_exit(93);
	}
	setvbuf(stdout, room[0], _IOFBF, BUFSIZ);
	setvbuf(stderr, room[1], _IOLBF, BUFSIZ);
	if (!strcmp(argv[2], "after"))
		print(-1);
	enter(argv[1]);
	print(!strcmp(argv[1], "strict"));
	print(1);
	fflush(stdout);
	syscall(SYS_exit, 7); /* the strict mode has no exit_group */
}
