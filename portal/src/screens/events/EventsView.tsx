/** Events as they arrive: the log is asked each second for what is new. */

import { Button, makeStyles, SearchBox, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow, Text, tokens } from "@fluentui/react-components";
import { useEffect, useMemo, useRef, useState } from "react";
import { asFault } from "../../api/fault";
import type { HubEvent } from "../../api/hubData";
import { CommandBar } from "../../frames/CommandBar";
import { CopyButton } from "../../frames/CopyButton";
import { Essentials } from "../../frames/Essentials";
import { Failure } from "../../frames/Failure";
import { ChoiceField } from "../../frames/Fields";
import { useGridKeys } from "../../frames/gridKeys";
import { Pane } from "../../frames/Pane";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { bodyText, deviceOf, endOf, keptOf, newest, reader, refused, type Form, type KeptEvent } from "./eventLog";

/** Milliseconds between two readings while events come, and the longest while none do: each reading is a request to each partition. */
const PAUSE_MS = 1000;
const PAUSE_MAX_MS = 5000;
/** Events of one reading. */
const PAGE = 100;
/** Longest pause after readings that failed. */
const AWAY_MAX_MS = 30_000;
/** Events that the page keeps, the bytes of them, and of these that it shows. */
const KEPT = 500;
const KEPT_BYTES = 16 * 1024 * 1024;
const SHOWN = 100;

const useStyles = makeStyles({
  tools: { display: "flex", flexWrap: "wrap", gap: "12px", alignItems: "flex-end" },
  body: { overflowWrap: "anywhere", fontFamily: tokens.fontFamilyMonospace, fontSize: tokens.fontSizeBase200 },
  whole: { whiteSpace: "pre-wrap", overflowWrap: "anywhere", fontFamily: tokens.fontFamilyMonospace },
});

/** Follows the partitions while `running`; gives what came, newest first.
 * @param onRefused is called where the server refuses: it is not asked again before somebody wants it */
function useEvents(hub: string, partitions: string[], fromBeginning: boolean, running: boolean, wanted: string, onRefused: () => void) {
  const [events, setEvents] = useState<KeptEvent[]>([]);
  const [fault, setFault] = useState<unknown>(undefined);
  // Whether every partition was read: before that nobody knows whether there are events.
  const [read, setRead] = useState(false);
  // Where each partition is read on: a pause loses nothing.
  const places = useRef(new Map<string, number>());
  const key = partitions.join();
  useEffect(() => {
    places.current = new Map();
    setEvents([]);
    setRead(false);
  }, [hub, key, fromBeginning]);
  useEffect(() => {
    if (!running) return undefined;
    const end = new AbortController();
    const turn = async (): Promise<boolean> => {
      let any = false;
      for (const partition of key.split(",")) {
        const read = reader(hub, partition, end.signal);
        const known = places.current.get(partition);
        const from = known ?? (fromBeginning ? 0 : await endOf(read));
        const found = await read(from, PAGE);
        const last = found[found.length - 1];
        any ||= last !== undefined;
        places.current.set(partition, last ? last.sequenceNumber + 1 : from);
        const fits = wanted === "" ? found : found.filter((event) => deviceOf(event) === wanted);
        if (fits.length > 0) setEvents((before) => newest(before, fits.map(keptOf), KEPT, KEPT_BYTES));
      }
      return any;
    };
    const loop = async () => {
      let pause = PAUSE_MS;
      while (!end.signal.aborted) {
        try {
          // A window that nobody looks at does not ask.
          const looked = !document.hidden;
          const any = looked && (await turn());
          pause = any ? PAUSE_MS : Math.min(PAUSE_MAX_MS, pause * 2);
          if (!end.signal.aborted && looked) {
            setFault(undefined);
            setRead(true);
          }
        } catch (thrown) {
          if (end.signal.aborted) return;
          const fault = asFault(thrown);
          setFault(fault);
          if (refused(fault)) return onRefused();
          pause = Math.min(AWAY_MAX_MS, Math.max(fault.wait ?? 0, pause * 2));
        }
        await new Promise((done) => setTimeout(done, pause));
      }
    };
    void loop();
    return () => end.abort();
  }, [hub, key, fromBeginning, running, wanted]);
  return { events, fault, read, clear: () => setEvents([]) };
}

export default function EventsView({ hubId, partitions, device }: { hubId: string; partitions: string[]; device?: string }) {
  const styles = useStyles();
  const grid = useGridKeys();
  const [running, setRunning] = useState(true);
  const [from, setFrom] = useState("now");
  const [partition, setPartition] = useState("");
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState<HubEvent | undefined>(undefined);
  const chosen = partition ? [partition] : partitions;
  const { events, fault, read, clear } = useEvents(hubId, chosen, from === "beginning", running, device ?? "", () => setRunning(false));
  const wanted = typed.trim();
  const rows = events.filter((event) => wanted === "" || deviceOf(event).includes(wanted)).slice(0, SHOWN);
  return (
    <>
      <p>{t.events.text}</p>
      <CommandBar
        commands={[
          running ? { id: "run", label: t.events.pause, onClick: () => setRunning(false) } : { id: "run", label: t.events.start, onClick: () => setRunning(true) },
          { id: "clear", label: t.events.clear, onClick: clear },
        ]}
      />
      <div className={styles.tools}>
        <ChoiceField label={t.events.from} value={from} choices={[{ value: "now", label: t.events.now }, { value: "beginning", label: t.events.beginning }]} onChange={setFrom} />
        <ChoiceField label={t.events.partition} value={partition} choices={[{ value: "", label: t.events.all }, ...partitions.map((each) => ({ value: each, label: each }))]} onChange={setPartition} />
        {!device && <SearchBox value={typed} placeholder={t.events.filter} aria-label={t.events.filter} onChange={(_, data) => setTyped(data.value)} />}
      </div>
      {fault !== undefined && <Failure fault={fault} />}
      <Text block role="status" size={200}>
        {running ? t.events.running(rows.length) : t.events.paused(rows.length)} {t.events.kept(KEPT)}
      </Text>
      <Table ref={grid} role="grid" aria-readonly size="small" aria-label={t.plantBlades.events}>
        <TableHeader>
          <TableRow>
            <TableHeaderCell>{t.events.time}</TableHeaderCell>
            <TableHeaderCell>{t.events.device}</TableHeaderCell>
            <TableHeaderCell>{t.events.partition}</TableHeaderCell>
            <TableHeaderCell>{t.events.sequence}</TableHeaderCell>
            <TableHeaderCell>{t.events.body}</TableHeaderCell>
          </TableRow>
        </TableHeader>
        <TableBody>
          {rows.map((event) => (
            <TableRow key={`${event.partition}/${event.sequenceNumber}`}>
              <TableCell>
                <Button appearance="transparent" size="small" onClick={() => setShown(event)}>
                  {new Date(event.enqueuedTimeUtc).toLocaleTimeString()}
                </Button>
              </TableCell>
              <TableCell>{deviceOf(event)}</TableCell>
              <TableCell>{event.partition}</TableCell>
              <TableCell>{event.sequenceNumber}</TableCell>
              <TableCell className={styles.body}>{event.piece}</TableCell>
            </TableRow>
          ))}
        </TableBody>
      </Table>
      {rows.length === 0 && read && <p>{events.length > 0 ? t.list.nothing : t.events.none}</p>}
      {rows.length === 0 && !read && fault === undefined && <p>{t.events.unread}</p>}
      <Pane open={shown !== undefined} wide title={t.events.details} onClose={() => setShown(undefined)}>
        {shown && <Details event={shown} />}
      </Pane>
    </>
  );
}

function Details({ event }: { event: HubEvent }) {
  const styles = useStyles();
  const [form, setForm] = useState<Form>("json");
  const text = useMemo(() => bodyText(event.body, form), [event.body, form]);
  const facts = (properties: Record<string, string>) => Object.entries(properties).map(([label, value]) => ({ label, value: String(value) }));
  return (
    <>
      <TabList selectedValue={form} onTabSelect={(_, data) => setForm(data.value as Form)}>
        {Object.entries(t.events.forms).map(([value, label]) => (
          <Tab key={value} value={value}>
            {label}
          </Tab>
        ))}
      </TabList>
      <CopyButton value={text} what={t.events.body} />
      <pre className={styles.whole} tabIndex={0} aria-label={t.events.body}>
        {text}
      </pre>
      <Text weight="semibold" block>
        {t.events.properties}
      </Text>
      <Essentials facts={facts(event.applicationProperties)} />
      <Text weight="semibold" block>
        {t.events.system}
      </Text>
      <Essentials facts={facts(event.systemProperties)} />
    </>
  );
}
