/* SPDX-License-Identifier: MIT */

/*
 * There is a limit to what a payload makes, and none to what it deletes: each
 * deletion is named, whatever their number.
 */

#include "changes.h"

#include "hostile.h"

#define MOST  100
#define NAMES 1000

/* Fills folder `top` with n files in folders of ten. */
static void put_files(const char *top, int n)
{
	put_dir(at("%s", top));
	for (int i = 0; i < n; i++) {
		if (i % 10 == 0)
			put_dir(at("%s/d%d", top, i / 10));
		put_file(at("%s/d%d/f%d", top, i / 10, i), "", 0644);
	}
}

static size_t count_in(const char *text, const char *word)
{
	size_t n = 0;

	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

/* How many of each are in the JSON; did_fail's words otherwise. */
static bool lists(const char *upper, const char *lower, bool whole,
		  size_t added, size_t deleted, const char *words)
{
	const struct strv none = { 0 };
	auto_fd int work_fd = open(at("%s", upper), O_RDONLY | O_DIRECTORY);
	auto_fd int lower_fd = open(at("%s", lower), O_RDONLY | O_DIRECTORY);
	const struct changes_request request = { .work_fd = work_fd,
						 .lower_fd = lower_fd,
						 .tree = at("%s", lower),
						 .whole = whole,
						 .hidden = &none,
						 .most_made = MOST,
						 .most_names = NAMES };
	struct changes changes;
	int rc = changes_find(&changes, &request);
	auto_free char *json = NULL;
	size_t size;
	FILE *out = open_memstream(&json, &size);

	if (out == NULL)
		die("open_memstream");
	changes_print(&changes, "{}", out);
	fclose(out);
	changes_free(&changes);
	if (words)
		return did_fail(rc, words);
	return went_well(rc) && count_in(json, "\"added\"") == added &&
	       count_in(json, "\"deleted\"") == deleted;
}

int main(void)
{
	char name[NAME_MAX + 1];

	umask(022);
	make_base();
	put_dir(at("none"));
	put_files("most", MOST);
	put_files("over", MOST + 1);
	put_files("tree", 20 * MOST);
	put_dir(at("long"));
	if (symlink(at("%0500d", 0), at("long/a")) < 0 ||
	    symlink(at("%0500d", 0), at("long/b")) < 0)
		die("symlink");
	put_dir(at("upper"));
	put_files("upper/new", MOST);
	ok(lists("most", "none", true, MOST, 0, NULL), "what may be made");
	ok(lists("over", "none", true, 0, 0, "more than 100 files were made"),
	   "one more is refused");
	ok(lists("long", "none", true, 0, 0, "made are over 1000 bytes"),
	   "so are names that are longer than may be");
	ok(lists("none", "tree", true, 0, 20 * MOST, NULL),
	   "a copy without all its files: every one is listed");
	put_dir(at("far"));
	if (chdir(at("far")) < 0)
		die("chdir");
	snprintf(name, sizeof(name), "%0*d", NAME_MAX, 0);
	put_depth(name, PATH_MAX / NAME_MAX + 1);
	ok(lists("none", "far", true, 0, 0, NULL),
	   "a path that no call takes is none that could be applied");
	ok(lists("upper", "tree", true, MOST, 20 * MOST, NULL),
	   "nor do deletions count as made");
	for (int i = 0; i < 20 * MOST / 10; i++)
		if (mknod(at("upper/d%d", i), S_IFCHR, 0) < 0) {
			printf("# no whiteouts can be made here\n");
			drop_base();
			return done();
		}
	ok(lists("upper", "tree", false, MOST, 20 * MOST, NULL),
	   "folders deleted in an overlay: every file of theirs is listed");
	drop_base();
	return done();
}
