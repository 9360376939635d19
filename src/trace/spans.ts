// Which spans of a thread lie within each other, as the Trace Event format wants of complete events. Those that native code records always
// do; what JavaScript measures begins and ends where it likes.

export interface Span {
  begin: number;
  end: number;
  /** Measured by JavaScript: it gives way. */
  readonly loose: boolean;
}

/**
 * Trims loose spans that overlap another by no more than `tolerance`, and gives back those that overlap one by more. `spans`: of one
 * thread, in order of their beginnings, of those that begin together the longer first.
 */
export function crossing<T extends Span>(spans: readonly T[], tolerance: number): Set<T> {
  const crossing = new Set<T>();
  const open: T[] = [];
  for (const span of spans) {
    for (let top = open.at(-1); top; top = open.at(-1)) {
      if (top.end <= span.begin || crossing.has(top)) open.pop();
      else if (top.end >= span.end) break;
      else if (span.loose && top.end - span.begin <= tolerance) span.begin = (open.pop() as T).end;
      else if (top.loose && top.end - span.begin <= tolerance) (open.pop() as T).end = span.begin;
      else if (span.loose && span.end - top.end <= tolerance) span.end = top.end;
      else if (span.loose) {
        crossing.add(span);
        break;
      } else if (top.loose) crossing.add(open.pop() as T);
      else break;
    }
    if (!crossing.has(span)) open.push(span);
  }
  return crossing;
}
