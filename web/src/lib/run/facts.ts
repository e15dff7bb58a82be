/** What was recorded about a run, as lines of name and value. */
import type { RunDetail } from "../api/types";
import { duration, moment } from "../format/time.svelte";
import { shortValue } from "../format/value";
import type { MessageKey } from "../i18n/messages";
import { runtimeOf } from "../runs/columns";

export interface Fact {
  name: MessageKey;
  value: string;
  /** Set in the typeface of code. */
  code: boolean;
}

/** Only what is there; `now` in unix seconds. */
export function factsOf(run: RunDetail, now: number): Fact[] {
  const { environment } = run;
  const facts: Fact[] = [];
  const add = (name: MessageKey, value: string | number | null | undefined, code = false): void => {
    if (value !== null && value !== undefined && value !== "") facts.push({ name, value: String(value), code });
  };
  const text = (key: string): string | null => (environment[key] === undefined ? null : shortValue(environment[key]));
  add("run.reason", run.reason);
  add("run.exitCode", run.exit_code);
  add("run.created", moment(run.created));
  if (run.started !== null && Math.abs(run.started - run.created) >= 1) add("run.started", moment(run.started));
  if (run.ended !== null) add("run.ended", moment(run.ended));
  else if (run.updated !== null) add("run.updated", moment(run.updated));
  add("run.runtime", duration(runtimeOf(run, now)));
  add("run.rows", run.rows.toLocaleString("en"));
  add("run.host", run.host);
  add("run.user", run.user);
  add("run.command", run.command, true);
  add("run.directory", text("cwd"), true);
  add("run.os", text("os"));
  add("run.python", text("python"));
  add("run.cpus", text("cpu_count"));
  add("run.sdk", text("sdk"));
  add("run.group", run.group);
  add("run.jobType", run.job_type);
  add("run.id", run.id, true);
  return facts;
}
