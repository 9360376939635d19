// What one task takes along to another thread and brings back: leases and messages, whose memory is nobody's meanwhile.
// Responsible for all of it leaving or nothing, and for nothing being left; not for where in a task it was found (pool/find.ts)
// nor for the memory (native/binding/consignments.h).
import { CarillonError } from "./errors.js";
import { type Departure, HAND_OVER, type HandedOver, type Hold, type OnItsWay } from "./handing.js";
import { arrivedLease } from "./lease.js";
import { arrivedMessage } from "./message.js";
import { CONSIGNMENT_CLOSED, NOT_OURS, native } from "./native.js";
import { attached } from "./world.js";

export class Consignment implements Hold {
  /** What the other thread needs to claim from it. */
  readonly key: bigint;
  /** Buffers to transfer with what is on its way. */
  readonly transferList: ArrayBuffer[] = [];
  readonly #left: { departure: Departure; way: OnItsWay }[] = [];

  /** That of another thread; without a key a new one, which its maker closes. */
  constructor(key = native().openConsignment()) {
    this.key = key;
  }

  /**
   * Hands over all of these, each once; or none of them.
   * @throws CarillonError ERR_CARILLON_LEASE_IN_USE, _LEASE_RELEASED, _BUFFER_DETACHED or _CANCELLED
   */
  load(objects: readonly HandedOver[]): OnItsWay[] {
    const departures = objects.map((object) => object[HAND_OVER]());
    try {
      return departures.map((departure) => {
        const way = departure.leave(this);
        this.#left.push({ departure, way });
        return way;
      });
    } catch (error) {
      this.takeBack();
      throw error;
    }
  }

  /** What `load` handed over is again what it was, unless somebody has claimed it. */
  takeBack(): void {
    for (const { departure, way } of this.#left.splice(0)) {
      try {
        departure.comeBack(this, way);
      } catch {
        // Claimed: it stays gone.
      }
    }
  }

  /** What another thread has loaded: the same objects, here. @throws CarillonError ERR_CARILLON_CANCELLED */
  unload(ways: readonly OnItsWay[]): unknown[] {
    return ways.map((way) => ("lease" in way ? arrivedLease(way, this) : arrivedMessage(way, this)));
  }

  /** Releases what nobody has claimed. */
  close(): void {
    native().closeConsignment(this.key);
  }

  consign(view: ArrayBufferView): number | undefined {
    const ticket = native().consign(this.key, view);
    if (ticket === CONSIGNMENT_CLOSED) throw gone();
    return ticket === NOT_OURS ? undefined : ticket;
  }

  transfer(buffer: ArrayBuffer): void {
    this.transferList.push(buffer);
  }

  claim(ticket: number): ArrayBuffer {
    attached(); // who claims may have to wait for requests on it, and to give it back
    const buffer = native().claim(this.key, ticket);
    if (!buffer) throw gone();
    return buffer;
  }
}

const gone = () =>
  new CarillonError("ERR_CARILLON_CANCELLED", "the task was aborted meanwhile; what it took along was released");
