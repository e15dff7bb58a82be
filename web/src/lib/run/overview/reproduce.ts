/** The command that makes a run again. */

/** A word as a POSIX shell takes it. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export function reproduceCommand(run: { entity: string; project: string; id: string }): string {
  return `kiseki reproduce ${shellWord(`${run.entity}/${run.project}/${run.id}`)}`;
}
