/** A row of tabs, as Fluent draws them, without what it needs to move its line: that was a thirtieth of a first load. */

import { makeStyles, mergeClasses, tokens } from "@fluentui/react-components";
import { createContext, useContext, useEffect, useRef, type KeyboardEvent, type ReactNode } from "react";

interface TabsState {
  selected: string;
  onSelect: (value: string) => void;
}

const TabsContext = createContext<TabsState>({ selected: "", onSelect: () => undefined });

const useStyles = makeStyles({
  list: { display: "flex", flexWrap: "wrap", alignItems: "stretch" },
  tab: {
    position: "relative",
    padding: `${tokens.spacingVerticalMNudge} ${tokens.spacingHorizontalMNudge}`,
    border: "none",
    borderRadius: tokens.borderRadiusMedium,
    backgroundColor: "transparent",
    color: tokens.colorNeutralForeground2,
    fontFamily: tokens.fontFamilyBase,
    fontSize: tokens.fontSizeBase300,
    lineHeight: tokens.lineHeightBase300,
    cursor: "pointer",
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
    "::after": { content: '""', position: "absolute", left: tokens.spacingHorizontalMNudge, right: tokens.spacingHorizontalMNudge, bottom: 0, height: "3px", borderRadius: tokens.borderRadiusCircular },
    ":hover::after": { backgroundColor: tokens.colorNeutralStroke1Hover },
  },
  selected: {
    color: tokens.colorNeutralForeground1,
    fontWeight: tokens.fontWeightSemibold,
    "::after": { backgroundColor: tokens.colorCompoundBrandStroke, "@media (forced-colors: active)": { backgroundColor: "Highlight" } },
    ":hover::after": { backgroundColor: tokens.colorCompoundBrandStrokeHover },
  },
});

interface TabListProps {
  selectedValue: string;
  onTabSelect: (event: unknown, data: { value: string }) => void;
  children: ReactNode;
  className?: string | undefined;
}

const tabsOf = (list: HTMLElement): HTMLElement[] => [...list.querySelectorAll<HTMLElement>('[role="tab"]')];

/** The tabs are one stop of the Tab key, and walked by the arrows; Enter or the space bar chooses. */
export function TabList({ selectedValue, onTabSelect, children, className }: TabListProps) {
  const styles = useStyles();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Where none is chosen the first one takes the focus.
    const tabs = list.current ? tabsOf(list.current) : [];
    const stop = tabs.find((tab) => tab.ariaSelected === "true") ?? tabs[0];
    for (const tab of tabs) tab.tabIndex = tab === stop ? 0 : -1;
  });
  const onKey = (event: KeyboardEvent<HTMLDivElement>) => {
    const tabs = tabsOf(event.currentTarget);
    const at = tabs.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    tabs.at(to % tabs.length)?.focus();
  };
  return (
    <div ref={list} role="tablist" className={mergeClasses(styles.list, className)} onKeyDown={onKey}>
      <TabsContext value={{ selected: selectedValue, onSelect: (value) => onTabSelect(undefined, { value }) }}>{children}</TabsContext>
    </div>
  );
}

export function Tab({ value, children, "aria-label": label }: { value: string; children: ReactNode; "aria-label"?: string }) {
  const styles = useStyles();
  const { selected, onSelect } = useContext(TabsContext);
  const chosen = selected === value;
  return (
    <button type="button" role="tab" aria-selected={chosen} aria-label={label} className={mergeClasses(styles.tab, chosen && styles.selected)} onClick={() => onSelect(value)}>
      {children}
    </button>
  );
}
