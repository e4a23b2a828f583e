/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where a command's program really is on the host, and what of the host it
 * takes to run it: found under npm prefixes, nvm, ~/.local, Nix; shown with its
 * interpreter and package root only.  Reads the host, changes nothing.
 */

#include "agent.h"
#include "util.h"

struct program {
	/* What to execute, as named inside: absolute.  May be a link (of the
	 * base tree, of `show` or of `links`): some programs go by its name. */
	char *path;
	/* The complete argument vector.  argv[0] is as the user wrote it where
	 * the PATH inside leads to the program, else its path.  A script whose
	 * "#!/usr/bin/env NAME" would not be found inside has become the
	 * argument of that interpreter. */
	struct strv argv;
	/*
	 * Host paths (files or trees) outside the base tree (/usr, /bin, /sbin,
	 * /lib*) that must be shown read-only at the same place, each with its
	 * reason in show_why at the same index ("program", "package root",
	 * "interpreter", "library", "dependency").  Clean, absolute, links
	 * resolved, none below another.  Never a home, a folder that holds one,
	 * or a bin directory.
	 */
	struct strv show;
	struct strv show_why;
	/* Symbolic links to make inside: "link\ttarget" (~/.local/bin/claude).
	 * None lies in the base tree, in a shown tree, or below /etc, /proc,
	 * /dev, /sys. */
	struct strv links;
};

/*
 * Resolves argv[0]: with a slash as it is (relative: against the current
 * folder), else along the caller's PATH (absolute entries only), then
 * ~/.local/bin, the npm prefix, node_modules/.bin and nvm's default version.
 * With `agent`, its native program is preferred over a launcher script.
 * `in_rootfs` non-NULL: look inside that tree instead and show nothing.
 * 0, or -1 by fail() with status 127 (not found) or 126 (not executable);
 * program_free is due in either case.
 */
int program_resolve(struct program *program, const struct strv *argv,
		    const struct agent *agent, const char *in_rootfs);
void program_free(struct program *program);
