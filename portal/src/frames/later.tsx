/** Parts of a page whose files come after it: it stands without them, and they are there when they are wanted. */

import { lazy, Suspense, useEffect, useState, type ComponentType, type LazyExoticComponent } from "react";

/** Milliseconds after which a browser without idle callbacks is taken for idle. */
const IDLE_MS = 1000;

/** Runs `work` once the page has nothing else to do. */
export function whenIdle(work: () => void): () => void {
  if (typeof requestIdleCallback === "function") {
    const handle = requestIdleCallback(work);
    return () => cancelIdleCallback(handle);
  }
  const timer = setTimeout(work, IDLE_MS);
  return () => clearTimeout(timer);
}

/** Something that opens, such as a pane: its file is fetched when the page is idle, since the server may be away once it is wanted. */
export function later<P extends { open: boolean }>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  const Content = lazy(load) as unknown as ComponentType<P>;
  return function Later(props: P) {
    // Once there, it stays, so that it can close.
    const [wanted, setWanted] = useState(props.open);
    useEffect(() => setWanted((before) => before || props.open), [props.open]);
    useEffect(() => whenIdle(() => void load().catch(() => undefined)), []);
    return wanted ? (
      <Suspense fallback={null}>
        <Content {...props} />
      </Suspense>
    ) : null;
  };
}

/** What stands in a pane or behind a tab: its file is fetched when the page that has it is idle. Whoever shows it has a `Suspense` around it,
 * as panes and pages do. */
export function soon<P>(load: () => Promise<{ default: ComponentType<P> }>): LazyExoticComponent<ComponentType<P>> {
  if (typeof document !== "undefined") whenIdle(() => void load().catch(() => undefined));
  return lazy(load);
}
