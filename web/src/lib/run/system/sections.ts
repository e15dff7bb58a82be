/** The system stream as charts: a section for each device, a chart for each quantity, a line for each part and host. */
import type { Series } from "../../api/series";
import type { RunSystem, SystemMetric } from "../../api/types";
import type { Chart, Draw, Section } from "../../charts/chart";
import { lineData, type Line } from "../../charts/lines";
import { t } from "../../i18n/i18n.svelte";
import { messages, type MessageKey } from "../../i18n/messages";
import { scaled } from "./scaled";
import { scaleFor } from "./units";

const DEVICES = ["cpu", "memory", "gpu", "tpu", "npu", "process", "disk", "network", "cgroup", "other"];
/** Charts of a section in the order of their use; those that are not named here follow by name. */
const QUANTITIES = [
  "cpu",
  "cpu.cpu_percent",
  "cpu.*.cpu_percent",
  "memory_percent",
  "proc.memory.availableMB",
  "proc.cpu.percent",
  "proc.memory.rssMB",
  "proc.memory.percent",
  "gpu.*.gpu",
  "gpu.*.memoryAllocated",
  "gpu.*.memoryAllocatedBytes",
  "gpu.process.*.memoryUsedBytes",
  "gpu.*.memory",
  "gpu.*.temp",
  "gpu.*.powerWatts",
  "disk.*.usagePercent",
  "disk.*.usageGB",
  "network.recvBps",
  "network.sentBps",
];
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Sections of the charts of these metrics. */
export function systemSections(metrics: readonly SystemMetric[]): Section[] {
  const known = new Set(metrics.map((metric) => metric.key));
  const sections = new Map<string, Map<string, SystemMetric[]>>();
  for (const metric of metrics) {
    if (isTwin(metric.key, known)) continue;
    const charts = sections.get(metric.device) ?? new Map<string, SystemMetric[]>();
    sections.set(metric.device, charts);
    charts.set(metric.quantity, [...(charts.get(metric.quantity) ?? []), metric]);
  }
  return [...sections]
    .sort(([a], [b]) => place(DEVICES, a.split(".")[0]!) - place(DEVICES, b.split(".")[0]!) || collator.compare(a, b))
    .map(([device, charts]) => ({
      name: device,
      title: deviceTitle(device),
      charts: [...charts]
        .sort(([a], [b]) => place(QUANTITIES, bare(a)) - place(QUANTITIES, bare(b)) || collator.compare(a, b))
        .map(([quantity, members]) => chartOf(device, quantity, members)),
    }));
}

/** A run's GPU metrics are given once more, as its processes' own: only what differs is worth a chart. */
function isTwin(key: string, known: ReadonlySet<string>): boolean {
  return key.includes(".gpu.process.") && known.has(key.replace(".gpu.process.", ".gpu."));
}

function chartOf(device: string, quantity: string, members: SystemMetric[]): Chart {
  const keys = members.map((metric) => metric.key).sort(collator.compare);
  const title = quantityTitle(quantity);
  return { id: `${device}/${quantity}`, title, name: `${deviceTitle(device)}: ${title}`, keys };
}

function quantityTitle(quantity: string): string {
  const key = `measure.${bare(quantity)}`;
  return key in messages ? t(key as MessageKey) : bare(quantity);
}

function deviceTitle(device: string): string {
  const [kind, number] = device.split(".");
  const key = `device.${kind}`;
  const name = key in messages ? t(key as MessageKey) : kind!.toUpperCase();
  return number === undefined ? name : `${name} ${number}`;
}

const bare = (quantity: string): string => quantity.replace(/^system\./, "");

function place(order: readonly string[], name: string): number {
  const found = order.indexOf(name);
  return found < 0 ? order.length : found;
}

/** Lines for each part on each host: parts tell lines apart where there are several, else hosts do. */
export function drawSystem(run: string, { metrics, lanes }: RunSystem): Draw {
  const measured = new Map(metrics.map((metric) => [metric.key, metric]));
  const hosts = [...new Set(lanes.map(({ label }) => label))];
  const hostOf = new Map(lanes.map(({ lane, label }) => [lane, label]));
  return (chart, seriesOf) => {
    const found = chart.keys.flatMap((key) => seriesOf(key, run).map((series) => ({ key, series })));
    const unit = measured.get(chart.keys[0]!)?.unit ?? "";
    const scale = scaleFor(unit, Math.max(...found.map(({ series }) => largest(series)), 0));
    const parts = new Map(chart.keys.map((key, index) => [key, index]));
    const lines = found.map(({ key, series }): Line => {
      const host = hostOf.get(series.lane) ?? "";
      const part = partName(measured.get(key));
      const hostPlace = Math.max(0, hosts.indexOf(host));
      return {
        id: `${key}#${series.lane}`,
        run: parts.size > 1 ? `${host}|${part}` : host,
        lane: parts.size > 1 ? hostPlace : 0,
        name: [parts.size > 1 || hosts.length < 2 ? part : "", hosts.length > 1 || !part ? host : ""].filter(Boolean).join(" · "),
        color: parts.size > 1 ? parts.get(key)! : hostPlace,
        data: lineData(scaled(series, scale.by)),
      };
    });
    // A run that was resumed has several lines of one name: it tells nothing apart.
    const named = new Set(lines.map(({ name }) => name)).size > 1;
    return { lines, unit: scale.unit, fromZero: unit !== "°C" && unit !== "MHz", named };
  };
}

function partName(metric: SystemMetric | undefined): string {
  if (!metric?.part) return "";
  return metric.device === "cpu" ? t("system.core", { n: metric.part }) : metric.part;
}

function largest(series: Series): number {
  let most = 0;
  for (let i = 0; i < series.length; i++) {
    if (series.count[i]! > 0) most = Math.max(most, Math.abs(series.max[i]!));
  }
  return most;
}
