/* SPDX-License-Identifier: MIT */
#include "project.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copy.h"
#include "err.h"
#include "walk.h"

/*
 * As whose the payload reads the tree
 *
 * An ordinary user's payload has the user's own uid outside, so it reads what
 * the user reads.  Root's payload never is root outside:
 *	tree of a user's:	the payload has that user's ids, as if the user
 *				had started it.
 *	tree of root's:		the mount shows root's ids and the run's own ids
 *				exchanged, so that what root owns in this one
 *				tree is the payload's.  Only where nothing can
 *				be written through it: in place, a file made
 *				inside would be root's, with any mode.
 */

/* --- plan --------------------------------------------------------------- */

/* What of the user's or ours a folder holds that is to be shown; NULL: nothing. */
static const char *precious_in(const char *path, const struct host *host)
{
	const char *home = host_getenv(host, "HOME");
	auto_free char *real_home = home ? realpath(home, NULL) : NULL;
	auto_free char *state = realpath(host->state_dir, NULL);

	if (real_home && path_under(real_home, path))
		return "your home directory";
	if (strcmp(path, "/") == 0)
		return "everything";
	if (path_under(state ? state : host->state_dir, path))
		return "the runs themselves";
	return NULL;
}

static void plan_owner(struct plan *plan, const struct host *host,
		       const struct stat *st)
{
	if (host->uid != 0 || host->payload_uid == 0)
		return;
	plan->project.roots = st->st_uid == 0;
	if (st->st_uid == 0)
		return;
	plan->host_uid = st->st_uid;
	plan->host_gid = st->st_gid ? st->st_gid : host->payload_gid;
}

/* What the user mounts there counts. */
static bool is_mounted_on(const struct spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (path_under(path, spec->mounts[i].destination))
			return true;
	return false;
}

/*
 * At its own path, which other files may name, unless that is in the workdir, or
 * in a rootfs, where nothing can be made.
 */
static char *place_git(const struct plan *plan, const struct spec *spec)
{
	const char *path = plan->project.elsewhere.path;
	bool taken = spec->rootfs || path_under(path, plan->workdir) ||
		     path_under(plan->workdir, path);
	const char *at = taken ? "/run/git" : path;

	return is_mounted_on(spec, at) ? NULL : xstrdup(at);
}

static void plan_git(struct plan *plan, const struct spec *spec,
		     const struct host *host, int fd)
{
	struct plan_project *project = &plan->project;
	struct gitdir *git = &project->elsewhere;
	auto_free char *why = NULL;
	const char *holds;
	struct stat st;

	if (fstatat(fd, ".git", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	project->git = true;
	/* Whoever hides it does not want to see there what it names. */
	if (S_ISDIR(st.st_mode) || strv_has(&project->hidden.files, ".git"))
		return;
	why = gitdir_find(git, fd, project->path);
	/* It is the user who says that it may be shown. */
	if (why && git->pointer && is_mounted_on(spec, git->pointer))
		return;
	holds = why ? NULL : precious_in(git->path, host);
	if (holds)
		why = xasprintf("%s, which the project's .git names, holds %s",
				git->path, holds);
	/* They name its tree, which is at another place inside. */
	if (why == NULL && git->module && plan->disk &&
	    strcmp(plan->workdir, project->path) != 0)
		why = xstrdup("--disk has no room for what would have to be "
			      "changed in a submodule's records");
	if (why)
		strv_push(&plan->warnings,
			  xasprintf("git does not work inside: %s", why));
	else
		project->git_at = place_git(plan, spec);
	if (project->git_at && plan->disk)
		strv_push(&plan->warnings,
			  xstrdup("git's own records are read-only inside: "
				  "--disk has no room for them"));
}

static void warn_hidden(struct plan *plan)
{
	if (plan->project.hidden.partial)
		strv_push(&plan->warnings,
			  xasprintf("only the first %d entries of the project "
				    "were looked through for secrets such as "
				    ".env: those deeper down are visible (a "
				    "list of your own in .m9mignore is kept "
				    "everywhere)",
				    HIDDEN_ENTRIES));
}

/* A socket of the host's in an overlay or a copy leads to nobody. */
static const unsigned int how_to_look[] = {
	[SPEC_PROJECT_OVERLAY] = 0,
	[SPEC_PROJECT_COPY] = 0,
	[SPEC_PROJECT_RO] = HIDDEN_DOORS,
	[SPEC_PROJECT_BIND] = HIDDEN_DOORS | HIDDEN_WHOLE,
};

static int refuse_project(int err, const char *path)
{
	fail(err, "cannot show the project %s", path);
	return fail_remedy("--project names a folder that is there, and that "
			   "you may read");
}

int project_plan(struct plan *plan, const struct spec *spec,
		 const struct host *host)
{
	struct plan_project *project = &plan->project;
	auto_fd int fd = -1;
	const char *holds;
	struct stat st;

	if (spec->project == NULL)
		return 0;
	project->mode = spec->project_mode;
	project->path = realpath(spec->project, NULL);
	if (project->path == NULL)
		return refuse_project(errno, spec->project);
	holds = precious_in(project->path, host);
	if (holds) {
		fail(0, "cannot show %s as a project: it holds %s",
		     project->path, holds);
		return fail_remedy("name the folder of one project");
	}
	fd = walk_open_plain(project->path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return refuse_project(errno, project->path);
	plan_owner(plan, host, &st);
	if (project->roots && project->mode == SPEC_PROJECT_BIND) {
		fail(0,
		     "cannot show %s in place: it is root's, which nothing "
		     "inside may ever be",
		     project->path);
		return fail_remedy("give it to another user, or use "
				   "--project-mode overlay and --apply");
	}
	if (hidden_find(&project->hidden, fd, &spec->show,
			how_to_look[project->mode], plan->looks_dir) < 0)
		return -1;
	plan_git(plan, spec, host, fd);
	warn_hidden(plan);
	return 0;
}

void project_free(struct plan_project *project)
{
	free(project->path);
	free(project->git_at);
	gitdir_free(&project->elsewhere);
	hidden_free(&project->hidden);
}

/* --- root's own tree ---------------------------------------------------- */

static int write_ids(pid_t pid, const char *file, uint32_t id)
{
	auto_free char *path = xasprintf("/proc/%d/%s", pid, file);
	/* Exchanged, and the others as they are. */
	auto_free char *text = xasprintf("0 %u 1\n%u 0 1\n1 1 %u\n%u %u %u\n",
					 id, id, id - 1, id + 1, id + 1,
					 UINT32_MAX - id - 1);
	auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : write_all(fd, text, strlen(text));
}

/* As long as who waits for it. */
static int stay(void *parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		while (getppid() == *(pid_t *)parent)
			pause();
	return 0;
}

/*
 * A user namespace that is a table of ids, and no more: nobody stays in it.  Who
 * makes it borrows our memory, which costs less than a copy, and never gets to
 * do anything in it.
 */
static int make_table(const struct plan *plan)
{
	_Alignas(16) char stack[4096];
	auto_free char *path = NULL;
	pid_t own = getpid();
	pid_t pid = clone(stay, stack + sizeof(stack),
			  CLONE_NEWUSER | CLONE_VM | SIGCHLD, &own);
	int fd = -1;

	if (pid < 0)
		return -1;
	path = xasprintf("/proc/%d/ns/user", pid);
	if (write_ids(pid, "uid_map", plan->host_uid) == 0 &&
	    write_ids(pid, "gid_map", plan->host_gid) == 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

static int exchange_ids(const struct plan *plan, int tree)
{
	auto_fd int table = make_table(plan);
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
				   .userns_fd = (uint64_t)table };

	if (table < 0)
		return -1;
	return mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr));
}

/* Root holds it for a child that could not pass another user's home. */
static int hold_mount(int dir_fd, const struct plan *plan, bool *foreign)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY |
					       MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV };
	auto_fd int fd = open_tree(
	    dir_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0 ||
	    mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -1;
	*foreign = plan->project.roots && exchange_ids(plan, fd) < 0;
	return take_fd(&fd);
}

static int open_mount(struct project_tree *tree, const struct plan *plan)
{
	int dir;

	tree->mount_fd = hold_mount(tree->dir_fd, plan, &tree->foreign);
	if (tree->mount_fd < 0)
		return -1;
	if (tree->foreign)
		return 0;
	dir = openat(tree->mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -1;
	close(tree->dir_fd);
	tree->dir_fd = dir;
	return 0;
}

static int open_git(struct project_tree *tree, const struct plan *plan)
{
	const char *path = plan->project.elsewhere.path;
	auto_fd int fd = walk_open_plain(path);

	if (fd >= 0)
		tree->git_fd = hold_mount(fd, plan, &tree->git_foreign);
	return tree->git_fd < 0 ? fail(errno, "cannot show %s", path) : 0;
}

int project_open(struct project_tree *tree, const struct plan *plan)
{
	const char *path = plan->project.path;

	*tree = PROJECT_TREE_NONE;
	if (plan->project.git_at && geteuid() == 0 && open_git(tree, plan) < 0)
		return -1;
	if (path == NULL || plan->project.mode == SPEC_PROJECT_BIND)
		return 0;
	tree->dir_fd = walk_open_plain(path);
	if (tree->dir_fd < 0)
		return fail(errno, "cannot open the project %s", path);
	looked_keep(&plan->project.hidden.looked);
	if (geteuid() == 0 && open_mount(tree, plan) < 0)
		return fail(errno, "cannot show the project %s", path);
	return 0;
}

void project_close(struct project_tree *tree)
{
	cleanup_fd(&tree->mount_fd);
	cleanup_fd(&tree->dir_fd);
	cleanup_fd(&tree->git_fd);
	*tree = PROJECT_TREE_NONE;
}

/* --- copy --------------------------------------------------------------- */

ssize_t project_copy(const struct plan *plan, int project_fd, int work_fd,
		     bool own)
{
	const struct plan_project *project = &plan->project;
	auto_strv struct strv skip = { 0 };
	struct copy_rules rules = { .what = project->path,
				    .own = own,
				    .uid = plan->host_uid,
				    .gid = plan->host_gid,
				    .mask = 0777,
				    .files_only = true,
				    .skip = &skip };
	auto_fd int from = openat(project_fd, ".",
				  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_fd int to = openat(work_fd, ".",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		return fail(errno, "cannot copy the project %s", project->path);
	for (size_t i = 0; i < project->hidden.files.n; i++)
		strv_push(&skip, xstrdup(project->hidden.files.v[i]));
	for (size_t i = 0; i < project->hidden.folders.n; i++)
		strv_push(&skip, xstrdup(project->hidden.folders.v[i]));
	strv_sort(&skip);
	if (copy_tree(take_fd(&from), &st, take_fd(&to), &rules) < 0)
		return -1;
	return (ssize_t)rules.left_out;
}
