// The machine a figure was measured on: no figure is printed or stored without it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { significant } from "./format.js";
import { allowedCpus } from "./placement.js";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** CPUs this process may use. */
  readonly usable: number;
  /** Processor time that a control group may use, in CPUs; undefined: all there is. */
  readonly quotaCpus?: number;
  readonly arch: string;
  /** What runs under the kernel, or "no" on bare metal, as far as one can see. */
  readonly virtualised: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly clocksource: string;
  readonly node: string;
  readonly v8: string;
  /** One-minute load average before the first measurement. */
  readonly loadAtStart: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  const quotaCpus = quota();
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    usable: allowedCpus().length,
    ...(quotaCpus === undefined ? {} : { quotaCpus }),
    arch: process.arch,
    virtualised: virtualised(),
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    kernel: release(),
    clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource") || "unknown",
    node: process.version,
    v8: process.versions.v8,
    loadAtStart: loadavg()[0] ?? 0,
  };
}

/** Runnable threads per usable CPU above which a run is not alone. */
const BUSY = 0.4;

/** The machine in two calm lines, and a third where the figures deserve doubt. */
export function machineLines(machine: Machine): string[] {
  const usable = machine.usable === machine.cores ? "" : ` (${machine.usable} usable)`;
  const quota =
    machine.quotaCpus === undefined ? "" : ` (limited to ${significant(machine.quotaCpus)} by a control group)`;
  const virtual = machine.virtualised === "no" ? "bare metal" : `virtual machine (${machine.virtualised})`;
  const busy = machine.loadAtStart > machine.usable * BUSY;
  return [
    `${machine.cpu}, ${machine.cores} CPUs${usable}${quota}, ${machine.arch}, ${machine.memoryGiB} GiB, ${virtual}`,
    `Linux ${machine.kernel} (${machine.clocksource}), Node ${machine.node} (V8 ${machine.v8}), load average ${machine.loadAtStart.toFixed(2)}`,
    ...(busy ? ["Something else uses this machine: believe the ratios more than the times, and neither much."] : []),
  ];
}

/** The tightest limit of this process's control groups, of either version. */
function quota(): number | undefined {
  const [, path = "/"] = /^(?:0:|\d+:[^:\n]*\bcpu\b[^:\n]*):(.*)$/m.exec(read("/proc/self/cgroup")) ?? [];
  const limits: number[] = [];
  const steps = path.split("/").filter(Boolean);
  for (let depth = 0; depth <= steps.length; depth++) {
    const group = steps.slice(0, depth).join("/");
    const [most, period] = read(`/sys/fs/cgroup/${group}/cpu.max`).split(" ").map(Number);
    const most1 = Number(read(`/sys/fs/cgroup/cpu/${group}/cpu.cfs_quota_us`));
    const period1 = Number(read(`/sys/fs/cgroup/cpu/${group}/cpu.cfs_period_us`));
    limits.push((most || Number.NaN) / (period || Number.NaN), most1 / period1);
  }
  const real = limits.filter((limit) => limit > 0);
  return real.length === 0 ? undefined : Math.min(...real);
}

function virtualised(): string {
  const hypervisor = /^flags\s*:.*\bhypervisor\b/m.test(read("/proc/cpuinfo"));
  const vendor = read("/sys/class/dmi/id/sys_vendor") || read("/sys/hypervisor/type");
  if (hypervisor) return hypervisorVendor() || vendor || "hypervisor flag set";
  return /qemu|kvm|xen|vmware|virtualbox|amazon ec2|google/i.test(vendor) ? vendor : "no";
}

/** What only an instruction can tell, if somebody is there to ask it. */
function hypervisorVendor(): string {
  const { stdout } = spawnSync("lscpu", { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
  return /^Hypervisor vendor:\s*(.*)$/m.exec(stdout ?? "")?.[1] ?? "";
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
