/** Where the pages of lists begin that have no page numbers: kept in this window, so that Back and a reload show the page that the address
 * names. A continuation out of an address would let a foreign link choose what is read. */

import type { Source } from "./listSource";
import type { ListQuery } from "./listState";

const KEY = "ferrohub.continuations";
/** Lists of which continuations are kept, and pages of each. */
const LISTS = 20;
const PAGES = 500;

/** Continuations of one list under one query, by page. */
type Entry = [list: string, tokens: Record<number, string>];

export class Continuations {
  private entries: Entry[] | undefined;
  private readonly storage: () => Pick<Storage, "getItem" | "setItem">;

  constructor(storage: () => Pick<Storage, "getItem" | "setItem">) {
    this.storage = storage;
  }

  /** The continuation behind which `page` of a list begins. */
  of(list: string, page: number): string | undefined {
    return this.all().find(([known]) => known === list)?.[1][page];
  }

  /** Notes it; the list that was not used for longest is forgotten. */
  keep(list: string, page: number, token: string): void {
    const before = this.all().find(([known]) => known === list)?.[1] ?? {};
    const tokens = Object.entries({ ...before, [page]: token }).slice(-PAGES);
    this.entries = [...this.all().filter(([known]) => known !== list), [list, Object.fromEntries(tokens)] as Entry].slice(-LISTS);
    try {
      this.storage().setItem(KEY, JSON.stringify(this.entries));
    } catch {
      // Full: they are known as long as the page is open.
    }
  }

  private all(): Entry[] {
    if (this.entries) return this.entries;
    try {
      const found: unknown = JSON.parse(this.storage().getItem(KEY) ?? "[]");
      this.entries = Array.isArray(found) ? (found as Entry[]) : [];
    } catch {
      this.entries = [];
    }
    return this.entries;
  }
}

/** Those of this window. */
export const continuations = new Continuations(() => sessionStorage);

/** What a list shows of the page that is asked for. */
export interface Place {
  query: ListQuery;
  after: string | undefined;
  /** The page that was asked for cannot be found any more: the first one is shown in its stead. */
  lost: boolean;
}

/** Name of a list under a query, whatever the page. */
export const listName = (key: unknown[], query: ListQuery): string => JSON.stringify([key, { ...query, page: 0 }]);

/** Which page is read: where nobody knows any more where one begins it is the first, and told. */
export function placeOf(source: Pick<Source<unknown>, "kind" | "key">, query: ListQuery, known: Pick<Continuations, "of"> = continuations): Place {
  if (source.kind !== "continued" || query.page === 0) return { query, after: undefined, lost: false };
  const after = known.of(listName(source.key, query), query.page);
  return after === undefined ? { query: { ...query, page: 0 }, after, lost: true } : { query, after, lost: false };
}
