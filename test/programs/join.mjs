// Joins and says what came of it: for test/bad-input.test.ts and test/nothing-left.test.ts. With a word: what it does then.
// With TEST_TRIES, once in each of these environments and with these options, none of which can be joined.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { World } from "carillon";
import { heard, say } from "./scenario.mjs";

const [then] = process.argv.slice(2);

if (then === "leaveFirst" && process.env.CARILLON_RANK === "1") process.exit(0);
if (then === "failFirst" && process.env.CARILLON_RANK === "1") process.exit(7);
if (then === "waitFirst" && process.env.CARILLON_RANK === "1") {
  say({ waiting: true });
  await heard();
}

const failed = ({ name, code, rank, message }) => say({ name, code, rank, message });

if (process.env.TEST_TRIES) {
  const own = { ...process.env };
  for (const { env, options } of JSON.parse(own.TEST_TRIES)) {
    for (const name of Object.keys(process.env)) if (name.startsWith("CARILLON_")) delete process.env[name];
    Object.assign(process.env, env);
    await World.join(options).then(() => say({ joined: { env, options } }), failed);
  }
  process.exit();
}

try {
  const world = await World.join();
  say({ rank: world.rank, size: world.size });
  if (then === "fork") {
    const child = fork(fileURLToPath(import.meta.url), [], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
    let text = "";
    for await (const chunk of child.stdout) text += chunk;
    say({ child: JSON.parse(text) });
    // The one that asked for this rank in vain harmed nobody.
    const peer = 1 - world.rank;
    const [message] = await Promise.all([world.recv({ source: peer }), world.send("still here", { dest: peer })]);
    say({ after: message.value });
  }
  await world.close();
} catch (error) {
  failed(error);
}
