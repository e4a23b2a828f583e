/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "holes.h"
#include "mounted.h"
#include "tree_work.h"
#include "walk.h"

/*
 * What is not listed here is not there.  /etc is ours, with these entries of
 * the host's: no key, no password, no host-specific service is among them
 * (/etc/ssl as a whole would bring /etc/ssl/private along).
 */
static const char *const etc_shown[] = {
	"alternatives",    "crypto-policies",  "fonts",
	"java-11-openjdk", "java-17-openjdk",  "java-21-openjdk",
	"java-25-openjdk", "ld.so.cache",      "localtime",
	"lsb-release",     "os-release",       "pki/ca-trust",
	"pki/tls/certs",   "pki/tls/cert.pem", "pki/tls/openssl.cnf",
	"protocols",       "services",         "ssh/ssh_config",
	"ssl/cert.pem",    "ssl/certs",        "ssl/openssl.cnf",
};

/* Of the host's root: bound, or made again where it is a link (merged /usr). */
static const char *const base_shown[] = {
	"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32",
};

#define KIB 1024ULL
#define MIB (1024 * KIB)

struct row {
	enum plan_mount_kind kind;
	const char *destination;
	const char *source;
	unsigned int flags;
	uint64_t size;
	mode_t mode;
};

/* Every size is stated: a tmpfs without one may take half of the memory. */
static const struct row skeleton[] = {
	{ PLAN_PROC, "/proc", .flags = PLAN_RW },
	/* Of the root's own tmpfs, which ends up read-only and noexec. */
	{ PLAN_DIR, "/dev" },
	{ PLAN_BIND, "/dev/null", "/dev/null", .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_BIND, "/dev/zero", "/dev/zero", .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_BIND, "/dev/full", "/dev/full", .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_BIND, "/dev/random", "/dev/random",
	  .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_BIND, "/dev/urandom", "/dev/urandom",
	  .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_BIND, "/dev/tty", "/dev/tty", .flags = PLAN_DEVICE | PLAN_RW },
	{ PLAN_DEVPTS, "/dev/pts", .flags = PLAN_RW | PLAN_NOEXEC },
	{ PLAN_TMPFS, "/dev/shm", .flags = PLAN_RW | PLAN_NOEXEC,
	  .size = 256 * MIB, .mode = 01777 },
	{ PLAN_SYMLINK, "/dev/ptmx", "pts/ptmx" },
	{ PLAN_SYMLINK, "/dev/fd", "/proc/self/fd" },
	{ PLAN_SYMLINK, "/dev/stdin", "/proc/self/fd/0" },
	{ PLAN_SYMLINK, "/dev/stdout", "/proc/self/fd/1" },
	{ PLAN_SYMLINK, "/dev/stderr", "/proc/self/fd/2" },
	/* Nothing of sysfs: run-times count processors by other means too. */
	{ PLAN_DIR, "/sys" },
	{ PLAN_DIR, "/run" },
	{ PLAN_DIR, "/var" },
	{ PLAN_SYMLINK, "/var/tmp", "/tmp" },
	{ PLAN_TMPFS, "/tmp", .flags = PLAN_RW, .size = 1024 * MIB,
	  .mode = 01777 },
	{ PLAN_TMPFS, TREE_HOME, .flags = PLAN_RW, .size = 1024 * MIB,
	  .mode = 0700 },
};

/*
 * /proc shows the host's kernel, not only the sandbox's processes.  Masked:
 * what tells everybody about the host or its memory (kpagecount, slabinfo and
 * their like are for host uid 0 alone, which nobody here ever is).  Read-only:
 * what would change it, although the file modes forbid that as well.
 */
static const struct row proc_masks[] = {
	{ PLAN_READ_ONLY, "/proc/bus" },
	{ PLAN_READ_ONLY, "/proc/fs" },
	{ PLAN_READ_ONLY, "/proc/irq" },
	/* Whose modes let anybody have the host's kernel watch its load. */
	{ PLAN_READ_ONLY, "/proc/pressure" },
	{ PLAN_READ_ONLY, "/proc/sys" },
	{ PLAN_MASK, "/proc/acpi", .mode = S_IFDIR },
	{ PLAN_MASK, "/proc/asound", .mode = S_IFDIR },
	{ PLAN_MASK, "/proc/cmdline" },
	{ PLAN_MASK, "/proc/config.gz" },
	{ PLAN_MASK, "/proc/diskstats" },
	{ PLAN_MASK, "/proc/interrupts" },
	{ PLAN_MASK, "/proc/kallsyms" },
	{ PLAN_MASK, "/proc/kcore" },
	{ PLAN_MASK, "/proc/key-users" },
	{ PLAN_MASK, "/proc/keys" },
	{ PLAN_MASK, "/proc/latency_stats" },
	{ PLAN_MASK, "/proc/modules" },
	{ PLAN_MASK, "/proc/mtrr" },
	{ PLAN_MASK, "/proc/partitions" },
	{ PLAN_MASK, "/proc/sched_debug" },
	{ PLAN_MASK, "/proc/scsi", .mode = S_IFDIR },
	{ PLAN_MASK, "/proc/swaps" },
	{ PLAN_MASK, "/proc/timer_list" },
	{ PLAN_MASK, "/proc/timer_stats" },
};

/* Where it really goes: one is a link to the other inside. */
static char *place_of(const char *destination)
{
	static const char var_tmp[] = "/var/tmp/";
	auto_free char *clean = path_clean(destination);
	size_t len = strlen(var_tmp);

	return strncmp(clean, var_tmp, len) == 0
		   ? path_join("/tmp", clean + len)
		   : take_ptr(&clean);
}

struct plan_mount *tree_add(struct plan *plan, enum plan_mount_kind kind,
			    const char *destination, char *source)
{
	struct plan_mount *m;

	plan->mounts = xrealloc_array(plan->mounts, plan->n_mounts + 1,
				      sizeof(*plan->mounts));
	m = &plan->mounts[plan->n_mounts++];
	*m = (struct plan_mount){ .kind = kind,
				  .destination = place_of(destination),
				  .source = source,
				  .mode = 0755 };
	return m;
}

static void add_table(struct plan *plan, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct plan_mount *m = tree_add(
		    plan, rows[i].kind, rows[i].destination,
		    rows[i].source ? xstrdup(rows[i].source) : NULL);

		m->flags = rows[i].flags;
		m->size = rows[i].size;
		if (rows[i].mode)
			m->mode = rows[i].mode;
	}
}

static void add_file(struct plan *plan, const char *destination, char *text)
{
	tree_add(plan, PLAN_FILE, destination, NULL)->text = text;
}

/* Shows one entry of the host's: a link as a link, the rest bound. */
static void add_entry(struct plan *plan, const char *host_path,
		      const char *destination)
{
	char target[PATH_MAX];
	ssize_t n = readlink(host_path, target, sizeof(target) - 1);

	if (n > 0)
		tree_add(plan, PLAN_SYMLINK, destination,
			 xstrndup(target, (size_t)n));
	else if (n < 0 && errno == EINVAL) /* it is there, and no link */
		tree_add(plan, PLAN_BIND, destination, xstrdup(host_path));
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in `dir` that are not in `except` (which ends with NULL). */
static struct strv list_names(const char *dir, const char *const *except)
{
	struct strv names = { 0 };
	DIR *stream = opendir(dir);
	struct dirent *entry;

	while (stream && (entry = readdir(stream)) != NULL) {
		const char *const *e = except;

		if (strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		while (*e && strcmp(*e, entry->d_name) != 0)
			e++;
		if (*e == NULL)
			strv_push(&names, xstrdup(entry->d_name));
	}
	if (stream)
		closedir(stream);
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), compare_names);
	return names;
}

/* Shows what `dir` holds below `destination`, in the order of the names. */
static void add_entries(struct plan *plan, const char *dir,
			const char *destination, const char *const *except)
{
	auto_strv struct strv names = list_names(dir, except);

	for (size_t i = 0; i < names.n; i++) {
		auto_free char *from = path_join(dir, names.v[i]);
		auto_free char *to = path_join(destination, names.v[i]);

		add_entry(plan, from, to);
	}
}

/*
 * A file of a rootfs, whose links are resolved as from inside: the tree may be
 * anybody's image, and its etc/passwd a link to the host's /etc/shadow.
 */
static char *read_inside(const char *rootfs, const char *path)
{
	auto_fd int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_fd int fd = -1;
	struct stat st;

	if (root >= 0)
		fd = open_resolve(root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK,
				  RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	return read_fd(fd, 1 * MIB, NULL);
}

/* /etc/passwd and /etc/group: `before` (a rootfs's own) and our user. */
static void add_accounts(struct plan *plan, const char *rootfs)
{
	auto_free char *users = rootfs ? read_inside(rootfs, "etc/passwd")
				       : NULL;
	auto_free char *groups = rootfs ? read_inside(rootfs, "etc/group")
					: NULL;

	add_file(plan, "/etc/passwd",
		 xasprintf("%s" TREE_USER ":x:%u:%u:sandbox:" TREE_HOME
			   ":/bin/sh\n",
			   users ? users
				 : "root:x:0:0:root:/root:/bin/sh\n"
				   "nobody:x:65534:65534:nobody:/:/bin/false\n",
			   plan->uid, plan->gid));
	add_file(plan, "/etc/group",
		 xasprintf("%s" TREE_USER ":x:%u:\n",
			   groups ? groups : "root:x:0:\nnogroup:x:65534:\n",
			   plan->gid));
}

static char *resolver_text(const struct plan *plan, const struct host *host)
{
	auto_free char *path = path_join(host->root, "etc/resolv.conf");
	char *text;

	if (plan->net.mode != NET_HOST)
		/* It answers at once, or has lost the question in a flood. */
		return xasprintf("nameserver %s\n"
				 "options timeout:2 attempts:5\n",
				 netpol_nameserver);
	text = read_file(AT_FDCWD, path, 64 * KIB, NULL);
	return text ? text : xstrdup("");
}

/* The files of /etc that are made for the sandbox. */
static void add_own_etc(struct plan *plan, const struct host *host)
{
	add_file(plan, "/etc/hostname", xasprintf("%s\n", plan->hostname));
	add_file(plan, "/etc/hosts",
		 xasprintf("127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
			   "127.0.1.1 %s\n",
			   plan->hostname));
	add_file(plan, "/etc/nsswitch.conf",
		 xstrdup("passwd: files\ngroup: files\nhosts: files dns\n"
			 "services: files\nprotocols: files\n"));
	add_file(plan, "/etc/resolv.conf", resolver_text(plan, host));
}

/*
 * A hello whose server name is encrypted (ECH) cannot be held to a name, and is
 * cut.  These browsers send what looks like one to everybody, unless a policy
 * says no.
 */
static void add_browser_policies(struct plan *plan)
{
	static const char *const files[] = {
		"/etc/chromium/policies/managed/m9m-sandbox.json",
		"/etc/opt/chrome/policies/managed/m9m-sandbox.json",
		"/etc/opt/chrome_for_testing/policies/managed/m9m-sandbox.json",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		add_file(plan, files[i],
			 xstrdup("{\"EncryptedClientHelloEnabled\": false}\n"));
}

static const char *const own_etc[] = {
	"group",       "hostname", "hosts",   "nsswitch.conf", "passwd",
	"resolv.conf", "shadow",   "gshadow", "machine-id",    NULL
};

static void add_host_base(struct plan *plan, const struct host *host)
{
	auto_free char *etc = path_join(host->root, "etc");

	for (size_t i = 0; i < ARRAY_SIZE(base_shown); i++) {
		auto_free char *from = path_join(host->root, base_shown[i]);

		add_entry(plan, from, base_shown[i]);
	}
	tree_add(plan, PLAN_DIR, "/etc", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(etc_shown); i++) {
		auto_free char *from = path_join(etc, etc_shown[i]);
		auto_free char *to = path_join("/etc", etc_shown[i]);

		add_entry(plan, from, to);
	}
	add_accounts(plan, NULL);
}

/* A whole tree of the user's in place of the host's; ours stays on top. */
static void add_rootfs(struct plan *plan, const char *rootfs)
{
	static const char *const ours[] = { "dev", "etc", "home", "proc", "run",
					    "sys", "tmp", "var",  NULL };
	auto_free char *etc = path_join(rootfs, "etc");
	auto_free char *home = path_join(rootfs, "home");
	auto_free char *var = path_join(rootfs, "var");
	static const char *const home_own[] = { TREE_USER, NULL };
	static const char *const var_tmp[] = { "tmp", "run", "lock", NULL };
	struct stat st;

	add_entries(plan, rootfs, "/", ours);
	tree_add(plan, PLAN_DIR, "/etc", NULL);
	add_entries(plan, etc, "/etc", own_etc);
	/* Of an image it is there, and our user's is not in it.  One that is a
	 * link is left out: our user's is to be where it says. */
	tree_add(plan, PLAN_DIR, "/home", NULL);
	if (lstat(home, &st) == 0 && S_ISDIR(st.st_mode))
		add_entries(plan, home, "/home", home_own);
	tree_add(plan, PLAN_DIR, "/var", NULL);
	add_entries(plan, var, "/var", var_tmp);
	add_accounts(plan, rootfs);
}

static int add_program(struct plan *plan)
{
	const struct program *program = &plan->program;

	for (size_t i = 0; i < program->show.n; i++) {
		const char *path = program->show.v[i];

		if (path_under(path, plan->workdir)) {
			fail(0,
			     "the program's %s would be hidden by the "
			     "workdir %s",
			     path, plan->workdir);
			return fail_remedy("put the workdir elsewhere: "
					   "--workdir /room");
		}
		tree_add(plan, PLAN_BIND, path, xstrdup(path));
	}
	for (size_t i = 0; i < program->links.n; i++) {
		auto_free char *link = xstrdup(program->links.v[i]);
		char *tab = strchr(link, '\t');

		*tab = '\0';
		tree_add(plan, PLAN_SYMLINK, link, xstrdup(tab + 1));
	}
	return 0;
}

/* Taken by us, with all below: a mount there would undo a layer. */
static const char *const reserved[] = { "/proc", "/dev", "/sys" };

static int add_user_mount(struct plan *plan, const struct spec_mount *mount)
{
	struct plan_mount *m;
	char *source;

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (path_under(mount->destination, reserved[i]))
			return fail(0,
				    "cannot mount on %s: %s is the sandbox's",
				    mount->destination, reserved[i]);
	if (strcmp(mount->destination, "/") == 0) {
		fail(0, "cannot mount on /: the root is the sandbox's own");
		return fail_remedy("use --rootfs DIR for another tree");
	}
	if (path_under(mount->destination, plan->workdir)) {
		fail(0, "cannot mount on %s: it is inside the workdir",
		     mount->destination);
		return fail_remedy("mount it elsewhere, or copy it in with "
				   "--input SRC:DEST");
	}
	if (mount->source == NULL) {
		m = tree_add(plan, PLAN_TMPFS, mount->destination, NULL);
		m->flags = PLAN_RW | holes_closed(plan, false);
		m->size = 1024 * MIB;
		return 0;
	}
	/* Links are resolved here, where --explain shows the outcome: one that
	 * an earlier payload planted does not go unseen. */
	source = realpath(mount->source, NULL);
	if (source == NULL) {
		fail(errno, "cannot mount %s", mount->source);
		return fail_remedy("check the path; mounts are of the host's "
				   "own files");
	}
	m = tree_add(plan, PLAN_BIND, mount->destination, source);
	m->flags = (mount->read_write ? PLAN_RW : 0) |
		   holes_closed(plan, false);
	return 0;
}

static bool is_mounted(const struct spec *spec, const char *at)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i].destination, at) == 0)
			return true;
	return false;
}

/*
 * A tree's mounts do not stop who connects to a socket in it, and nobody who
 * shows a tree means its sockets: who does names them.
 */
static int hide_doors(struct plan *plan, const struct spec *spec,
		      const struct host *host)
{
	/* It moves when masks are added. */
	auto_free char *tree = xstrdup(plan->mounts[plan->n_mounts - 1].source);
	auto_free char *top = xstrdup(
	    plan->mounts[plan->n_mounts - 1].destination);
	auto_fd int fd = walk_open_plain(tree);
	struct hidden doors = { 0 };
	size_t n = 0;
	int rc = 0;

	/* A file, or nothing that could be looked at. */
	if (fd >= 0)
		rc = hidden_doors(&doors, fd, host->uid != plan->host_uid);
	for (size_t i = 0; rc == 0 && i < doors.files.n; i++) {
		auto_free char *at = path_join(top, doors.files.v[i]);
		struct plan_mount *m;

		if (is_mounted(spec, at))
			continue;
		m = tree_add(plan, PLAN_MASK, at, NULL);
		m->mode = S_IFREG;
		m->flags = PLAN_OPTIONAL;
		n++;
	}
	if (n)
		strv_push(&plan->warnings,
			  xasprintf("%zu sockets and fifos in %s are hidden: "
				    "name one as a mount to show it",
				    n, tree));
	if (doors.partial)
		strv_push(&plan->warnings,
			  xasprintf("only the first %d entries of %s were "
				    "looked through for sockets and fifos of "
				    "the host's",
				    HIDDEN_ENTRIES, tree));
	hidden_free(&doors);
	return rc;
}

/*
 * What we write on the host must not lie where the payload can write: it puts a
 * link in the way, and its own words are in ~/.ssh/authorized_keys.  In the
 * state directory it would change the record of what it did, the hash of what
 * others execute, and what of a project is not shown to them.
 */
static int keep_apart(const struct plan *plan, const struct spec *spec,
		      const struct host *host, const char *tree)
{
	auto_free char *metrics = spec->metrics_dir
				      ? path_join(spec->metrics_dir, "file")
				      : NULL;
	const char *places[] = { plan->runs_dir,  plan->hashes_dir,
				 plan->looks_dir, plan->artifact,
				 spec->result,    spec->events,
				 metrics,         host->audit_path };
	auto_free char *real = realpath(host->state_dir, NULL);
	auto_mounted struct mounted mounted = { 0 };
	const char *lies = NULL;

	if (mounted_read(&mounted, tree) < 0)
		return -1;
	/* Another run's journal says what --gc is to end and to write. */
	if (real && mounted_meets(&mounted, real) &&
	    !mounted_holds(&mounted, real)) {
		fail(0,
		     "cannot show %s to be written: it is the record of "
		     "runs",
		     tree);
		return fail_remedy("--ro-bind shows it, or --input copies it");
	}
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (places[i] && mounted_on_way(&mounted, places[i]))
			lies = places[i];
	for (size_t i = 0; i < spec->n_outputs; i++)
		if (mounted_on_way(&mounted, spec->outputs[i].to))
			lies = spec->outputs[i].to;
	if (lies == NULL)
		return 0;
	fail(0, "cannot write %s: it lies in %s, which the sandbox may change",
	     lies, tree);
	return fail_remedy("name a place outside, or show the tree with "
			   "--ro-bind");
}

static int add_user_mounts(struct plan *plan, const struct spec *spec,
			   const struct host *host)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		const struct plan_mount *m;

		if (add_user_mount(plan, &spec->mounts[i]) < 0)
			return -1;
		m = &plan->mounts[plan->n_mounts - 1];
		if (m->kind == PLAN_BIND && m->flags & PLAN_RW &&
		    (keep_apart(plan, spec, host, m->source) < 0 ||
		     holes_check_writable(plan, m->source) < 0))
			return -1;
		if (m->kind == PLAN_BIND && hide_doors(plan, spec, host) < 0)
			return -1;
	}
	holes_in_mounts(plan, spec);
	return 0;
}

static int add_project(struct plan *plan, const struct spec *spec,
		       const struct host *host)
{
	const struct plan_project *project = &plan->project;

	if (project->mode == SPEC_PROJECT_BIND &&
	    (keep_apart(plan, spec, host, project->path) < 0 ||
	     holes_check_writable(plan, project->path) < 0))
		return -1;
	tree_add_project(plan);
	return 0;
}

int tree_plan(struct plan *plan, const struct spec *spec,
	      const struct host *host)
{
	if (spec->rootfs)
		add_rootfs(plan, spec->rootfs);
	else
		add_host_base(plan, host);
	add_own_etc(plan, host);
	/* In an /etc of the user's there might be no place for them. */
	if (plan->net.mode == NET_RELAY && !spec->rootfs)
		add_browser_policies(plan);
	add_table(plan, skeleton, ARRAY_SIZE(skeleton));
	add_table(plan, proc_masks, ARRAY_SIZE(proc_masks));
	if (add_program(plan) < 0)
		return -1;
	holes_in_base(plan, spec, host);
	/* Over the program's places, so that no hole is over a mask. */
	if (tree_hide_in_program(plan) < 0)
		return -1;
	tree_add_git(plan);
	if (add_user_mounts(plan, spec, host) < 0)
		return -1;
	if (plan->project.path)
		return add_project(plan, spec, host);
	/*
	 * Last: from here on there is something in the tree that a payload of
	 * an earlier run may have shaped, so nothing is mounted below it.
	 */
	tree_add(plan, PLAN_WORKDIR, plan->workdir, NULL)->flags =
	    PLAN_RW | holes_closed(plan, true);
	return 0;
}
