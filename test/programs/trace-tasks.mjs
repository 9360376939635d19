// Tasks of the pool in trace.mjs.
import { World } from "carillon";

export default function spin(task) {
  for (let i = 0; i < 1e6; ++i);
  return task;
}

export async function joins(task) {
  const world = await World.join();
  performance.measure("within", { start: performance.now() });
  await world.close();
  return task;
}
