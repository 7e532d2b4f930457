/** Results of a query as a table and as bars. */

export type Row = Record<string, unknown>;

/** A value in a cell. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Columns in the order in which the rows have them. */
export function columnsOf(rows: Row[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

export interface Bar {
  label: string;
  value: number;
}

/** Bars: the first column that is a number in every row, named by the others; undefined where there is none.
 * @param most bars; what is left becomes one of its own */
export function barsOf(rows: Row[], most: number, rest: string): Bar[] | undefined {
  const columns = columnsOf(rows);
  const numbers = columns.find((column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  if (!numbers || columns.length < 2) return undefined;
  const names = columns.filter((column) => column !== numbers);
  const bars = rows
    .map((row): Bar => ({ label: names.map((name) => cellText(row[name])).join(", "), value: row[numbers] as number }))
    .sort((a, b) => b.value - a.value);
  if (bars.length <= most) return bars;
  const others = bars.slice(most - 1).reduce((sum, bar) => sum + bar.value, 0);
  return [...bars.slice(0, most - 1), { label: rest, value: others }];
}

/** How many of `times` lie in each month or day, in their order; those without any are there too.
 * @param digits 7 for months, 10 for days */
export function countBy(times: string[], digits: 7 | 10): Bar[] {
  const counts = new Map<string, number>();
  for (const time of [...times].sort()) counts.set(time.slice(0, digits), (counts.get(time.slice(0, digits)) ?? 0) + 1);
  return [...counts].map(([label, value]) => ({ label, value }));
}
