/** Pages of a repository's host for a commit and a branch, where the host is one that is known. */

export interface RepositoryPages {
  /** `owner/name`, as people say it. */
  name: string;
  home: string;
  commit: (hash: string) => string;
  branch: (name: string) => string;
}

interface Address {
  host: string;
  path: string[];
}

const segments = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

/** Read the address of a remote: `git@host:path`, or ssh, git, http and https URLs; null for another, such as a folder. */
export function parseRemote(remote: string): Address | null {
  const scp = /^(?:[\w.-]+@)?([\w.-]+\.[\w-]+):(?!\/\/)(.+)$/.exec(remote.trim());
  const url = /^(?:ssh|git|https?|git\+ssh):\/\/(?:[^@/]*@)?([^/:?#]+)(?::\d+)?\/([^?#]+)/.exec(remote.trim());
  const [host, path] = url ? [url[1]!, url[2]!] : scp ? [scp[1]!, scp[2]!] : ["", ""];
  if (!host) return null;
  const parts = path
    .replace(/\/+$/, "")
    .replace(/\.git$/, "")
    .split("/")
    .filter(Boolean)
    .map(decoded);
  return parts.length < 2 ? null : { host: host.toLowerCase(), path: parts };
}

/** The pages of `remote` on its host; null where the host is not known. */
export function repositoryPages(remote: string): RepositoryPages | null {
  const address = parseRemote(remote);
  if (!address) return null;
  const azure = azurePages(address);
  if (azure) return azure;
  const { host, path } = address;
  const shape = shapeOf(host);
  if (!shape) return null;
  const home = `https://${host}/${path.map(encodeURIComponent).join("/").replace(/%7E/gi, "~")}`;
  return {
    name: path.join("/"),
    home,
    commit: (hash) => `${home}/${shape.commit}/${hash}`,
    branch: (name) => `${home}/${shape.branch}/${segments(name)}`,
  };
}

function shapeOf(host: string): { commit: string; branch: string } | null {
  if (host === "github.com" || host === "huggingface.co") return { commit: "commit", branch: "tree" };
  if (host === "gitlab.com" || host.startsWith("gitlab.")) return { commit: "-/commit", branch: "-/tree" };
  if (host === "bitbucket.org") return { commit: "commits", branch: "branch" };
  if (host === "codeberg.org") return { commit: "commit", branch: "src/branch" };
  if (host === "git.sr.ht") return { commit: "commit", branch: "tree" };
  return null;
}

/** Azure DevOps: `dev.azure.com/org/project/_git/repo`, `ssh.dev.azure.com:v3/org/project/repo`, `org.visualstudio.com/…`. */
function azurePages({ host, path }: Address): RepositoryPages | null {
  let named: string[] | null = null;
  if (host === "ssh.dev.azure.com" || host === "vs-ssh.visualstudio.com") named = path[0] === "v3" ? path.slice(1) : null;
  else if (host === "dev.azure.com") named = path.filter((each) => each !== "_git");
  else if (host.endsWith(".visualstudio.com")) {
    const below = path.filter((each) => each !== "_git" && each !== "DefaultCollection");
    named = [host.split(".")[0]!, ...below];
  }
  if (!named) return null;
  // A project's own repository has its name, and may leave it out.
  const [organization, project, repository = project] = named;
  if (!organization || !project || !repository || named.length > 3) return null;
  const home = `https://dev.azure.com/${[organization, project, "_git", repository].map(encodeURIComponent).join("/")}`;
  return {
    name: `${organization}/${project}/${repository}`,
    home,
    commit: (hash) => `${home}/commit/${hash}`,
    branch: (name) => `${home}?version=GB${encodeURIComponent(name)}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
