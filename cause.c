/* SPDX-License-Identifier: MIT */
#include "cause.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util.h"

#ifndef M9M_SHARE
#define M9M_SHARE "/usr/local/share/m9m-sandbox"
#endif

#define MOUNTS_MAX (16 * 1024 * 1024)

/* A host setting that takes user namespaces away. */
struct setting {
	const char *path;
	uint64_t value;
	bool from_root;
	const char *remedy;
};

static const struct setting settings[] = {
	{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1, false,
	  "AppArmor restricts user namespaces here (Ubuntu 23.10 and later): "
	  "allow this program with its profile: cp " M9M_SHARE
	  "/apparmor/m9m-sandbox /etc/apparmor.d/ && apparmor_parser -r "
	  "/etc/apparmor.d/m9m-sandbox" },
	{ "/proc/sys/kernel/unprivileged_userns_clone", 0, false,
	  "user namespaces are switched off here: sysctl "
	  "kernel.unprivileged_userns_clone=1" },
	{ "/proc/sys/user/max_user_namespaces", 0, true,
	  "user namespaces are switched off here: sysctl "
	  "user.max_user_namespaces=15000" },
};

static bool is_set(const struct setting *setting)
{
	auto_free char *text = read_file(AT_FDCWD, setting->path, 64, NULL);
	uint64_t value;

	if (text == NULL || (geteuid() == 0 && !setting->from_root))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return parse_u64(text, &value) == 0 && value == setting->value;
}

/* PID 1 of a sandbox is ours, by its name: good enough for advice. */
static bool is_nested(void)
{
	auto_free char *name = read_file(AT_FDCWD, "/proc/1/comm", 64, NULL);

	return getpid() != 1 && name && strcmp(name, "m9m-sandbox\n") == 0;
}

/*
 * The kernel makes no user namespace where / is another than the root of the
 * mount namespace: a chroot, unless it was made of a mount, which looks the same.
 */
static bool is_chroot(void)
{
	struct statx st;

	return statx(AT_FDCWD, "/", 0, STATX_TYPE, &st) == 0 &&
	       (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

const char *cause_setting(void)
{
	if (is_nested())
		return "this is inside a sandbox of m9m-sandbox already, where "
		       "no namespace can be made: run the command as it is, or "
		       "start both from the host";
	if (is_chroot())
		return "this is a chroot, where the kernel makes no user "
		       "namespace: start it outside, or enter that tree by "
		       "pivot_root, as systemd-nspawn -D does";
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (is_set(&settings[i]))
			return settings[i].remedy;
	return NULL;
}

static const struct {
	int err;
	const char *remedy;
} namespaces[] = {
	{ EPERM,
	  "a container or policy forbids new namespaces, as Docker's default "
	  "seccomp profile does: start it with "
	  "--security-opt seccomp=unconfined or a profile that allows "
	  "clone3 and unshare with namespace flags" },
	{ ENOSPC, "a limit on namespaces is reached: see the sysctls "
		  "user.max_*_namespaces" },
	{ EUSERS, "a limit on nested user namespaces is reached" },
	{ ENOSYS, "clone3 is missing: Linux 5.14 or later is needed" },
	{ EINVAL, "this kernel lacks one of the namespaces (user, pid, mount, "
		  "network, uts, ipc, cgroup)" },
	{ EAGAIN, "the limit on processes (ulimit -u) is reached" },
};

static bool kernel_is_old(void)
{
	struct utsname name;

	return uname(&name) == 0 && cause_kernel(name.release);
}

const char *cause_namespaces(int err)
{
	const char *setting = cause_setting();

	if (setting)
		return setting;
	/* A kernel that has the call does not say so: Docker's filter does, so
	 * that programs fall back to clone, whose flags it can see. */
	if (err == ENOSYS && !kernel_is_old())
		err = EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		if (namespaces[i].err == err)
			return namespaces[i].remedy;
	return NULL;
}

const char *cause_refusal(void)
{
	const char *setting = cause_setting();

	return setting
		   ? setting
		   : "a container or policy forbids it: in Docker and "
		     "Podman, --security-opt seccomp=unconfined --security-opt "
		     "apparmor=unconfined";
}

/* Did the kernel say no to the set-up, as policies make it do? */
static bool is_refusal(const struct err_record *record)
{
	return strcmp(record->stage, "exec") != 0 &&
	       (strstr(record->message, strerror(EPERM)) ||
		strstr(record->message, strerror(EACCES)));
}

void cause_add(struct err_record *record)
{
	if (record->remedy[0] == '\0' && is_refusal(record))
		snprintf(record->remedy, sizeof(record->remedy), "%s",
			 cause_refusal());
}

/*
 * Does the /proc that we see hide a part of itself?  The kernel makes no new
 * one then, since that would show it: nothing may be mounted over it, but for
 * the one empty folder that is there for it, and it may not be read-only.
 */
static bool proc_is_masked(void)
{
	auto_free char *mounts = read_file(AT_FDCWD, "/proc/self/mountinfo",
					   MOUNTS_MAX, NULL);

	for (const char *line = mounts; line && *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		char target[1024], flags[256];

		if (sscanf(line, "%*s %*s %*s %*s %1023s %255s", target,
			   flags) != 2 ||
		    strcmp(target, "/proc/sys/fs/binfmt_misc") == 0)
			continue;
		if (strncmp(target, "/proc/", 6) == 0 ||
		    (strcmp(target, "/proc") == 0 &&
		     strncmp(flags, "ro", 2) == 0))
			return true;
	}
	return false;
}

const char *cause_proc(int err)
{
	if (err != EPERM || !proc_is_masked())
		return NULL;
	return "the host's /proc has masks over it, as in a container: start "
	       "that with --security-opt systempaths=unconfined (Docker) or "
	       "unmask=ALL (Podman)";
}

const char *cause_hostname(int err)
{
	if (err != EPERM)
		return NULL;
	return "a container forbids it, as Podman's default seccomp profile "
	       "does: start it with --security-opt seccomp=unconfined or a "
	       "profile that allows sethostname";
}

int cause_fail_to_give(int err, const char *what, uid_t uid)
{
	fail(err, "cannot give %s to uid %u", what, uid);
	if (err == EINVAL)
		fail_remedy("this user namespace has no other id than root's: "
			    "start it outside, or map uid and gid %u there too",
			    uid);
	return -1;
}

const char *cause_kernel(const char *release)
{
	unsigned int major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2 || major > 5 ||
	    (major == 5 && minor >= 14))
		return NULL;
	return "this kernel is old: Linux 5.14 or later is needed";
}

bool cause_is_wsl(void)
{
	auto_free char *text = read_file(AT_FDCWD, "/proc/version", 4096, NULL);

	return text && strcasestr(text, "microsoft");
}

const char *cause_wsl(void)
{
	return cause_is_wsl() ? "in WSL2 systemd makes cgroups: systemd=true "
				"below [boot] in /etc/wsl.conf, then wsl "
				"--shutdown"
			      : NULL;
}
