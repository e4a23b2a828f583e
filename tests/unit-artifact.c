/* SPDX-License-Identifier: MIT */
#include "artifact.h"

#include <sys/resource.h>
#include <sys/sysmacros.h>

#include "archive.h"
#include "inodes.h"
#include "listing.h"
#include "sparse.h"

/* --- names, numbers ----------------------------------------------------- */

static void test_compression(void)
{
	static const struct {
		const char *path;
		int compression; /* -1: refused */
	} rows[] = {
		{ "a.tar.zst", ARTIFACT_ZSTD },
		{ "/x/a.tzst", ARTIFACT_ZSTD },
		{ "a.tar.gz", ARTIFACT_GZIP },
		{ "a.b.tgz", ARTIFACT_GZIP },
		{ "a.tar", ARTIFACT_NONE },
		{ "a.zip", -1 },
		{ "tar", -1 },
		{ ".tar", -1 },
		{ "", -1 },
		{ "a.tar.zst.part", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enum artifact_compression got = 99;
		int rc = artifact_compression_of(rows[i].path, &got);

		ok(rows[i].compression < 0
		       ? rc < 0
		       : rc == 0 && (int)got == rows[i].compression,
		   "compression of \"%s\"", rows[i].path);
	}
}

/* The same names whatever the memory: all at once or in many batches. */
static void test_names(void)
{
	static const size_t limits[] = { 1 << 20, 4000, 1000, 1 };

	put_dir(at("names"));
	for (int i = 0; i < 700; i++) {
		const char *path = at("names/%d-%d", i * 7919 % 1000, i);

		put_file(path, "", 0600);
	}
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		char before[NAME_MAX + 1] = "";
		struct listing list;
		struct walk_name name;
		size_t n = 0, most = 0;
		bool sorted = true;
		int rc;

		listing_start(&list, open(at("names"), O_RDONLY | O_DIRECTORY));
		while ((rc = listing_next(&list, limits[i], &name)) == 1) {
			sorted &= strcmp(before, name.name) < 0;
			snprintf(before, sizeof(before), "%s", name.name);
			n++;
			if (listing_memory(&list) > most)
				most = listing_memory(&list);
		}
		ok(rc == 0 && n == 700 && sorted,
		   "limit %zu: %zu names, sorted, in %zu bytes", limits[i], n,
		   most);
		listing_end(&list);
	}
}

static void test_inodes(void)
{
	struct inodes table = { 0 };
	size_t kept = 0, found = 0;
	char path[32];

	for (ino_t i = 1; i <= 200000; i++) {
		snprintf(path, sizeof(path), "work/%llu",
			 (unsigned long long)i);
		kept += inodes_add(&table, i * 64, path);
	}
	for (ino_t i = 1; i <= 200000; i++) {
		const char *got = inodes_find(&table, i * 64);

		snprintf(path, sizeof(path), "work/%llu",
			 (unsigned long long)i);
		found += got && strcmp(got, path) == 0;
	}
	ok(kept == found && kept > 50000 && kept < 200000,
	   "the table keeps %zu inodes, and is full then", kept);
	ok(inodes_find(&table, 63) == NULL, "what was not added is not found");
	inodes_free(&table);
}

static void test_sparse(void)
{
	struct sparse_segment *segments = malloc(SPARSE_MAX *
						 sizeof(*segments));
	int fd = open(at("holes"), O_RDWR | O_CREAT | O_EXCL, 0600);
	struct stat st;
	ssize_t n;

	for (off_t i = 0; i < 100; i++)
		if (pwrite(fd, "x", 1, i << 20) != 1)
			die("pwrite");
	fstat(fd, &st);
	n = sparse_find(fd, &st, segments);
	ok(n == 100 && segments[99].offset == 99 << 20 &&
	       segments[99].end == st.st_size,
	   "%zd segments", n);
	ok(sparse_unwritten(fd, &st) > st.st_size / 2 &&
	       sparse_unwritten(fd, &st) < st.st_size,
	   "most was never written");
	if (ftruncate(fd, 0) < 0 || ftruncate(fd, 1 << 30) < 0)
		die("ftruncate");
	fstat(fd, &st);
	ok(sparse_find(fd, &st, segments) == 0, "nothing but a hole");
	ok(sparse_unwritten(fd, &st) == 1 << 30, "all of it unwritten");
	close(fd);
	free(segments);
}

/* --- the hostile tree --------------------------------------------------- */

static bool hash_is(const char *path, const struct artifact *artifact)
{
	size_t len;
	auto_free char *data = read_file(AT_FDCWD, path, 1 << 28, &len);
	struct sha256 sha;
	char hex[SHA256_HEX];

	if (data == NULL || len != artifact->bytes)
		return false;
	sha256_init(&sha);
	sha256_update(&sha, data, len);
	sha256_hex(&sha, hex);
	return strcmp(hex, artifact->sha256) == 0;
}

static mode_t work_mode(const char *name)
{
	struct stat st;

	if (fstatat(wd.work_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_mode & 07777;
}

static void test_write(void)
{
	static const char *const names[] = { "one.tar.zst", "one.tar.gz",
					     "one.tar" };
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *first = xstrdup(at("out/a/%s", names[i]));
		auto_free char *second = xstrdup(at("out/b/%s", names[i]));
		struct artifact a, b;

		ok(went_well(write_to(first, &a)) && strcmp(a.path, first) == 0,
		   "%s is written", names[i]);
		ok(went_well(write_to(second, &b)), "and again");
		/* 3 that are no devices, 12 odd names, 4 links, 3 names of one
		 * file, 2 sparse, noise, secret */
		ok(a.files == 26 && a.skipped == (geteuid() == 0 ? 3 : 2),
		   "files %llu, skipped %llu", (unsigned long long)a.files,
		   (unsigned long long)a.skipped);
		ok(hash_is(first, &a), "length and hash are of the file");
		ok(same_bytes(first, second), "the same tree, the same bytes");
		ok(lstat(first, &st) == 0 && (st.st_mode & 07777) == 0600,
		   "private");
		artifact_free(&a);
		artifact_free(&b);
	}
	ok(lstat(at("out/a"), &st) == 0 && (st.st_mode & 07777) == 0700,
	   "its folder was made, private");
	ok(count_entries(at("out/a")) == ARRAY_SIZE(names),
	   "no temporary name stays");
	ok(work_mode("locked") == 0 && work_mode("plain") == 0644,
	   "the tree has its modes again");
}

/* What must be found in a tree that was unpacked. */
static const struct {
	const char *path;
	mode_t mode; /* with type */
	off_t size;
	const char *text; /* content or target; NULL: not looked at */
} expected[] = {
	{ "run.json", S_IFREG | 0600, 16, "{\"status\":\"ok\"}\n" },
	{ "events.jsonl", S_IFREG | 0600, 3, "{}\n" },
	{ "stdout.log", S_IFREG | 0600, 4, "out\n" },
	{ "work/plain", S_IFREG | 0644, 6, "hello\n" },
	{ "work/empty", S_IFREG | 0600, 0, "" },
	{ "work/setuid", S_IFREG | 0755, 1, "x" },
	{ "work/new\nline", S_IFREG | 0644, 4, "odd\n" },
	{ "work/\033[31mred", S_IFREG | 0644, 4, "odd\n" },
	{ "work/bad\xff\xfe", S_IFREG | 0644, 4, "odd\n" },
	{ "work/h\xc3\xa9", S_IFREG | 0644, 4, "odd\n" },
	{ "work/--checkpoint-action=exec=id", S_IFREG | 0644, 4, "odd\n" },
	{ "work/-rf", S_IFREG | 0644, 4, "odd\n" },
	{ "work/ space ", S_IFREG | 0644, 4, "odd\n" },
	{ "work/back\\slash", S_IFREG | 0644, 4, "odd\n" },
	{ "work/" LONG_NAME, S_IFREG | 0644, 4, "odd\n" },
	{ "work/absolute", S_IFLNK | 0777, 11, "/etc/passwd" },
	{ "work/above", S_IFLNK | 0777, 18, "../../../../../etc" },
	{ "work/dangling", S_IFLNK | 0777, 14, "nothing at all" },
	{ "work/dir", S_IFDIR | 0755, -1, NULL },
	{ "work/dir/first", S_IFREG | 0640, 7, "linked\n" },
	{ "work/dir/second", S_IFREG | 0640, 7, "linked\n" },
	{ "work/third", S_IFREG | 0640, 7, "linked\n" },
	{ "work/hollow", S_IFDIR | 0755, -1, NULL },
	{ "work/sparse", S_IFREG | 0644, 1LL << 40, NULL },
	{ "work/void", S_IFREG | 0644, 1LL << 30, NULL },
	{ "work/noise", S_IFREG | 0600, 300000, NULL },
	{ "work/sticky", S_IFDIR | 0777, -1, NULL },
	{ "work/locked", S_IFDIR | 0, -1, NULL },
	{ "work/locked/secret", S_IFREG | 0, 9, "mode 000\n" },
	{ "work/deep/deep/deep/deep", S_IFDIR | 0755, -1, NULL },
};

static bool text_is(const char *path, const struct stat *st, const char *text)
{
	char target[300];
	ssize_t n;

	if (text == NULL)
		return true;
	if (S_ISREG(st->st_mode))
		return chmod(path, 0600) == 0 && holds(path, text) &&
		       chmod(path, st->st_mode & 07777) == 0;
	n = readlink(path, target, sizeof(target));
	return n == (ssize_t)strlen(text) &&
	       memcmp(target, text, (size_t)n) == 0;
}

static size_t compare_tree(const char *dir)
{
	size_t wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		auto_free char *path = xasprintf("%s/%s", dir,
						 expected[i].path);
		struct stat st = { 0 };
		bool good = lstat(path, &st) == 0 &&
			    st.st_mode == expected[i].mode &&
			    (expected[i].size < 0 ||
			     st.st_size == expected[i].size) &&
			    text_is(path, &st, expected[i].text) &&
			    (strncmp(expected[i].path, "work/", 5) != 0 ||
			     !S_ISREG(st.st_mode) || st.st_size > 10 ||
			     st.st_mtime == STAMP);

		if (!good)
			printf("# wrong: %s, mode %o, size %lld\n",
			       expected[i].path, st.st_mode,
			       (long long)st.st_size);
		wrong += !good;
		/* To look inside, and to remove it later. */
		if (S_ISDIR(st.st_mode) && chmod(path, 0700) < 0)
			die(path);
	}
	return wrong;
}

static bool is_island(const char *dir)
{
	auto_free char *path = xasprintf("%s/work/sparse", dir);
	auto_fd int fd = open(path, O_RDONLY);
	struct stat st;
	char buf[6];

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_blocks < 1000 &&
	       pread(fd, buf, 6, 1 << 30) == 6 && memcmp(buf, "island", 6) == 0;
}

static bool one_inode(const char *dir)
{
	auto_free char *first = xasprintf("%s/work/dir/first", dir);
	auto_free char *third = xasprintf("%s/work/third", dir);
	struct stat a, b;

	return stat(first, &a) == 0 && stat(third, &b) == 0 &&
	       a.st_ino == b.st_ino && a.st_nlink == 3;
}

static void test_readers(void)
{
	static const struct {
		const char *name, *tool, *command;
	} readers[] = {
		{ "GNU tar", "tar --version | grep -q GNU",
		  "tar -xpf ../../out/a/one.tar.gz "
		  "--warning=no-unknown-keyword" },
		{ "bsdtar", "command -v bsdtar",
		  "bsdtar -xpf ../../out/a/one.tar.zst" },
		{ "python3", "command -v python3",
		  "python3 -c 'import tarfile\n"
		  "tarfile.open(\"../../out/a/one.tar\").extractall()'" },
	};

	put_dir(at("unpacked"));
	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		auto_free char *dir = xstrdup(at("unpacked/%zu", i));

		if (!run("{ %s; } >/dev/null 2>&1", readers[i].tool)) {
			printf("# %s: not installed\n", readers[i].name);
			continue;
		}
		put_dir(dir);
		ok(run("cd '%s' && umask 0 && %s", dir, readers[i].command),
		   "%s unpacks it", readers[i].name);
		ok(compare_tree(dir) == 0, "every member is as it was");
		ok(one_inode(dir), "hard links are links");
		ok(is_island(dir), "1 TiB of holes takes no place");
		ok(run("cd '%s/work' && [ \"$(find . -printf x | wc -c)\" = %d ]",
		       dir, 1 + 26 + 4 + 100),
		   "no member too many");
		if (!run("chmod -R u+rwX '%s' && rm -rf '%s'", dir, dir))
			die(dir);
	}
	ok(count_entries(at("unpacked")) == 0, "and nothing beside");
}

static void test_order(void)
{
	auto_free char *list = xstrdup(at("list"));
	auto_free char *tar = xstrdup(at("out/a/one.tar"));
	auto_free char *skipped = xstrdup(at("skipped"));
	auto_free char *text = NULL;

	ok(run("tar -tf '%s' --quoting-style=escape "
	       "--warning=no-unknown-keyword >'%s'",
	       tar, list) &&
	       run("head -n 4 '%s' | tr '\\n' ' ' | "
		   "grep -qx 'run.json events.jsonl stdout.log work/ '",
		   list),
	   "the run's own files are first");
	ok(run("grep '^work/deep/' '%s' | LC_ALL=C sort -c && "
	       "tail -n 1 '%s' | grep -qx skipped.txt",
	       list, list),
	   "sorted; skipped.txt is last");
	ok(run("tar -xOf '%s' skipped.txt --warning=no-unknown-keyword >'%s'",
	       tar, skipped),
	   "it can be read");
	text = read_file(AT_FDCWD, skipped, 4096, NULL);
	ok(text && strcmp(text, geteuid() == 0 ? "device work/device\n"
						 "fifo work/fifo\n"
						 "socket work/socket\n"
					       : "fifo work/fifo\n"
						 "socket work/socket\n") == 0,
	   "it names what was left out");
}

static void test_hostile(void)
{
	begin(make_hostile);
	put_log("events.jsonl", "{}\n");
	put_log("stdout.log", "out\n");
	if (geteuid() == 0 &&
	    mknodat(wd.work_fd, "device", S_IFCHR | 0666, makedev(1, 3)) < 0)
		die("mknod");
	test_write();
	test_order();
	test_readers();
	end();
}

/* --- what cannot be stored ---------------------------------------------- */

/* Blocks strewn over so much that no list of segments has room for them. */
static void put_strewn(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		die(path);
	for (off_t i = 0; i < SPARSE_MAX + 100; i++)
		if (pwrite(fd, "x", 1, i << 25) != 1)
			die(path);
	close(fd);
}

/* Each at its bound, and one step further. */
static void make_beyond(void)
{
	put_depth("d", 300);
	put_depth(LONG_NAME, 20);
	put_file("plain", "plain\n", 0644);
	put_strewn("strewn");
	if (link("strewn", "z-strewn") < 0)
		die("link");
}

static char *repeat(const char *text, int times)
{
	char *all = xstrdup("");

	for (int i = 0; i < times; i++) {
		char *longer = xasprintf("%s%s", all, text);

		free(all);
		all = longer;
	}
	return all;
}

/* Unpacked by `command`: all that is within bounds, and no more. */
static void unpack_beyond(const char *command, const char *member)
{
	auto_free char *dir = xstrdup(at("unpacked/beyond"));

	put_dir(dir);
	ok(run("cd '%s' && umask 022 && { %s; }", dir, command), "%.20s",
	   command);
	/* The names are too long to be looked up whole. */
	ok(run("cd '%s' && cd -P '%s' && [ -z \"$(ls -A)\" ] && "
	       "cd '%s' && [ \"$(find . -type d | wc -l)\" = %d ] && "
	       "holds=$(cat work/plain) && [ \"$holds\" = plain ]",
	       dir, member, dir, 2 + 255 + 12),
	   "holds what is within bounds");
	if (!run("rm -rf '%s'", dir))
		die(dir);
}

static void test_beyond(void)
{
	static const char *const lines[] = { "deep work/d/d/",
					     "long work/" LONG_NAME "/",
					     "strewn work/strewn\n",
					     "strewn work/z-strewn\n" };
	auto_free char *path = xstrdup(at("beyond.tar"));
	auto_free char *deepest = repeat("/d", 255);
	auto_free char *member = xasprintf("work%s", deepest);
	auto_free char *list = xstrdup(at("skipped"));
	auto_free char *text = NULL;
	struct artifact a;

	begin(make_beyond);
	ok(went_well(write_to(path, &a)), "a tree that goes beyond all bounds");
	ok(a.files == 1 && a.left_out == 4,
	   "what is beyond one is left out: %llu names, and %llu files not",
	   (unsigned long long)a.left_out, (unsigned long long)a.files);
	ok(run("tar -xOf '%s' skipped.txt >'%s'", path, list), "and told");
	text = read_file(AT_FDCWD, list, 1 << 20, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		ok(text && strstr(text, lines[i]), "%.12s is named", lines[i]);
	unpack_beyond("tar -xf ../../beyond.tar", member);
	if (run("command -v bsdtar >/dev/null"))
		unpack_beyond("bsdtar -xf ../../beyond.tar", member);
	if (run("command -v python3 >/dev/null"))
		unpack_beyond("python3 -c 'import os, tarfile\n"
			      "tarfile.open(\"../../beyond.tar\")"
			      ".extractall(os.getcwd())'",
			      member);
	artifact_free(&a);
	unlink(path);
	end();
}

#define PAIRS 2300

/* More hard-linked files than are kept in mind, then one of 600 MiB. */
static void make_linked(void)
{
	int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 11; i++)
		if (mkdir(LONG_NAME, 0755) < 0 || chdir(LONG_NAME) < 0)
			die("nest");
	for (int i = 0; i < PAIRS; i++) {
		auto_free char *name = xasprintf("a%d", i);
		auto_free char *other = xasprintf("b%d", i);

		put_file(name, "", 0600);
		if (link(name, other) < 0)
			die("link");
	}
	put_sparse("c1", 600LL << 20, 0);
	if (link("c1", "c2") < 0 || link("c1", "c3") < 0 ||
	    link("c1", "c4") < 0)
		die("link");
	if (back < 0 || fchdir(back) < 0)
		die("fchdir");
	close(back);
}

static void test_copies(void)
{
	auto_free char *path = xstrdup(at("copies.tar.gz"));
	struct artifact a;

	begin(make_linked);
	ok(went_well(write_to(path, &a)), "a full table of links");
	ok(a.left_out == 2 && a.files == 2 * PAIRS + 2,
	   "after 1 GiB of copies: %llu stored, %llu left out",
	   (unsigned long long)a.files, (unsigned long long)a.left_out);
	ok(run("[ \"$(tar -xOf '%s' skipped.txt | sed 's|work/.*/||' | "
	       "paste -sd ,)\" = 'copy c3,copy c4' ]",
	       path),
	   "by name");
	artifact_free(&a);
	unlink(path);
	end();
}

static void make_plain(void)
{
	put_file("plain", "plain\n", 0644);
	put_noise("noise", 5 * 1024 * 1024);
	if (chmod(".", 0) < 0)
		die("chmod");
}

static void test_kept(void)
{
	auto_free char *path = xstrdup(at("refused/x.tar.zst"));
	auto_free char *again = xstrdup(at("refused/y.tar.zst"));
	struct artifact a;

	begin(make_plain);
	ok(did_fail(write_to("/proc/m9m/x.tar", &a), wd.path),
	   "no folder: the message names the kept workdir");
	put_dir(path);
	ok(did_fail(write_to(path, &a), "Is a directory"), "a folder there");
	rmdir(path);
	put_file(at("refused/.x.tar.zst.%s.tmp", wd.tag), "stale", 0600);
	ok(went_well(write_to(path, &a)) && hash_is(path, &a) && a.files == 2,
	   "threads, work/ of mode 000, a stale temporary file");
	ok(count_entries(at("refused")) == 1, "which is gone");
	artifact_free(&a);
	ok(went_well(write_to(again, &a)) && same_bytes(path, again),
	   "threads give the same bytes again");
	artifact_free(&a);
	unlink(path);
	unlink(again);
	end();
}

/* A limit on the length of files is a full disk that needs no mount. */
static void test_file_limit(void)
{
	const struct rlimit small = { 100000, RLIM_INFINITY };
	auto_free char *path = xstrdup(at("refused/x.tar.zst"));
	struct rlimit before;
	struct artifact a;
	int rc;

	begin(make_plain);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &small);
	rc = write_to(path, &a);
	setrlimit(RLIMIT_FSIZE, &before);
	ok(did_fail(rc, "File too large"), "too large to be written");
	ok(count_entries(at("refused")) == 0 && exists(wd.path),
	   "nothing half is left");
	ok(went_well(write_to(path, &a)), "later it can be");
	artifact_free(&a);
	unlink(path);
	end();
}

static int full_disk(const char *dir)
{
	auto_free char *path = path_join(dir, "x.tar.zst");
	struct artifact a;

	if (!own_mounts() || mount("tmpfs", dir, "tmpfs", 0, "size=256k") < 0)
		return 77;
	put_file(path, "old\n", 0600);
	if (!did_fail(write_to(path, &a), "No space left on device"))
		return 1;
	if (!holds(path, "old\n") || count_entries(dir) != 1)
		return 2;
	return exists(wd.path) ? 0 : 3;
}

/* What somebody mounted in the workdir is not the payload's. */
static int mounted_tree(void)
{
	auto_free char *path = xstrdup(at("refused/m.tar"));
	auto_free char *work = xstrdup(at("runs/%s.work", wd.run_id));
	auto_free char *dir = path_join(work, "mnt");
	auto_free char *file = path_join(dir, "NOT-OF-THE-TREE");
	struct artifact a;

	if (!own_mounts() || mkdirat(wd.work_fd, "mnt", 0755) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, "size=64k") < 0)
		return 77;
	/* The one that is held is of the namespace before. */
	close(wd.work_fd);
	wd.work_fd = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(file, "x", 0644);
	if (!went_well(write_to(path, &a)) || a.skipped != 1)
		return 1;
	if (!run("! grep -qa NOT-OF-THE-TREE '%s'", path))
		return 2;
	if (!run("tar -xOf '%s' skipped.txt | grep -qx 'mount work/mnt'", path))
		return 3;
	return unlink(path);
}

static void test_mounted(void)
{
	int status = 0;
	pid_t pid;

	begin(make_plain);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(mounted_tree());
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# no mount namespace: not tried\n");
	else
		ok(status == 0, "a mount in the workdir is not archived (%d)",
		   status);
	end();
}

static void test_full_disk(void)
{
	auto_free char *dir = xstrdup(at("small"));
	int status = 0;
	pid_t pid;

	put_dir(dir);
	begin(make_plain);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(full_disk(dir));
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		printf("# no mount namespace: not tried\n");
	else
		ok(status == 0, "a full disk: old file and workdir are whole");
	end();
}

/* Read with no more rights than the payload had: a file that only root can
 * read did not come from it. */
static void test_rights(void)
{
	auto_free char *path = xstrdup(at("refused/x.tar.zst"));
	struct artifact a;
	int fd;

	if (geteuid() != 0)
		return;
	begin(NULL);
	fd = openat(wd.work_fd, "root", O_WRONLY | O_CREAT | O_EXCL, 0600);
	close(fd);
	ok(did_fail(write_to(path, &a), "work/root: "),
	   "what the owner cannot read is not read by root");
	end();
}

int main(void)
{
	umask(022);
	make_base();
	test_compression();
	test_names();
	test_inodes();
	test_sparse();
	test_hostile();
	put_dir(at("refused"));
	test_beyond();
	test_copies();
	test_kept();
	test_file_limit();
	test_full_disk();
	test_mounted();
	test_rights();
	ok(count_entries(at("runs")) == 0, "no run is left");
	drop_base();
	return done();
}
