/** A list: commands, filters in the address, columns, selection, pages, and each of its states. */

import {
  Button,
  Checkbox,
  Dropdown,
  makeStyles,
  Option,
  SearchBox,
  Skeleton,
  SkeletonItem,
  Table,
  TableBody,
  TableCell,
  TableHeader,
  TableHeaderCell,
  TableRow,
  Text,
  tokens,
} from "@fluentui/react-components";
import { ArrowClockwiseRegular, ArrowDownloadRegular, ColumnEditRegular, DismissRegular } from "@fluentui/react-icons";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { announce } from "../shell/announce";
import { t } from "../texts";
import { Bubble } from "./Bubble";
import { CommandBar, type Command } from "./CommandBar";
import { continuations, listName, placeOf } from "./continuations";
import { Failure } from "./Failure";
import { useGridKeys } from "./gridKeys";
import { timeOf } from "./Loaded";
import { absence, cut, type Rows, type Source } from "./listSource";
import { SIZES, useListQuery, type ListQuery } from "./listState";
import { useExport } from "./useExport";
import { cutText } from "../wellFormed";

export interface Column<R> {
  id: string;
  label: string;
  /** Text of the cell: what is shown, sorted by, searched and exported. */
  text: (row: R) => string;
  /** What is shown in the text's place. */
  show?: (row: R) => ReactNode;
  width?: string;
  /** Not shown until it is chosen. */
  hidden?: boolean;
  /** Cannot be sorted by. */
  unsorted?: boolean;
}

/** A filter with a list of values. */
export interface Facet<R> {
  id: string;
  label: string;
  choices: { value: string; label: string }[];
  /** There are values that are not among them. */
  more?: boolean;
  /** The row's own value, for lists that are loaded whole. */
  value?: (row: R) => string;
}

export interface Picked<R> {
  rows: R[];
  /** Takes the marks away. */
  clear: () => void;
  refresh: () => void;
}

interface ListProps<R> {
  /** Name of the list for those who hear it, and of its export. */
  label: string;
  source: Source<R>;
  columns: Column<R>[];
  rowId: (row: R) => string;
  facets?: Facet<R>[];
  /** Commands before those that every list has. */
  commands?: (picked: Picked<R>) => Command[];
  selectable?: boolean;
  /** Why a row cannot be marked. */
  fixed?: (row: R) => string | undefined;
  /** What is said where there is nothing at all, with what to do then. */
  empty: ReactNode;
  /** Whether the search box is there. */
  searchable?: boolean;
  /** What the filter looks for, where that is not any field. */
  finds?: string;
  /** Is told which rows the server gave, also where they come out of the cache. */
  onShown?: (rows: R[]) => void;
}

const useStyles = makeStyles({
  tools: { display: "flex", flexWrap: "wrap", gap: "8px", alignItems: "center", margin: "8px 0" },
  search: { minWidth: "260px" },
  scroll: { overflowX: "auto" },
  table: { minWidth: "640px" },
  check: { width: "36px", padding: 0 },
  cell: { overflowWrap: "anywhere", paddingTop: "4px", paddingBottom: "4px" },
  foot: { display: "flex", flexWrap: "wrap", gap: "12px", alignItems: "center", margin: "12px 0" },
  stale: { color: tokens.colorNeutralForeground2 },
  size: { minWidth: "80px", width: "80px" },
});

export function List<R>(props: ListProps<R>) {
  const styles = useStyles();
  const [query, change] = useListQuery();
  const [hidden, setHidden] = useState(() => new Set(props.columns.filter((column) => column.hidden).map((column) => column.id)));
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const { found, view, place } = useRows(props, query);
  const columns = props.columns.filter((column) => !hidden.has(column.id));
  const picked = view.rows.filter((row) => marked.has(props.rowId(row)));
  const refresh = () => void found.refetch();
  const saved = useExport(async (signal) => (await import("./exportRows")).exportRows(props, query, signal));
  const grid = useGridKeys();
  const commands: Command[] = [
    ...(props.commands?.({ rows: picked, clear: () => setMarked(new Set()), refresh }) ?? []),
    { id: "refresh", label: t.list.refresh, icon: <ArrowClockwiseRegular />, onClick: refresh },
    { id: "csv", label: t.list.export, icon: <ArrowDownloadRegular />, off: saved.busy ? t.common.loading : undefined, onClick: saved.run },
  ];
  const { page } = place.query;
  // While another page is read the rows of the one before are still there: they are not its rows.
  const current = found.data !== undefined && !found.isPlaceholderData;
  const absent = current ? absence(view, page, isFiltered(query)) : undefined;
  const goOn = () => {
    if (view.next !== undefined) continuations.keep(listName(props.source.key, query), page + 1, view.next);
    change({ page: page + 1 });
  };
  return (
    <div>
      <CommandBar commands={commands} />
      <div className={styles.tools}>
        {props.searchable !== false && <FilterBox label={props.finds ?? t.list.filter} value={query.filter} onChange={(filter) => change({ filter })} />}
        {props.facets?.map((facet) => (
          <FacetBox key={facet.id} facet={facet} value={query.facets[facet.id] ?? ""} onChange={(value) => change({ facets: { ...query.facets, [facet.id]: value } })} />
        ))}
        <ColumnsMenu columns={props.columns} hidden={hidden} onChange={setHidden} />
      </div>
      <Pills facets={props.facets ?? []} query={query} onChange={(facets) => change({ facets })} />
      {found.error && <Failure fault={found.error} retry={refresh} />}
      {found.error && found.data && <Text className={styles.stale}>{t.failure.old(timeOf(found.dataUpdatedAt))}</Text>}
      <ExportNote of={saved} />
      {props.source.kind === "all" && found.data?.more && <Text block>{t.list.cut(found.data.rows.length)}</Text>}
      {place.lost && <Text block>{t.list.firstInstead(query.page + 1)}</Text>}
      {absent === "empty" && !found.error ? (
        <div>{props.empty}</div>
      ) : (
        (found.data || !found.error) && (
          <div className={styles.scroll} aria-busy={found.isFetching}>
            <Table ref={grid} role="grid" aria-readonly aria-multiselectable={props.selectable ?? false} size="small" className={styles.table} aria-label={props.label}>
              <TableHeader>
                <TableRow>
                  {props.selectable && <MarkAll rows={view.rows} marked={marked} props={props} onChange={setMarked} />}
                  {columns.map((column) => (
                    <HeaderCell key={column.id} column={column} query={query} change={change} />
                  ))}
                </TableRow>
              </TableHeader>
              <TableBody>
                {found.data ? (
                  view.rows.map((row) => <Row key={props.rowId(row)} row={row} columns={columns} marked={marked} onMark={setMarked} props={props} />)
                ) : (
                  <SkeletonRows columns={columns.length + (props.selectable ? 1 : 0)} />
                )}
              </TableBody>
            </Table>
            {absent === "nothing" && <p>{t.list.nothing}</p>}
            {absent === "more" && <p>{t.list.further}</p>}
          </div>
        )
      )}
      <Foot query={query} view={view} page={page} marked={picked.length} {...(current ? {} : { told: found.error ? "" : t.common.loading })} onChange={change} onNext={goOn} />
    </div>
  );
}

const isFiltered = (query: ListQuery): boolean => query.filter !== "" || Object.values(query.facets).some((value) => value !== "");

/** How the last export ended, where there is something to say. */
function ExportNote({ of }: { of: ReturnType<typeof useExport> }) {
  return (
    <>
      {of.fault !== undefined && <Failure fault={of.fault} retry={of.run} />}
      {of.told && <Text block>{of.told}</Text>}
    </>
  );
}

interface FootProps<R> {
  query: ListQuery;
  view: Rows<R>;
  /** The page that is shown. */
  page: number;
  marked: number;
  /** What is said in the place of the count, while the rows are not those of the page. */
  told?: string;
  onChange: (what: Partial<ListQuery>) => void;
  onNext: () => void;
}

/** Which rows are shown, of how many; other pages, and their size. */
function Foot<R>({ query, view, page, marked, told, onChange, onNext }: FootProps<R>) {
  const styles = useStyles();
  return (
    <div className={styles.foot}>
      <Text size={200} role="status">
        {told ?? t.list.count(view.rows.length, page * query.size, view.total, marked)}
      </Text>
      {(page > 0 || view.more) && (
        <>
          <Button size="small" disabledFocusable={page === 0} onClick={() => onChange({ page: page - 1 })}>
            {t.list.previous}
          </Button>
          <Button size="small" disabledFocusable={!view.more || told !== undefined} onClick={onNext}>
            {t.list.next}
          </Button>
        </>
      )}
      <Dropdown
        size="small"
        className={styles.size}
        aria-label={t.list.size}
        value={String(query.size)}
        selectedOptions={[String(query.size)]}
        onOptionSelect={(_, data) => onChange({ size: Number(data.optionValue) })}
      >
        {SIZES.map((size) => (
          <Option key={size} value={String(size)}>
            {String(size)}
          </Option>
        ))}
      </Dropdown>
    </div>
  );
}

/** The rows that are shown: read by the server's pages, or cut out of all of them. */
function useRows<R>(props: ListProps<R>, query: ListQuery) {
  const { source } = props;
  const place = placeOf(source, query);
  const asked = source.kind === "all" ? undefined : place;
  const found = useQuery({
    queryKey: ["list", ...source.key, asked],
    queryFn: ({ signal }) => source.load(place.query, place.after, signal),
    placeholderData: keepPreviousData,
  });
  const view = useMemo((): Rows<R> => {
    const data = found.data ?? { rows: [], total: undefined, more: false };
    return source.kind === "all" ? cut(data.rows, props.columns, props.facets ?? [], query) : data;
  }, [found.data, source.kind, props.columns, props.facets, query]);
  const { onShown } = props;
  useEffect(() => {
    if (found.data) onShown?.(found.data.rows);
    // Another reading, whoever asks to be told.
  }, [found.data]);
  const total = view.total;
  useEffect(() => {
    if (found.data && total !== undefined) announce(t.list.found(total));
    // Only when a reading ended.
  }, [found.dataUpdatedAt]);
  return { found, view, place };
}

/** Typing takes effect after 300 ms, Enter at once. */
function FilterBox({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  const styles = useStyles();
  const [typed, setTyped] = useState(value);
  // What was sent from here and did not come back yet: it says nothing about what was typed since.
  const sent = useRef<string[]>([]);
  const known = useRef(value);
  const newest = useRef(onChange);
  newest.current = onChange;
  const send = (text: string) => {
    if (text === known.current) return;
    known.current = text;
    sent.current.push(text);
    // The newest one knows the other choices that were made meanwhile.
    newest.current(text);
  };
  useEffect(() => {
    const at = sent.current.indexOf(value);
    sent.current = sent.current.slice(at + 1);
    if (at >= 0 || value === known.current) return;
    known.current = value;
    setTyped(value);
  }, [value]);
  useEffect(() => {
    const timer = setTimeout(() => send(typed), 300);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <SearchBox
      className={styles.search}
      placeholder={label}
      aria-label={label}
      value={typed}
      onChange={(_, data) => setTyped(cutText(data.value, 300))}
      onKeyDown={(event) => {
        if (event.key === "Enter") send(typed);
      }}
    />
  );
}

function FacetBox<R>({ facet, value, onChange }: { facet: Facet<R>; value: string; onChange: (value: string) => void }) {
  if (facet.choices.length === 0 && value === "") return null;
  const shown = facet.choices.find((choice) => choice.value === value)?.label ?? (value || t.list.any);
  return (
    <Dropdown aria-label={facet.label} value={`${facet.label}: ${shown}`} selectedOptions={[value]} onOptionSelect={(_, data) => onChange(data.optionValue ?? "")}>
      <Option value="">{t.list.any}</Option>
      {facet.choices.map((choice) => (
        <Option key={choice.value} value={choice.value}>
          {choice.label}
        </Option>
      ))}
      {facet.more && (
        <Option disabled value="">
          {t.list.moreValues}
        </Option>
      )}
    </Dropdown>
  );
}

function Pills<R>({ facets, query, onChange }: { facets: Facet<R>[]; query: ListQuery; onChange: (facets: Record<string, string>) => void }) {
  const styles = useStyles();
  const set = facets.filter((facet) => query.facets[facet.id]);
  if (set.length === 0) return null;
  const without = (id: string) => onChange(Object.fromEntries(Object.entries(query.facets).filter(([name]) => name !== id)));
  return (
    <div className={styles.tools} role="group" aria-label={t.list.filters}>
      {set.map((facet) => {
        const value = query.facets[facet.id] ?? "";
        const words = `${facet.label}: ${facet.choices.find((choice) => choice.value === value)?.label ?? value}`;
        return (
          <Button key={facet.id} size="small" shape="circular" icon={<DismissRegular />} iconPosition="after" aria-label={t.list.removeFilter(words)} onClick={() => without(facet.id)}>
            {words}
          </Button>
        );
      })}
    </div>
  );
}

/** Which columns are shown; the first one always is. */
function ColumnsMenu<R>({ columns, hidden, onChange }: { columns: Column<R>[]; hidden: Set<string>; onChange: (hidden: Set<string>) => void }) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const set = (id: string, shown: boolean) => {
    const next = new Set(hidden);
    if (shown) next.delete(id);
    else next.add(id);
    onChange(next);
  };
  return (
    <>
      <Button ref={button} appearance="subtle" icon={<ColumnEditRegular />} aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
        {t.list.columns}
      </Button>
      <Bubble
        open={open}
        target={button.current}
        label={t.list.columns}
        onClose={() => {
          setOpen(false);
          button.current?.focus();
        }}
      >
        {columns.map((column, at) => (
          <div key={column.id}>
            <Checkbox label={column.label} checked={!hidden.has(column.id)} disabled={at === 0} onChange={(_, data) => set(column.id, data.checked === true)} />
          </div>
        ))}
      </Bubble>
    </>
  );
}

function HeaderCell<R>({ column, query, change }: { column: Column<R>; query: ListQuery; change: (what: Partial<ListQuery>) => void }) {
  const style = column.width ? { width: column.width } : {};
  if (column.unsorted) return <TableHeaderCell style={style}>{column.label}</TableHeaderCell>;
  const sorted = query.sort?.column === column.id ? (query.sort.down ? "descending" : "ascending") : undefined;
  return (
    <TableHeaderCell
      style={style}
      sortable
      sortDirection={sorted}
      onClick={() => change({ sort: { column: column.id, down: sorted === "ascending" } })}
    >
      {column.label}
    </TableHeaderCell>
  );
}

interface MarkProps<R> {
  marked: ReadonlySet<string>;
  props: ListProps<R>;
}

function MarkAll<R>({ rows, marked, props, onChange }: MarkProps<R> & { rows: R[]; onChange: (marked: ReadonlySet<string>) => void }) {
  const styles = useStyles();
  const free = rows.filter((row) => !props.fixed?.(row)).map(props.rowId);
  const count = free.filter((id) => marked.has(id)).length;
  return (
    <TableHeaderCell className={styles.check}>
      <Checkbox
        aria-label={t.list.markAll}
        disabled={free.length === 0}
        checked={count === 0 ? false : count === free.length ? true : "mixed"}
        onChange={(_, data) => onChange(new Set(data.checked === true ? free : []))}
      />
    </TableHeaderCell>
  );
}

function Row<R>({ row, columns, marked, onMark, props }: MarkProps<R> & { row: R; columns: Column<R>[]; onMark: (marked: ReadonlySet<string>) => void }) {
  const styles = useStyles();
  const id = props.rowId(row);
  const name = props.columns[0]?.text(row) ?? id;
  const fixed = props.fixed?.(row);
  const mark = (checked: boolean) => {
    const next = new Set(marked);
    if (checked) next.add(id);
    else next.delete(id);
    onMark(next);
  };
  return (
    <TableRow aria-selected={props.selectable ? marked.has(id) : undefined}>
      {props.selectable && (
        <TableCell className={styles.check}>
          <Checkbox aria-label={fixed ?? t.list.mark(name)} disabled={fixed !== undefined} checked={marked.has(id)} onChange={(_, data) => mark(data.checked === true)} />
        </TableCell>
      )}
      {columns.map((column) => (
        <TableCell key={column.id} className={styles.cell}>
          {column.show ? column.show(row) : column.text(row)}
        </TableCell>
      ))}
    </TableRow>
  );
}

function SkeletonRows({ columns }: { columns: number }) {
  return [0, 1, 2, 3, 4].map((at) => (
    <TableRow key={at}>
      {Array.from({ length: columns }, (_, column) => (
        <TableCell key={column}>
          <Skeleton aria-label={t.common.loading}>
            <SkeletonItem />
          </Skeleton>
        </TableCell>
      ))}
    </TableRow>
  ));
}
