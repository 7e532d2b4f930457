/** Light, dark, or as the system has it. */

import { webDarkTheme, webLightTheme, type Theme } from "@fluentui/react-components";
import { useEffect, useSyncExternalStore } from "react";

export type Choice = "system" | "light" | "dark";

/** Links are one step lighter than Fluent has them: they stand in rows too, whose ground is lighter under the pointer (4.5 to 1). */
const DARK: Theme = { ...webDarkTheme, colorBrandForegroundLink: "#62abf5" };
const KEY = "ferrohub.theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

dark.addEventListener("change", () => listeners.forEach((listener) => listener()));

function read(): Choice {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function chooseTheme(choice: Choice): void {
  if (choice === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice);
  listeners.forEach((listener) => listener());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const current = (): string => `${read()} ${dark.matches}`;

/** The theme in force, and what was chosen. */
export function useTheme(): { theme: Theme; choice: Choice } {
  useSyncExternalStore(subscribe, current);
  const choice = read();
  const isDark = choice === "dark" || (choice === "system" && dark.matches);
  useEffect(() => {
    document.documentElement.style.colorScheme = isDark ? "dark" : "light";
  }, [isDark]);
  return { theme: isDark ? DARK : webLightTheme, choice };
}
