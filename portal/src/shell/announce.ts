/** The live region of the page: what is said to those who hear it. */

let region: HTMLElement | undefined;

/** Names the element; the shell does. */
export function useRegion(element: HTMLElement | null): void {
  region = element ?? undefined;
}

/** Says `text`. */
export function announce(text: string): void {
  if (!region) return;
  region.textContent = "";
  const target = region;
  // Two frames later, so that the same text twice is heard twice.
  setTimeout(() => (target.textContent = text), 50);
}
