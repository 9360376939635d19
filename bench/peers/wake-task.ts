// The task of wake-program.ts: when it runs, the message has got to a thread of the pool.
import { now } from "./clock.js";

export default ({ value: sentAt }: { value: number }): number => now() - sentAt;
