/** What edits of tags come to: the changes of a subscription's, and the rows after a write. */

import { tagMap, type Tag } from "../../rules";

type Tags = Record<string, string>;

/** A change that leaves alone what it does not name. */
export interface TagChange {
  operation: "Delete" | "Merge";
  tags: Tags;
}

/** The changes that make `before` into `after`. Deletion comes first: names ignore case, so that one may be set again in another; and it
 * names the value, so that what somebody else made of the tag since stays. */
export function tagChanges(before: Tags, after: Tags): TagChange[] {
  const only = (tags: Tags, keep: (name: string, value: string) => boolean) => Object.fromEntries(Object.entries(tags).filter(([name, value]) => keep(name, value)));
  const gone = only(before, (name) => !Object.hasOwn(after, name));
  const set = only(after, (name, value) => before[name] !== value);
  const changes: TagChange[] = [
    { operation: "Delete", tags: gone },
    { operation: "Merge", tags: set },
  ];
  return changes.filter(({ tags }) => Object.keys(tags).length > 0);
}

/** Rows as they are now, of which `sent` became `written`: what was typed since stays, what was left alone is as it was written. */
export function rowsAfter(now: Tag[], sent: Tag[], written: Tags): Tag[] {
  const before = tagMap(sent);
  const left = now.flatMap((row): Tag[] => {
    if (before[row.name] !== row.value) return [row];
    return Object.hasOwn(written, row.name) ? [{ name: row.name, value: written[row.name] ?? "" }] : [];
  });
  const known = new Set([...left.map((row) => row.name), ...Object.keys(before)]);
  const others = Object.entries(written).filter(([name]) => !known.has(name));
  return [...left, ...others.map(([name, value]) => ({ name, value }))];
}
