import { Button, Field, makeStyles, Menu, MenuItem, MenuList, MenuPopover, MenuTrigger, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow, Text, Textarea, tokens } from "@fluentui/react-components";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { query } from "../../api/graphQuery";
import { pageOf, parseId } from "../../api/resourceId";
import { csv, download } from "../../csv";
import { AppLink } from "../../frames/AppLink";
import { Bars } from "../../frames/Bars";
import { CommandBar } from "../../frames/CommandBar";
import { Failure } from "../../frames/Failure";
import { useGridKeys } from "../../frames/gridKeys";
import { Page } from "../../frames/Page";
import { announce } from "../../shell/announce";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { barsOf, cellText, columnsOf, type Row } from "./results";
import { cutText } from "../../wellFormed";

/** Rows of one page of results. */
const PAGE = 100;
/** Bars of a chart; what is left is one of its own. */
const BARS = 30;
/** Longest query, characters: the server's is 8,192 (docs/howto/resource-graph.md). */
const LONGEST = 8192;

const useStyles = makeStyles({
  query: { maxWidth: "960px", marginBottom: "8px" },
  mono: { fontFamily: tokens.fontFamilyMonospace },
  scroll: { overflowX: "auto" },
  cell: { overflowWrap: "anywhere", minWidth: "120px" },
  tools: { display: "flex", gap: "8px", alignItems: "center", flexWrap: "wrap" },
});

/** The pages of a query that were read, one behind the other. */
function useResults(asked: string) {
  const found = useInfiniteQuery({
    queryKey: ["explorer", asked],
    queryFn: ({ pageParam, signal }) => query<Row>(asked, { top: PAGE, skip: pageParam, signal }),
    initialPageParam: 0,
    getNextPageParam: (last, pages) => {
      const read = pages.reduce((sum, page) => sum + page.rows.length, 0);
      return last.rows.length > 0 && read < last.total ? read : undefined;
    },
    enabled: asked.trim() !== "",
  });
  const rows = useMemo(() => found.data?.pages.flatMap((page) => page.rows), [found.data]);
  const total = Math.max(found.data?.pages.at(-1)?.total ?? 0, rows?.length ?? 0);
  useEffect(() => {
    if (rows) announce(t.explorer.rows(rows.length, total));
  }, [rows]);
  return { found, rows, total };
}

/** A query of Resource Graph, written by hand: as a table, as a chart, as CSV. The query is in the address: it runs on arrival, by Back and
 * Forward, and where another one is run. */
export default function Explorer() {
  const styles = useStyles();
  const [params, setParams] = useSearchParams();
  const asked = params.get("query") ?? "";
  const tab = params.get("show") ?? "table";
  const [text, setText] = useState(asked);
  const { found, rows, total } = useResults(asked);
  // The query that was run from here: what was typed since is not taken away by it.
  const sent = useRef(asked);
  useEffect(() => {
    if (asked !== sent.current) setText(asked);
    sent.current = asked;
  }, [asked]);
  const begin = (wanted: string) => {
    if (wanted.trim() === "") return;
    if (wanted === asked) return void found.refetch();
    sent.current = wanted;
    setParams({ query: wanted, ...(tab === "table" ? {} : { show: tab }) });
  };
  const chosen = (wanted: string) => {
    setText(wanted);
    begin(wanted);
  };
  const retry = () => void (found.isFetchNextPageError ? found.fetchNextPage() : found.refetch());
  return (
    <Page title={t.explorer.title}>
      <CommandBar
        commands={[
          { id: "run", label: t.explorer.run, off: found.isFetching ? t.common.loading : undefined, onClick: () => begin(text) },
          { id: "csv", label: found.hasNextPage ? t.explorer.exportRead : t.explorer.export, off: rows ? undefined : t.explorer.none, onClick: () => rows && save(rows) },
        ]}
      />
      <Field className={styles.query} label={t.explorer.query} hint={t.explorer.hint}>
        <Textarea
          textarea={{ className: styles.mono, rows: 6, spellCheck: false }}
          resize="vertical"
          value={text}
          onChange={(_, data) => setText(cutText(data.value, LONGEST))}
          onKeyDown={(event) => {
            if (event.key === "Enter" && event.ctrlKey) begin(text);
          }}
        />
      </Field>
      <Samples onChosen={chosen} />
      {found.error && <Failure fault={found.error} retry={retry} />}
      {found.isLoading && <Text block>{t.common.loading}</Text>}
      {rows && (
        <>
          <div className={styles.tools}>
            <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ query: asked, show: data.value })}>
              <Tab value="table">{t.explorer.table}</Tab>
              <Tab value="chart">{t.explorer.chart}</Tab>
            </TabList>
            <Text role="status" size={200}>
              {t.explorer.rows(rows.length, total)}
            </Text>
          </div>
          {tab === "chart" ? <Chart rows={rows} /> : <ResultTable rows={rows} />}
          {found.hasNextPage && (
            <Button disabledFocusable={found.isFetching} onClick={() => void found.fetchNextPage()}>
              {t.explorer.more}
            </Button>
          )}
        </>
      )}
    </Page>
  );
}

function save(rows: Row[]): void {
  const columns = columnsOf(rows);
  download("resource-graph.csv", csv([columns, ...rows.map((row) => columns.map((column) => cellText(row[column])))]));
}

function Samples({ onChosen }: { onChosen: (text: string) => void }) {
  return (
    <Menu>
      <MenuTrigger disableButtonEnhancement>
        <Button size="small">{t.explorer.samples}</Button>
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          {t.explorer.sampleList.map(([label, text]) => (
            <MenuItem key={label} onClick={() => onChosen(text)}>
              {label}
            </MenuItem>
          ))}
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

function Chart({ rows }: { rows: Row[] }) {
  const bars = barsOf(rows, BARS, "…");
  return bars ? <Bars bars={bars} label={t.explorer.chart} /> : <p>{rows.length === 0 ? t.explorer.none : t.explorer.noChart}</p>;
}

function ResultTable({ rows }: { rows: Row[] }) {
  const styles = useStyles();
  const grid = useGridKeys();
  const columns = columnsOf(rows);
  if (rows.length === 0) return <p>{t.explorer.none}</p>;
  return (
    <div className={styles.scroll}>
      <Table ref={grid} role="grid" aria-readonly size="small" aria-label={t.explorer.table}>
        <TableHeader>
          <TableRow>
            {columns.map((column) => (
              <TableHeaderCell key={column} className={styles.cell}>
                {column}
              </TableHeaderCell>
            ))}
          </TableRow>
        </TableHeader>
        <TableBody>
          {rows.map((row, at) => (
            <TableRow key={at}>
              {columns.map((column) => (
                <TableCell key={column} className={styles.cell}>
                  <Value value={row[column]} />
                </TableCell>
              ))}
            </TableRow>
          ))}
        </TableBody>
      </Table>
    </div>
  );
}

/** Longest piece of a cell that is shown; the export has all of it. */
const PIECE = 400;

/** A cell; the id of a resource leads to its page. */
function Value({ value }: { value: unknown }) {
  const text = cellText(value);
  const id = text.startsWith("/subscriptions/") ? parseId(text) : undefined;
  if (id) return <AppLink to={pageOf(text)}>{text}</AppLink>;
  return text.length > PIECE ? `${text.slice(0, PIECE)}…` : text;
}
