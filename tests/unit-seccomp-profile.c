/* SPDX-License-Identifier: MIT */
#include "seccomp_profile.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "err.h"
#include "option.h"
#include "tests/tap.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define OURS   "amd64"
#define OTHER  "arm64"
#else
#define NATIVE AUDIT_ARCH_AARCH64
#define OURS   "arm64"
#define OTHER  "amd64"
#endif

#define HIGH     (1ULL << 32)
#define TELL(e)  (SECCOMP_RET_USER_NOTIF | (e))
#define ERROR(e) (SECCOMP_RET_ERRNO | (e))
#define ASKED    SECCOMP_RET_USER_NOTIF
#define ALLOWED  SECCOMP_RET_ALLOW

/* What is printed of a profile's problems goes into *printed. */
static struct seccomp_profile *read_text(const char *text, size_t *problems,
					 char **printed)
{
	size_t size;
	FILE *out = open_memstream(printed, &size);
	struct parse p = { .source = FROM_FILE,
			   .file = "p.json",
			   .errors = out };
	struct seccomp_profile *profile = spec_read_seccomp(&p, text,
							    strlen(text));

	fclose(out);
	*problems = p.problems;
	profile->path = xstrdup("p.json");
	return profile;
}

/* --- what is refused, and where ------------------------------------------ */

#define HEAD "{\"defaultAction\":\"SCMP_ACT_ERRNO\","
#define ENTRY(members)                                                         \
	HEAD "\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_"      \
	     "ALLOW\"},{\"names\":[\"write\"]," members "}]}"

static const struct {
	const char *text;
	const char *says;
} wrong[] = {
	{ "[]", "p.json: $: must be an object, not an array" },
	{ "{", "p.json:1:2: the text ends" },
	{ "{}", "$: \"defaultAction\" is missing" },
	{ "{\"defaultAction\":1}", "$.defaultAction: must be a string" },
	{ "{\"defaultAction\":\"SCMP_ACT_DENY\"}",
	  "$.defaultAction: \"SCMP_ACT_DENY\" is unknown" },
	{ "{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
	  "$.defaultAction: SCMP_ACT_NOTIFY cannot be had: there is one" },
	{ "{\"defaultAction\":\"SCMP_ACT_TRACE\"}",
	  "$.defaultAction: SCMP_ACT_TRACE cannot be had" },
	{ HEAD "\"syscals\":[]}",
	  "$.syscals: unknown key (did you mean \"syscalls\"?)" },
	{ HEAD "\"flags\":[],\"flags\":[]}", "$.flags: is there twice" },
	{ HEAD "\"listenerPath\":\"/x\"}", "$.listenerPath: cannot be had" },
	{ HEAD "\"flags\":[\"SECCOMP_FILTER_FLAG_NONE\"]}", "$.flags[0]: " },
	{ HEAD "\"architectures\":[\"x86\"]}",
	  "$.architectures[0]: \"x86\" is no architecture" },
	{ HEAD "\"architectures\":[\"SCMP_ARCH_X86\"],\"archMap\":"
	       "[{\"architecture\":\"SCMP_ARCH_X86\"}]}",
	  "has both \"architectures\" and \"archMap\"" },
	{ HEAD "\"archMap\":[{\"arch\":1}]}", "$.archMap[0].arch: unknown" },
	{ HEAD "\"defaultErrnoRet\":5000}", "$.defaultErrnoRet: must be" },
	{ HEAD "\"defaultErrno\":\"ENONE\"}", "$.defaultErrno: must be" },
	{ HEAD "\"defaultErrnoRet\":1,\"defaultErrno\":\"ENOSYS\"}",
	  "$.defaultErrno: is not the number that defaultErrnoRet says" },
	{ HEAD "\"syscalls\":{}}", "$.syscalls: must be an array" },
	{ HEAD "\"syscalls\":[3]}", "$.syscalls[0]: must be an object" },
	{ HEAD "\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\"}]}",
	  "$.syscalls[0]: \"names\" is missing" },
	{ ENTRY("\"comment\":\"\""), "$.syscalls[1]: \"action\" is missing" },
	{ ENTRY("\"action\":\"SCMP_ACT_NOTIFY\""), "$.syscalls[1].action: " },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"name\":\"x\""),
	  "$.syscalls[1]: has both" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"arg\":[]"),
	  "$.syscalls[1].arg: unknown key (did you mean \"args\"?)" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":6,"
		"\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0].index: must be a whole number up to 5" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0].value: must be" },
	/* What a double would round is no rule that anybody wrote. */
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":9007199254740993000,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0].value: must be" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":9007199254740993,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0].value: must be" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":18446744073709551600,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "number that would be read as 18446744073709551615, which it is not" },
	/* None, in the place of what is needed. */
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":null,"
		"\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0]: \"index\" is missing" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":null,\"op\":\"SCMP_CMP_EQ\"}]"),
	  "$.syscalls[1].args[0]: \"value\" is missing" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":1,\"op\":\"==\"}]"),
	  "$.syscalls[1].args[0].op: \"==\" is unknown" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":0,"
		"\"value\":1}]"),
	  "$.syscalls[1].args[0]: \"op\" is missing" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"cap\":[]}"),
	  "$.syscalls[1].includes.cap: unknown" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
		"\"new\"}"),
	  "minKernel must be two numbers" },
	{ ENTRY("\"action\":\"SCMP_ACT_ALLOW\",\"includes\":{\"minKernel\":"
		"\"-1.0\"}"),
	  "minKernel must be two numbers" },
};

static void check_wrong(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char *auto_free printed = NULL;
		size_t problems;

		seccomp_profile_free(
		    read_text(wrong[i].text, &problems, &printed));
		ok(problems > 0 && strstr(printed, wrong[i].says),
		   "refused: %s", wrong[i].says);
		if (!strstr(printed, wrong[i].says))
			printf("# %s", printed);
	}
}

/* --- what the program says ----------------------------------------------- */

#define NEEDED "\"execve\",\"exit_group\""
#define ALLOWING(rest)                                                         \
	HEAD "\"syscalls\":[{\"names\":[" NEEDED                               \
	     "],\"action\":\"SCMP_ACT_ALLOW\"}," rest "]}"
#define ONE(name, rest)                                                        \
	ALLOWING("{\"names\":[\"" name                                         \
		 "\"],\"action\":\"SCMP_ACT_ALLOW\"" rest "}")
#define ARG(index, op, value)                                                  \
	"{\"index\":" #index ",\"op\":\"SCMP_CMP_" op "\",\"value\":" #value "}"
#define BLOCKING(rest)                                                         \
	"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" rest "]}"

/* Everything by name, what is refused for good included. */
static const char all_open[] = ALLOWING(
    "{\"names\":[\"mount\",\"keyctl\",\"ioctl\",\"clone\",\"unshare\","
    "\"socket\",\"bpf\",\"io_uring_setup\",\"ptrace\",\"read\",\"setns\"],"
    "\"action\":\"SCMP_ACT_ALLOW\"}");

static const struct {
	const char *text;
	int nr;
	uint64_t args[3];
	uint32_t want;
} verdicts[] = {
	/* An allow-list stands in place of the default. */
	{ ONE("ptrace", ""), SYS_ptrace, { 0 }, ALLOWED },
	{ ONE("ptrace", ""), SYS_execve, { 0 }, ASKED },
	{ ONE("ptrace", ""), SYS_getppid, { 0 }, TELL(EPERM) },
	{ ONE("renameat2", ""), SYS_getppid, { 0 }, TELL(EPERM) },
	/* What is newer than all it names does not exist. */
	{ ONE("renameat2", ""), 600, { 0 }, ERROR(ENOSYS) },
	{ HEAD "\"defaultErrnoRet\":13,\"syscalls\":[{\"names\":[" NEEDED
	       ",\"close_range\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
	  SYS_getppid,
	  { 0 },
	  TELL(EACCES) },
	{ HEAD "\"defaultErrno\":\"ENOSYS\",\"syscalls\":[{\"names\":[" NEEDED
	       ",\"close_range\"],\"action\":\"SCMP_ACT_ALLOW\"}]}",
	  SYS_getppid,
	  { 0 },
	  ERROR(ENOSYS) },
	/* No profile opens what is below. */
	{ all_open, SYS_mount, { 0 }, TELL(EPERM) },
	{ all_open, SYS_keyctl, { 0 }, TELL(EPERM) },
	{ all_open, SYS_ioctl, { 0, HIGH | 0x5412 }, TELL(EPERM) },
	{ all_open, SYS_ioctl, { 0, 0x5401 }, ALLOWED },
	{ all_open, SYS_clone, { HIGH | CLONE_NEWUSER }, TELL(EPERM) },
	{ all_open, SYS_unshare, { CLONE_NEWUSER }, TELL(EPERM) },
	{ all_open, SYS_setns, { 0 }, TELL(EPERM) },
	{ all_open, SYS_socket, { AF_VSOCK }, TELL(EPERM) },
	{ all_open, SYS_socket, { AF_INET }, ALLOWED },
	{ all_open, SYS_bpf, { 0 }, TELL(EPERM) },
	{ all_open, 425, { 0 }, TELL(ENOSYS) },
	{ all_open, SYS_ptrace, { 0 }, ALLOWED },
	/* A block-list takes away from the default, and from that alone. */
	{ BLOCKING("{\"name\":\"chmod\",\"action\":\"SCMP_ACT_ERRNO\"}"),
	  SYS_fchmodat,
	  { 0 },
	  ALLOWED },
	{ BLOCKING("{\"name\":\"fchmodat\",\"action\":\"SCMP_ACT_ERRNO\"}"),
	  SYS_fchmodat,
	  { 0 },
	  TELL(EPERM) },
	{ BLOCKING("{\"name\":\"fchmodat\",\"action\":\"SCMP_ACT_KILL\"}"),
	  SYS_fchmodat,
	  { 0 },
	  SECCOMP_RET_KILL_THREAD },
	{ BLOCKING("{\"name\":\"fchmodat\",\"action\":\"SCMP_ACT_ERRNO\","
		   "\"errnoRet\":0}"),
	  SYS_fchmodat,
	  { 0 },
	  ERROR(0) },
	{ BLOCKING(""), SYS_ptrace, { 0 }, TELL(EPERM) },
	{ BLOCKING(""), SYS_mount, { 0 }, TELL(EPERM) },
	{ BLOCKING(""), 600, { 0 }, ERROR(ENOSYS) },
	{ "{\"defaultAction\":\"SCMP_ACT_LOG\"}",
	  SYS_read,
	  { 0 },
	  SECCOMP_RET_LOG },
	{ "{\"defaultAction\":\"SCMP_ACT_LOG\"}",
	  SYS_mount,
	  { 0 },
	  TELL(EPERM) },
	/* Conditions: all of them, unless two are on one argument. */
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 1) "," ARG(1, "EQ", 2) "]"),
	  SYS_dup,
	  { 1, 2 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 1) "," ARG(1, "EQ", 2) "]"),
	  SYS_dup,
	  { 1, 3 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 1) "," ARG(0, "EQ", 2) "]"),
	  SYS_dup,
	  { 1 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 1) "," ARG(0, "EQ", 2) "]"),
	  SYS_dup,
	  { 2 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 1) "," ARG(0, "EQ", 2) "]"),
	  SYS_dup,
	  { 3 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[" ARG(1, "NE", 1) "]"),
	  SYS_dup,
	  { 0, 1 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[" ARG(1, "NE", 1) "]"),
	  SYS_dup,
	  { 0, HIGH | 1 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(1, "GE", 7) "]"),
	  SYS_dup,
	  { 0, 7 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(1, "GT", 7) "]"),
	  SYS_dup,
	  { 0, 7 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[" ARG(1, "LE", 7) "]"),
	  SYS_dup,
	  { 0, 7 },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[" ARG(1, "LT", 7) "]"),
	  SYS_dup,
	  { 0, 7 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[{\"index\":2,\"op\":\"SCMP_CMP_MASKED_EQ\","
		     "\"value\":240,\"valueTwo\":16}]"),
	  SYS_dup,
	  { 0, 0, 0x1f },
	  ALLOWED },
	{ ONE("dup", ",\"args\":[{\"index\":2,\"op\":\"SCMP_CMP_MASKED_EQ\","
		     "\"value\":240,\"valueTwo\":16}]"),
	  SYS_dup,
	  { 0, 0, 0x2f },
	  TELL(EPERM) },
	{ ONE("dup", ",\"args\":[" ARG(0, "EQ", 18446744073709551615) "]"),
	  SYS_dup,
	  { UINT64_MAX },
	  ALLOWED },
	/* Who it is for: no capability, this machine, this kernel. */
	{ ONE("dup", ",\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"),
	  SYS_dup,
	  { 0 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}"),
	  SYS_dup,
	  { 0 },
	  ALLOWED },
	{ ONE("dup", ",\"includes\":{\"arches\":[\"" OURS "\",\"x32\"]}"),
	  SYS_dup,
	  { 0 },
	  ALLOWED },
	{ ONE("dup", ",\"includes\":{\"arches\":[\"" OTHER "\"]}"),
	  SYS_dup,
	  { 0 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"excludes\":{\"arches\":[\"" OURS "\"]}"),
	  SYS_dup,
	  { 0 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"includes\":{\"minKernel\":\"4.8\"}"),
	  SYS_dup,
	  { 0 },
	  ALLOWED },
	{ ONE("dup", ",\"includes\":{\"minKernel\":\"99.0\"}"),
	  SYS_dup,
	  { 0 },
	  TELL(EPERM) },
	{ ONE("dup", ",\"includes\":{\"minKernel\":\"4.8\",\"caps\":[\"C\"]}"),
	  SYS_dup,
	  { 0 },
	  TELL(EPERM) },
	/* Names of other machines and of nobody are left out. */
	{ ONE("no_such_call", ""), SYS_execve, { 0 }, ASKED },
	{ ONE("chown32", ",\"comment\":null,\"args\":null,\"includes\":null"),
	  SYS_exit_group,
	  { 0 },
	  ALLOWED },
};

static void check_verdicts(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct seccomp_data data = { .nr = verdicts[i].nr,
					     .arch = NATIVE };
		char *auto_free printed = NULL;
		struct seccomp_filter whole = { NULL, 0 };
		struct seccomp_profile *profile;
		uint32_t got = 0xdeadbeef;
		size_t problems;

		memcpy(data.args, verdicts[i].args, sizeof(verdicts[i].args));
		profile = read_text(verdicts[i].text, &problems, &printed);
		if (problems == 0 && seccomp_build(profile, &whole) == 0)
			got = seccomp_judge(&whole, &data);
		ok(got == verdicts[i].want, "row %zu: call %d: %#x, %#x", i,
		   data.nr, got, verdicts[i].want);
		if (got == 0xdeadbeef)
			printf("# %s%s\n", printed,
			       err_get() ? err_get()->message : "");
		err_reset();
		free((void *)(uintptr_t)whole.code);
		seccomp_profile_free(profile);
	}
}

static void check_abis(void)
{
	static const uint32_t others[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM };
	char *auto_free printed = NULL;
	size_t problems;
	struct seccomp_profile *profile = read_text(all_open, &problems,
						    &printed);
	struct seccomp_filter whole;

	ok(seccomp_build(profile, &whole) == 0, "a profile that allows all");
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct seccomp_data data = { .nr = 3, .arch = others[i] };

		ok(seccomp_judge(&whole, &data) == SECCOMP_RET_KILL_PROCESS,
		   "another ABI is killed (%#x)", others[i]);
	}
#ifdef __x86_64__
	ok(seccomp_judge(&whole, &(struct seccomp_data){ .nr = 0x40000000,
							 .arch = NATIVE }) ==
	       SECCOMP_RET_KILL_PROCESS,
	   "so is x32");
#endif
	free((void *)(uintptr_t)whole.code);
	seccomp_profile_free(profile);
}

/* --- what cannot be built ------------------------------------------------ */

static void check_refused(void)
{
	char *auto_free printed = NULL, *auto_free more = NULL;
	struct seccomp_profile *profile;
	struct seccomp_filter whole;
	size_t problems;

	profile = read_text(HEAD "\"syscalls\":[{\"names\":[\"exit_group\"],"
				 "\"action\":\"SCMP_ACT_ALLOW\"}]}",
			    &problems, &printed);
	ok(seccomp_build(profile, &whole) < 0 &&
	       strstr(err_get()->message, "refuses execve"),
	   "a profile under which nothing starts");
	err_reset();
	free((void *)(uintptr_t)whole.code);
	seccomp_profile_free(profile);
}

/* A list of `n` entries, or of one entry with `n` names. */
static char *many(size_t n, bool entries)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	const char *open = "{\"names\":[\"", *close = "\"],\"action\":"
						      "\"SCMP_ACT_ALLOW\"}";

	fprintf(out, HEAD "\"syscalls\":[%s", entries ? "" : open);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%sx%zu%s", i ? (entries ? "," : "\",\"") : "",
			entries ? open : "", i, entries ? close : "");
	fprintf(out, "%s]}", entries ? "" : close);
	fclose(out);
	return text;
}

static void check_bounds(void)
{
	static const struct {
		size_t n;
		bool entries, fits;
	} rows[] = {
		{ SECCOMP_PROFILE_ENTRIES, true, true },
		{ SECCOMP_PROFILE_ENTRIES + 1, true, false },
		{ SECCOMP_PROFILE_RULES, false, true },
		{ SECCOMP_PROFILE_RULES + 1, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *auto_free text = many(rows[i].n, rows[i].entries);
		char *auto_free printed = NULL;
		size_t problems;
		struct seccomp_profile *profile = read_text(text, &problems,
							    &printed);

		ok((problems == 0) == rows[i].fits &&
		       profile->n_rules <= SECCOMP_PROFILE_RULES,
		   "%zu %s (%zu problems)", rows[i].n,
		   rows[i].entries ? "entries" : "names", problems);
		seccomp_profile_free(profile);
	}
}

int main(void)
{
	check_wrong();
	check_bounds();
	if (SANITIZED) {
		printf("# the sanitizers' allocator makes calls that the "
		       "compiler's cell forbids: nothing is compiled\n");
		return done();
	}
	if (!dlopen("libseccomp.so.2", RTLD_NOW)) {
		printf("# no libseccomp here: nothing is compiled\n");
		return done();
	}
	check_verdicts();
	check_abis();
	check_refused();
	return done();
}
