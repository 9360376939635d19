// What operators see of a stream, in virtual time: when it begins, delivers, ends, is stopped. The taker behind it plays a marble
// diagram; that real takers do the same, streams.test.ts shows.
import { map, merge, NEVER, type Observable, retry, share, take, takeUntil } from "rxjs";
import { TestScheduler } from "rxjs/testing";
import { expect, test } from "vitest";
import { CarillonError, type CarillonErrorCode } from "../src/errors.js";
import type { Message } from "../src/message.js";
import { messageStream } from "../src/stream.js";
import type { Taker } from "../src/taker.js";

type Times = { begun: number[]; stopped: number[] };

/** A stream whose takers each play what `comes` is then; and when they were begun and stopped. */
function streamOf(scheduler: TestScheduler, comes: Observable<string>, signal?: AbortSignal) {
  const times: Times = { begun: [], stopped: [] };
  const stream = messageStream<string>(({ deliver, ended }) => {
    times.begun.push(scheduler.now());
    let over = false;
    const end = (code: CarillonErrorCode) => {
      over = true;
      ended(new CarillonError(code, code));
    };
    const playing = comes.subscribe({
      next: (value) => deliver?.({ value } as Message),
      error: end,
      complete: () => end("ERR_CARILLON_PEER_CLOSED"),
    });
    const stop = async () => {
      if (!over) times.stopped.push(scheduler.now());
      playing.unsubscribe();
    };
    return { stop } as unknown as Taker;
  }, signal);
  return { values: stream.pipe(map((message) => message.value)), times };
}

const run = (body: (scheduler: TestScheduler, helpers: Parameters<Parameters<TestScheduler["run"]>[0]>[0]) => void) => {
  const scheduler = new TestScheduler((found, expected) => expect(found).toEqual(expected));
  scheduler.run((helpers) => body(scheduler, helpers));
};

test("nothing is taken before somebody subscribes; a source that left completes it", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const { values, times } = streamOf(scheduler, cold("-a--b-(c|)"));
    expect(times.begun).toEqual([]);
    expectObservable(values, "--^").toBe("---a--b-(c|)");
    flush();
    expect(times).toEqual({ begun: [2], stopped: [] });
  }));

test("a source that died is an error, after what it sent; who tries again begins anew", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const { values, times } = streamOf(scheduler, cold("-a-#", undefined, "ERR_CARILLON_PEER_LOST"));
    expectObservable(values).toBe(
      "-a-#",
      undefined,
      new CarillonError("ERR_CARILLON_PEER_LOST", "ERR_CARILLON_PEER_LOST"),
    );
    expectObservable(values.pipe(retry(1), take(2))).toBe("-a--(a|)");
    flush();
    expect(times).toEqual({ begun: [0, 0, 3], stopped: [4] });
  }));

test("a world that is closed completes it", () =>
  run((scheduler, { cold, expectObservable }) => {
    const { values } = streamOf(scheduler, cold("a-#", undefined, "ERR_CARILLON_CLOSED"));
    expectObservable(values).toBe("a-|");
  }));

test("unsubscribing stops the taker, in the middle of what comes at once, too", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const { values, times } = streamOf(scheduler, cold("-a-(bcd)--e"));
    expectObservable(values, "^-!").toBe("-a");
    expectObservable(values.pipe(take(2))).toBe("-a-(b|)");
    expectObservable(values.pipe(takeUntil(cold("---------x")))).toBe("-a-(bcd)-|");
    flush();
    expect(times.stopped).toEqual([2, 3, 9]);
  }));

test("share() has one taker for all, stopped with the last of them", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const { values, times } = streamOf(scheduler, cold("-a-b-c-d-e"));
    const shared = values.pipe(share());
    expectObservable(shared, "^---!").toBe("-a-b");
    expectObservable(shared, "--^----!").toBe("---b-c");
    flush();
    expect(times).toEqual({ begun: [0], stopped: [7] });
  }));

test("two subscribers have a taker each", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const { values, times } = streamOf(scheduler, cold("-a----|"));
    expectObservable(merge(values, values)).toBe("-(aa)-|");
    flush();
    expect(times.begun).toEqual([0, 0]);
  }));

test("the signal stops it, with its reason; aborted before, nothing is begun", () =>
  run((scheduler, { cold, expectObservable, flush }) => {
    const controller = new AbortController();
    const { values, times } = streamOf(scheduler, merge(cold("-a-b-c"), NEVER), controller.signal);
    const reason = new Error("enough");
    cold("----x").subscribe(() => controller.abort(reason));
    expectObservable(values).toBe("-a-b#", undefined, reason);
    expectObservable(values, "-----^").toBe("-----#", undefined, reason);
    flush();
    expect(times).toEqual({ begun: [0], stopped: [4] });
  }));
