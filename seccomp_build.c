/* SPDX-License-Identifier: MIT */
#include "seccomp_profile.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "util.h"

/*
 * Theory of operation
 *
 *	supervisor			a process that is thrown away
 *	names -> numbers
 *	fork ------------------------->	can only use memory, write and exit
 *					rules -> libseccomp -> BPF
 *	reads it   <--------------------
 *	compares what it says with the rules
 *	puts it above the floor
 *
 * libseccomp before 2.6.1 writes beyond its memory on hostile filters
 * (GHSA-46fr) and merges some rules wrongly (GHSA-4q85-33p6-j5g6): the first
 * hits a process without rights, the second is found by comparing.  And what is
 * below does not depend on either.
 */

#define LIBRARY   "libseccomp.so.2"
#define CPU_LIMIT 10 /* seconds */

#if defined(__x86_64__)
#define ARCH   SCMP_ARCH_X86_64
#define NATIVE AUDIT_ARCH_X86_64
#else
#define ARCH   SCMP_ARCH_AARCH64
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#define OFFSET(field) offsetof(struct seccomp_data, field)

struct library {
	scmp_filter_ctx (*init)(uint32_t);
	int (*attr_set)(scmp_filter_ctx, enum scmp_filter_attr, uint32_t);
	int (*add)(scmp_filter_ctx, uint32_t, int, unsigned,
		   const struct scmp_arg_cmp *);
	int (*export)(scmp_filter_ctx, int);
	int (*resolve)(uint32_t, const char *);
};

#define FIND(handle, function, name)                                           \
	((function) = (__typeof__(function))dlsym(handle, name))

static int open_library(struct library *lib)
{
	/* For good: it names the calls that are refused later. */
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (handle && FIND(handle, lib->init, "seccomp_init") &&
	    FIND(handle, lib->attr_set, "seccomp_attr_set") &&
	    FIND(handle, lib->add, "seccomp_rule_add_array") &&
	    FIND(handle, lib->export, "seccomp_export_bpf") &&
	    FIND(handle, lib->resolve, "seccomp_syscall_resolve_name_arch"))
		return 0;
	fail(0, "cannot load %s, which compiles profiles", LIBRARY);
	fail_remedy("install libseccomp 2.5 or newer (Debian, Ubuntu: "
		    "libseccomp2), or leave --seccomp out");
	return -1;
}

char *seccomp_library_name(int nr)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	char *(*resolve)(uint32_t, int);

	if (!handle ||
	    !FIND(handle, resolve, "seccomp_syscall_resolve_num_arch"))
		return NULL;
	return resolve(ARCH, nr);
}

/*** The process that is thrown away ***/

/* libseccomp's own numbers for comparisons. */
static const enum scmp_compare compares[] = {
	[SECCOMP_NE] = SCMP_CMP_NE,
	[SECCOMP_LT] = SCMP_CMP_LT,
	[SECCOMP_LE] = SCMP_CMP_LE,
	[SECCOMP_EQ] = SCMP_CMP_EQ,
	[SECCOMP_GE] = SCMP_CMP_GE,
	[SECCOMP_GT] = SCMP_CMP_GT,
	[SECCOMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

#define PASS(nr)                                                               \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),                       \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Memory, the pipe, the end. */
static const struct sock_filter cell_code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(nr)),
	PASS(SYS_write),
	PASS(SYS_brk),
	PASS(SYS_mmap),
	PASS(SYS_munmap),
	PASS(SYS_mremap),
	PASS(SYS_madvise),
	PASS(SYS_futex),
	PASS(SYS_getrandom),
	PASS(SYS_exit_group),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};
static const struct seccomp_filter cell = { cell_code, ARRAY_SIZE(cell_code) };

static int enter_cell(int out_fd)
{
	struct rlimit cpu = { CPU_LIMIT, CPU_LIMIT };

	if (dup2(out_fd, 0) < 0 || close_range(1, ~0U, 0) < 0 ||
	    setrlimit(RLIMIT_CPU, &cpu) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return seccomp_apply(&cell, NULL, NULL);
}

static int add_rule(const struct library *lib, scmp_filter_ctx ctx,
		    const struct seccomp_rule *rule)
{
	struct scmp_arg_cmp args[ARRAY_SIZE(rule->conditions)];
	int rc;

	for (size_t i = 0; i < rule->n_conditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];

		args[i] = (struct scmp_arg_cmp){
			.arg = c->index,
			.op = compares[c->compare],
			.datum_a = c->value,
			.datum_b = c->value_two,
		};
	}
	rc = lib->add(ctx, rule->action, rule->nr, (unsigned)rule->n_conditions,
		      args);
	/* Said before, by the same words. */
	return rc == -EEXIST ? 0 : rc;
}

/* The exit status of the cell: 0, or the step that failed. */
static int compile(const struct library *lib,
		   const struct seccomp_profile *profile, int out_fd)
{
	/* It asks the kernel what it can do: while that is allowed. */
	scmp_filter_ctx ctx = lib->init(profile->default_action);

	if (!ctx ||
	    lib->attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) <
		0 ||
	    enter_cell(out_fd) < 0)
		return 1;
	/* A search tree, since 2.5; without it the program is a chain. */
	lib->attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < profile->n_rules; i++) {
		const struct seccomp_rule *rule = &profile->rules[i];

		/* Nothing to add to the default is refused by the library. */
		if (rule->nr >= 0 && rule->action != profile->default_action &&
		    add_rule(lib, ctx, rule) < 0)
			return 2;
	}
	return lib->export(ctx, 0) < 0 ? 3 : 0;
}

static int fail_cell(const struct seccomp_profile *profile, int status)
{
	if (WIFSIGNALED(status))
		return fail(0, "%s: libseccomp was killed by signal %d on it",
			    profile->path, WTERMSIG(status));
	return fail(0, "%s: libseccomp cannot compile it (step %d)",
		    profile->path, WEXITSTATUS(status));
}

/* The BPF of the profile alone; owned by the caller. */
static int run_cell(const struct library *lib,
		    const struct seccomp_profile *profile,
		    struct seccomp_filter *made)
{
	size_t max = BPF_MAXINSNS * sizeof(struct sock_filter), len = 0;
	int fds[2], status = 0;
	char *code;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail(errno, "cannot make a pipe");
	pid = fork();
	if (pid == 0)
		_exit(compile(lib, profile, fds[1]));
	cleanup_fd(&fds[1]);
	code = pid < 0 ? NULL : read_fd(fds[0], max, &len);
	cleanup_fd(&fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		free(code);
		return fail(errno, "cannot start the compiler of profiles");
	}
	made->code = (const struct sock_filter *)(void *)code;
	made->n = len / sizeof(struct sock_filter);
	if (status)
		return fail_cell(profile, status);
	if (code == NULL || len % sizeof(struct sock_filter) || len == 0)
		return fail(0, "%s: makes a program of more than %d steps",
			    profile->path, BPF_MAXINSNS);
	return 0;
}

/*** Is it what was asked for? ***/

bool seccomp_rule_holds(const struct seccomp_rule *rule,
			const struct seccomp_data *data)
{
	for (size_t i = 0; i < rule->n_conditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];
		uint64_t a = data->args[c->index], v = c->value;
		const bool holds[] = {
			[SECCOMP_NE] = a != v,
			[SECCOMP_LT] =
			    a<v, [SECCOMP_LE] = a <= v, [SECCOMP_EQ] = a == v,
			      [SECCOMP_GE] = a >= v, [SECCOMP_GT] = a>
				v,
			[SECCOMP_MASKED_EQ] = (a & v) == c->value_two,
		};

		if (!holds[c->compare])
			return false;
	}
	return rule->nr == data->nr;
}

/* Where rules overlap the library may take either; it may take no other. */
static bool is_right(const struct seccomp_profile *profile,
		     const struct seccomp_filter *made,
		     const struct seccomp_data *data)
{
	uint32_t verdict = seccomp_judge(made, data);
	bool spoken = false;

	for (size_t i = 0; i < profile->n_rules; i++) {
		const struct seccomp_rule *rule = &profile->rules[i];

		if (!seccomp_rule_holds(rule, data))
			continue;
		if (rule->action == verdict)
			return true;
		spoken = true;
	}
	return !spoken && verdict == profile->default_action;
}

/* Every edge of every condition of the call, also with high bits set. */
static bool check_rule(const struct seccomp_profile *profile,
		       const struct seccomp_filter *made,
		       const struct seccomp_rule *rule)
{
	struct seccomp_data data = { .nr = rule->nr, .arch = NATIVE };
	struct seccomp_data all = data;

	memset(all.args, 0xff, sizeof(all.args));
	if (!is_right(profile, made, &data) || !is_right(profile, made, &all))
		return false;
	for (size_t i = 0; i < rule->n_conditions; i++) {
		const struct seccomp_condition *c = &rule->conditions[i];

		data.args[c->index] = c->compare == SECCOMP_MASKED_EQ
					  ? c->value_two
					  : c->value;
	}
	for (size_t i = 0; i < rule->n_conditions; i++) {
		__u64 *arg = &data.args[rule->conditions[i].index];
		const uint64_t value = *arg;
		const uint64_t tries[] = { value,
					   value + 1,
					   value - 1,
					   value | 1ULL << 32,
					   value ^ 1ULL << 63,
					   ~value };

		for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
			*arg = tries[k];
			if (!is_right(profile, made, &data))
				return false;
		}
		*arg = value;
	}
	return true;
}

static int check(const struct seccomp_profile *profile,
		 const struct seccomp_filter *made)
{
	struct seccomp_data data = { .arch = NATIVE };

	for (size_t i = 0; i < profile->n_rules; i++) {
		const struct seccomp_rule *rule = &profile->rules[i];

		if (rule->nr < 0 || check_rule(profile, made, rule))
			continue;
		fail(0, "%s: $.syscalls[%zu]: libseccomp compiles %s wrongly",
		     profile->path, rule->entry, rule->name);
		return fail_remedy("libseccomp 2.6.1 mends such faults");
	}
	for (data.nr = 0; data.nr < 1024; data.nr++)
		if (!is_right(profile, made, &data))
			return fail(0,
				    "%s: libseccomp compiles call %d wrongly",
				    profile->path, data.nr);
	return 0;
}

/*** The whole ***/

bool seccomp_profile_takes_away(const struct seccomp_profile *profile)
{
	return profile->default_action == SECCOMP_RET_ALLOW ||
	       profile->default_action == SECCOMP_RET_LOG;
}

/*
 * As runc: where the default refuses, a call that is newer than all that the
 * profile names does not exist, so that programs take their fallback.
 */
static size_t put_newest(struct sock_filter *code, int newest)
{
	const struct sock_filter start[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, OFFSET(nr)),
		/* x32 is killed by what follows. */
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (unsigned)newest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	memcpy(code, start, sizeof(start));
	return ARRAY_SIZE(start);
}

static bool may_log(const struct seccomp_filter *made)
{
	for (size_t i = 0; i < made->n; i++)
		if (made->code[i].code == (BPF_RET | BPF_K) &&
		    made->code[i].k == SECCOMP_RET_LOG)
			return true;
	return false;
}

/*
 * A verdict of the profile's in the whole program.  What it allows goes on to
 * what is below.  What it refuses is asked about, to be recorded; but not what
 * it says does not exist, which programs try all the time, and not a success
 * that it feigns.
 */
static struct sock_filter settle(const struct sock_filter *from, size_t below,
				 size_t below_log)
{
	uint32_t error = from->k & SECCOMP_RET_DATA;

	if (from->code != (BPF_RET | BPF_K))
		return *from;
	switch (from->k & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
						    (uint32_t)below);
	case SECCOMP_RET_LOG:
		return (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA,
						    (uint32_t)below_log);
	case SECCOMP_RET_ERRNO:
		if (error != 0 && error != ENOSYS)
			return (struct sock_filter)BPF_STMT(
			    BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF | error);
		return *from;
	default:
		return *from;
	}
}

static int join(const struct seccomp_profile *profile,
		const struct seccomp_filter *made,
		const struct seccomp_filter *base, struct seccomp_filter *whole)
{
	size_t n_log = may_log(made) ? base->n : 0, n = 0;
	size_t room = 6 + made->n + base->n + n_log;
	struct sock_filter *code;

	if (room > BPF_MAXINSNS)
		return fail(0, "%s: makes a program of more than %d steps",
			    profile->path, BPF_MAXINSNS);
	code = xcalloc(room, sizeof(*code));
	if (!seccomp_profile_takes_away(profile))
		n = put_newest(code, profile->newest);
	for (size_t i = 0; i < made->n; i++)
		code[n++] = settle(&made->code[i], made->n - i - 1,
				   made->n - i - 1 + base->n);
	for (size_t i = 0; i < base->n; i++)
		code[n++] = base->code[i];
	/* The same once more, where the kernel is to log what it allows. */
	for (size_t i = 0; i < n_log; i++) {
		code[n] = base->code[i];
		if (code[n].code == (BPF_RET | BPF_K) &&
		    code[n].k == SECCOMP_RET_ALLOW)
			code[n].k = SECCOMP_RET_LOG;
		n++;
	}
	*whole = (struct seccomp_filter){ code, n };
	return 0;
}

/* Without these two nothing could start, or end. */
static int check_start(const struct seccomp_profile *profile,
		       const struct seccomp_filter *whole)
{
	static const struct {
		const char *name;
		int nr;
	} needed[] = { { "execve", SYS_execve },
		       { "exit_group", SYS_exit_group } };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct seccomp_data data = { .nr = needed[i].nr,
					     .arch = NATIVE };
		uint32_t verdict = seccomp_judge(whole, &data);

		if (verdict != SECCOMP_RET_USER_NOTIF &&
		    verdict != SECCOMP_RET_ALLOW && verdict != SECCOMP_RET_LOG)
			return fail(0, "%s: refuses %s: nothing could run",
				    profile->path, needed[i].name);
	}
	return 0;
}

static void resolve_names(const struct library *lib,
			  struct seccomp_profile *profile)
{
	for (size_t i = 0; i < profile->n_rules; i++) {
		struct seccomp_rule *rule = &profile->rules[i];
		int nr = lib->resolve(ARCH, rule->name);

		/* Below zero: unknown, or of another machine. */
		rule->nr = nr < 0 ? -1 : nr;
		if (rule->nr > profile->newest)
			profile->newest = rule->nr;
	}
}

int seccomp_build(struct seccomp_profile *profile,
		  struct seccomp_filter *filter)
{
	bool takes_away = seccomp_profile_takes_away(profile);
	struct seccomp_filter made = { NULL, 0 };
	struct library lib = { 0 };
	int rc = open_library(&lib);

	*filter = made;
	if (rc == 0) {
		resolve_names(&lib, profile);
		rc = run_cell(&lib, profile, &made);
	}
	if (rc == 0)
		rc = check(profile, &made);
	if (rc == 0)
		rc = join(profile, &made,
			  takes_away ? &seccomp_default : &seccomp_floor,
			  filter);
	free((void *)(uintptr_t)made.code);
	return rc == 0 ? check_start(profile, filter) : -1;
}

void seccomp_profile_free(struct seccomp_profile *profile)
{
	if (!profile)
		return;
	for (size_t i = 0; i < profile->n_rules; i++)
		free(profile->rules[i].name);
	free(profile->rules);
	free(profile->path);
	free(profile);
}
