// The task of pool-program.ts: a fixed amount of computing.
import { compute } from "./overlap.js";

export default compute;
