import { expect, test } from "vitest";
import { diffOf, gitOf, gpusOf, launcherOf, recordingOf } from "../src/lib/run/overview/environment";
import { linesOf, readPatch } from "../src/lib/run/overview/diff";
import { repositoryPages } from "../src/lib/run/overview/remote";

test.each([
  ["https://github.com/acme/vision.git", "https://github.com/acme/vision/commit/abc1234", "https://github.com/acme/vision/tree/feat/x%20y"],
  ["git@github.com:acme/vision.git", "https://github.com/acme/vision/commit/abc1234", "https://github.com/acme/vision/tree/feat/x%20y"],
  ["ssh://git@github.com:22/acme/vision", "https://github.com/acme/vision/commit/abc1234", "https://github.com/acme/vision/tree/feat/x%20y"],
  ["https://gitlab.com/group/sub/repo.git", "https://gitlab.com/group/sub/repo/-/commit/abc1234", "https://gitlab.com/group/sub/repo/-/tree/feat/x%20y"],
  ["git@gitlab.example.org:team/repo.git", "https://gitlab.example.org/team/repo/-/commit/abc1234", "https://gitlab.example.org/team/repo/-/tree/feat/x%20y"],
  ["git@bitbucket.org:team/repo.git", "https://bitbucket.org/team/repo/commits/abc1234", "https://bitbucket.org/team/repo/branch/feat/x%20y"],
  ["https://codeberg.org/mei/repo", "https://codeberg.org/mei/repo/commit/abc1234", "https://codeberg.org/mei/repo/src/branch/feat/x%20y"],
  ["git@git.sr.ht:~mei/repo", "https://git.sr.ht/~mei/repo/commit/abc1234", "https://git.sr.ht/~mei/repo/tree/feat/x%20y"],
  ["https://acme@dev.azure.com/acme/Vision/_git/repo", "https://dev.azure.com/acme/Vision/_git/repo/commit/abc1234", "https://dev.azure.com/acme/Vision/_git/repo?version=GBfeat%2Fx%20y"],
  ["git@ssh.dev.azure.com:v3/acme/My%20Project/repo", "https://dev.azure.com/acme/My%20Project/_git/repo/commit/abc1234", "https://dev.azure.com/acme/My%20Project/_git/repo?version=GBfeat%2Fx%20y"],
  ["https://acme.visualstudio.com/DefaultCollection/Vision/_git/repo", "https://dev.azure.com/acme/Vision/_git/repo/commit/abc1234", "https://dev.azure.com/acme/Vision/_git/repo?version=GBfeat%2Fx%20y"],
])("%s has pages for a commit and a branch", (remote, commit, branch) => {
  const pages = repositoryPages(remote)!;
  expect(pages.commit("abc1234")).toBe(commit);
  expect(pages.branch("feat/x y")).toBe(branch);
});

test.each(["", "/srv/git/repo.git", "../repo", "file:///srv/repo.git", "git@internal.example:team/repo.git", "https://github.com/", "javascript:alert(1)", "C:\\repos\\x"])(
  "%s has none",
  (remote) => {
    expect(repositoryPages(remote)).toBeNull();
  },
);

test("what a page is made of cannot leave its host", () => {
  expect(repositoryPages("https://github.com/a/b?x=1#y")!.home).toBe("https://github.com/a/b");
  expect(repositoryPages("https://github.com@evil.example/a/b")).toBeNull();
  expect(repositoryPages('git@github.com:a/"><script>')!.home).toBe("https://github.com/a/%22%3E%3Cscript%3E");
});

const PATCH = `diff --git a/train.py b/train.py
index 1111111..2222222 100644
--- a/train.py
+++ b/train.py
@@ -1,4 +1,5 @@ def main():
 import torch
--- old comment
+++ new comment
+lr = 0.1
 
\\ No newline at end of file
@@ -40 +41,0 @@
-print("gone")
diff --git a/old name.txt b/new name.txt
similarity index 100%
rename from old name.txt
rename to new name.txt
diff --git "a/\\346\\227\\245.py" "b/\\346\\227\\245.py"
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ "b/\\346\\227\\245.py"
@@ -0,0 +1,2 @@
+one
+two
diff --git a/logo.png b/logo.png
deleted file mode 100644
index 4444444..0000000
GIT binary patch
literal 0
HcmV?d00001

diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
# Kiseki: left out: 'data.bin': more than 10 MB
`;

test("the files of a patch are found with what happened to them", () => {
  const { files } = readPatch(PATCH);
  expect(files.map(({ path, from, kind, binary, mode, additions, deletions }) => ({ path, from, kind, binary, mode, additions, deletions }))).toEqual([
    { path: "train.py", from: null, kind: "changed", binary: false, mode: null, additions: 2, deletions: 2 },
    { path: "new name.txt", from: "old name.txt", kind: "renamed", binary: false, mode: null, additions: 0, deletions: 0 },
    { path: "日.py", from: null, kind: "added", binary: false, mode: null, additions: 2, deletions: 0 },
    { path: "logo.png", from: null, kind: "deleted", binary: true, mode: null, additions: 0, deletions: 0 },
    { path: "run.sh", from: null, kind: "changed", binary: false, mode: "100644 → 100755", additions: 0, deletions: 0 },
  ]);
});

test("lines carry the numbers of both sides", () => {
  const patch = readPatch(PATCH);
  const lines = linesOf(patch, patch.files[0]!, 100);
  expect(lines.map(({ kind, old, new: now, text }) => [kind, old, now, text])).toEqual([
    ["hunk", 0, 0, "@@ -1,4 +1,5 @@ def main():"],
    ["same", 1, 1, "import torch"],
    ["deleted", 2, 0, "-- old comment"],
    ["added", 0, 2, "++ new comment"],
    ["added", 0, 3, "lr = 0.1"],
    ["same", 3, 4, ""],
    ["note", 0, 0, "No newline at end of file"],
    ["hunk", 0, 0, "@@ -40 +41,0 @@"],
    ["deleted", 40, 0, 'print("gone")'],
  ]);
  expect(linesOf(patch, patch.files[0]!, 3)).toHaveLength(3);
  const last = readPatch("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n\\ No newline at end of file\ndiff --git a/b b/b\n");
  expect(linesOf(last, last.files[0]!, 9).map(({ kind }) => kind)).toEqual(["hunk", "deleted", "note", "added", "note"]);
  expect(linesOf(patch, patch.files[1]!, 100)).toEqual([]);
});

test("a patch that was cut anywhere is read as far as it goes", () => {
  for (let end = 0; end < PATCH.length; end += 7) {
    const patch = readPatch(PATCH.slice(0, end));
    for (const file of patch.files) linesOf(patch, file, 100);
  }
  expect(readPatch("no patch at all\n\n+++").files).toEqual([]);
});

test("an environment of any shape is read without harm", () => {
  expect(gitOf({})).toBeNull();
  expect(gitOf({ git: "broken" })).toBeNull();
  expect(gitOf({ git: { commit: 5, untracked: [1, "a.py"], note: "no git" } })).toMatchObject({ commit: null, untracked: ["a.py"], note: "no git" });
  expect(gitOf({ git: { commit: "zz" } })!.commit).toBeNull();
  expect(diffOf({ diff: { files: 1 } })).toBeNull();
  expect(diffOf({ diff_file: "diff.patch" })).toMatchObject({ files: 0, truncated: false, leftOut: [] });
  expect(diffOf({ diff_file: "d", diff: { left_out: [3, { path: "a.bin", why: "big" }] } })!.leftOut).toEqual([{ path: "a.bin", why: "big" }]);
  const h100 = { name: "H100", memory_bytes: 85e9 };
  expect(gpusOf({ gpus: [h100, { name: "T4" }, h100, "x"] })).toEqual([
    { name: "H100", bytes: 85e9, count: 2 },
    { name: "T4", bytes: null, count: 1 },
  ]);
  expect(recordingOf({ recording: { git: { value: false, source: "project" }, odd: 3 } })).toEqual([{ name: "git", value: false, source: "project" }]);
  expect(launcherOf({ torchrun: { world_size: "4", rank: "1", z: {} } }, "torchrun")).toEqual([
    ["rank", "1"],
    ["world_size", "4"],
  ]);
});
