/* SPDX-License-Identifier: MIT */
#include "../err.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static void test_first_wins(void)
{
	err_reset();
	ok(err_get() == NULL, "nothing recorded at first");
	err_stage("one");
	ok(fail(ENOENT, "cannot open %s", "x") == -1, "fail returns -1");
	ok(errno == ENOENT, "and leaves errno");
	err_stage("two");
	fail(EIO, "cannot read y");
	ok(strcmp(err_get()->stage, "one") == 0, "the first stage stays");
	ok(strcmp(err_get()->message,
		  "cannot open x: No such file or directory") == 0,
	   "the first message stays");
	ok(err_get()->status == 125, "exit status 125");
	fail_remedy("for y");
	fail_status(127);
	ok(err_get()->remedy[0] == '\0', "no remedy of an ignored failure");
	ok(err_get()->status == 125, "no status of an ignored failure");
}

static void test_remedy(void)
{
	err_reset();
	fail(0, "no errno here");
	ok(strcmp(err_get()->message, "no errno here") == 0, "without errno");
	fail_remedy("first");
	fail_remedy("second");
	fail_status(126);
	ok(strcmp(err_get()->remedy, "first") == 0, "the first remedy stays");
	ok(err_get()->status == 126, "status 126");
	err_reset();
	fail(ENOSYS, "cannot call");
	ok(strstr(err_get()->remedy, "Linux 5.14") != NULL,
	   "a call that is missing: an old kernel, or a filter");
	fail_remedy("closer");
	fail_remedy("too late");
	ok(strcmp(err_get()->remedy, "closer") == 0, "a closer one wins");
}

/* A reader that takes nothing for more than a second loses no line by it. */
static void test_warn(void)
{
	char buf[4096] = "", told[256];
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	if (!ok(pipe(fds) == 0, "a pipe"))
		return;
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	while (write(fds[1], buf, sizeof(buf)) > 0)
		;
	fcntl(fds[1], F_SETFL, 0);
	dup2(fds[1], STDERR_FILENO);
	warn("%s", "one");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while (read(fds[0], buf, sizeof(buf)) > 0)
		;
	warn("%s", "two");
	ok(read(fds[0], buf, sizeof(buf)) < 0, "the second keeps behind it");
	warn_rest();
	dup2(saved, STDERR_FILENO);
	n = read(fds[0], told, sizeof(told) - 1);
	told[n > 0 ? n : 0] = '\0';
	ok(strcmp(told, "m9m-sandbox: warning: one\n"
			"m9m-sandbox: warning: two\n") == 0,
	   "both are told at the end");
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

static void test_pipe(void)
{
	struct err_record record;
	int fds[2];

	if (!ok(pipe(fds) == 0, "a pipe"))
		return;
	err_reset();
	err_send(fds[1]);
	err_stage("mounts");
	fail(EPERM, "cannot mount");
	fail_remedy("try harder");
	err_send(fds[1]);
	close(fds[1]);
	ok(err_receive(fds[0], &record) == 1, "one record is received");
	ok(strcmp(record.stage, "mounts") == 0, "with its stage");
	ok(strcmp(record.remedy, "try harder") == 0, "and remedy");
	ok(err_receive(fds[0], &record) == 0, "then the end");
	close(fds[0]);
	err_reset();
	err_set(&record);
	ok(strcmp(err_get()->message, record.message) == 0, "taken over");
}

int main(void)
{
	test_first_wins();
	test_remedy();
	test_warn();
	test_pipe();
	return done();
}
