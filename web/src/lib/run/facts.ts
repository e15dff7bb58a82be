/** What was recorded about a run, as groups of lines of name and value. */
import type { JsonObject, RunDetail } from "../api/types";
import { fileSize, memorySize } from "../format/bytes";
import { duration, moment } from "../format/time.svelte";
import { shortValue } from "../format/value";
import { t } from "../i18n/i18n.svelte";
import type { MessageKey } from "../i18n/messages";
import { runtimeOf } from "../runs/columns";
import { gpusOf, launcherOf, map, number, text } from "./overview/environment";

export interface Fact {
  name: string;
  value: string;
  /** Set in the typeface of code. */
  code: boolean;
}

export interface FactGroup {
  id: MessageKey;
  facts: Fact[];
}

class Facts {
  readonly list: Fact[] = [];

  /** A line, unless there is nothing to say. */
  add(name: MessageKey, value: string | number | null | undefined, code = false): void {
    if (value !== null && value !== undefined && value !== "") this.list.push({ name: t(name), value: String(value), code });
  }
}

/** How the run went; `now` in unix seconds. */
export function courseOf(run: RunDetail, now: number): Fact[] {
  const facts = new Facts();
  facts.add("run.reason", run.reason);
  facts.add("run.exitCode", run.exit_code);
  facts.add("run.created", moment(run.created));
  if (run.started !== null && Math.abs(run.started - run.created) >= 1) facts.add("run.started", moment(run.started));
  if (run.ended !== null) facts.add("run.ended", moment(run.ended));
  else if (run.updated !== null) facts.add("run.updated", moment(run.updated));
  facts.add("run.runtime", duration(runtimeOf(run, now)));
  facts.add("run.rows", run.rows.toLocaleString("en"));
  facts.add("run.group", run.group);
  facts.add("run.jobType", run.job_type);
  facts.add("run.id", run.id, true);
  return facts.list;
}

/** Where it ran: machine, its limits, and whatever launched it. Groups without a line are left out. */
export function machineOf(run: RunDetail): FactGroup[] {
  const { environment } = run;
  const groups: FactGroup[] = [{ id: "run.machine", facts: machineFacts(run) }];
  for (const launcher of ["slurm", "kubernetes", "torchrun", "mpi"] as const) {
    const facts = launcherOf(environment, launcher).map(([name, value]) => ({ name, value, code: false }));
    groups.push({ id: `launcher.${launcher}`, facts });
  }
  return groups.filter((group) => group.facts.length > 0);
}

function machineFacts(run: RunDetail): Fact[] {
  const { environment } = run;
  const facts = new Facts();
  const shown = (key: string): string | null => (environment[key] === undefined ? null : shortValue(environment[key]));
  facts.add("run.host", run.host);
  facts.add("run.user", run.user);
  facts.add("run.os", text(environment.os_name) ? `${text(environment.os_name)} (${shown("os")})` : shown("os"));
  facts.add("run.python", [shown("python"), otherThan("cpython", text(environment.implementation))].filter(Boolean).join(" "));
  addProcessor(facts, environment);
  facts.add("run.disk", diskOf(environment));
  facts.add(
    "run.gpus",
    gpusOf(environment)
      .map(({ name, bytes, count }) => `${count > 1 ? `${count} × ` : ""}${name}${bytes === null ? "" : `, ${memorySize(bytes)}`}`)
      .join("; "),
  );
  const cuda = map(environment.cuda);
  facts.add("run.cuda", text(cuda?.version));
  facts.add("run.driver", text(cuda?.driver));
  facts.add("run.limits", limitsOf(environment));
  facts.add("run.container", text(environment.container));
  facts.add("run.sdk", shown("sdk"));
  return facts.list;
}

function otherThan(usual: string, value: string | null): string | null {
  return value === usual ? null : value;
}

function addProcessor(facts: Facts, environment: JsonObject): void {
  const cpu = map(environment.cpu);
  const logical = number(cpu?.count_logical) ?? number(environment.cpu_count);
  const cores = number(cpu?.count);
  const count = cores !== null && logical !== null && cores !== logical ? t("run.coresAndThreads", { cores, n: logical }) : logical;
  facts.add("run.cpu", text(cpu?.model));
  facts.add("run.cpus", count);
  const ram = number(cpu?.ram_bytes);
  facts.add("run.ram", ram === null ? null : memorySize(ram));
}

function diskOf(environment: JsonObject): string | null {
  const disk = map(map(environment.disk)?.["/"]);
  const total = number(disk?.total_bytes);
  const used = number(disk?.used_bytes);
  return total === null || used === null ? null : t("run.diskUsed", { used: fileSize(used), total: fileSize(total) });
}

function limitsOf(environment: JsonObject): string {
  const limits = map(environment.cgroup);
  const cpus = number(limits?.cpus);
  const memory = number(limits?.memory_bytes);
  return [cpus === null ? null : t("run.limitCpus", { n: cpus }), memory === null ? null : t("run.limitMemory", { size: memorySize(memory) })]
    .filter(Boolean)
    .join(", ");
}
