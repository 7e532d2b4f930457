/** The keys of a grid (ARIA's pattern): one stop of the Tab key, arrows from cell to cell, Home and End within a row, with Ctrl to the
 * first and the last one, Page keys ten rows at a time; Space marks a row, Ctrl+A all of the page. A cell with something to press in it
 * hands the focus to that. */

import { useCallback, useRef } from "react";

const WIDGETS = "a[href], button:not(:disabled), input:not(:disabled), [role=button]";
/** Rows that a Page key goes. */
const LEAP = 10;

interface Place {
  row: number;
  column: number;
}

/** The place that a key leads to, within rows of so many cells; undefined for a key that leads nowhere. */
export function placeAfter(key: string, ctrl: boolean, at: Place, widths: number[]): Place | undefined {
  const last = widths.length - 1;
  const within = (row: number, column: number): Place => {
    const to = Math.min(Math.max(row, 0), last);
    return { row: to, column: Math.min(Math.max(column, 0), (widths[to] ?? 1) - 1) };
  };
  switch (key) {
    case "ArrowRight":
      return within(at.row, at.column + 1);
    case "ArrowLeft":
      return within(at.row, at.column - 1);
    case "ArrowDown":
      return within(at.row + 1, at.column);
    case "ArrowUp":
      return within(at.row - 1, at.column);
    case "PageDown":
      return within(at.row + LEAP, at.column);
    case "PageUp":
      return within(at.row - LEAP, at.column);
    case "Home":
      return within(ctrl ? 0 : at.row, 0);
    case "End":
      return within(ctrl ? last : at.row, Number.MAX_SAFE_INTEGER);
    default:
      return undefined;
  }
}

const widgetsOf = (cell: HTMLElement): HTMLElement[] => [...cell.querySelectorAll<HTMLElement>(WIDGETS)];

/** The behaviour of one table. */
class Grid {
  private at: Place = { row: 0, column: 0 };
  private readonly table: HTMLTableElement;
  private readonly seen: MutationObserver;

  constructor(table: HTMLTableElement) {
    this.table = table;
    this.seen = new MutationObserver(() => this.settle());
    this.seen.observe(table, { childList: true, subtree: true });
    table.addEventListener("keydown", this.onKey);
    table.addEventListener("focusin", this.onFocus);
    this.settle();
  }

  end(): void {
    this.seen.disconnect();
    this.table.removeEventListener("keydown", this.onKey);
    this.table.removeEventListener("focusin", this.onFocus);
  }

  private cells(): HTMLTableCellElement[][] {
    return [...this.table.rows].map((row) => [...row.cells]);
  }

  /** One cell is reached by the Tab key, all others by arrows. */
  private settle(): void {
    const rows = this.cells();
    const row = Math.min(this.at.row, rows.length - 1);
    this.at = { row, column: Math.min(this.at.column, (rows[row]?.length ?? 1) - 1) };
    rows.forEach((cells, row) =>
      cells.forEach((cell, column) => {
        const index = row === this.at.row && column === this.at.column ? 0 : -1;
        const widgets = widgetsOf(cell);
        for (const widget of widgets) if (widget.tabIndex !== index) widget.tabIndex = index;
        if (widgets.length > 0) cell.removeAttribute("tabindex");
        else if (cell.tabIndex !== index || !cell.hasAttribute("tabindex")) cell.tabIndex = index;
      }),
    );
  }

  private readonly onFocus = (event: FocusEvent): void => {
    const cell = (event.target as HTMLElement).closest<HTMLTableCellElement>("td, th");
    const row = cell?.closest("tr");
    if (!cell || !row) return;
    this.at = { row: [...this.table.rows].indexOf(row), column: cell.cellIndex };
    this.settle();
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    if (event.altKey || event.metaKey || target.matches("textarea, select, input:not([type=checkbox])")) return;
    if (event.key === " " && target.matches("td, th")) {
      event.preventDefault();
      target.closest("tr")?.querySelector<HTMLElement>("input[type=checkbox]:not(:disabled)")?.click();
      return;
    }
    if (event.key.toLowerCase() === "a" && event.ctrlKey) {
      const all = this.table.tHead?.querySelector<HTMLInputElement>("input[type=checkbox]:not(:disabled)");
      if (!all) return;
      event.preventDefault();
      if (!all.checked) all.click();
      return;
    }
    const rows = this.cells();
    const to = placeAfter(event.key, event.ctrlKey, this.at, rows.map((cells) => cells.length));
    const cell = to && rows[to.row]?.[to.column];
    if (!cell) return;
    event.preventDefault();
    (widgetsOf(cell)[0] ?? cell).focus();
  };
}

/** For the `ref` of a table. */
export function useGridKeys(): (table: HTMLTableElement | null) => void {
  const grid = useRef<Grid | undefined>(undefined);
  return useCallback((table: HTMLTableElement | null) => {
    grid.current?.end();
    grid.current = table ? new Grid(table) : undefined;
  }, []);
}
