// The laws of one taker and of order: which receive takes which message, also when some are too small or taken back.
import { describe, test } from "vitest";
import { plays, shares } from "./support/ranks.js";

const PROGRAM = "matching.mjs";

test.each([1, 2, 3, 4])("random receives, sends and cancels do what the model says (seed %i)", (seed) =>
  plays(1, PROGRAM, "model", String(seed)),
);

test("receives get messages in the order they were posted, wildcards among them", () =>
  shares(2, PROGRAM, ["postedFirst"]));

test("a message that does not fit stays first in line and can then be received", () =>
  shares(2, PROGRAM, ["truncated"]));

describe("cancelled", () => {
  test("a receive leaves its message to the next one", () => shares(2, PROGRAM, ["cancelled"]));
  test("a send that nobody has matched is never seen", () => shares(2, PROGRAM, ["cancelledSend"]));
  test.each([1, 2])("receives lose and repeat nothing while messages arrive (seed %i)", (seed) =>
    shares(2, PROGRAM, ["cancelledInFlight", String(seed)]),
  );
  test.each([1, 2])("sends tell the truth while they are being taken (seed %i)", (seed) =>
    shares(2, PROGRAM, ["cancelledSendInFlight", String(seed)]),
  );
});
