/** Messages of a minute between two samples of a count that begins anew at midnight. */
export function rates(samples: number[], everyMs: number): number[] {
  return samples.slice(1).map((value, at) => Math.round((Math.max(0, value - (samples[at] ?? 0)) * 60_000) / everyMs));
}
