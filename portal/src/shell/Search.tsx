/** The search of the top bar: services by each of their names, resources and devices by a part of theirs. */

import { Input, makeStyles, tokens } from "@fluentui/react-components";
import { SearchRegular } from "@fluentui/react-icons";
import { useQuery } from "@tanstack/react-query";
import { useId, useState, type KeyboardEvent, type RefObject } from "react";
import { useNavigate } from "react-router";
import { query, quote } from "../api/graphQuery";
import { pageOf } from "../api/resourceId";
import { useRested } from "../frames/checks";
import { infoOf, TRACKED } from "../resources";
import { t } from "../texts";
import { iconOf } from "./icons";
import { findServices } from "./services";
import { cutText, segment } from "../wellFormed";

interface Hit {
  group: string;
  label: string;
  second: string;
  icon: string;
  to: string;
}

const useStyles = makeStyles({
  root: { position: "relative", flexGrow: 1, maxWidth: "640px" },
  input: { width: "100%" },
  list: {
    position: "absolute",
    top: "100%",
    left: 0,
    right: 0,
    zIndex: 1000,
    maxHeight: "70vh",
    overflowY: "auto",
    padding: "4px",
    backgroundColor: tokens.colorNeutralBackground1,
    color: tokens.colorNeutralForeground1,
    boxShadow: tokens.shadow16,
    borderRadius: tokens.borderRadiusMedium,
  },
  group: { padding: "6px 8px 2px", fontWeight: 600, fontSize: tokens.fontSizeBase200 },
  hit: { display: "flex", gap: "8px", alignItems: "center", padding: "6px 8px", cursor: "pointer", borderRadius: tokens.borderRadiusMedium },
  active: { backgroundColor: tokens.colorNeutralBackground1Selected, outline: `2px solid ${tokens.colorStrokeFocus2}` },
  second: { color: tokens.colorNeutralForeground2, fontSize: tokens.fontSizeBase200 },
  words: { minWidth: 0, overflowWrap: "anywhere" },
});

interface Found {
  id: string;
  name: string;
  type: string;
  resourceGroup: string;
}

interface FoundDevice {
  name: string;
  hub: string;
  hubId: string;
}

async function findResources(text: string, signal: AbortSignal): Promise<Hit[]> {
  const types = [...TRACKED.map((type) => quote(type)), "'microsoft.resources/subscriptions/resourcegroups'"].join(", ");
  const ask = (table: string) =>
    query<Found>(`${table} | where type in~ (${types}) | where name contains ${quote(text)} | project id, name, type, resourceGroup | order by name asc`, { top: 8, signal });
  const [resources, groups] = await Promise.all([ask("resources"), ask("resourcecontainers")]);
  return [...resources.rows, ...groups.rows].map((row) => {
    const info = infoOf(row.type) ?? (row.type.endsWith("/resourcegroups") ? infoOf("Microsoft.Resources/resourceGroups") : undefined);
    return {
      group: t.search.resources,
      label: row.name,
      second: [info?.one ?? row.type, row.resourceGroup].filter((part) => part).join(", "),
      icon: info?.icon ?? "document",
      to: pageOf(row.id),
    };
  });
}

async function findDevices(text: string, signal: AbortSignal): Promise<Hit[]> {
  const answer = await query<FoundDevice>(`iothubdevices | where name contains ${quote(text)} | project name, hub, hubId | order by name asc`, { top: 8, signal });
  return answer.rows.map((row) => ({
    group: t.search.devices,
    label: row.name,
    second: row.hub,
    icon: "device",
    to: `${pageOf(row.hubId, "devices")}?device=${segment(row.name)}`,
  }));
}

/** What was found, and what is not known yet or could not be searched: a table that may not be read leaves the others. */
function useHits(text: string): { hits: Hit[]; searching: boolean; faults: string[] } {
  const rested = useRested(text.trim());
  const enabled = rested.length >= 2;
  const resources = useQuery({ queryKey: ["search-resources", rested], queryFn: ({ signal }) => findResources(rested, signal), enabled, staleTime: 10_000 });
  const devices = useQuery({ queryKey: ["search-devices", rested], queryFn: ({ signal }) => findDevices(rested, signal), enabled, staleTime: 10_000 });
  const services = findServices(text).map((service) => ({ group: t.search.services, label: service.name, second: "", icon: service.icon, to: service.path }));
  const late = enabled && rested === text.trim();
  const read = [resources, devices];
  return {
    hits: [...services, ...((late && resources.data) || []), ...((late && devices.data) || [])],
    searching: text.trim().length >= 2 && (!late || read.some((of) => of.isLoading)),
    faults: read.flatMap((of, at) => (late && of.error ? [t.search.failed(at === 0 ? t.search.resources : t.search.devices, of.error.message)] : [])),
  };
}

export function Search({ input }: { input: RefObject<HTMLInputElement | null> }) {
  const styles = useStyles();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const { hits, searching, faults } = useHits(text);
  const id = useId();
  const chosen = Math.min(at, hits.length - 1);
  const close = () => {
    setOpen(false);
    setText("");
    setAt(0);
  };
  const follow = (hit: Hit | undefined) => {
    if (!hit) return;
    close();
    // The page that comes has the focus, and not a field that nobody types in any more.
    input.current?.blur();
    void navigate(hit.to);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      setOpen(true);
      setAt((chosen + step + hits.length) % Math.max(1, hits.length));
    } else if (event.key === "Enter") follow(hits[chosen]);
    else if (event.key === "Escape") close();
  };
  return (
    <div className={styles.root} role="search">
      <Input
        ref={input}
        className={styles.input}
        contentBefore={<SearchRegular />}
        placeholder={t.search.placeholder}
        aria-label={t.search.placeholder}
        role="combobox"
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={open && hits.length > 0 ? `${id}-${chosen}` : undefined}
        value={text}
        onChange={(_, data) => {
          setText(cutText(data.value, 200));
          setAt(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKey}
      />
      <div id={`${id}-list`} className={styles.list} role="listbox" aria-label={t.search.found} hidden={!open}>
        {open &&
          hits.map((hit, index) => (
            <div key={`${hit.to} ${index}`} role="presentation">
              {hit.group !== hits[index - 1]?.group && (
                <div className={styles.group} role="presentation">
                  {hit.group}
                </div>
              )}
              <div
                id={`${id}-${index}`}
                role="option"
                aria-selected={index === chosen}
                className={`${styles.hit}${index === chosen ? ` ${styles.active}` : ""}`}
                // Before the field loses the focus and the list goes.
                onMouseDown={(event) => {
                  event.preventDefault();
                  follow(hit);
                }}
              >
                <span aria-hidden>{iconOf(hit.icon)}</span>
                <span className={styles.words}>
                  {hit.label} <span className={styles.second}>{hit.second}</span>
                </span>
              </div>
            </div>
          ))}
        {open &&
          [...faults, ...(searching ? [t.search.searching] : hits.length === 0 && faults.length === 0 ? [t.search.nothing] : [])].map((told) => (
            <div key={told} className={styles.hit} role="option" aria-selected={false} aria-disabled>
              {told}
            </div>
          ))}
      </div>
    </div>
  );
}
