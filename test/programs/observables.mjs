// Scenarios of test/streams.test.ts: requests as observables, whose unsubscribing cancels them.
import assert from "node:assert/strict";
import {
  catchError,
  defer,
  EMPTY,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  of,
  Subject,
  switchMap,
  takeUntil,
  timeout,
} from "rxjs";
import { nothingOutstanding, play, settled, unhandled } from "./scenario.mjs";

await play({
  async results(world) {
    const receive = defer(() => world.recv({ tag: 1 }).toObservable());
    const twice = [firstValueFrom(receive), firstValueFrom(receive)]; // a receive each
    assert.equal(await lastValueFrom(world.send("one", { dest: 0, tag: 1 }).toObservable()), undefined);
    await world.send("two", { dest: 0, tag: 1 });
    assert.deepEqual(
      (await Promise.all(twice)).map((message) => message.value),
      ["one", "two"],
    );
    const failed = defer(() => world.recv({ source: 7 }).toObservable());
    await assert.rejects(firstValueFrom(failed), { code: "ERR_CARILLON_INVALID_RANK" });
    await nothingOutstanding(world);
  },

  /** The receive is gone with who wanted it, so that the message is another's. */
  async cancels(world, how) {
    const rejections = unhandled();
    const receive = defer(() => world.recv({ tag: 1 }).toObservable());
    const none = () => assert.fail("nothing was received");
    const over = new Subject();
    if (how === "unsubscribe") {
      receive.subscribe(none).unsubscribe();
    } else if (how === "takeUntil") {
      receive.pipe(takeUntil(over)).subscribe(none);
      over.next();
    } else if (how === "switchMap") {
      const subscription = from([1, 2, 3])
        .pipe(switchMap((tag) => defer(() => world.recv({ tag }).toObservable())))
        .subscribe(({ value }) => over.next(value));
      const last = firstValueFrom(over);
      await world.send("third", { dest: 0, tag: 3 });
      assert.equal(await last, "third");
      subscription.unsubscribe();
    } else if (how === "timeout") {
      const late = receive.pipe(
        timeout({ first: 1, with: () => of({ value: "late" }) }),
        map(({ value }) => value),
      );
      assert.equal(await firstValueFrom(late), "late");
    }
    await world.send("another's", { dest: 0, tag: 1 });
    assert.equal((await world.recv({ tag: 1 })).value, "another's");
    await settled();
    assert.deepEqual(rejections, []);
    await nothingOutstanding(world);
  },

  /** `cancel()` completes nobody: whoever still listens hears of it. */
  async cancelled(world) {
    const request = world.recv({ tag: 1 });
    const codes = [];
    const ended = firstValueFrom(
      request.toObservable().pipe(
        catchError((error) => {
          codes.push(error.code);
          return EMPTY;
        }),
      ),
      { defaultValue: "none" },
    );
    request.cancel();
    assert.equal(await ended, "none");
    assert.deepEqual(codes, ["ERR_CARILLON_CANCELLED"]);
    await nothingOutstanding(world);
  },
});
