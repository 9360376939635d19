// C MPI as a peer, where it is installed: two ranks of bench/native/mpi.c under mpiexec. MPI spins while it waits, which is
// what makes it the yardstick; between batches its partner sleeps. Responsible for finding it and for what it leaves behind.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { compile } from "../harness/compile.js";
import type { Peer } from "../harness/peer.js";
import { LineProcess } from "../harness/process.js";
import { openSession } from "../harness/session.js";

type Flavour = "mpich" | "openmpi";

interface Installed {
  readonly compiler: string;
  readonly launcher: readonly string[];
}

const NAMES: Record<Flavour, string> = { mpich: "MPICH", openmpi: "Open MPI" };
/** What `mpiexec --version` says of itself. */
const SIGNATURES: Record<Flavour, RegExp> = { mpich: /HYDRA/, openmpi: /Open MPI|OpenRTE/ };
const SHARED_MEMORY = "/dev/shm";

let sessions = 0;

export function mpi(flavour: Flavour, folder: string): Peer {
  return {
    id: `c-mpi-${flavour}`,
    name: `C MPI, ${NAMES[flavour]}`,
    async start(placement) {
      const { compiler, launcher } = find(flavour);
      const binary = await compile("mpi", folder, compiler);
      const cpus = placement.mainThreads ?? placement.cpus ?? ["-", "-"];
      const orders = join(folder, `mpi-orders-${sessions++}`);
      const segments = sharedFolder(folder);
      const command = [...launcher, ...options(flavour, segments.path), binary, ...cpus.map(String), orders];
      return openSession([new LineProcess(command, { env: environment(folder) })], { cleanup: segments.remove });
    },
  };
}

/** Distributions that have both give them names of their own. @throws Error if it is not there */
function find(flavour: Flavour): Installed {
  for (const suffix of [`.${flavour}`, ""]) {
    const launcher = `mpiexec${suffix}`;
    const { stdout } = spawnSync(launcher, ["--version"], { encoding: "utf8" });
    if (SIGNATURES[flavour].test(stdout ?? "")) return { compiler: `mpicc${suffix}`, launcher: [launcher, "-n", "2"] };
  }
  throw new Error(`no mpiexec of ${NAMES[flavour]} is installed: install ${NAMES[flavour]}, with its compiler mpicc`);
}

/** The program pins itself: launchers differ in how they count cores. */
function options(flavour: Flavour, segments: string): string[] {
  if (flavour === "mpich") return ["-bind-to", "none"];
  return ["--bind-to", "none", "--oversubscribe", "--mca", "btl_vader_backing_directory", segments];
}

function environment(folder: string): Record<string, string> {
  // Open MPI asks root twice, and keeps its session under TMPDIR.
  return { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", TMPDIR: folder };
}

/** Open MPI's segments have names, and outlive ranks that are killed: they get a folder that goes with the session. */
function sharedFolder(folder: string): { path: string; remove: () => void } {
  const path = mkdtempSync(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : folder, "carillon-bench-"));
  const remove = () => rmSync(path, { recursive: true, force: true });
  process.on("exit", remove);
  return {
    path,
    remove: () => {
      remove();
      process.off("exit", remove);
    },
  };
}
