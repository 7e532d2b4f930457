/** Tags in one line. */
export function tagsText(tags: Record<string, string> | null | undefined): string {
  return Object.entries(tags ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ");
}
